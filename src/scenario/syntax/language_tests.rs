//! Types declared with `language!`: read, refused, written and described.

use super::*;

crate::language! {
    /// How many requests are served at once.
    pub enum Servers {
        /// Any number.
        Unlimited,
        /// So many.
        Count(u32) as bare,
    }

    /// The wait between attempts.
    pub enum Backoff {
        /// No wait.
        Never,
        /// Always the same.
        Fixed(String),
        /// Between two.
        Range(u32, u32),
        /// Doubling.
        Doubling {
            /// The first wait.
            base: u32,
            /// The longest wait.
            cap: u32 = 100,
        },
    }

    /// Either kind of limit.
    pub enum Limit {
        /// Through a wait.
        Of(Backoff) as bare,
        /// By a whole service.
        Service(Box<Service>),
    }

    /// Something to call.
    pub struct Service {
        /// Where it runs.
        at: Spanned<String>,
        /// How many requests
        /// are served at once.
        servers: Servers = Servers::Count(1),
        /// The longest queue.
        queue: Option<u64>,
        /// What to be called.
        r#type: String,
        /// The parts.
        parts: Vec<Service> = Vec::new(),
    }

    /// Nothing.
    pub struct Empty {}

    /// Fields that are called as the macro's own variables are.
    pub struct Hygiene {
        /// 1
        node: u8,
        /// 2
        cx: u8 = 2,
        /// 3
        fields: u8,
        /// 4
        names: Option<u8>,
        /// 5
        reference: u8 = 5,
        /// 6
        name: u8 = 6,
    }

    /// The same for variants.
    pub enum HygieneToo {
        /// 1
        All {
            /// 1
            node: u8,
            /// 2
            cx: u8,
            /// 3
            items: u8 = 3,
        } as bare,
    }

    /// A change.
    pub enum Change {
        /// Puts a value somewhere.
        Set {
            /// Where.
            path: Spanned<Path>,
            /// What.
            to: Node,
        },
        /// Three things.
        Three(u32, Option<String>, OneOrMany<f64>),
        /// A pause or a rate.
        Timed(quantity::Duration, quantity::Rate),
    }

    /// All.
    pub struct World {
        /// By name.
        services: Named<Service> = Named::default(),
        /// A limit.
        limit: Option<Limit>,
        /// A pair.
        pair: (String, f64) = ("x".to_string(), 0.5),
    }
}

#[test]
fn every_form_is_read_and_written_back() {
    for (text, written) in [
        ("()", r#"(services:{},limit:None,pair:("x",0.5))"#),
        (
            r#"World(limit: Never)"#,
            r#"(services:{},limit:Of(Never),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Some(Doubling(base: 3)))"#,
            r#"(services:{},limit:Of(Doubling(base:3,cap:100)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Of(Range(1, 2)))"#,
            r#"(services:{},limit:Of(Range(1,2)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Doubling((base: 3, cap: 4)))"#,
            r#"(services:{},limit:Of(Doubling(base:3,cap:4)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Service(at: "a", type: "t", servers: 7))"#,
            r#"(services:{},limit:Service((at:"a",servers:Count(7),queue:None,type:"t",parts:[])),pair:("x",0.5))"#,
        ),
        (
            r#"(pair: ("y", 1), services: {"b": (at: "a", type: "t", queue: 9, servers: Unlimited)})"#,
            r#"(services:{"b":(at:"a",servers:Unlimited,queue:9,type:"t",parts:[])},limit:None,pair:("y",1.0))"#,
        ),
    ] {
        let world: World = from_text(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(to_text(&world), written);
        assert_eq!(from_text::<World>(written).unwrap(), world);
    }
    let changes =
        r#"[Set(path:"a.\"b c\"[0]",to:At("1s",[2])),Three(1,None,[1.0,2.0]),Three(1,"x",0.5),Timed("2min","40/s")]"#;
    assert_eq!(to_text(&from_text::<Vec<Change>>(changes).unwrap()), changes);
    assert!(from_text::<Change>(r#"Set(path: "a..b", to: 1)"#).is_err());
    assert!(from_text::<Change>(r#"Three(1, "x")"#).is_err());
    let hygiene: Hygiene = from_text("(node:1,fields:3)").unwrap();
    assert_eq!(
        to_text(&hygiene),
        "(node:1,cx:2,fields:3,names:None,reference:5,name:6)"
    );
    let hygiene: HygieneToo = from_text("(node:1,cx:2)").unwrap();
    assert_eq!(to_text(&hygiene), "All(node:1,cx:2,items:3)");
    assert_eq!(from_text::<Empty>("()").unwrap(), Empty {});
}

#[test]
fn arranging_puts_fields_and_entries_into_their_order_and_nothing_else() {
    let arranged = |text: &str| {
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        let mut node = parse_bytes("s", text.as_bytes(), &mut map, &Limits::default(), &mut out).unwrap();
        World::arrange(&mut node);
        write::compact(&node)
    };
    for (text, expected) in [
        ("()", "()"),
        (
            r#"(pair: ("x", 1), limit: Doubling(cap: 1, base: 2), services: {"b": (type: "t", at: "a"), "a": ()})"#,
            r#"(services:{"a":(),"b":(at:"a",type:"t")},limit:Doubling(base:2,cap:1),pair:("x",1))"#,
        ),
        // Through options, names that may be left out, arguments in place, lists and boxes.
        (
            r#"(limit: Some(Of(Doubling((cap: 1, base: 2)))))"#,
            "(limit:Some(Of(Doubling((base:2,cap:1)))))",
        ),
        (
            r#"(limit: Service(parts: [(type: "u", at: "b"), (queue: 1, at: "a")], at: "c"))"#,
            r#"(limit:Service(at:"c",parts:[(at:"b",type:"u"),(at:"a",queue:1)]))"#,
        ),
        // What isn't of the language stays, behind what is.
        (
            r#"(zzz: (b: 1, a: 2), pair: 3, limit: [(b: 1, a: 2)])"#,
            "(limit:[(b:1,a:2)],pair:3,zzz:(b:1,a:2))",
        ),
    ] {
        assert_eq!(arranged(text), expected);
        assert_eq!(arranged(expected), expected);
    }
    // Without a type, fields go by their names, and lists stay.
    let mut change = from_text::<Change>("Set(to: (b: [2, 1], a: {\"y\": 1, \"x\": (d: 1, c: 2)}), path: \"p\")")
        .unwrap()
        .encode();
    Change::arrange(&mut change);
    assert_eq!(
        write::compact(&change),
        r#"Set(path:"p",to:(a:{"x":(c:2,d:1),"y":1},b:[2,1]))"#
    );
}

/// The rendered problems of a text that is no `T`, or one with holes.
fn problems<T: Decode>(text: &str) -> String {
    let (mut map, mut cx) = (SourceMap::new(), Cx::new());
    let node = parse_bytes(
        "s.ron",
        text.as_bytes(),
        &mut map,
        &Limits::default(),
        &mut cx.diagnostics,
    )
    .unwrap();
    T::decode(&node, &mut cx);
    assert!(cx.diagnostics.has_errors(), "{text} is refused without a word");
    render(&cx.diagnostics, &map, Show::default())
}

#[test]
fn all_problems_of_a_scenario_are_reported_at_once() {
    let text = r#"(
    service: {},
    services: {
        "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
        "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
        "a": Service(at: "x", type: "t", servers: Unlimitd),
        7: (),
    },
    limit: Doubling(cap: 3, bas: 4),
    pair: ("x", NaN, 3),
)"#;
    insta::assert_snapshot!(problems::<World>(text), @r###"
    error[E0101]: a World has no field `service`
     --> s.ron:2:5
      |
    2 |     service: {},
      |     ^^^^^^^ unknown field
      |
      = note: its fields are `services`, `limit` and `pair`

    error[E0101]: a Service has no field `att`
     --> s.ron:4:15
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |               ^^^ unknown field
      |
      = note: its fields are `at`, `servers`, `queue`, `type` and `parts`
      = help: did you mean `at`?

    error[E0101]: a Service has no field `typ`
     --> s.ron:4:25
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |                         ^^^ unknown field
      |
      = note: its fields are `at`, `servers`, `queue`, `type` and `parts`
      = help: did you mean `type`?

    error[E0107]: -1 is out of range: expected a whole number
     --> s.ron:4:44
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |                                            ^^
      |
      = note: it lies between 0 and 4294967295

    error[E0107]: expected a whole number, found 1.0
     --> s.ron:4:55
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |                                                       ^^^
      |
      = help: write it without a point: `1`

    error[E0104]: `queue` stands twice in this Service
     --> s.ron:4:60
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |                                                -----       ^^^^^
      |                                                |
      |                                                it stood here first

    error[E0106]: expected a text, found `x`
     --> s.ron:5:19
      |
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
      |                   ^
      |
      = help: text stands in quotes: `"x"`

    error[E0106]: expected a text in quotes, found the number 5
     --> s.ron:5:28
      |
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
      |                            ^ expected a text in quotes

    error[E0103]: this Service lacks the field `type`
     --> s.ron:5:39
      |
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
      |                                       ^ `type` missing

    error[E0106]: expected a Service `(at: ...)`, found the number 3
     --> s.ron:5:50
      |
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
      |                                                  ^ expected a Service `(at: ...)`

    error[E0106]: expected a list `[...]` (list of Service), found a map `{...}`
     --> s.ron:5:81
      |
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
      |                                                                                 ^ expected a list `[...]` (list of Service)

    error[E0105]: the name "a" stands twice
     --> s.ron:6:9
      |
    4 |         "a": (att: "x", typ: "t", servers: -1, queue: 1.0, queue: 2),
      |         --- it stood here first
    5 |         "b": (at: x, type: 5, parts: [(at: "p"), 3, (at: "q", type: "t", parts: {})]),
    6 |         "a": Service(at: "x", type: "t", servers: Unlimitd),
      |         ^^^

    error[E0102]: there is no Servers `Unlimitd`
     --> s.ron:6:51
      |
    6 |         "a": Service(at: "x", type: "t", servers: Unlimitd),
      |                                                   ^^^^^^^^ unknown variant
      |
      = note: it is one of `Unlimited` and `Count`
      = help: did you mean `Unlimited`?

    error[E0106]: expected a text in quotes, found the number 7
     --> s.ron:7:9
      |
    7 |         7: (),
      |         ^ expected a text in quotes

    error[E0103]: this Service lacks the fields `at` and `type`
     --> s.ron:7:12
      |
    7 |         7: (),
      |            ^ `at` and `type` missing

    error[E0101]: a Doubling has no field `bas`
     --> s.ron:9:29
      |
    9 |     limit: Doubling(cap: 3, bas: 4),
      |                             ^^^ unknown field
      |
      = note: its fields are `base` and `cap`
      = help: did you mean `base`?

    error[E0106]: expected (text, number), found a tuple of 3
      --> s.ron:10:11
       |
    10 |     pair: ("x", NaN, 3),
       |           ^ expected (text, number)

    17 errors; `quorate help E0101` explains the first
    "###);
}

#[test]
fn each_wrong_shape_says_what_was_expected() {
    let text = |t: &str| {
        problems::<World>(t)
            .lines()
            .filter(|l| !l.is_empty() && !l.contains(" |") && !l.contains(" --> ") && !l.contains("explains the first"))
            .map(|l| l.to_string() + "\n")
            .collect::<String>()
    };
    insta::assert_snapshot!(
        [
            "[]", "World(1)", "Wrold()", "(services: [])", "(services: (a: 1))", "(limit: Range(1))", "(limit: Range(a: 1))",
            "(limit: Never(1))", "(limit: Fixed)", "(limit: Fixed(3))", "(limit: Doubling(3))", "(limit: Doubling)",
            "(limit: doubling(base: 1))", "(limit: \"Never\")", "(limit: 5)", "(limit: Service(3))", "(limit: Some)",
            "(pair: (\"x\",))", "(limit: Range(\"a\", -5))", "(pair: (\"x\", inf))", "(a: 1, b: 2)",
        ]
        .map(text)
        .concat(),
        @r###"
    error[E0106]: expected a World `(services: ...)`, found an empty list
    error[E0106]: expected a World `(services: ...)`, found `World(...)`
    error[E0106]: expected a World, found `Wrold(...)`
      = help: leave the name out
    error[E0106]: expected a map `{"name": ...}` (map of Service), found an empty list
    error[E0106]: expected a map `{"name": ...}`, found a struct `(name: ...)`
      = help: names of your own stand in braces and quotes: {"a": ...}
    error[E0109]: `Range` takes 2 unnamed arguments
      = help: write `Range(..., ...)`
    error[E0109]: `Range` takes 2 unnamed arguments
      = help: write `Range(..., ...)`
    error[E0109]: `Never` takes no arguments
      = help: leave them out: `Never`
    error[E0109]: `Fixed` takes one unnamed argument
      = help: write `Fixed(...)`
    error[E0106]: expected a text in quotes, found the number 3
    error[E0109]: `Doubling` takes named arguments
      = help: write `Doubling(base: ..., cap: ...)`
    error[E0103]: this Doubling lacks the field `base`
    error[E0102]: there is no Limit `doubling`
      = note: it is one of `Of`, `Service`, `Never`, `Fixed`, `Range` and `Doubling`
      = help: did you mean `Doubling`?
    error[E0106]: expected a Backoff, found the text "Never"
      = note: it is one of `Never`, `Fixed`, `Range` and `Doubling`
      = help: variants stand without quotes: `Never`
    error[E0106]: expected a Backoff, found the number 5
      = note: it is one of `Never`, `Fixed`, `Range` and `Doubling`
    error[E0106]: expected a Service `(at: ...)`, found the number 3
    error[E0102]: there is no Limit `Some`
      = note: it is one of `Of`, `Service`, `Never`, `Fixed`, `Range` and `Doubling`
    error[E0106]: expected (text, number), found a tuple of 1
    error[E0106]: expected a whole number, found the text "a"
    error[E0107]: -5 is out of range: expected a whole number
      = note: it lies between 0 and 4294967295
    error[E0108]: expected a finite number, found inf
    error[E0101]: a World has no field `a`
      = note: its fields are `services`, `limit` and `pair`
    error[E0101]: a World has no field `b`
      = note: its fields are `services`, `limit` and `pair`
    "###
    );
    let servers = |t: &str| problems::<Servers>(t);
    insta::assert_snapshot!(["\"unlimited\"", "[]", "99999999999", "1.0", "Cuont(3)"].map(servers).concat(), @r###"
    error[E0106]: expected a whole number, found the text "unlimited"
     --> s.ron:1:1
      |
    1 | "unlimited"
      | ^^^^^^^^^^^ expected a whole number
      |
      = help: variants stand without quotes: `Unlimited`

    1 error; `quorate help E0106` explains the first
    error[E0106]: expected a whole number, found an empty list
     --> s.ron:1:1
      |
    1 | []
      | ^ expected a whole number
      |
      = note: or one of the variants `Unlimited` and `Count`

    1 error; `quorate help E0106` explains the first
    error[E0107]: 99999999999 is out of range: expected a whole number
     --> s.ron:1:1
      |
    1 | 99999999999
      | ^^^^^^^^^^^
      |
      = note: it lies between 0 and 4294967295

    1 error; `quorate help E0107` explains the first
    error[E0107]: expected a whole number, found 1.0
     --> s.ron:1:1
      |
    1 | 1.0
      | ^^^
      |
      = help: write it without a point: `1`

    1 error; `quorate help E0107` explains the first
    error[E0102]: there is no Servers `Cuont`
     --> s.ron:1:1
      |
    1 | Cuont(3)
      | ^^^^^ unknown variant
      |
      = note: it is one of `Unlimited` and `Count`
      = help: did you mean `Count`?

    1 error; `quorate help E0102` explains the first
    "###);
}

#[test]
fn warnings_colours_and_json_have_their_forms() {
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    let id = map.add("a b.ron", "(\tx: \"\u{1b}[31mé\",\r\n y: 2)");
    let span = |a, b| Span::new(id, a, b);
    out.push(Diagnostic::warning(Code::OutOfRange, span(18, 19), "y is \u{1b}[1mlarge").here("this"));
    for _ in 0..3 {
        out.push(
            Diagnostic::error(Code::WrongShape, span(5, 14), "x")
                .label(span(18, 19), "y")
                .replace("do", span(5, 14), "1"),
        );
    }
    out.push(Diagnostic::unplaced(Code::CannotRead, "no file"));
    insta::assert_snapshot!(render(&out, &map, Show { colour: false, most: 2 }), @r###"
    error[E0301]: no file

    error[E0106]: x
     --> a b.ron:1:6
      |
    1 | (    x: " [31mé",
      |         ^^^^^^^^
    2 |  y: 2)
      |  - y
      |
      = help: do: `1`

    2 errors, 1 warning, 1 not shown; `quorate help E0301` explains the first
    "###);
    insta::assert_snapshot!(render_short(&out, &map, 2), @r###"
    error[E0301]: no file
    a b.ron:1:6: error[E0106]: x
    and 1 more
    "###);
    insta::assert_snapshot!(serde_json::to_string_pretty(&reports(&out, &map)[1..2]).unwrap(), @r###"
    [
      {
        "code": "E0106",
        "title": "a value of another kind was expected",
        "severity": "error",
        "message": "x",
        "labels": [
          {
            "place": {
              "file": "a b.ron",
              "line": 1,
              "column": 6,
              "end_line": 1,
              "end_column": 14,
              "bytes": [
                5,
                14
              ]
            },
            "text": ""
          },
          {
            "place": {
              "file": "a b.ron",
              "line": 2,
              "column": 2,
              "end_line": 2,
              "end_column": 3,
              "bytes": [
                18,
                19
              ]
            },
            "text": "y"
          }
        ],
        "notes": [],
        "helps": [
          {
            "message": "do",
            "place": {
              "file": "a b.ron",
              "line": 1,
              "column": 6,
              "end_line": 1,
              "end_column": 14,
              "bytes": [
                5,
                14
              ]
            },
            "replacement": "1"
          }
        ]
      }
    ]
    "###);
    assert!(render(&out, &map, Show { colour: true, most: 9 }).contains("\u{1b}[1m\u{1b}[91merror"));
    assert!(!render(&out, &map, Show { colour: false, most: 9 }).contains('\u{1b}'));
}

#[test]
fn the_reference_says_what_is_read() {
    insta::assert_snapshot!(Reference::of::<World>().markdown(), @r###"
    ## World

    All.

    | field | type | default | meaning |
    |---|---|---|---|
    | `services` | map of Service | `{}` | By name. |
    | `limit` | Limit | - | A limit. |
    | `pair` | (text, number) | `("x", 0.5)` | A pair. |

    ## Service

    Something to call.

    | field | type | default | meaning |
    |---|---|---|---|
    | `at` | text | required | Where it runs. |
    | `servers` | Servers | `Count(1)` | How many requests are served at once. |
    | `queue` | whole number | - | The longest queue. |
    | `type` | text | required | What to be called. |
    | `parts` | list of Service | `[]` | The parts. |

    ## Servers

    How many requests are served at once.

    - `Unlimited`: Any number.

    - `Count(whole number)` (the name may be left out): So many.

    ## Limit

    Either kind of limit.

    - `Of(Backoff)` (the name may be left out): Through a wait.

    - `Service(Service)`: By a whole service.

    ## Backoff

    The wait between attempts.

    - `Never`: No wait.

    - `Fixed(text)`: Always the same.

    - `Range(whole number, whole number)`: Between two.

    - `Doubling(base: ..., cap: ...)`: Doubling.

    | field | type | default | meaning |
    |---|---|---|---|
    | `base` | whole number | required | The first wait. |
    | `cap` | whole number | `100` | The longest wait. |
    "###);
}
