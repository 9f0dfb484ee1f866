//! A merge rule of one's own in Rust: of concurrent verdicts the most severe is shown, whoever wrote it last.

use quorate::scenario::{Registry, load, syntax::Memory};
use quorate::state::siblings::{CustomRule, MergeRule, MergeRules, Sibling};
use quorate::state::{Dot, DottedVersionVectors, Held, KeyType, Value};
use quorate::stores::Model;

const WORLD: &str = r#"(
    quorate: 1, name: "verdicts", until: AllDone(within: "1h"), sites: ["a", "b"],
    network: (default: (one_way: "80ms")),
    state: {"review": (
        at: ["a", "b"], keys: {"verdict": Register(count: 20)}, model: DottedVersionVectors(), anti_entropy: (every: "1s"),
    )},
    agents: {
        "left": (count: 3, at: "a", program: [Repeat(times: 40, steps: [Update(key: "verdict", think: "100ms")])]),
        "right": (count: 3, at: "b", program: [Repeat(times: 40, steps: [Update(key: "verdict", think: "100ms")])]),
    },
)"#;

/// How severe a verdict is: what a team would read out of its value.
fn severity(sibling: &Sibling) -> u64 {
    match sibling.held {
        Held::Register(verdict) => verdict % 5,
        _ => 0,
    }
}

/// Shows the most severe of the siblings; of equal ones that of the highest dot.
fn most_severe(_: KeyType, siblings: &[Sibling]) -> (Value, Vec<Dot>) {
    let worst = siblings.iter().max_by_key(|sibling| (severity(sibling), sibling.dot));
    let worst = worst.expect("there are some");
    (worst.held.to_value(), vec![worst.dot])
}

/// Runs the review under a rule for its registers, and gives back the measures.
pub fn measured(rule: Option<MergeRule>, seed: u64) -> quorate::measures::Sheet {
    let files = Memory::new().with("world.ron", WORLD);
    let mut world = load("world.ron".as_ref(), &[], &files, &Registry).scenario.unwrap();
    let plan = &mut world.variants[0];
    if let Some(register) = rule {
        plan.stores[0].model = Model::DottedVersionVectors(DottedVersionVectors {
            rules: MergeRules {
                register,
                ..MergeRules::default()
            },
            ..DottedVersionVectors::default()
        });
    }
    quorate::experiment::measure_with(plan, seed, 0, Vec::new()).1
}

/// The rule.
pub const MOST_SEVERE: MergeRule = MergeRule::Custom(CustomRule {
    name: "MostSevere",
    keys: &[KeyType::Register],
    resolve: most_severe,
});

fn main() {
    for (name, rule) in [("all siblings", None), ("the most severe", Some(MOST_SEVERE))] {
        let numbers = measured(rule, 1).numbers;
        let of = |measure: &str| numbers.get(measure).copied().unwrap_or(0.0);
        println!(
            "{name}: {} conflicts, {} stale reads, {} lost",
            of("state.conflicts"),
            of("state.stale_reads"),
            of("state.lost_effects")
        );
    }
}
