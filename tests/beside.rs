//! Members of coordination groups beside agents: of several groups of agents, asked by them, told something, and struck by what strikes them.

mod common;

use common::{measured, observed, read};
use quorate::scenario::Scenario;
use quorate::world::record::{Batch, Mask, Observer, What};

/// Who is asked, crashes, stands still, and is back, and when.
#[derive(Default)]
struct Fates(Vec<(u64, What, u32)>);

const SEEN: [What; 5] = [
    What::Crashed,
    What::Restarted,
    What::Paused,
    What::Resumed,
    What::RequestArrived,
];

impl Observer for Fates {
    fn wants(&self) -> Mask {
        Mask::of(&SEEN)
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let seen = batch.records.iter().filter(|record| SEEN.contains(&record.what));
        self.0
            .extend(seen.map(|record| (record.time.as_nanos() / 1_000_000_000, record.what, record.subject)));
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// Two groups of two agents each, with a member beside each of the four, the second group's first.
fn scenario(faults: &str) -> Scenario {
    read(&format!(
        r#"(
            quorate: 1, name: "beside", question: "?", until: At("100s"), sites: ["a", "b"],
            network: (default: (one_way: "1s")),
            coordination: {{"g": (pattern: Gossip(exchange: Push), beside: ["y", "x"], tells: "news")}},
            agents: {{
                "x": (count: 2, at: ["a", "b"], program: [Wait(topic: "news")]),
                "y": (count: 2, at: "b", program: [Submit(to: "g", value: 3), Wait(topic: "news")]),
            }},
            {faults}
        )"#
    ))
}

/// The first entities of the members, of `x` and of `y`.
fn addresses(scenario: &Scenario) -> [u32; 3] {
    let addresses = scenario.variants[0].addresses();
    [addresses.coordination[0], addresses.agents[0], addresses.agents[1]]
}

#[test]
fn agents_of_several_groups_ask_the_members_beside_them_and_are_told_by_them() {
    let of = measured(&scenario(""), 0, 0).sheet.numbers;
    // All four hear of both.
    assert_eq!(
        (of["coordination.g.items"], of["coordination.g.full"], of["task.done"]),
        (2.0, 2.0, 4.0)
    );
    // The members beside `y` are the first two, since it is named first; nobody else is asked.
    let all = scenario("");
    let [members, ..] = addresses(&all);
    let arrived = observed(&all, 1, Fates::default()).0;
    let arrived = arrived.into_iter().filter(|(_, what, _)| *what == What::RequestArrived);
    let mut arrived: Vec<(u64, u32)> = arrived.map(|(at, _, who)| (at, who)).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, [(0, members), (0, members + 1)]);
}

#[test]
fn what_strikes_agents_strikes_the_members_beside_them() {
    let crash = scenario(
        r#"faults: {"f": Crash(who: ["x", "g"], at: "10s", for: "5s"), "p": Pause(who: "y", at: "30s", for: "5s")}"#,
    );
    let [members, x, y] = addresses(&crash);
    let seen = observed(&crash, 1, Fates::default()).0;
    let of = |what: What| -> Vec<(u64, u32)> {
        let of = seen.iter().filter(|(_, kind, _)| *kind == what);
        let mut of: Vec<(u64, u32)> = of.map(|(at, _, who)| (*at, *who)).collect();
        of.sort_unstable();
        of
    };
    // Of the members those of `x`, the third and fourth, crash with their agents and once; the others because the group is named.
    let struck = [members, members + 1, members + 2, members + 3, x, x + 1];
    assert_eq!(of(What::Crashed), struck.map(|who| (10, who)));
    assert_eq!(of(What::Restarted), struck.map(|who| (15, who)));
    assert_eq!(of(What::Paused), [members, members + 1, y, y + 1].map(|who| (30, who)));
    assert_eq!(of(What::Resumed), [members, members + 1, y, y + 1].map(|who| (35, who)));
}

#[test]
fn a_member_is_struck_with_its_own_agent_where_each_has_its_own_time() {
    let faults = r#"faults: {
        "f": Pause(who: ["y", "g"], each: Member, when: Drawn(to_failure: Exponential(mean: "5s"), to_repair: Exponential(mean: "5s"))),
    }"#;
    let mut text = scenario(faults);
    text.variants.truncate(1);
    let [members, _, y] = addresses(&text);
    let mut both = 0;
    for seed in 0..20 {
        let seen = observed(&text, seed, Fates::default()).0;
        for place in 0..2 {
            let of = |who: u32| -> Vec<(u64, What)> {
                let of = seen
                    .iter()
                    .filter(|(_, what, entity)| *entity == who && *what != What::RequestArrived);
                of.map(|(at, what, _)| (*at, *what)).collect()
            };
            assert_eq!(
                of(members + place),
                of(y + place),
                "seed {seed}, the member beside y {place}"
            );
            both += of(y + place).len();
        }
    }
    assert!(both > 20, "{both}");
}
