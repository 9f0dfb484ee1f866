//! Texts through a central server: what they end in, and what it costs, whatever happens to messages, replicas and the server.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, Scenario, load};
use quorate::state::OperationalTransformation;
use quorate::stores::Model;
use std::collections::BTreeMap;

type Numbers = BTreeMap<String, f64>;

const EDITS: &str = r#"Repeat(times: 40, steps: [
    InsertText(key: "t", at: Uniform(low: 0, high: 60), length: Uniform(low: 1, high: 4)), Think(Exponential(mean: "60ms")),
    DeleteText(key: "t", at: Uniform(low: 0, high: 60), length: Uniform(low: 1, high: 3)), Think(Exponential(mean: "60ms")),
    Read(key: "t"),
])"#;

const BAD: &str = r#"one_way: LogNormal(median: "80ms", sigma: 0.7), loss: "10%", duplication: "10%""#;

/// Three sites with an agent each, who edit one text.
fn trio(model: &str, network: &str, faults: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "trio", seed: 11, until: AllDone(within: "1h"), sites: ["x", "y", "z"],
        network: (default: ({network})),
        policies: {{"again": (timeout: "1s", attempts: Unlimited, idempotency_key: true)}},
        state: {{"s": (at: ["x", "y", "z"], keys: {{"t": Text}}, model: {model})}},
        agents: {{"a": (count: 3, at: ["x", "y", "z"], program: [{}])}},
        faults: {{{faults}}},
    )"#,
        EDITS.replace("key: \"t\"", "key: \"t\", policy: \"again\"")
    )
}

fn of_replicate(scenario: &Scenario, replicate: u32) -> Numbers {
    measured(scenario, 0, replicate).sheet.numbers
}

fn assert_kept(all: &Numbers, what: &str) {
    assert_eq!(all["state.writes"], 240.0, "{what}");
    for name in [
        "state.lost_effects",
        "state.diverged_keys.left",
        "state.unhealed",
        "state.duplicate_effects",
    ] {
        assert_eq!(all.get(name).copied().unwrap_or(0.0), 0.0, "{what}: {name}");
    }
    assert_eq!(all["state.drained"], 1.0, "{what}");
}

const MODEL: &str = "OperationalTransformation()";

#[test]
fn nothing_is_lost_whatever_happens_to_messages() {
    for (network, faults) in [
        (r#"one_way: "50ms""#, ""),
        (BAD, ""),
        (
            BAD,
            r#""cut": Partition(groups: [["x"], ["y", "z"]], at: "2s", for: "5s")"#,
        ),
        (
            BAD,
            r#""cut": Partition(groups: [["x", "z"], ["y"]], at: "1s", for: "60s", in_flight: Held, sent: Held)"#,
        ),
    ] {
        let scenario = read(&trio(MODEL, network, faults));
        for replicate in 0..6 {
            assert_kept(
                &of_replicate(&scenario, replicate),
                &format!("{network} {faults} {replicate}"),
            );
        }
    }
}

#[test]
fn nothing_is_lost_where_crashes_keep_state_and_nothing_stands_still_for_ever() {
    for who in ["x", "y"] {
        for (kind, more) in [("Crash", ", keep: State"), ("Pause", "")] {
            let faults = format!(
                r#""one": {kind}(who: "{who}", at: "1500ms", for: "2s"{more}), "two": {kind}(who: "{who}", at: "5s", for: "3s"{more})"#
            );
            let scenario = read(&trio(MODEL, BAD, &faults));
            for replicate in 0..6 {
                let all = of_replicate(&scenario, replicate);
                for name in ["state.lost_effects", "state.diverged_keys.left"] {
                    assert_eq!(all[name], 0.0, "{faults} {replicate}: {name}");
                }
                assert_eq!(all["state.drained"], 1.0, "{faults} {replicate}");
            }
        }
    }
}

/// A server that lost its history gets it back from those that know it; a replica that lost what it hadn't sent has lost that.
#[test]
fn a_history_that_the_server_lost_comes_back_from_the_others() {
    let mut lost_by_replicas = 0.0;
    for who in ["x", "y", "z"] {
        let faults = format!(r#""gone": Crash(who: "{who}", at: "3s", for: "2s", keep: Nothing)"#);
        let scenario = read(&trio(MODEL, BAD, &faults));
        for replicate in 0..6 {
            let all = of_replicate(&scenario, replicate);
            assert_eq!(all["state.diverged_keys.left"], 0.0, "{faults} {replicate}");
            assert_eq!(all["state.drained"], 1.0, "{faults} {replicate}");
            lost_by_replicas += all["state.lost_effects"];
            // At most what one agent did until the crash can be lost.
            assert!(
                all["state.lost_effects"] < 200.0,
                "{faults} {replicate}: {}",
                all["state.lost_effects"]
            );
        }
    }
    assert!(
        lost_by_replicas > 0.0,
        "what was on no other replica is lost with the disk"
    );
    // Without the crash's coming at a time when something is under way nothing is lost: the server's own edits are told at once.
    let faults = r#""gone": Crash(who: "x", at: "100s", for: "2s", keep: Nothing)"#;
    let text = trio(MODEL, r#"one_way: "50ms""#, faults).replace("AllDone(within: \"1h\")", "At(\"200s\")");
    let all = of_replicate(&read(&text), 0);
    assert_eq!((all["state.lost_effects"], all["state.diverged_keys.left"]), (0.0, 0.0));
    assert_eq!(all["state.drained"], 1.0);
}

#[test]
fn without_transformation_texts_differ() {
    let mut scenario = read(&trio(MODEL, r#"one_way: "50ms""#, ""));
    assert!(matches!(
        scenario.variants[0].stores[0].model,
        Model::OperationalTransformation(_)
    ));
    scenario.variants[0].stores[0].model =
        Model::OperationalTransformation(OperationalTransformation { is_broken: true });
    let all = of_replicate(&scenario, 0);
    assert_eq!(all["state.diverged_keys.left"], 1.0);
    assert_eq!(all["state.transforms"], 0.0);
}

#[test]
fn edits_go_on_while_the_server_is_away() {
    let cut = r#""cut": Partition(groups: [["x"], ["y", "z"]], at: "1s", for: "30s")"#;
    let scenario = read(&trio(MODEL, r#"one_way: "50ms""#, cut));
    let all = of_replicate(&scenario, 0);
    assert_kept(&all, cut);
    // Nobody waits: an edit is answered by the replica at hand.
    assert_eq!(all["state.time.update.mean"], 0.0);
    assert_eq!(all.get("state.unavailable").copied().unwrap_or(0.0), 0.0);
    // The agents are done some seconds later, while the text is still cut in two.
    assert!(all["state.divergence.total"] > 3.0, "{}", all["state.divergence.total"]);
}

/// Of two replicas 100 ms apart one is the server: who tells whom what, and what it weighs.
#[test]
fn messages_weigh_what_they_say() {
    let text = r#"(
        quorate: 1, name: "two", seed: 4, until: At("10s"), sites: ["x", "y"],
        network: (default: (one_way: "100ms")),
        state: {"s": (at: ["x", "y"], keys: {"t": Text}, model: OperationalTransformation(server: "y"))},
        agents: {"a": (count: 1, at: "x", program: [InsertText(key: "t", length: 5), InsertText(key: "t", length: 7)])},
    )"#;
    let all = of_replicate(&read(text), 0);
    // The first goes at once, the second once the first has its revision: each is submitted, told of, and acknowledged.
    assert_eq!(all["messages.peer.sent"], 6.0);
    let submit = |characters: f64| 16.0 + 4.0 + 8.0 + 8.0 + characters;
    // Of its own batch the author gets a word; it says in how many revisions it has it.
    let tell = 16.0 + 4.0 + 8.0;
    assert_eq!(
        all["messages.peer.bytes_sent"],
        submit(5.0) + submit(7.0) + 2.0 * (tell + 16.0)
    );
    assert_eq!((all["state.transforms"], all["state.lost_effects"]), (0.0, 0.0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let good = trio(MODEL, r#"one_way: "50ms""#, "");
    for (part, wrong, said) in [
        ("Transformation()", r#"Transformation(server: "w")"#, "unknown site"),
        ("Text}", "Counter}", "ot has no counter keys"),
        (
            "Transformation()",
            r#"Transformation(), anti_entropy: (every: "1s")"#,
            "`anti_entropy` has nothing to say",
        ),
        (
            "Transformation()",
            r#"Transformation(), replication: (delay: "1s")"#,
            "`replication` has nothing to say",
        ),
        (
            "OperationalTransformation()",
            "Quorum(resolve: OperationalTransformation())",
            "and not by a quorum",
        ),
    ] {
        assert!(good.contains(part));
        let text = good.replace(part, wrong);
        let outcome = load(
            "s.ron".as_ref(),
            &[],
            &Memory::new().with("s.ron", text.as_str()),
            &Registry,
        );
        let really = render(&outcome.diagnostics, &outcome.sources, Show::default());
        assert!(outcome.scenario.is_none() && really.contains(said), "{wrong}: {really}");
    }
}
