//! Includes, overrides, and the texts that come out.

use super::*;
use proptest::prelude::*;
use std::path::Path;

/// The canonical text of what is loaded, or the rendered problems.
fn loaded(sources: &Memory, overrides: &[&str]) -> String {
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
    let mut loaded = load(
        Path::new("s/main.ron"),
        &overrides,
        sources,
        &Limits::default(),
        &mut map,
        &mut out,
    );
    if let Some(loaded) = &mut loaded {
        assert!(loaded.complete || out.has_errors());
        loaded.apply_or_report(&Limits::default(), &Default::default(), &mut out);
    }
    match loaded {
        Some(loaded) if !out.has_errors() => write::canonical(&loaded.root) + "\n",
        _ => render(&out, &map, Show::default()),
    }
}

fn main(text: &str) -> Memory {
    Memory::new().with("s/main.ron", text)
}

#[test]
fn the_including_file_wins_key_by_key() {
    let files = main(r#"(include: ["base.ron", "more/late.ron"], seed: 7, services: {"b": (at: "y")}, list: [3])"#)
        .with("s/base.ron", r#"(seed: 1, name: "base", services: {"a": (at: "x", n: 1), "b": (at: "x", n: 2)}, list: [1, 2], t: At(x: 1))"#)
        .with("s/more/late.ron", r#"(include: "../deep.ron", name: "late", t: At(y: 2))"#)
        .with("s/deep.ron", r#"(name: "deep", deep: true, t: Gone(z: 3))"#);
    assert_eq!(
        loaded(&files, &[]),
        "(deep:true,list:[3],name:\"late\",seed:7,services:{\"a\":(at:\"x\",n:1),\"b\":(at:\"y\",n:2)},t:At(x:1,y:2))\n"
    );
    assert_eq!(loaded(&main("(include: [])"), &[]), "()\n");
}

#[test]
fn includes_that_go_wrong_are_reported_where_they_stand() {
    let cycle = main(r#"(include: ["a.ron"])"#)
        .with("s/a.ron", "(\n  include: [\"./b/../c.ron\"],\n)")
        .with("s/c.ron", r#"(include: ["main.ron"])"#);
    let wrong = main(r#"(include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])"#)
        .with("s/list.ron", "[1]")
        .with("s/broken.ron", "(a: )");
    let itself = main(r#"(include: 5)"#);
    insta::assert_snapshot!([loaded(&cycle, &[]), loaded(&wrong, &[]), loaded(&itself, &[])].concat(), @r###"
    error[E0302]: s/./b/../main.ron includes itself
     --> s/./b/../c.ron:1:12
      |
    1 | (include: ["main.ron"])
      |            ^^^^^^^^^^
      |
      = note: the chain: s/main.ron -> s/a.ron -> s/./b/../c.ron -> s/./b/../main.ron

    1 error; `quorate help E0302` explains the first
    error[E0301]: can't read s/none.ron: no such file
     --> s/main.ron:1:12
      |
    1 | (include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])
      |            ^^^^^^^^^^

    error[E0304]: s/list.ron holds a list, not a struct `(name: ...)`
     --> s/main.ron:1:24
      |
    1 | (include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])
      |                        ^^^^^^^^^^

    error[E0304]: expected a path, found the number 7
     --> s/main.ron:1:36
      |
    1 | (include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])
      |                                    ^

    error[E0304]: expected a path, found `bad`
     --> s/main.ron:1:39
      |
    1 | (include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])
      |                                       ^^^
      |
      = help: a path stands in quotes: `"bad"`

    error[E0104]: `include` stands twice
     --> s/main.ron:1:59
      |
    1 | (include: ["none.ron", "list.ron", 7, bad, "broken.ron"], include: [])
      |  ------- it stood here first                              ^^^^^^^

    error[E0011]: expected a value, found `)`
     --> s/broken.ron:1:5
      |
    1 | (a: )
      |     ^

    6 errors; `quorate help E0301` explains the first
    error[E0304]: expected a list of paths, found the number 5
     --> s/main.ron:1:11
      |
    1 | (include: 5)
      |           ^
      |
      = help: write `include: ["base.ron"]`

    1 error; `quorate help E0304` explains the first
    "###);
    insta::assert_snapshot!(loaded(&Memory::new(), &[]), @r###"
    error[E0301]: can't read s/main.ron: no such file

    1 error; `quorate help E0301` explains the first
    "###);
}

#[test]
fn includes_are_bounded() {
    let mut files = main(r#"(include: ["0.ron"])"#);
    for i in 0..20 {
        files = files.with(format!("s/{i}.ron"), format!("(include: [\"{}.ron\"])", i + 1));
    }
    assert!(loaded(&files, &[]).contains("E0303"));
    // Two files that each include the next level twice would be read 2^16 times.
    let mut files = main(r#"(include: ["0.ron", "0.ron"])"#);
    for i in 0..14 {
        files = files.with(
            format!("s/{i}.ron"),
            format!("(include: [\"{0}.ron\", \"{0}.ron\"])", i + 1),
        );
    }
    files = files.with("s/14.ron", "()");
    assert!(loaded(&files, &[]).contains("E0303"));
    let big = main(r#"(include: ["big.ron", "big.ron"])"#).with("s/big.ron", " ".repeat(9 << 20) + "()");
    assert!(loaded(&big, &[]).contains("E0002"));
}

const SCENARIO: &str = r#"(
    services: {"search": (at: "tools", servers: 32), "my search": (at: "x")},
    agents: {"r": (program: [Repeat(times: 15, steps: [Call(service: "model")]), At("60s"), Stop, Some((a: 1))])},
    pair: ("a", "b"),
    empty: (),
)"#;

#[test]
fn overrides_reach_everything() {
    for (text, expected) in [
        ("services.search.at=inference", r#""search":(at:"inference","#),
        ("services.search.at=\"q r\"", r#""search":(at:"q r","#),
        (
            "services . \"my search\" . servers = 8",
            r#""my search":(at:"x",servers:8)"#,
        ),
        ("services.search.servers=Unlimited", "servers:Unlimited"),
        ("services.search.servers=Count(3)", "servers:Count(3)"),
        ("services.new=(at: \"n\")", r#""new":(at:"n")"#),
        ("agents.r.program[0].times=3", "times:3"),
        ("agents.r.program[0].steps[0].service=a b", r#"service:"a b""#),
        ("agents.r.program[0].policy=polite", r#"policy:"polite""#),
        ("agents.r.program[1][0]=1.5s", r#"At("1.5s")"#),
        ("agents.r.program[2].after=2%", r#"Stop(after:"2%")"#),
        ("agents.r.program[3].a=2", "Some((a:2))"),
        ("agents.r.program[3].b=2", "Some((a:1,b:2))"),
        ("pair[1]=40/s", r#"("a","40/s")"#),
        ("empty.x=-5ms", r#"empty:(x:"-5ms")"#),
        ("seed=7", "seed:7"),
        ("on=true", "on:true"),
        ("list=[1, 2]", "list:[1,2]"),
        ("limit=None", "limit:None"),
    ] {
        let result = loaded(&main(SCENARIO), &[text]);
        assert!(result.contains(expected), "{text}\n{result}");
    }
    assert!(
        loaded(&main(SCENARIO), &["x=1", "x=2"]).contains("x:2"),
        "the last wins"
    );
}

#[test]
fn overrides_that_go_wrong_say_how_far_they_came() {
    let wrong = [
        "services.serch.at=x",
        "servces.search.at=x",
        "services.search.at.deep=1",
        "agents.r.program[9].times=3",
        "services[0]=1",
        "agents.r.program.times=3",
        "services.search",
        "=5",
        "a..b=1",
        "[0]=1",
        "a[x]=1",
        "\"a=1",
        "a]b=1",
        "seed=(a: ",
        "seed=\"x",
        "seed=",
    ];
    insta::assert_snapshot!(loaded(&main(SCENARIO), &wrong), @r###"
    error[E0306]: there is no `serch`
     --> --set:1:10
      |
    1 | services.serch.at=x
      |          ^^^^^
      |
      = note: `services` exists and has `search` and `my search`
      = help: did you mean `search`?

    error[E0306]: there is no `servces`
     --> --set:1:1
      |
    1 | servces.search.at=x
      | ^^^^^^^
      |
      = note: the top of the scenario exists and has `services`, `agents`, `pair` and `empty`
      = help: did you mean `services`?

    error[E0306]: there is no `deep`
     --> --set:1:20
      |
    1 | services.search.at.deep=1
      |                    ^^^^
      |
      = note: `services.search.at` is the text "tools", which has no names in it

    error[E0307]: there is no item [9]
     --> --set:1:17
      |
    1 | agents.r.program[9].times=3
      |                 ^^^
      |
      = note: `agents.r.program` has 4 items, counted from zero

    error[E0306]: there is no item [0]: this is no list
     --> --set:1:9
      |
    1 | services[0]=1
      |         ^^^
      |
      = note: `services` is a map `{...}`

    error[E0306]: there is no `times`
     --> --set:1:18
      |
    1 | agents.r.program.times=3
      |                  ^^^^^
      |
      = note: `agents.r.program` is a list, which has no names in it

    error[E0305]: expected `=` and a value
     --> --set:1:1
      |
    1 | services.search
      | ^^^^^^^^^^^^^^^
      |
      = help: write services.search=value

    error[E0305]: a name is missing here
     --> --set:1:1
      |
    1 | =5
      | ^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0305]: a name is missing here
     --> --set:1:3
      |
    1 | a..b=1
      |   ^^^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0305]: a name is missing here
     --> --set:1:1
      |
    1 | [0]=1
      | ^^^^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0305]: an index is a whole number from zero: `[0]`
     --> --set:1:2
      |
    1 | a[x]=1
      |  ^^^^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0305]: a quoted name is never closed, or has a wrong escape
     --> --set:1:1
      |
    1 | "a=1
      | ^^^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0305]: expected `.`, `[` or `=` here
     --> --set:1:2
      |
    1 | a]b=1
      |  ^^^^
      |
      = help: an override is `path=value`: services.search.at=tools

    error[E0013]: this `(` is never closed
     --> --set:1:6
      |
    1 | seed=(a: 
      |      ^

    error[E0011]: expected a value, found the end of the file
     --> --set:1:10
      |
    1 | seed=(a: 
      |          ^

    error[E0006]: this text is never closed
     --> --set:1:6
      |
    1 | seed="x
      |      ^
      |
      = help: close it with `"`

    error[E0015]: there is no scenario in this file
     --> --set:1:6
      |
    1 | seed=
      |      ^
      |
      = help: the least that is a value is `()`

    17 errors; `quorate help E0306` explains the first
    "###);
}

#[test]
fn an_override_cannot_deepen_a_tree_without_end() {
    let deep = format!("pair[0]={}{}", "[".repeat(126), "]".repeat(126));
    assert!(loaded(&main(SCENARIO), &[&deep]).starts_with('('));
    let deeper = format!("agents.r.program[0]={}{}", "[".repeat(126), "]".repeat(126));
    assert!(loaded(&main(SCENARIO), &[&deeper]).contains("E0003"));
}

#[test]
fn the_order_of_declarations_changes_no_byte() {
    let a = loaded(
        &main(r#"(b: {"y": 0x10, "x": [2, 1]}, a: P(n: "\u{41}", m: 1.50))"#),
        &[],
    );
    let b = loaded(
        &main("(\n  a: P(m: 1.5, n: r\"A\"), // first\n  b: {\"x\": [2, 1,], \"y\": 16},\n)"),
        &[],
    );
    assert_eq!(a, b);
    assert_ne!(
        a,
        loaded(&main(r#"(b: {"y": 16, "x": [1, 2]}, a: P(n: "A", m: 1.5))"#), &[])
    );
}

#[test]
fn pretty_text_keeps_the_order_and_breaks_long_lines() {
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    let text = SCENARIO.replace('\n', " ");
    let node = parse_bytes("s", text.as_bytes(), &mut map, &Limits::default(), &mut out).unwrap();
    insta::assert_snapshot!(write::pretty(&node), @r###"
    (
        services: {"search": (at: "tools", servers: 32), "my search": (at: "x")},
        agents: {
            "r": (
                program: [
                    Repeat(times: 15, steps: [Call(service: "model")]),
                    At("60s"),
                    Stop,
                    Some((a: 1)),
                ],
            ),
        },
        pair: ("a", "b"),
        empty: (),
    )
    "###);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_override_does_harm(text in "[a-z\\[\\]\\.=\"0-9 (:)é]{0,30}") {
        loaded(&main(SCENARIO), &[&text]);
    }

    #[test]
    fn a_path_survives_its_text(names in proptest::collection::vec(("\\PC{1,6}", any::<u16>()), 1..5)) {
        let text: String = names
            .iter()
            .enumerate()
            .map(|(i, (name, index))| format!("{}{}[{index}]", if i > 0 { "." } else { "" }, write::quoted(name)))
            .collect();
        let path: patch::Path = text.parse().unwrap();
        let again: patch::Path = path.to_string().parse().unwrap();
        prop_assert_eq!(path.steps(), again.steps());
    }
}
