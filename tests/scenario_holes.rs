//! What can't be read doesn't hide what can: every problem is reported at once, each once, and nothing that follows from it.

use quorate::experiment::Registry;
use quorate::scenario::syntax::{
    Code, Diagnostic, Field, Limits, Memory, Node, Show, SourceMap, Span, Value, parse_bytes, render,
};
use quorate::scenario::{Outcome, load};

/// A scenario with every noun and most of their fields, in which nothing is wrong.
const WHOLE: &str = r#"(
    quorate: 1,
    name: "whole",
    question: "What if?",
    base: "as is",
    seed: 5,
    replicates: 2,
    until: AllDone(within: "2min"),
    warm_up: "1s",
    window: "500ms",
    data: {"mine": (file: "mine.csv"), "times": (file: "times.csv"), "rtt": (file: "rtt.csv")},
    sites: {"a": (region: "east"), "b": (region: "west"), "c": (region: "south")},
    network: (
        default: (
            loss: Bursty(good: "10s", bad: "1s", loss_bad: 0.5), duplication: 0.01, bandwidth: "1Mbit/s", queue: "10kB",
            jitter: Correlated(every: "1s", rho: 0.8),
            by_kind: (message: "3ms", request: Exponential(mean: "4ms")),
        ),
        local: (one_way: "1ms"),
        links: [
            (between: ("a", "b"), one_way: "5ms", order: Link),
            (from: "c", to: "a", loss: 0.5, reordering: (chance: 0.1, extra: "1ms")),
        ],
        matrix: (data: "rtt", missing: "100ms", local: true),
    ),
    services: {
        "model": (
            at: "a", servers: 4, queue: 9, time: Tokens(first: "80ms", each_out: "1ms"), tokens: (tokens_in: 5, tokens_out: Poisson(mean: 3)),
            limit: (rate: "40/s", burst: 5, excess: Refuse(retry_after: true)), budget: (calls: 1000, money: "3 USD"),
            price: (call: "0.01 USD", million_in: "3 USD", million_out: "15 USD"), answer: "2kB",
        ),
        "tool": (at: "b", servers: Unlimited, time: Mixture([(9, "1ms"), (1, Empirical(data: "mine", column: "v", unit: "1ms"))])),
        "table": (at: "c", time: Tokens(each_out: "1ms"), tokens: Data(data: "mine", tokens_out: "v", order: Replay)),
    },
    state: {
        "memory": (
            at: ["a", "b"], keys: {"notes": Register(count: 3), "done": Counter, "seen": Set}, model: VersionVectors(register: PreferSite("a")),
            replication: (delay: "1ms", batch: "5ms"), anti_entropy: (every: "1s", jitter: "10ms", until: "60s"),
            clocks: {"a": (skew: "-5ms", drift: "10ppm")}, value: "1kB", time: "1ms",
        ),
        "lock": (at: "a", keys: {"token": Register}, model: LastWriteWins),
    },
    policies: {
        "polite": (timeout: "2s", attempts: 4, backoff: FullJitter(base: "100ms", cap: "10s"), honours_retry_after: true, idempotency_key: true),
        "quick": (timeout: "1s", attempts: Unlimited, backoff: Fixed("50ms")),
    },
    agents: {
        "worker": (
            count: 5, at: ["b", "c"], start: Spread(over: "1s"), stagger: "10ms", mailbox: 10, handlers_at_once: 2, on_failure: Continue,
            program: [
                Repeat(times: 3, steps: [
                    Think("10ms"),
                    Call(service: "model", policy: "polite", request: "1kB", tokens: (tokens_in: 3, tokens_out: 4)),
                    Task(name: "look", steps: [Call(service: "tool", policy: "quick"), Sleep(Exponential(rate: "10/s"))]),
                    Send(to: Any("worker"), topic: "hello", bytes: "1kB"),
                    Ask(to: Member("worker", 2), topic: "which", bytes: "1kB", timeout: "1s"),
                    Update(key: "notes", which: Uniform(low: 0, high: 3), think: "5ms", op: Write, replica: At("b"), policy: "polite"),
                    Update(key: "done", op: Add(2), policy: "polite"),
                    Insert(key: "seen", store: "memory", element: Zipf(n: 9, exponent: 1), policy: "polite"),
                    CompareAndSwap(key: "token", think: "1ms", policy: "polite"),
                ]),
                Parallel([[Think("1ms")], [Wait(topic: "news", count: 1, timeout: "1s")]]),
                Choose([(1, [Read(key: "notes", policy: "quick")]), (2, [Stop])]),
                Speculate(basis: [Think("1ms")], guess: [Call(service: "table", policy: "quick")], right: 0.5),
            ],
            on: {"hello": [Think("1ms")], "which": [Reply(bytes: "10B")]},
        ),
        "guest": (count: Stream(arrivals: 3, max_alive: 10), at: "c", start: Trace(data: "times", column: "t", unit: "1s"), program: [
            Send(to: All("worker"), topic: "news"),
        ]),
    },
    faults: {
        "split": Partition(groups: [["a"], Rest], in_flight: Held, sent: Lost, at: "30s", for: "10s"),
        "one way": Partition(from: Members(group: "worker", first: 1, count: 2), to: "model", at: "50s", until: "55s"),
        "slow": Degrade(from: "a", to: ["b", "c"], both_ways: false, latency_factor: 2, latency_added: "5ms", loss: 0.1, bandwidth_factor: 0.5,
            when: Windows([(at: "1s", for: "5s"), (at: "13s", until: "15s")])),
        "crash": Crash(who: "tool", keep: Nothing, each: Together, when: Drawn(from: "2s", until: "90s", to_failure: Exponential(mean: "20s"), to_repair: "1s")),
        "rest": Pause(who: ["worker"], each: Member, when: Flapping(from: "9s", until: "80s", on: "1s", off: Exponential(mean: "9s"))),
        "clock": ClockStep(who: "memory", by: "-3ms", undone: false, at: "5s"),
        "stall": Stall(services: ["model", "tool"], speed: 0.5, each: Target, at: "6s", for: "1s"),
    },
    variants: {
        "near": [Set(path: "agents.worker.at", to: "a"), Set(path: "services.tool", to: (at: "c", servers: 2))],
        "calm": [Set(path: "network.links[1].loss", to: 0)],
    },
    expect: [
        Measure(name: "task.time.mean", variant: "near", over: "calm", stat: Mean, is: Between("-10s", "10s"), confidence: 0.9),
        Measure(name: "task.time.mean", is: Near(value: "5s", relative: 0.5), row: "x", source: "y"),
        Always("no_failed_tasks"),
        Sometimes(event: "calls.failed", variant: "base", at_least: 2),
    ],
)"#;

const RTT: &str = "from,to,min_ms,avg_ms,max_ms,mdev_ms
east,west,60,61,62,0.1
west,east,60,61,62,0.1
east,south,70,71,72,0.1
south,east,70,71,72,0.1
east,east,0.1,0.2,0.3,0.01
west,west,0.1,0.2,0.3,0.01
south,south,0.1,0.2,0.3,0.01
";

fn files(text: &str) -> Memory {
    Memory::new()
        .with("s.ron", text)
        .with("mine.csv", "v\n1\n5\n9\n")
        .with("times.csv", "t\n1\n5\n9\n")
        .with("rtt.csv", RTT)
}

fn outcome(text: &str) -> Outcome {
    load("s.ron".as_ref(), &[], &files(text), &Registry)
}

fn said(outcome: &Outcome) -> String {
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

#[test]
fn the_whole_scenario_is_right() {
    let outcome = outcome(WHOLE);
    assert!(
        outcome.scenario.is_some() && outcome.diagnostics.is_empty(),
        "{}",
        said(&outcome)
    );
}

/// Places in a text that can be damaged.
#[derive(Default)]
struct Places {
    /// Every value below the top.
    values: Vec<Span>,
    /// Every name of a field and of a variant.
    names: Vec<Span>,
    /// Every entry of a map and every field with its value.
    entries: Vec<Span>,
}

impl Places {
    fn of(text: &str) -> Self {
        let (mut map, mut out) = (SourceMap::new(), Default::default());
        let root = parse_bytes("s.ron", text.as_bytes(), &mut map, &Limits::default(), &mut out).expect("it is right");
        let mut places = Self::default();
        places.below(&root);
        places
    }

    fn value(&mut self, node: &Node) {
        self.values.push(node.span);
        self.below(node);
    }

    fn below(&mut self, node: &Node) {
        self.names.extend(node.variant_name().map(|(_, span)| span));
        match &node.value {
            Value::List(items) | Value::Tuple(_, items) => items.iter().for_each(|item| self.value(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.entries.push(key.span.to(value.span));
                    self.values.push(key.span);
                    self.value(value);
                }
            }
            Value::Struct(_, fields) => {
                for field in fields {
                    self.entries.push(field.name.span.to(field.value.span));
                    self.names.push(field.name.span);
                    self.value(&field.value);
                }
            }
            _ => {}
        }
    }
}

/// A text with a place replaced.
fn damaged(text: &str, place: Span, by: &str) -> String {
    let mut text = text.to_string();
    text.replace_range(place.range(), by);
    text
}

/// A name that is near to none.
const STRANGE: &str = "qqqqqqqqqqqqqqqq";

/// All damages of a text, each with the place that is damaged.
fn damages(text: &str) -> Vec<(Span, String)> {
    let places = Places::of(text);
    let mut all = Vec::new();
    for place in places.values {
        // A value of a kind that nothing takes, and one that the parser refuses already.
        all.push((place, damaged(text, place, "'?'")));
        all.push((place, damaged(text, place, "250ms")));
    }
    for place in places.names {
        let name = &text[place.range()];
        all.push((place, damaged(text, place, &format!("{name}x"))));
        if name.len() > 1 {
            all.push((place, damaged(text, place, &name[1..])));
        }
        all.push((place, damaged(text, place, STRANGE)));
    }
    for place in &places.entries {
        // An entry without the comma behind it.
        let rest = &text[place.end as usize..];
        if rest.starts_with(',') && !rest[1..].trim_start().starts_with([')', ']', '}']) {
            let comma = Span::new(place.source, place.end as usize, place.end as usize + 1);
            all.push((comma, damaged(text, comma, " ")));
        }
    }
    for place in places.entries {
        let twice = format!("{0}, {0}", &text[place.range()]);
        all.push((place, damaged(text, place, &twice)));
    }
    all
}

#[test]
fn whatever_is_damaged_is_one_problem() {
    for (place, text) in damages(WHOLE) {
        let outcome = outcome(&text);
        let mut problems = outcome.diagnostics.sorted();
        // A field that lacks is missed even where there is one of which nobody knows what it should be.
        if problems
            .iter()
            .any(|problem| problem.code == Code::UnknownField && problem.helps.is_empty())
        {
            problems.retain(|problem| problem.code != Code::MissingField);
        }
        let near: String = text[place.start as usize..].chars().take(40).collect();
        assert_eq!(problems.len(), 1, "{near}\n{}", said(&outcome));
    }
}

/// Changes of the whole scenario that each make one problem of meaning, and its code.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("warm_up: \"1s\"", "warm_up: \"3min\"", "E0444"),
    ("\"south\"", "\"souht\"", "E0411"),
    ("between: (\"a\", \"b\")", "between: (\"a\", \"x\")", "E0401"),
    (
        "order: Link",
        "order: Link, reordering: (chance: 0.1, extra: \"2ms\")",
        "E0461",
    ),
    (
        "at: \"b\", servers: Unlimited",
        "at: \"y\", servers: Unlimited",
        "E0401",
    ),
    ("Poisson(mean: 3)", "Poisson(mean: -3)", "E0430"),
    ("million_in: \"3 USD\"", "million_in: \"0.0001 USD\"", "E0205"),
    ("tokens_out: \"v\"", "tokens_out: \"w\"", "E0408"),
    ("PreferSite(\"a\")", "PreferSite(\"c\")", "E0401"),
    ("clocks: {\"a\"", "clocks: {\"c\"", "E0401"),
    ("cap: \"10s\"", "cap: \"10ms\"", "E0445"),
    ("at: [\"b\", \"c\"], start", "at: [\"b\", \"z\"], start", "E0401"),
    ("Call(service: \"model\"", "Call(service: \"modle\"", "E0402"),
    ("policy: \"quick\"), Sleep", "policy: \"quikc\"), Sleep", "E0403"),
    ("Any(\"worker\")", "Any(\"wroker\")", "E0404"),
    ("Member(\"worker\", 2)", "Member(\"worker\", 9)", "E0457"),
    ("Update(key: \"done\"", "Update(key: \"dnoe\"", "E0406"),
    ("Insert(key: \"seen\"", "Insert(key: \"notes\"", "E0456"),
    ("(2, [Stop])", "(-2, [Stop])", "E0430"),
    ("column: \"t\"", "column: \"tt\"", "E0408"),
    (
        "groups: [[\"a\"], Rest]",
        "groups: [[\"a\"], [\"model\", \"mdoel\"]]",
        "E0412",
    ),
    ("until: \"55s\"", "until: \"45s\"", "E0440"),
    ("(at: \"13s\"", "(at: \"3s\"", "E0441"),
    (
        "to_repair: \"1s\"",
        "to_repair: Uniform(low: \"2s\", high: \"1s\")",
        "E0430",
    ),
    ("from: \"9s\", until: \"80s\"", "from: \"90s\", until: \"80s\"", "E0440"),
    (
        "services: [\"model\", \"tool\"]",
        "services: [\"model\", \"model\"]",
        "E0446",
    ),
    ("to: \"a\"), Set", "to: \"nowhere\"), Set", "E0401"),
    ("path: \"services.tool\"", "path: \"services.took.at\"", "E0306"),
    ("over: \"calm\"", "over: \"clam\"", "E0409"),
    ("\"no_failed_tasks\"", "\"no_faild_tasks\"", "E0410"),
    (
        "Near(value: \"5s\", relative: 0.5)",
        "Near(value: 5, relative: 0.5)",
        "E0476",
    ),
];

/// The whole scenario with all mistakes.
fn mistaken() -> String {
    let mistake = |text: String, (from, to, _): &(&str, &str, &str)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    };
    MISTAKES.iter().fold(WHOLE.to_string(), mistake)
}

#[test]
fn mistakes_of_meaning_are_said_alone_and_together() {
    let codes = |outcome: &Outcome| {
        let problems = outcome.diagnostics.sorted();
        let mut codes: Vec<String> = problems.iter().map(|problem| problem.code.to_string()).collect();
        codes.sort();
        codes
    };
    for (from, to, code) in MISTAKES {
        let outcome = outcome(&WHOLE.replace(from, to));
        assert_eq!(codes(&outcome), [*code], "{}", said(&outcome));
    }
    let mut all: Vec<&str> = MISTAKES.iter().map(|(.., code)| *code).collect();
    all.sort();
    let outcome = outcome(&mistaken());
    assert_eq!(codes(&outcome), all, "{}", said(&outcome));
}

/// The parts of a scenario in whose light a mistake is one.
fn depends_on(code: Code) -> &'static [&'static str] {
    match code {
        Code::AfterTheEnd => &["until"],
        // One of the sites stands in a change of an agent.
        Code::UnknownSite => &["sites", "agents"],
        Code::UnknownRegion => &["sites", "network", "data"],
        Code::UnknownService => &["services"],
        Code::UnknownPolicy => &["policies"],
        Code::UnknownGroup | Code::WrongPeers => &["agents"],
        Code::UnknownKey | Code::WrongKeyType => &["state"],
        Code::UnknownColumn => &["data"],
        Code::UnknownTarget => &["sites", "services", "state", "agents"],
        Code::NamedTwice | Code::UnknownPath => &["services"],
        Code::UnknownVariantName => &["variants"],
        _ => &[],
    }
}

/// What stands or falls together: a part of a scenario with its name, and the entries in it, each with its place.
fn sections(text: &str) -> Vec<(String, Vec<Span>)> {
    let (mut map, mut out) = (SourceMap::new(), Default::default());
    let root = parse_bytes("s.ron", text.as_bytes(), &mut map, &Limits::default(), &mut out).expect("it is right");
    let Value::Struct(_, fields) = root.value else { panic!() };
    let part = |field: Field| {
        let mut spans = vec![field.name.span.to(field.value.span)];
        if let Value::Map(entries) = &field.value.value {
            spans.extend(entries.iter().map(|(key, value)| key.span.to(value.span)));
        }
        (field.name.text, spans)
    };
    fields.into_iter().map(part).collect()
}

#[test]
fn damage_hides_no_mistake_elsewhere_and_makes_none() {
    let text = mistaken();
    let sections = sections(&text);
    let meet = |a: Span, b: Span| a.start < b.end && b.start < a.end;
    let mistakes = outcome(&text).diagnostics;
    let (mut kept, mut gone) = (0, 0);
    for (place, damaged) in damages(&text) {
        let after = outcome(&damaged);
        let said_after = || format!("{}\n{}", &damaged[place.start as usize..], said(&after));
        let is_old = |problem: &Diagnostic| mistakes.iter().any(|mistake| mistake.message == problem.message);
        let mut news: Vec<&Diagnostic> = after.diagnostics.iter().filter(|problem| !is_old(problem)).collect();
        if news
            .iter()
            .any(|problem| problem.code == Code::UnknownField && problem.helps.is_empty())
        {
            news.retain(|problem| problem.code != Code::MissingField);
        }
        // What a variant would put where its path leads nowhere isn't looked at.
        let nowhere = mistakes
            .iter()
            .find(|mistake| mistake.code == Code::UnknownPath)
            .and_then(Diagnostic::span);
        let unseen = nowhere.is_some_and(|path| {
            place.start > path.end && text[path.end as usize..place.start as usize].find("))").is_none()
        });
        assert!(news.len() == 1 || (unseen && news.is_empty()), "{}", said_after());
        // A mistake may go with what is damaged, with the entry that is damaged, and with what it depends on.
        // A comma that is missing takes nothing with it.
        let part = sections
            .iter()
            .find(|(_, spans)| meet(spans[0], place) && &text[place.range()] != ",");
        let hit = part.map(|(part, spans)| {
            let around = |span: &&Span| span.start <= place.start && place.end <= span.end;
            (part, *spans[1..].iter().find(around).unwrap_or(&spans[0]))
        });
        for mistake in mistakes.iter() {
            let own = mistake.span().expect("every mistake has a place");
            let may_go = hit.is_some_and(|(part, span)| meet(span, own) || depends_on(mistake.code).contains(&part.as_str()))
                // A noun that isn't declared may be the one whose name is damaged, and have the target in it.
                || (mistake.code == Code::UnknownTarget && news.iter().any(|problem| problem.code == Code::UnknownField));
            let is_there = after
                .diagnostics
                .iter()
                .any(|problem| problem.message == mistake.message);
            assert!(
                is_there || may_go,
                "{}\nis gone after\n{}",
                mistake.message,
                said_after()
            );
            kept += usize::from(is_there);
            gone += usize::from(!is_there);
        }
    }
    assert!(kept > 50 * gone, "{kept} {gone}");
}
