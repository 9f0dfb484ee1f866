//! The parser: what is read, what every kind of error looks like, and that no bytes do harm.

use super::*;
use proptest::prelude::*;

fn tree(text: &str) -> Result<Node, String> {
    let mut map = SourceMap::new();
    let mut out = Diagnostics::new();
    let node = parse_bytes("s.ron", text.as_bytes(), &mut map, &Limits::default(), &mut out);
    assert_eq!(node.is_none(), out.has_errors(), "{text}");
    node.ok_or_else(|| render(&out, &map, Show::default()))
}

/// The rendered problems of a text that must have some.
fn problems(text: &str) -> String {
    tree(text).expect_err("the text is wrong")
}

/// The codes of a text's problems, in the order of their places.
fn codes(text: &str) -> String {
    let mut map = SourceMap::new();
    let mut out = Diagnostics::new();
    let _ = parse_bytes("s.ron", text.as_bytes(), &mut map, &Limits::default(), &mut out);
    out.sorted()
        .iter()
        .map(|d| d.code.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_kind_of_value_is_read() {
    for (text, canonical) in [
        ("()", "()"),
        ("\u{feff}// first\r\n ( /* a /* nested */ comment */ ) // last", "()"),
        (
            "#![enable(implicit_some, unwrap_newtypes,)]\n#![type = \"x\"] true",
            "true",
        ),
        (
            "[1, -2, +3, 0x1F, 0b1_01, 0o17, 1_000, -0x10, 18446744073709551615,]",
            "[1,-2,3,31,5,15,1000,-16,18446744073709551615]",
        ),
        (
            "[1.5, .5, 1., 1e3, -2.5E-1, 1_0.0_1, inf, -inf, NaN]",
            "[1.5,0.5,1.0,1000.0,-0.25,10.01,inf,-inf,NaN]",
        ),
        (
            r#""a\n\"\\\u{20ac}\x41\
             b""#,
            r#""a\n\"\\€Ab""#,
        ),
        (r###"[r"a\b", r#"a"b"#]"###, r#"["a\\b","a\"b"]"#),
        (r"['a', '\'', '\n', '\u{e9}']", r"['a','\'','\n','é']"),
        ("(b: 1, a: Some(2), c: None)", "(a:Some(2),b:1,c:None)"),
        ("Tokens ( first : \"1s\" , )", "Tokens(first:\"1s\")"),
        ("At(\"60s\", 2)", "At(\"60s\",2)"),
        (
            "{\"b\": 1, \"a\": (1, 2), 3: Unlimited}",
            "{\"a\":(1,2),\"b\":1,3:Unlimited}",
        ),
        ("\tEmpty()\r\n", "Empty()"),
    ] {
        let node = tree(text).unwrap_or_else(|e| panic!("{text}\n{e}"));
        assert_eq!(write::canonical(&node), canonical);
        assert!(tree(&write::pretty(&node)).unwrap().same(&node), "{text}");
    }
}

#[test]
fn spans_are_the_bytes_of_the_values() {
    let text = "(é: 1)".replace('é', "e") + " // end";
    let node = tree(&text).unwrap();
    assert_eq!(&text[node.span.range()], "(e: 1)");
    let Value::Struct(None, fields) = &node.value else {
        panic!("{node:?}")
    };
    assert_eq!(&text[fields[0].name.span.range()], "e");
    assert_eq!(&text[fields[0].value.span.range()], "1");
    let text = "[ At ( \"é\" ) ]";
    let node = tree(text).unwrap();
    let Value::List(items) = &node.value else {
        panic!("{node:?}")
    };
    assert_eq!(&text[items[0].span.range()], "At ( \"é\" )");
    assert_eq!(&text[items[0].head().range()], "At");
}

#[test]
fn several_errors_are_reported_at_once() {
    let text = "(\n  name: \"trap,\\q\",\n  seed: 7u64,\n  timeout: 250ms replicates: 20,\n  sites: [\"a\" \"b\", ;],\n  until: At(),\n)";
    insta::assert_snapshot!(problems(text), @r###"
    error[E0008]: this escape doesn't exist
     --> s.ron:2:15
      |
    2 |   name: "trap,\q",
      |               ^^
      |
      = help: the escapes are \" \' \\ \n \r \t \0 \xNN \u{...}; a backslash itself is \\

    error[E0016]: numbers carry no type: `u64`
     --> s.ron:3:9
      |
    3 |   seed: 7u64,
      |         ^^^^
      |
      = help: write the number alone: `7`

    error[E0009]: `250ms` is not a number
     --> s.ron:4:12
      |
    4 |   timeout: 250ms replicates: 20,
      |            ^^^^^
      |
      = help: a quantity with its unit stands in quotes: `"250ms"`

    error[E0012]: expected `,` or `)`, found `replicates`
     --> s.ron:4:17
      |
    4 |   timeout: 250ms replicates: 20,
      |                 ^ a comma is missing here

    error[E0012]: expected `,` or `]`, found a text
     --> s.ron:5:14
      |
    5 |   sites: ["a" "b", ;],
      |              ^ a comma is missing here

    error[E0005]: unexpected character `;`
     --> s.ron:5:20
      |
    5 |   sites: ["a" "b", ;],
      |                    ^
      |
      = help: entries are separated by commas

    6 errors; `quorate help E0008` explains the first
    "###);
}

#[test]
fn each_error_has_its_code() {
    let mut wrong = String::new();
    for (text, expected) in [
        ("", "E0015"),
        (" // nothing\n", "E0015"),
        ("(a: 1", "E0013"),
        ("(a: [1, (2", "E0013"),
        ("[1, 2)", "E0013"),
        ("(a: [1, 2)", "E0013"),
        ("[1}, 2]", "E0013"),
        ("(a: {\"x\": [1)})", "E0013 E0013"),
        (")", "E0011"),
        ("() )", "E0013"),
        ("() ()", "E0014"),
        ("(a: 1, 2)", "E0011"),
        ("(2, a: 1)", "E0011"),
        ("(\"a\": 1, \"b c\": 2)", "E0011 E0011"),
        ("(a: )", "E0011"),
        ("(a 1)", "E0012"),
        ("{\"a\" 1}", "E0011"),
        ("[1 2 3]", "E0012 E0012"),
        ("[,]", "E0011"),
        ("\"abc", "E0006"),
        ("(a: \"abc)\n", "E0006"),
        ("r#\"abc\"", "E0006"),
        ("'a", "E0006"),
        ("''", "E0006"),
        ("'ab'", "E0006"),
        ("/* /* */", "E0007"),
        (
            r#"["\q", "\x", "\xff", "\u{110000}", "\u{}", "\u{d800}", "\u"]"#,
            "E0008 E0008 E0008 E0008 E0008 E0008 E0008",
        ),
        (
            "[250ms, 2%, 40/s, 1.2.3, 0x, 0xg, 1e, -, 1_.5, 5Mbit/s]",
            "E0009 E0009 E0009 E0009 E0009 E0009 E0009 E0009 E0009",
        ),
        (
            "[18446744073709551616, -9223372036854775809, 0xFFFFFFFFFFFFFFFFFF]",
            "E0010 E0010 E0010",
        ),
        (
            "[1u8, 1.5f32, 1..2, b\"x\", b'x', br\"x\", br#\"x\"#, r#name, inff32]",
            "E0016 E0016 E0016 E0016 E0016 E0016 E0016 E0016 E0016",
        ),
        ("#![enable(magic)] ()", "E0017"),
        ("#!", "E0017"),
        ("(ä: 1)", "E0005"),
        ("(a: “x”)", "E0005"),
        ("(a: \u{1b})", "E0005"),
        ("(a: 1; b: 2)", "E0005"),
    ] {
        if codes(text) != expected {
            wrong.push_str(&format!(
                "{text:?} gives {} for {expected}\n{}",
                codes(text),
                problems(text)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_no_text_is_refused_with_the_place() {
    let show = |bytes: &[u8]| {
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        assert!(parse_bytes("s.ron", bytes, &mut map, &Limits::default(), &mut out).is_none());
        render_short(&out, &map, 9)
    };
    insta::assert_snapshot!(
        [&b"(a: \"\xe9\")"[..], b"(a: \"\0\")", b"\xff\xfe(\0)\0", b"\x80", b"\n\n\xc3"].map(show).concat(),
        @r###"
    s.ron:1:6: error[E0001]: s.ron is not UTF-8 text: byte 5 is 0xE9
    s.ron:1:6: error[E0001]: the text holds a NUL byte (byte 5)
    error[E0001]: s.ron is UTF-16, not UTF-8
    s.ron:1:1: error[E0001]: s.ron is not UTF-8 text: byte 0 is 0x80
    s.ron:3:1: error[E0001]: s.ron is not UTF-8 text: byte 2 is 0xC3
    "###
    );
}

#[test]
fn limits_are_refused_and_no_stack_overflows() {
    let limits = Limits {
        bytes: 400_000,
        depth: 128,
        nodes: 1000,
        errors: 5,
    };
    let show = |text: &str| {
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        let node = parse_bytes("s.ron", text.as_bytes(), &mut map, &limits, &mut out);
        node.map_or_else(|| render_short(&out, &map, 99), |n| format!("depth {}\n", n.depth()))
    };
    let nest = |n: usize, open: &str, close: &str| format!("{}{}", open.repeat(n), close.repeat(n));
    insta::assert_snapshot!(
        [
            nest(128, "[", "]"),
            nest(129, "[", "]"),
            nest(100_000, "(a:", ")"),
            nest(100_000, "Some(", ")"),
            nest(100_000, "{", "}"),
            format!("[{}]", "1,".repeat(999)),
            format!("[{}]", "1,".repeat(1000)),
            format!("[{}]", "$,".repeat(1000)),
            "/*".repeat(100_000),
            " ".repeat(400_001),
        ]
        .map(|t| show(&t))
        .concat(),
        @r###"
        depth 128
        s.ron:1:129: error[E0003]: more than 128 brackets inside each other
        s.ron:1:385: error[E0003]: more than 128 brackets inside each other
        error[E0002]: s.ron is too large: 600000 bytes, at most 400000 are read
        s.ron:1:129: error[E0003]: more than 128 brackets inside each other
        depth 2
        s.ron:1:2000: error[E0004]: more than 1000 values
        s.ron:1:2: error[E0005]: unexpected character `$`
        s.ron:1:4: error[E0005]: unexpected character `$`
        s.ron:1:6: error[E0005]: unexpected character `$`
        s.ron:1:8: error[E0005]: unexpected character `$`
        s.ron:1:10: error[E0005]: unexpected character `$`
        s.ron:1:1: error[E0007]: this comment is never closed
        error[E0002]: s.ron is too large: 400001 bytes, at most 400000 are read
        "###
    );
}

#[test]
fn long_lines_are_shown_in_part() {
    let text = format!("({}b: $, {})", "a: 1, ".repeat(1000), "c: 1, ".repeat(1000));
    let shown = problems(&text);
    assert!(shown.len() < 2000, "{shown}");
    assert!(shown.contains("s.ron:1:6005"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        let node = parse_bytes("s.ron", &bytes, &mut map, &Limits::default(), &mut out);
        prop_assert_eq!(node.is_none(), out.has_errors());
        render(&out, &map, Show { colour: true, most: 9 });
        serde_json::to_string(&reports(&out, &map)).unwrap();
    }

    #[test]
    fn no_soup_of_tokens_does_harm(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "(", ")", "[", "]", "{", "}", ",", ":", " ", "\n", "\"", "'", "\\", "/*", "*/", "//", "#", "!", "=", "a",
                "Some", "r#\"", "\"#", "b\"", "1", "-", ".5", "e", "inf", "NaN", "true", "é", "\u{feff}", "..", "0x", "\r\n",
            ]),
            0..60,
        )
    ) {
        let text = parts.concat();
        let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
        let node = parse_bytes("s.ron", text.as_bytes(), &mut map, &Limits::default(), &mut out);
        prop_assert_eq!(node.is_none(), out.has_errors());
        render(&out, &map, Show::default());
        if let Some(node) = node {
            prop_assert!(tree(&write::canonical(&node)).unwrap().same(&node));
            prop_assert!(tree(&write::pretty(&node)).unwrap().same(&node));
        }
    }
}
