//! Coordination groups in a world: what agents submit, what it costs to the nanosecond, faults of members, and what is refused.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn said(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// Agents that submit to a group which is declared so, with a second between sites.
fn scenario(group: &str, agents: &str, more: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "coordination", question: "?", until: AllDone(within: "1h"), sites: ["a", "b", "c"],
            network: (default: (one_way: "1s")),
            coordination: {{"g": ({group})}},
            policies: {{"again": (timeout: "20s", attempts: 50, backoff: Fixed("1s"), idempotency_key: true)}},
            agents: {{{agents}}},
            {more}
        )"#
    )
}

const RAFT: &str =
    r#"pattern: Raft(first: "a", election_min: "10s", election_max: "20s", heartbeat: "3s"), at: ["a", "b", "c"]"#;

#[test]
fn a_proposal_takes_a_round_trip_to_a_majority_and_that_is_coordination() {
    // The first leads after two rounds of votes, four seconds. A proposal beside it takes a round trip; one from elsewhere also the
    // way there, and the word of its commit the way back.
    let agents = r#""x": (count: 1, at: "a", start: AtOnce(at: "100s"), program: [Submit(to: "g", policy: "again")])"#;
    let of = numbers(&scenario(RAFT, agents, ""));
    assert_eq!((of["task.time.mean"], of["task.part.coordination"]), (2.0, 2.0));
    assert_eq!((of["coordination.g.decided"], of["coordination.g.leaders"]), (1.0, 1.0));
    assert!(
        !of.contains_key("coordination.g.propose.messages"),
        "the leader is asked at once"
    );
}

#[test]
fn a_disk_makes_each_write_take_its_time() {
    let agents = r#""x": (count: 1, at: "a", start: AtOnce(at: "100s"), program: [Submit(to: "g", policy: "again")])"#;
    let slow = RAFT.replace("heartbeat", r#"disk: "100ms", heartbeat"#);
    let of = numbers(&scenario(&slow, agents, ""));
    // The leader writes before it sends, and a follower before it answers.
    assert_eq!(of["task.time.mean"], 2.2);
}

const VOTERS: &str = r#""v": (count: 3, at: "b", on: {"vote": [Think("5s")]})"#;

#[test]
fn a_vote_takes_the_way_there_the_voters_time_and_the_way_back() {
    let agents = format!(
        r#"{VOTERS}, "x": (count: 1, at: "a", program: [Submit(to: "g", value: 1, then: [Think("1s")], otherwise: [Think("100s")])])"#
    );
    let of = numbers(&scenario(r#"pattern: Voting(voters: "v"), at: "a""#, &agents, ""));
    assert_eq!((of["task.part.coordination"], of["task.part.thinking"]), (7.0, 1.0));
    let no = agents.replace("value: 1", "value: 0");
    let of = numbers(&scenario(r#"pattern: Voting(voters: "v"), at: "a""#, &no, ""));
    assert_eq!((of["task.part.thinking"], of["coordination.g.wrong"]), (100.0, 0.0));
    // Checking three signatures one after the other: two are enough.
    let of = numbers(&scenario(
        r#"pattern: Voting(voters: "v", verify: "1s"), at: "a""#,
        &agents,
        "",
    ));
    assert_eq!(of["task.part.coordination"], 9.0);
    // Nobody votes in time: there is no quorum.
    let crash = r#"faults: {"f": Crash(who: "v", at: "0s", for: "30min")}"#;
    let of = numbers(&scenario(
        r#"pattern: Voting(voters: "v", timeout: "60s", quorum: 1), at: "a""#,
        &agents,
        crash,
    ));
    assert_eq!((of["coordination.g.undecided"], of["task.part.thinking"]), (1.0, 100.0));
}

const WORK: &str = r#"work: {"w": (tasks: {
    "first": (by: "v", on: "vote"),
    "second": (by: "v", on: "vote", needs: "first"),
    "third": (by: "v", on: "vote", needs: "first"),
})}"#;

#[test]
fn an_orchestrator_takes_a_graph_level_by_level() {
    let agents = format!(r#"{VOTERS}, "x": (count: 1, at: "a", program: [Submit(to: "g")])"#);
    let group = r#"pattern: Orchestrator(work: "w", decides: "500ms"), at: "a""#;
    let of = numbers(&scenario(group, &agents, WORK));
    // Half a second to begin, 7 s for the first, half a second to go on, 7 s for both others, whose results come together: a second.
    assert_eq!(
        (of["work.g.time.mean"], of["work.g.own.mean"]),
        (0.5 + 7.0 + 0.5 + 7.0 + 1.0, 10.0)
    );
    assert_eq!(
        (of["work.g.given"], of["work.g.messages"], of["work.g.redundant"]),
        (3.0, 6.0, 0.0)
    );
    // With one agent the second and the third come one after the other.
    let one = agents.replace("count: 3", "count: 1");
    assert_eq!(
        numbers(&scenario(group, &one, WORK))["work.g.time.mean"],
        0.5 + 7.0 + 0.5 + 7.0 + 0.5 + 7.0 + 0.5
    );
}

#[test]
fn a_member_of_a_team_does_by_itself_what_it_hears_of_alone() {
    let agents = format!(r#"{VOTERS}, "x": (count: 1, at: "a", program: [Submit(to: "g")])"#);
    // There is no comparison within so short a time: the nearest member has all three tasks done by its own agent, one after the other.
    let group = r#"pattern: Team(work: "w", period: "1h", decides: "500ms", disk: "100ms", take: AtOnce), beside: "v""#;
    let of = numbers(&scenario(group, &agents, WORK));
    // The job is a fact, and a claim and a result of each task; the last is that it is over.
    let alone = 3.0 * (0.5 + 5.0) + 8.0 * 0.1;
    assert_eq!(of["task.time.mean"], 2.0 + alone);
    // The third waits for the agent while that is at the second.
    assert_eq!((of["work.g.time.mean"], of["work.g.own.mean"]), (alone, 10.0));
    assert_eq!(
        (
            of["work.g.given"],
            of["work.g.claims"],
            of["work.g.spent"],
            of["work.g.wasted"]
        ),
        (3.0, 3.0, 15.0, 0.0)
    );
    // Who waits for others who go before it waits for each.
    let ranked = group.replace("AtOnce", r#"Ranked(wait: "1min")"#);
    let waited = numbers(&scenario(&ranked, &agents, WORK))["work.g.time.mean"] - of["work.g.time.mean"];
    // At least one of the three tasks has another first taker here, and two wait at the same time.
    assert!(waited > 59.0 && waited < 361.0, "{waited}");
}

#[test]
fn work_on_drafts_saves_what_it_overlaps_with_or_is_wasted() {
    // Two groups whose members are told everything within a few milliseconds.
    let agents = r#"
        "first": (count: 1, at: "a", on: {"one": [Think("10s")]}),
        "then": (count: 1, at: "a", on: {"two": [Think("4s")]}),
        "x": (count: 1, at: "a", program: [Submit(to: "g")])
    "#;
    let work = r#"work: {"w": (tasks: {"one": (by: "first"), "two": (by: "then", needs: "one")})}"#;
    let of = |holds: u32, after: &str| {
        let group = format!(
            r#"pattern: Team(work: "w", period: "1ms", speculate: (after: "{after}", holds: {holds})), beside: ["first", "then"]"#
        );
        numbers(&scenario(&group, agents, work))
    };
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.01;
    // Ready long before the result that it waits for: four seconds are saved.
    let early = of(1, "2s");
    assert!(near(early["work.g.time.mean"], 10.0), "{}", early["work.g.time.mean"]);
    assert!(near(early["work.g.speculated.saved"], 4.0));
    assert!(near(early["work.g.own.mean"], 10.0), "the job hung on the first alone");
    // Half way when the result comes: two seconds are.
    let late = of(1, "8s");
    assert!(near(late["work.g.time.mean"], 12.0), "{}", late["work.g.time.mean"]);
    assert!(near(late["work.g.speculated.saved"], 2.0));
    assert_eq!(
        (
            late["work.g.speculated"],
            late["work.g.speculated.kept"],
            late["work.g.wasted"]
        ),
        (1.0, 1.0, 0.0)
    );
    // In vain: it is begun again at the result, or once the agent is through with what nobody wants.
    let (early, late) = (of(0, "2s"), of(0, "8s"));
    assert!(near(early["work.g.time.mean"], 14.0), "{}", early["work.g.time.mean"]);
    assert!(near(late["work.g.time.mean"], 16.0), "{}", late["work.g.time.mean"]);
    for vain in [early, late] {
        let counts = [
            "speculated",
            "speculated.kept",
            "speculated.dropped",
            "redundant",
            "speculated.saved",
            "wasted",
        ];
        let counts = counts.map(|name| vain[&format!("work.g.{name}")]);
        assert_eq!(counts, [1.0, 0.0, 1.0, 1.0, 0.0, 4.0]);
    }
}

#[test]
fn drafts_hold_less_often_where_agents_err_and_never_where_a_check_says_no() {
    let agents = |errs: &str| {
        format!(
            r#"
            "first": (count: 1, at: "a", errs: ({errs}), on: {{"one": [Think("10s")]}}),
            "check": (count: 1, at: "a", on: {{"look": [Think("5s")]}}),
            "then": (count: 1, at: "a", on: {{"two": [Think("4s")]}}),
            "x": (count: 1, at: "a", program: [Submit(to: "g")])"#
        )
    };
    let work = |check: &str| {
        format!(r#"work: {{"w": (tasks: {{"one": (by: "first"), {check} "two": (by: "then", needs: "one")}})}}"#)
    };
    let of = |errs: &str, check: &str| {
        let group = r#"pattern: Team(work: "w", period: "1ms", speculate: (after: "2s", holds_if_wrong: 0)), beside: ["first", "check", "then"]"#;
        let of = numbers(&scenario(group, &agents(errs), &work(check)));
        ["speculated.kept", "speculated.dropped", "again"].map(|name| of[&format!("work.g.{name}")])
    };
    let check = r#""look": (by: "check", needs: "one", checks: "one", rounds: 2),"#;
    assert_eq!(of("", check), [1.0, 0.0, 0.0]);
    assert_eq!(of("wrong: 1", ""), [0.0, 1.0, 0.0]);
    // What is taken up again while the check is at it stands, since it needs the first result alone; of the second round nobody needs a draft.
    assert_eq!(of("wrong: 1", check), [0.0, 1.0, 1.0]);
}

#[test]
fn a_member_that_stands_still_goes_on_with_its_work_and_that_time_is_down() {
    let agents = format!(r#"{VOTERS}, "x": (count: 1, at: "a", program: [Submit(to: "g")])"#);
    let group = r#"pattern: Orchestrator(work: "w", decides: "2s"), at: "a""#;
    let pause = format!(r#"{WORK}, faults: {{"f": Pause(who: "g", at: "1s", for: "10s")}}"#);
    let (with, without) = (
        numbers(&scenario(group, &agents, &pause)),
        numbers(&scenario(group, &agents, WORK)),
    );
    assert_eq!(with["task.time.mean"], without["task.time.mean"] + 10.0);
    assert_eq!(with["task.part.down"], 10.0);
}

/// All patterns at once, under faults of every kind.
fn storm() -> String {
    let more = r#"
        work: {"w": (tasks: {
            "plan": (by: "crew"),
            "make": (by: "crew", needs: "plan"),
            "check": (by: "crew", needs: "make", checks: "make"),
        })},
        faults: {
            "cut": Partition(groups: [["a"], ["b", "c"]], at: "20s", for: "15s"),
            "crash": Crash(who: ["log", "vote", "lead"], each: Member, when: Drawn(to_failure: Exponential(mean: "60s"), to_repair: Exponential(mean: "5s"))),
            "still": Pause(who: ["log", "vote", "lead", "crew"], each: Member, when: Drawn(to_failure: Exponential(mean: "40s"), to_repair: Exponential(mean: "2s"))),
            "down": Crash(who: "crew", keep: Nothing, each: Member, when: Drawn(to_failure: Exponential(mean: "90s"), to_repair: Exponential(mean: "5s"))),
            "clock": ClockStep(who: ["log"], by: "-500ms", at: "50s"),
        },
    "#;
    format!(
        r#"(
            quorate: 1, name: "storm", question: "?", until: AllDone(within: "1h"), sites: ["a", "b", "c"],
            network: (default: (one_way: Exponential(mean: "50ms"), loss: "5%", duplication: "5%")),
            coordination: {{
                "log": (pattern: Raft(disk: "2ms"), at: ["a", "b", "c"]),
                "vote": (pattern: Voting(voters: "crew", quorum: 2, timeout: "5s", verify: "1ms"), at: ["a", "b"]),
                "lead": (pattern: Orchestrator(work: "w", log: "2ms", decides: Exponential(mean: "10ms"), timeout: "10s", attempts: 20, standby: ()), at: ["a", "b"]),
                "team": (beside: "crew", pattern: Team(work: "w", disk: "2ms", decides: Exponential(mean: "10ms"), timeout: "10s", take: Random(within: "100ms"), speculate: (after: "200ms", holds: 0.5))),
            }},
            policies: {{"again": (timeout: "15s", attempts: 100, backoff: FullJitter(base: "100ms", cap: "2s"), idempotency_key: true)}},
            agents: {{
                "crew": (count: 4, at: ["b", "c"], errs: (wrong: 0.2, abstains: 0.1), on: {{
                    "vote": [Think(Exponential(mean: "100ms"))],
                    "plan": [Think(Exponential(mean: "1s"))],
                    "make": [Think(Exponential(mean: "2s"))],
                    "check": [Think(Exponential(mean: "1s"))],
                }}),
                "x": (count: 6, at: ["a", "b", "c"], start: Spread(over: "30s"), program: [Repeat(times: 4, steps: [
                    Submit(to: "log", policy: "again"),
                    Submit(to: "vote", value: Bernoulli(p: 0.5), policy: "again", then: [Think("1s")]),
                    Submit(to: "lead", policy: "again"),
                    Submit(to: "team", policy: "again"),
                ])]),
            }},
            {more}
        )"#
    )
}

#[test]
fn accounts_add_up_under_every_fault_and_everything_is_dealt_with() {
    let scenario = read(&storm());
    for seed in 0..25 {
        let path = observed(&scenario, seed, CriticalPath::new());
        assert_eq!(path.wrong(), &[] as &[String], "seed {seed}");
        assert_eq!(path.checked(), 6, "seed {seed}");
        let of = measured(&scenario, 0, seed as u32).sheet.numbers;
        assert_eq!(
            (of["task.done"], of["coordination.log.two_leaders"]),
            (6.0, 0.0),
            "seed {seed}"
        );
        // Each agent submits each of the three four times; what is done again was done before.
        assert_eq!(of["coordination.log.decided"], 24.0, "seed {seed}");
        assert_eq!(of["work.team.jobs.done"], 24.0, "seed {seed}");
        assert_eq!(of["work.team.jobs.open"], 0.0, "seed {seed}");
    }
}

#[test]
fn everything_that_is_measured_of_groups_is_in_the_registry_and_the_other_way_round() {
    // The storm, calmer and longer: there are quantiles of that many.
    let many = storm()
        .replace("Repeat(times: 4,", "Repeat(times: 200,")
        .replace("1h", "20h");
    let many = many.replace(r#"loss: "5%""#, r#"loss: "1%""#);
    let mut seen: std::collections::BTreeSet<&str> = Default::default();
    let cell = measured(&read(&many), 0, 0);
    let names = cell.sheet.numbers.keys().chain(cell.sheet.samples.keys());
    for name in names.filter(|name| name.starts_with("coordination.") || name.starts_with("work.")) {
        let info = quorate::measures::find(name);
        seen.insert(info.unwrap_or_else(|| panic!("{name} isn't in the registry")).name);
    }
    // Gossip, failure detectors, Byzantine groups and ledgers have measures and tests of their own.
    let of_all = [
        "messages",
        "bytes",
        "asked",
        "answered",
        "refused",
        "decided",
        "wrong",
        "undecided",
        "latency",
        "elections",
        "leaders",
        "leaderless",
        "two_leaders",
        "messages_per_decision",
        "bytes_per_decision",
    ];
    let is_meant = |name: &&str| match name.strip_prefix("coordination.*.") {
        Some(what) => of_all.contains(&what.split('.').next().unwrap_or(what)),
        None => name.starts_with("work.*"),
    };
    let infos = quorate::measures::infos();
    let never = infos.iter().map(|info| info.name).filter(is_meant);
    let never = never.filter(|name| !seen.contains(name));
    assert_eq!(never.collect::<Vec<_>>(), [] as [&str; 0]);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let text = r#"(
    quorate: 1, name: "wrong", question: "?", until: AllDone(within: "1h"), sites: ["a", "b"],
    work: {
        "circle": (tasks: {
            "one": (by: "crew", on: "x", needs: "three"),
            "two": (by: "crew", on: "x", needs: ["one"]),
            "three": (by: "crew", on: "x", needs: ["two"]),
        }),
        "self": (tasks: {"one": (by: "crew", on: "x", needs: "one")}),
        "fine": (tasks: {"one": (by: "crew", on: "x")}),
        "strange": (tasks: {
            "one": (by: "nobody"),
            "two": (by: "crew", needs: "on"),
            "three": (by: "stream", on: "x", checks: "one"),
            "four": (by: "crew", on: "x", checks: "one"),
        }),
        "empty": (tasks: {}),
    },
    coordination: {
        "nowhere": (pattern: Raft()),
        "both": (pattern: Raft(), at: "a", beside: "crew"),
        "mixed": (pattern: Raft(election_min: "1s", election_max: "500ms", heartbeat: "2s", first: "c"), at: ["a", "b"]),
        "many": (pattern: Voting(voters: "crew", on: "x", quorum: 9), at: "a"),
        "heavy": (pattern: Voting(voters: "crew", on: "x", rule: AtLeast(7), veto: "cooks", weights: {"others": 2}), at: "a"),
        "alone": (pattern: Orchestrator(work: "circle", standby: (heartbeat: "3s")), at: "a"),
        "crowd": (pattern: Orchestrator(work: "nothing"), at: ["a", "b"]),
        "deaf": (pattern: Raft(), at: "a", tells: "news"),
        "gone": (pattern: Raft(), beside: "stream"),
        "idle": (pattern: Team(work: "circle"), at: "a"),
        "narrow": (pattern: Team(work: "fine", fan_out: 3, settle: "2s", timeout: "1s"), beside: ["crew", "crow"]),
        "other": (pattern: Team(work: "fine"), beside: ["cooks", "cooks"]),
        "lone": (pattern: Team(work: "fine", fan_out: 3, settle: "2s", timeout: "1s"), beside: "crew"),
    },
    agents: {
        "crew": (count: 3, at: "a", on: {"x": [Think("1s")]}, errs: (wrong: 0.5, correlation: 0.5)),
        "cooks": (count: 2, at: "a"),
        "stream": (count: Stream(), at: "a", on: {"x": []}, start: Poisson(rate: "1/s"), program: [
            Submit(to: "mani"), Submit(to: "tool"),
        ]),
    },
    services: {"tool": (at: "a")},
    faults: {"f": Crash(who: "nowher", at: "1s")},
)"#;
    insta::assert_snapshot!(said(text));
}
