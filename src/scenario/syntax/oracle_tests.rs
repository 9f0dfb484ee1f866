//! The `ron` crate as an oracle: what this parser accepts, `ron` accepts, with equal values.

use super::*;
use proptest::prelude::*;

/// A tree as `ron::Value` sees it: variant names are lost, and tuples are sequences.
fn stripped(node: &Node) -> ron::Value {
    let seq = |items: &[Node]| ron::Value::Seq(items.iter().map(stripped).collect());
    match &node.value {
        Value::Bool(b) => ron::Value::Bool(*b),
        Value::Integer(_) | Value::Float(_) => unreachable!("compared as numbers"),
        Value::Text(text) => ron::Value::String(text.clone()),
        Value::Char(c) => ron::Value::Char(*c),
        Value::List(items) | Value::Tuple(_, items) => seq(items),
        Value::Map(_) | Value::Struct(..) | Value::Word(_) | Value::Unread => unreachable!("compared by parts"),
    }
}

/// Whether every `Some` holds one value.
fn plain_options(node: &Node) -> bool {
    match &node.value {
        Value::Struct(name, fields) => {
            name.as_ref().is_none_or(|n| n.text != "Some") && fields.iter().all(|f| plain_options(&f.value))
        }
        Value::Tuple(name, items) => {
            (items.len() == 1 || name.as_ref().is_none_or(|n| n.text != "Some")) && items.iter().all(plain_options)
        }
        Value::List(items) => items.iter().all(plain_options),
        Value::Map(entries) => entries.iter().all(|(k, v)| plain_options(k) && plain_options(v)),
        Value::Word(word) => word != "Some",
        _ => true,
    }
}

/// Whether `ron` read the same as we did.
fn agrees(ours: &Node, theirs: &ron::Value) -> bool {
    let all = |items: &[Node], seq: &[ron::Value]| {
        items.len() == seq.len() && items.iter().zip(seq).all(|(a, b)| agrees(a, b))
    };
    match (&ours.value, theirs) {
        (Value::Integer(i), ron::Value::Number(n)) => n.into_f64() == *i as f64,
        (Value::Float(f), ron::Value::Number(n)) => {
            n.into_f64().to_bits() == f.to_bits()
                || (f.is_nan() && n.into_f64().is_nan())
                || matches!(n, ron::value::Number::F32(x) if x.0 == *f as f32)
        }
        (Value::List(items), ron::Value::Seq(seq)) => all(items, seq),
        (Value::Tuple(_, items), ron::Value::Seq(seq)) => all(items, seq),
        (Value::Tuple(_, items), ron::Value::Unit) => items.is_empty(),
        (Value::Word(word), ron::Value::Option(None)) => word == "None",
        (Value::Word(_), ron::Value::Unit) => true,
        (Value::Tuple(Some(name), items), ron::Value::Option(Some(inner))) => {
            name.text == "Some" && items.len() == 1 && agrees(&items[0], inner)
        }
        // A newtype may be read as what it holds.
        (Value::Tuple(_, items), value) if items.len() == 1 && agrees(&items[0], value) => true,
        // Of a key that stands twice, `ron::Value` keeps the last.
        (Value::Map(entries), ron::Value::Map(map)) => map.iter().all(|(key, value)| {
            entries
                .iter()
                .rev()
                .find(|(k, _)| agrees(k, key))
                .is_some_and(|(_, v)| agrees(v, value))
        }),
        (Value::Struct(_, fields), ron::Value::Map(map)) => map.iter().all(|(key, value)| {
            let same = |f: &&Field| *key == ron::Value::String(f.name.text.clone());
            fields.iter().rev().find(same).is_some_and(|f| agrees(&f.value, value))
        }),
        (Value::Bool(_) | Value::Text(_) | Value::Char(_), value) => stripped(ours) == *value,
        _ => false,
    }
}

/// Texts of the language, with every kind of token, blank and comment.
fn text() -> impl Strategy<Value = String> {
    let blank = || proptest::sample::select(vec!["", " ", "\n", "\t", "\r\n", "/* a /* b */ */", "// c\n"]);
    let leaf = prop_oneof![
        any::<i64>().prop_map(|i| i.to_string()),
        any::<u64>().prop_map(|i| format!("{i:#x}")),
        any::<u16>().prop_map(|i| format!("-{i:#b}")),
        any::<u32>().prop_map(|i| format!("+{i:#o}")),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| format!("{f:?}")),
        "[0-9]{1,3}(_[0-9]{1,2})?\\.([0-9]{0,3}([eE][-+]?[0-9]{1,2})?)?",
        "\\.[0-9]{1,3}",
        "\\PC{0,8}".prop_map(|s| write::quoted(&s)),
        "[a-z\\\\ ]{0,8}".prop_map(|s| format!("r#\"{s}\"#")),
        any::<char>()
            .prop_filter("no quote", |c| !matches!(c, '\'' | '\\' | '\n' | '\0'))
            .prop_map(|c| format!("'{c}'")),
        proptest::sample::select(vec![
            "true",
            "false",
            "None",
            "()",
            "inf",
            "-inf",
            "NaN",
            "\"\\u{e9}\\x41\\\n  b\""
        ])
        .prop_map(str::to_string),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let entry = (blank(), inner, blank()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
        let field = ("[a-z_][a-z0-9_]{0,4}", blank(), entry.clone())
            .prop_filter("a field name", |(n, ..)| {
                !matches!(n.as_str(), "inf" | "true" | "false" | "_" | "r" | "b" | "br")
            })
            .prop_map(|(n, a, v)| format!("{n}{a}:{v}"));
        let key = ("[a-z]{0,4}", entry.clone()).prop_map(|(k, v)| format!("\"{k}\":{v}"));
        let comma = proptest::bool::ANY.prop_map(|c| if c { "," } else { "" });
        prop_oneof![
            (proptest::collection::vec(entry.clone(), 1..4), comma.clone())
                .prop_map(|(v, c)| format!("[{}{c}]", v.join(","))),
            (proptest::collection::vec(entry.clone(), 2..4), comma.clone())
                .prop_map(|(v, c)| format!("({}{c})", v.join(","))),
            (proptest::collection::vec(field, 1..4), comma.clone()).prop_map(|(v, c)| format!("({}{c})", v.join(","))),
            (proptest::collection::vec(key, 1..4), comma).prop_map(|(v, c)| format!("{{{}{c}}}", v.join(","))),
            entry.prop_map(|v| format!("Some({v})")),
        ]
    })
}

fn ours(text: &str) -> Option<Node> {
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    parse_bytes("t", text.as_bytes(), &mut map, &Limits::default(), &mut out)
}

fn theirs(text: &str) -> Result<ron::Value, ron::error::SpannedError> {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_texts_are_read_as_ron_reads_them(text in text()) {
        let ours = ours(&text);
        prop_assert!(ours.is_some(), "we refuse {text}");
        let theirs = theirs(&text);
        prop_assert!(theirs.is_ok(), "ron refuses {text}: {theirs:?}");
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        prop_assert!(agrees(&ours, &theirs), "{text}\nours: {ours:?}\nron: {theirs:?}");
    }

    #[test]
    fn damaged_texts_are_not_accepted_where_ron_refuses(text in text(), at in any::<prop::sample::Index>(), c in "[\\PC]") {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        match c.chars().next() {
            Some(c) if c.is_ascii_uppercase() => { chars.remove(at); }
            Some(c) => chars[at] = c,
            None => {}
        }
        let damaged: String = chars.into_iter().collect();
        // `Some` is known to `ron` alone: here, it is refused when it is decoded.
        if let Some(node) = ours(&damaged).filter(plain_options) {
            let theirs = theirs(&damaged);
            prop_assert!(theirs.is_ok(), "we accept {damaged} as {}, ron says {theirs:?}", write::canonical(&node));
        }
    }

    #[test]
    fn all_three_writers_are_read_back(text in text()) {
        let node = ours(&text).unwrap();
        for written in [write::canonical(&node), write::compact(&node), write::pretty(&node)] {
            let again = ours(&written).unwrap_or_else(|| panic!("{written}"));
            prop_assert!(again.same(&node), "{text}\n{written}");
            prop_assert!(theirs(&written).is_ok(), "ron refuses {written}");
        }
    }
}

#[test]
fn variants_are_read_as_serde_reads_them() {
    #[derive(serde::Deserialize, Debug, PartialEq)]
    enum Shape {
        Unit,
        New(u32),
        Pair(u32, String),
        Fields { a: u32, b: Option<f64> },
    }
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let text = "[Unit, New ( 3 ), Pair(1, \"x\",), Fields(a: 1, b: 2.5), Fields /* c */ (b: None, a: 0x10)]";
    let shapes: Vec<Shape> = options.from_str(text).unwrap();
    assert_eq!(shapes[4], Shape::Fields { a: 16, b: None });
    let compact = write::compact(&ours(text).unwrap());
    assert_eq!(
        compact,
        "[Unit,New(3),Pair(1,\"x\"),Fields(a:1,b:2.5),Fields(b:None,a:16)]"
    );
    assert_eq!(options.from_str::<Vec<Shape>>(&compact).unwrap(), shapes);
}

#[test]
fn ten_megabytes_are_read_with_work_that_grows_linearly() {
    let entry = "\"a service with a name\": (at: \"tools\", servers: 32, time: Exponential(mean: \"80ms\"), weights: [1, 2.5, -3]),\n";
    let text = format!("(services: {{{}}})", entry.repeat((10 << 20) / entry.len()));
    let node = ours(&text).expect("a valid file");
    assert_eq!(node.span.range(), 0..text.len());
    let Value::Map(entries) = &node.field("services").unwrap().value else {
        panic!()
    };
    assert_eq!(entries.len(), (10 << 20) / entry.len());
    // Ten thousand names that all stand twice: sorted, not searched, and the rest is only counted.
    let mut cx = Cx::new();
    assert!(Named::<Spanned<OneOrMany<bool>>>::decode(node.field("services").unwrap(), &mut cx).is_none());
    assert_eq!(cx.diagnostics.iter().count(), Diagnostics::KEPT);
    assert!(cx.diagnostics.beyond() > 100_000);
}

#[test]
fn hostile_texts_cost_no_more_than_their_length() {
    let bytes = 4 << 20;
    for piece in [
        "\\u{", "\\", "\"\\u{\"", "/*", "a /**/", "++", "r#", "“", "'", "b", "(a:1,", "1 ", "{\"a\":", "a:b,", "-",
        "[1,",
    ] {
        for open in ["", "\"", "(", "["] {
            let node = ours(&format!("{open}{}", piece.repeat(bytes / piece.len())));
            // One name of four megabytes is a value, if a strange one.
            assert!(node.is_none() || piece == "b");
        }
    }
    // A struct of a million wrong names, each near to a right one.
    #[derive(Debug)]
    struct Wide;
    impl Decode for Wide {
        fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
            const NAMES: &[&str] = &["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
            decode::Fields::of_struct(node, cx, "Wide", NAMES)?;
            None
        }
        fn type_name() -> String {
            "Wide".into()
        }
    }
    let node = ours(&format!("({})", "alpa:1,".repeat(1_000_000))).unwrap();
    let mut cx = Cx::new();
    assert!(Wide::decode(&node, &mut cx).is_none());
    assert_eq!(cx.diagnostics.error_count(), 1_000_000);
}
