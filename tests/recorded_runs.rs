//! Recorded runs, replayed by agents: which run each takes, in which order it performs the rows, and what is done in them.

mod common;

use proptest::prelude::*;
use quorate::experiment::{Cell, Grid, Options};
use quorate::scenario::build::build;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, Scenario, load};
use quorate::world::record::{Batch, Mask, Observer, Record, What};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

/// Runs b, a and c; their rows don't lie together.
const TABLE: &str =
    "run,tool,kind,size\nb,read,x,1\na,write,x,2\nb,look,y,3\nc,read,y,4\na,read,x,5\nb,write,y,6\na,look,x,7\n";

fn read(text: &str, table: &str) -> Scenario {
    let files = Memory::new().with("s.ron", text).with("rows.csv", table);
    let outcome = load("s.ron".as_ref(), &[], &files, &Registry);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    outcome.scenario.unwrap_or_else(|| panic!("{said}"))
}

/// One group that replays the table; `more` are further parts of the scenario.
fn scenario(agents: &str, program: &str, more: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "runs", seed: 7, until: AllDone(within: "1h"), sites: ["x"],
        network: (default: (one_way: "0s"), local: (one_way: "0s")),
        data: {{"mine": (file: "rows.csv")}},
        agents: {{"a": ({agents}, at: "x", program: [{program}])}},
        {more}
    )"#
    )
}

/// Each tool takes a time of its own.
const PLAIN: &str = r#"EachRow(data: "mine", run: "run", column: "tool", cases: {
    "read": [Think("1s")], "write": [Think("10s")], "look": [Think("100s")],
})"#;

/// What was recorded of some kinds.
#[derive(Clone)]
struct Log(Mask, Arc<Mutex<Vec<Record>>>);

impl Observer for Log {
    fn wants(&self) -> Mask {
        self.0
    }
    fn batch(&mut self, batch: Batch<'_>) {
        let wanted = batch.records.iter().filter(|record| self.0.has(record.what));
        self.1.lock().unwrap().extend(wanted.copied());
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn records(scenario: &Scenario, what: &[What]) -> Vec<Record> {
    let log = Log(Mask::of(what), Arc::default());
    let (end, ..) = build(&scenario.variants[0], scenario.seed, 0, vec![Box::new(log.clone())]).finish(u64::MAX);
    assert_eq!((end.halt, end.breaches), (None, Vec::<String>::new()));
    let all = log.1.lock().unwrap();
    all.clone()
}

/// A row that an agent began, or (with the place `None`) the end of a run, with the time in milliseconds.
type Begun = (u32, Option<u32>, u64);

/// By agent: the run, the row's place in it, and when.
fn rows(scenario: &Scenario) -> BTreeMap<u32, Vec<Begun>> {
    let mut all: BTreeMap<u32, Vec<Begun>> = BTreeMap::new();
    for record in records(scenario, &[What::Row]) {
        let place = (record.c & 1 == 0).then_some(record.b as u32);
        let at = record.time.as_nanos() / 1_000_000;
        all.entry(record.subject)
            .or_default()
            .push(((record.b >> 32) as u32, place, at));
    }
    all
}

fn in_order(scenario: &Scenario) -> Vec<Vec<Begun>> {
    rows(scenario).into_values().collect()
}

fn measured(scenario: &Scenario) -> BTreeMap<String, f64> {
    let options = Options {
        seed: scenario.seed,
        ..Options::default()
    };
    let cell: Cell = Grid::new(&scenario.variants, options).run_cell(0, 0);
    assert_eq!((&cell.halt, &cell.breaches), (&None, &Vec::new()));
    cell.sheet.numbers
}

#[test]
fn agents_perform_the_rows_of_their_runs_in_the_recorded_order() {
    let all = in_order(&read(&scenario("count: 3", PLAIN, ""), TABLE));
    // Runs are numbered by their first rows: b, a, c.
    let b = vec![
        (0, Some(0), 0),
        (0, Some(1), 1_000),
        (0, Some(2), 101_000),
        (0, None, 111_000),
    ];
    let a = vec![
        (1, Some(0), 0),
        (1, Some(1), 10_000),
        (1, Some(2), 11_000),
        (1, None, 111_000),
    ];
    let c = vec![(2, Some(0), 0), (2, None, 1_000)];
    assert_eq!(all, [b, a, c]);
}

#[test]
fn a_step_becomes_a_loop_and_jumps_in_the_group_s_one_array() {
    use quorate::agents::program::Instruction as I;
    let program = r#"Repeat(times: 2, steps: [EachRow(data: "mine", run: "run", column: "tool", cases: {
        "write": [Match(column: "kind", cases: {"x": [Think("1s")], "y": []})],
        "look": [],
    }, otherwise: [Sleep("1s")])])"#;
    let scenario = read(&scenario("count: 1", program, ""), TABLE);
    let program = &scenario.variants[0].agents[0].program;
    let (register, step) = (1, 0);
    let expected = [
        I::Loop {
            register: 0,
            law: 0,
            exit: 14,
        },
        I::Rows { register, step },
        I::Match { register, table: 0 },
        // The cases by name: "look", "write", and the rest.
        I::Jump(12),
        I::Match { register, table: 1 },
        I::Think(1),
        I::Jump(9),
        I::Jump(9),
        I::Jump(9),
        I::Jump(12),
        I::Sleep(2),
        I::Jump(12),
        I::NextRow {
            register,
            step,
            start: 2,
        },
        I::Again {
            register: 0,
            forever: false,
            start: 1,
        },
        I::End,
    ];
    assert_eq!(program.code, expected);
    // By runs: b has read, look and write, a has write, read and look, c has read.
    let (case_of, places) = &program.dispatches[0];
    assert_eq!(
        (&case_of[..], &places[..]),
        (&[2, 0, 1, 1, 2, 0, 2][..], &[3, 4, 10][..])
    );
    assert_eq!(program.dispatches[1].1, [5, 7, 8]);
    // A loop, a row and what was taken before it; and how many runs were taken, for the whole agent.
    assert_eq!((program.registers, program.replays[0].counter), (4, 3));
    assert_eq!(
        program.places[5],
        r#"agents.a.program[0].steps[0].cases["write"][0].cases["x"][0]"#
    );
}

#[test]
fn without_columns_that_name_runs_all_rows_are_one() {
    let program = PLAIN.replace(r#"run: "run", "#, "");
    let all = in_order(&read(&scenario("count: 2", &program, ""), TABLE));
    let places: Vec<Option<u32>> = (0..7).map(Some).chain([None]).collect();
    assert_eq!(all.len(), 2);
    for agent in &all {
        assert!(agent.iter().map(|row| row.1).eq(places.iter().copied()));
        assert_eq!(agent.last(), Some(&(0, None, 223_000)));
    }
}

/// The runs that each agent takes, in the order of the agents' beginnings.
fn taken(scenario: &Scenario) -> Vec<Vec<u32>> {
    let begun = |rows: Vec<Begun>| rows.iter().filter(|row| row.1 == Some(0)).map(|row| row.0).collect();
    rows(scenario).into_values().map(begun).collect()
}

#[test]
fn agents_take_runs_in_turn_and_begin_again_behind_the_last() {
    let twice = format!("Repeat(times: 2, steps: [{PLAIN}])");
    let all = taken(&read(&scenario("count: 5", &twice, ""), TABLE));
    assert_eq!(all, [[0, 2], [1, 0], [2, 1], [0, 2], [1, 0]]);
    // Each tick goes on where the one before it stopped.
    let ticks = r#"count: 2, start: Tick(every: "10min", times: 3)"#;
    assert_eq!(taken(&read(&scenario(ticks, PLAIN, ""), TABLE)), [[0, 2, 1], [1, 0, 2]]);
    // Agents of a stream come one after the other, whoever's place they take.
    let stream = r#"count: Stream(arrivals: 4), start: Gaps(gap: "3min")"#;
    assert_eq!(taken(&read(&scenario(stream, PLAIN, ""), TABLE)), [[0, 1, 2, 0]]);
    // Two steps count each for itself.
    let two = format!("{PLAIN}, {PLAIN}");
    assert_eq!(taken(&read(&scenario("count: 2", &two, ""), TABLE)), [[0, 0], [1, 1]]);
}

#[test]
fn a_random_run_is_its_agents_own_draw() {
    let random = PLAIN.replace("column:", "take: Random, column:");
    let program = format!("Repeat(times: 30, steps: [{random}])");
    let few = taken(&read(&scenario("count: 3", &program, ""), TABLE));
    let many = taken(&read(&scenario("count: 8", &program, ""), TABLE));
    // Whoever else is there changes nobody's runs.
    assert_eq!(few, many[..3]);
    let mut counts = [0; 3];
    many.iter().flatten().for_each(|run| counts[*run as usize] += 1);
    // 240 draws: each of the three has 80 with a standard deviation of 7.3; five of them either way.
    assert!(counts.iter().all(|count| (44..=116).contains(count)), "{counts:?}");
    assert_ne!(many[0], many[1]);
}

#[test]
fn a_crash_takes_the_place_in_the_rows_with_the_memory() {
    let crash = |keep: &str| {
        let fault = format!(r#"faults: {{"dies": Crash(who: "a", at: "5s", for: "2s", keep: {keep})}},"#);
        in_order(&read(&scenario("count: 2", PLAIN, &fault), TABLE))
    };
    // Agent 0 is in its second row, agent 1 in its first. What is kept goes on with the step that was under way.
    let kept = crash("State");
    assert_eq!(
        kept[0],
        [
            (0, Some(0), 0),
            (0, Some(1), 1_000),
            (0, Some(2), 107_000),
            (0, None, 117_000)
        ]
    );
    assert_eq!(kept[1][1], (1, Some(1), 17_000));
    // What is lost begins anew: with the first row, and with the same run, since the count of those taken is lost as well.
    let lost = crash("Nothing");
    let anew = [
        (0, Some(0), 7_000),
        (0, Some(1), 8_000),
        (0, Some(2), 108_000),
        (0, None, 118_000),
    ];
    assert_eq!(lost[0][..2], [(0, Some(0), 0), (0, Some(1), 1_000)]);
    assert_eq!(lost[0][2..], anew);
    let again: Vec<u32> = lost[1].iter().map(|row| row.0).collect();
    assert_eq!(again, [1; 5]);
}

#[test]
fn a_journal_brings_the_place_in_the_rows_back() {
    let more = r#"services: {"ledger": (at: "x", time: "0s")},
        faults: {"dies": Crash(who: "a", at: "50s", for: "2s", keep: Nothing)},"#;
    let agents = r#"count: 2, journal: (log: "ledger", replay: "0s")"#;
    let program = format!("Repeat(times: 2, steps: [{PLAIN}])");
    let all = in_order(&read(&scenario(agents, &program, more), TABLE));
    // Agent 0 has lost half of its look, and does it again; the row before it is done.
    let first = [
        (0, Some(0), 0),
        (0, Some(1), 1_000),
        (0, Some(1), 52_000),
        (0, Some(2), 152_000),
        (0, None, 162_000),
    ];
    assert_eq!(all[0][..5], first);
    // The count of the runs that it had taken is back as well: the next one is another.
    assert_eq!(all[0][5], (2, Some(0), 162_000));
    assert_eq!(all[1].last().map(|row| row.0), Some(0));
}

#[test]
fn a_branch_knows_the_row_around_it() {
    // A loop before the match must not write over where the row is kept.
    let program = r#"Repeat(times: 1, steps: [EachRow(data: "mine", run: "run", column: "tool", cases: {
        "read": [Parallel([
            [Repeat(times: 3, steps: [Think("1s")]), Match(column: "kind", cases: {"x": [Think("1s")], "y": [Think("5s")]})],
            [Think("2s")],
        ])],
    }, otherwise: [])])"#;
    let all = in_order(&read(&scenario("count: 3", program, ""), TABLE));
    let ends: Vec<u64> = all.iter().map(|rows| rows.last().unwrap().2).collect();
    assert_eq!(ends, [4_000, 4_000, 8_000]);
}

#[test]
fn what_fails_ends_the_run_unless_the_program_goes_on() {
    let more = r#"services: {"tool": (at: "x", time: "10s")}, policies: {"hasty": (timeout: "1s", attempts: 1)},"#;
    let program = r#"EachRow(data: "mine", run: "run", column: "tool", cases: {
        "look": [Call(service: "tool", policy: "hasty")],
    }, otherwise: [Think("1s")])"#;
    let ends = |agents: &str| {
        let scenario = read(&scenario(agents, program, more), TABLE);
        let all = measured(&scenario);
        (all["replay.runs"], all["replay.done"], all["replay.rows"])
    };
    // Run b fails in its second row, run a in its last.
    assert_eq!(ends("count: 3"), (3.0, 1.0, 6.0));
    assert_eq!(ends("count: 3, on_failure: Continue"), (3.0, 3.0, 7.0));
}

#[test]
fn a_call_has_the_tokens_of_its_row() {
    let more = r#"services: {"model": (at: "x", time: Tokens(each_in: "1s", each_out: "1ms"))},"#;
    let program = r#"EachRow(data: "mine", run: "run", column: "tool", cases: {}, otherwise: [
        Call(service: "model", tokens: (
            tokens_in: OfRow(columns: "size", before: true),
            tokens_out: OfRow(columns: ["size", "size"], times: 0.5),
        )),
    ])"#;
    let all = in_order(&read(&scenario("count: 3", program, more), TABLE));
    // Run b has the sizes 1, 3 and 6: the prompts are 0, 1 and 4.
    let first = [(0, Some(0), 0), (0, Some(1), 1), (0, Some(2), 1_004), (0, None, 5_010)];
    assert_eq!(all[0], first);
    assert_eq!(all[2].last(), Some(&(2, None, 4)));
}

#[test]
fn a_run_is_about_one_key() {
    let more = r#"state: {"db": (at: "x", keys: {"record": Register(count: 1000), "user": Register(count: 1000)},
        model: LastWriteWins)},"#;
    let law = "Uniform(low: 0, high: 1000)";
    let program = format!(
        r#"Repeat(times: 2, steps: [EachRow(data: "mine", run: "run", column: "tool", cases: {{}}, otherwise: [
            Read(key: "record", which: OfRun({law})), Think("1s"), Write(key: "record", which: OfRun({law})),
            Read(key: "user", which: OfRun({law})), Read(key: "record", which: {law}),
        ])])"#
    );
    let scenario = read(&scenario("count: 2", &program, more), TABLE);
    let all = records(&scenario, &[What::ReadServed, What::Accepted, What::Row]);
    // By agent and run: the keys of the record that were read first, written, the user's, and the one drawn anew.
    let mut keys: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    let mut run: BTreeMap<u32, u32> = BTreeMap::new();
    for record in &all {
        match record.what {
            What::Row => {
                run.insert(record.subject, (record.b >> 32) as u32);
            }
            _ => {
                let agent = (record.a >> 32) as u32;
                keys.entry((agent, run[&agent])).or_default().push(record.b as u32);
            }
        }
    }
    assert_eq!(keys.len(), 4);
    let mut records_of: Vec<u32> = Vec::new();
    for keys in keys.values() {
        for row in keys.chunks(4) {
            let [read, written, user, other] = row else {
                panic!("{row:?}")
            };
            assert_eq!((read, written), (&keys[0], &keys[0]));
            assert_eq!(*user, keys[0] + 1000, "steps with the same law agree");
            records_of.push(*other);
        }
        records_of.push(keys[0]);
    }
    records_of.sort_unstable();
    records_of.dedup();
    assert!(
        records_of.len() > 10,
        "runs differ, and what is drawn anew differs each time"
    );
}

/// Two agents read the same record and change it: the first after 10 s, the second after 20 s.
fn two_writers(change: &str) -> String {
    let more = r#"state: {"db": (at: "x", keys: {"record": Register}, model: LastWriteWins)},
        policies: {"again": (attempts: 5, backoff: None)},"#;
    let program = format!(
        r#"EachRow(data: "mine", run: "run", column: "tool", success: (column: "good", is: "yes"), cases: {{
            "read": [Read(key: "record")], "wait": [Think("10s")], "write": [{change}],
        }})"#
    );
    scenario("count: 2", &program, more)
}

const TWO: &str = "run,tool,good\n1,read,yes\n1,wait,yes\n1,write,yes\n2,read,no\n2,wait,no\n2,wait,no\n2,write,no\n";

#[test]
fn a_success_on_record_whose_write_is_lost_is_spoiled() {
    let numbers = |change: &str, table: &str| {
        let all = measured(&read(&two_writers(change), table));
        [
            all["replay.success.recorded.share"],
            all["replay.success.share"],
            all["replay.spoiled"],
            all["replay.lossy"],
        ]
    };
    let blind = r#"Write(key: "record", informed: true)"#;
    assert_eq!(numbers(blind, TWO), [0.5, 0.0, 1.0, 1.0]);
    // The other way about it is no success that is spoiled.
    let other = TWO.replace("yes", "maybe").replace("no", "yes").replace("maybe", "no");
    assert_eq!(numbers(blind, &other), [0.5, 0.5, 0.0, 1.0]);
    let swap = r#"CompareAndSwap(key: "record", seen: true, think: "5s", policy: "again")"#;
    assert_eq!(numbers(swap, TWO), [0.5, 0.5, 0.0, 0.0]);
    // All that the registry promises of recorded runs is on this sheet.
    let all = measured(&read(&two_writers(swap), TWO));
    let promised = quorate::measures::infos().into_iter().map(|info| info.name);
    let missing: Vec<&str> = promised
        .filter(|name| name.starts_with("replay.") && !all.contains_key(*name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_swap_goes_by_what_was_seen_and_reads_anew_only_when_that_is_out_of_date() {
    let change = r#"CompareAndSwap(key: "record", seen: true, think: "5s", policy: "again")"#;
    let scenario = read(&two_writers(change), TWO);
    let all = in_order(&scenario);
    // The first is done at once; the second is refused, reads, thinks and is done.
    assert_eq!(all[0].last(), Some(&(0, None, 10_000)));
    assert_eq!(all[1].last(), Some(&(1, None, 25_000)));
    let numbers = measured(&scenario);
    assert_eq!((numbers["state.swaps"], numbers["state.swaps.refused"]), (3.0, 1.0));
    assert_eq!(numbers["state.reads"], 3.0);
    // Who has read nothing reads first; and what was changed by oneself is read again before the next change.
    let unread = TWO.replace("1,read,yes\n", "");
    let twice = format!("{change}, {change}");
    let all = in_order(&read(&two_writers(change), &unread));
    assert_eq!(all[0].last(), Some(&(0, None, 15_000)));
    let all = in_order(&read(&two_writers(&twice), TWO));
    assert_eq!(all[0].last(), Some(&(0, None, 15_000)));
}

/// A table, a program's cases by tool and by kind, and whether there is an `otherwise`.
#[derive(Debug, Clone)]
struct Case {
    rows: Vec<(u8, u8, u8)>,
    agents: usize,
    /// Of each tool how long its rows take; `None`: it goes by the kind.
    tools: [Option<u16>; 3],
    kinds: [u16; 3],
    other: u16,
}

fn cases() -> impl Strategy<Value = Case> {
    let rows = prop::collection::vec((0..4u8, 0..5u8, 0..4u8), 1..40);
    let tools = prop::array::uniform3(prop::option::weighted(0.7, 0..500u16));
    (rows, 1..6usize, tools, prop::array::uniform3(0..500u16), 1..500u16).prop_map(
        |(rows, agents, tools, kinds, other)| Case {
            rows,
            agents,
            tools,
            kinds,
            other,
        },
    )
}

impl Case {
    /// Tools 3 and 4 and kind 3 have no case.
    fn scenario(&self) -> Scenario {
        let mut table = "kind,tool,run\n".to_string();
        for (run, tool, kind) in &self.rows {
            let _ = writeln!(table, "k{kind},t{tool},{run}");
        }
        let think = |millis: u16| format!(r#"[Think("{millis}ms")]"#);
        let kinds = (0..3).map(|kind| format!(r#""k{kind}": {}, "#, think(self.kinds[kind])));
        let kinds = format!(
            r#"[Match(column: "kind", cases: {{{}}}, otherwise: {})]"#,
            kinds.collect::<String>(),
            think(self.other)
        );
        let tools = (0..3).map(|tool| {
            let steps = self.tools[tool].map_or(kinds.clone(), think);
            format!(r#""t{tool}": {steps}, "#)
        });
        let program = format!(
            r#"EachRow(data: "mine", run: "run", column: "tool", cases: {{{}}}, otherwise: [])"#,
            tools.collect::<String>()
        );
        read(&scenario(&format!("count: {}", self.agents), &program, ""), &table)
    }

    /// What an agent does, by reading the table from top to bottom.
    fn interpreted(&self, agent: usize) -> Vec<Begun> {
        let mut names: Vec<u8> = Vec::new();
        for (run, ..) in &self.rows {
            if !names.contains(run) {
                names.push(*run);
            }
        }
        let run = agent % names.len();
        let (mut now, mut place, mut all) = (0, 0, Vec::new());
        for (_, tool, kind) in self.rows.iter().filter(|(of, ..)| *of == names[run]) {
            all.push((run as u32, Some(place), now));
            place += 1;
            now += match (usize::from(*tool), usize::from(*kind)) {
                (tool @ 0..3, kind) => match (self.tools[tool], kind) {
                    (Some(millis), _) => u64::from(millis),
                    (None, kind @ 0..3) => u64::from(self.kinds[kind]),
                    (None, _) => u64::from(self.other),
                },
                _ => 0,
            };
        }
        all.push((run as u32, None, now));
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_do_what_a_plain_reading_of_the_table_does(case in cases()) {
        let all = in_order(&case.scenario());
        let expected: Vec<Vec<Begun>> = (0..case.agents).map(|agent| case.interpreted(agent)).collect();
        prop_assert_eq!(all, expected);
    }
}
