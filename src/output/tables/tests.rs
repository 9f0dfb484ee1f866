use super::text::width;
use super::*;
use proptest::prelude::*;

fn sample() -> Table {
    let mut table = Table::new(
        "latency-trap: mean over 20 replicates, ± half of the 95 % interval",
        vec![
            Column::text("variant"),
            Column::number("mean task time"),
            Column::number("added"),
            Column::number("hops").in_unit("per call"),
            Column::text("expectation"),
        ],
    );
    let time = |value, half| Cell::Estimate(value, Some(half), Unit::Time);
    table.row(vec![
        "base".into(),
        time(13.86, 0.21),
        Cell::Empty,
        Cell::Count(2),
        Cell::Verdict(Verdict::Holds),
    ]);
    table.row(vec![
        "colocated".into(),
        time(8.44, 0.15),
        time(-5.42, 0.1),
        Cell::Count(0),
        Cell::Verdict(Verdict::Fails),
    ]);
    table.group("with hedging");
    table.row(vec![
        "hedged".into(),
        time(0.9121, 0.004),
        time(-12.95, 0.2),
        Cell::Count(1204),
        Cell::Verdict(Verdict::Undecided),
    ]);
    table.note("seed 7; quorate run latency_trap.ron --seed 7");
    table
}

#[test]
fn a_table_as_it_is_printed() {
    insta::assert_snapshot!(sample().render(Look::default()), @r"
latency-trap: mean over 20 replicates, ± half of the 95 % interval
variant    mean task time           added  hops (per call)  expectation
───────────────────────────────────────────────────────────────────────
base        13.86 s ±0.21                                2  holds
colocated    8.44 s ±0.15   -5.42 s ±0.10                0  FAILS
───────────────────────────────────────────────────────────────────────
with hedging
hedged          912 ms ±4  -12.95 s ±0.20            1,204  undecided
seed 7; quorate run latency_trap.ron --seed 7
");
}

#[test]
fn a_narrow_table_continues_in_a_second_block() {
    insta::assert_snapshot!(sample().render(Look { width: 44, colour: false }), @r"
latency-trap: mean over 20 replicates, ±
half of the 95 % interval
variant    mean task time           added
─────────────────────────────────────────
base        13.86 s ±0.21
colocated    8.44 s ±0.15   -5.42 s ±0.10
─────────────────────────────────────────
with hedging
hedged          912 ms ±4  -12.95 s ±0.20

variant    hops (per call)  expectation
───────────────────────────────────────
base                     2  holds
colocated                0  FAILS
───────────────────────────────────────
with hedging
hedged               1,204  undecided
seed 7; quorate run latency_trap.ron --seed
7
");
}

#[test]
fn long_words_wrap_before_numbers_move() {
    let mut table = Table::new(
        "",
        vec![
            Column::text("scenario"),
            Column::text("question"),
            Column::number("runs"),
        ],
    );
    table.row(vec![
        "latency_trap".into(),
        "What do network hops add to a 15-step tool loop, and does colocation pay for itself?".into(),
        Cell::Count(12_000_000),
    ]);
    insta::assert_snapshot!(table.render(Look { width: 50, colour: false }), @r"
scenario      question                        runs
──────────────────────────────────────────────────
latency_trap  What do network hops add  12,000,000
              to a 15-step tool loop,
              and does colocation pay
              for itself?
");
}

#[test]
fn colour_only_when_asked() {
    let plain = sample().render(Look::default());
    let coloured = sample().render(Look {
        colour: true,
        ..Look::default()
    });
    assert!(
        !plain.contains('\x1b') && coloured.contains("\x1b[32mholds\x1b[0m") && coloured.contains("\x1b[1;31mFAILS")
    );
    let mut stripped = coloured;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m", "\x1b[33m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(plain, stripped);
}

#[test]
fn names_cannot_drive_the_terminal() {
    let mut table = Table::new("a\x1b[2Jb", vec![Column::text("x\r\ny")]);
    table.row(vec!["\x1b]0;title\x07 \u{202e}evil\nline".into()]);
    let text = table.render(Look::default());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'));
}

#[test]
fn wide_characters_count_twice() {
    assert_eq!((width("漢字"), width("e\u{301}"), width("±µ")), (4, 1, 2));
}

#[test]
fn empty_tables_are_no_problem() {
    assert_eq!(Table::new("", vec![]).render(Look::default()), "");
    assert_eq!(
        Table::new("", vec![Column::text("only a head")]).render(Look::default()),
        "only a head\n───────────\n"
    );
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        ".{0,60}".prop_map(Cell::Text),
        any::<u64>().prop_map(Cell::Count),
        any::<f64>().prop_map(|v| Cell::Number(v, Unit::Time)),
        (any::<f64>(), any::<f64>()).prop_map(|(v, h)| Cell::Estimate(v, Some(h), Unit::Share)),
        Just(Cell::Empty),
        Just(Cell::Verdict(Verdict::Undecided)),
    ]
}

proptest! {
    #[test]
    fn never_wider_than_asked(
        heads in prop::collection::vec(".{0,40}", 0..14),
        rows in prop::collection::vec(prop::collection::vec(cell(), 0..14), 0..6),
        most in 40usize..120,
    ) {
        let columns = heads.iter().enumerate();
        let columns = columns.map(|(i, h)| if i % 2 == 0 { Column::text(h) } else { Column::number(h) }).collect();
        let mut table = Table::new("a title that goes on and on", columns);
        for row in rows {
            table.row(row);
            table.group("group");
        }
        for line in table.render(Look { width: most, colour: false }).lines() {
            prop_assert!(width(line) <= most, "{} columns of {most}: {line}", width(line));
            prop_assert_eq!(line, line.trim_end());
        }
    }
}

#[test]
fn names_are_broken_after_their_points_and_numbers_are_not() {
    let mut table = Table::new(
        "t",
        vec![Column::text("measure"), Column::text("what"), Column::number("value")],
    );
    let what = "a text that takes all the room that there is in a line of forty columns";
    table.row(vec![
        "herd.end.amplification".into(),
        what.into(),
        Cell::Figure("12.25".into()),
    ]);
    let text = table.render(Look {
        width: 40,
        ..Look::default()
    });
    let column: Vec<&str> = text
        .lines()
        .map(|line| line.split("  ").next().unwrap_or_default().trim())
        .collect();
    assert!(
        column.contains(&"herd.end.") && column.contains(&"amplification"),
        "{text}"
    );
    assert_eq!(
        super::text::wrap("about 12.25 of it", 9, 4),
        ["about", "12.25 of", "it"]
    );
    assert_eq!(
        super::text::wrap("calls.refused.rate_limit", 14, 4),
        ["calls.refused.", "rate_limit"]
    );
}
