//! Budgets of agents: what is spent, what ends, goes elsewhere or is asked for, and whether the books agree.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, Scenario, load};
use quorate::world::ledger::event;
use quorate::world::record::{Batch, Mask, Observer, What};
use std::collections::BTreeMap;

/// Two services, of which the small one costs a tenth, agents of one group with this budget, and somebody who grants more.
fn scenario(budget: &str, count: u32, steps: &str, more: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "budgets", question: "?", until: AllDone(within: "1h"), sites: ["x", "y"],
            network: (links: [(between: ("x", "y"), one_way: "100ms")]),
            services: {{
                "big": (at: "x", time: "1s", price: (call: "1 USD", million_in: "1000 USD", million_out: "2000 USD")),
                "small": (at: "x", time: "500ms", price: (call: "0.1 USD")),
            }},
            policies: {{"again": (timeout: "5s", attempts: 3, backoff: FullJitter(base: "100ms", cap: "1s"))}},
            agents: {{
                "a": (count: {count}, at: "x", program: [{steps}]),
                "boss": (count: 1, at: "y", on: {{"more": [Think("10s"), Reply()]}}),
            }},
            budgets: {{"team": (agents: ["a"], {budget})}},
            {more}
        )"#
    )
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn said(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// Without end: a call of 100 tokens in and 50 out, which costs 1.2 dollars, takes a second.
const LOOP: &str = r#"Repeat(times: Forever, steps: [Call(service: "big", tokens: (tokens_in: 100, tokens_out: 50))])"#;

#[test]
fn a_spent_budget_stops_the_agent_when_it_runs_out() {
    let of = numbers(&scenario(r#"money: "6 USD", then: Stop"#, 1, LOOP, ""));
    // Five calls cost just six dollars; the sixth isn't begun.
    assert_eq!(
        (of["budget.team.money"], of["budget.team.calls"], of["budget.team.used"]),
        (6.0, 5.0, 1.0)
    );
    assert_eq!((of["budget.team.ran_out"], of["budget.team.first_stop"]), (4.0, 5.0));
    assert_eq!(
        (of["task.stopped"], of["task.failed"], of["task.aborted"]),
        (1.0, 0.0, 0.0)
    );
    assert_eq!((of["budget.team.over_money"], of["budget.team.stopped"]), (0.0, 1.0));
    let of = numbers(&scenario(r#"tokens: 700"#, 1, LOOP, ""));
    assert_eq!((of["budget.team.tokens"], of["budget.team.over_tokens"]), (750.0, 50.0));
    // Each of three has a budget of his own, or the group has one.
    let of = numbers(&scenario(r#"calls: 4, per: Agent"#, 3, LOOP, ""));
    assert_eq!(
        (
            of["budget.team.calls"],
            of["budget.team.accounts_out"],
            of["task.stopped"]
        ),
        (12.0, 3.0, 3.0)
    );
    let of = numbers(&scenario(r#"calls: 4, per: Group"#, 3, LOOP, ""));
    // Three are under way when the fourth is begun, and two more at that time.
    assert_eq!((of["budget.team.calls"], of["budget.team.over_calls"]), (6.0, 2.0));
}

#[test]
fn what_is_reserved_is_not_spent_by_others() {
    let of = numbers(&scenario(r#"calls: 4, reserve: ()"#, 3, LOOP, ""));
    assert_eq!((of["budget.team.calls"], of["budget.team.over_calls"]), (4.0, 0.0));
    // A call costs 1.2 dollars, and 2.2 are reserved for it: with 5 dollars the third isn't begun.
    let of = numbers(&scenario(
        r#"money: "5 USD", reserve: (tokens_in: 200, tokens_out: 500)"#,
        1,
        LOOP,
        "",
    ));
    assert_eq!((of["budget.team.money"], of["budget.team.calls"]), (3.6, 3.0));
    assert!(!of.contains_key("budget.team.ran_out"), "1.4 dollars are left");
    // What a call reserved that never came to be worked on is free again.
    let steps = r#"Call(service: "big"), Call(service: "big")"#;
    let text = scenario(r#"calls: 2, reserve: ()"#, 1, steps, "")
        .replace("program: [Call", "on_failure: Continue, program: [Call");
    let text = text.replace(r#""big": (at: "x","#, r#""big": (at: "x", overload: (above: 1),"#);
    let other = r#""b": (count: 1, at: "x", program: [Call(service: "big")]), "boss""#;
    let of = numbers(&text.replace(r#""boss""#, other).replace(
        r#"program: [Call(service: "big"), Call"#,
        r#"start: AtOnce(at: "500ms"), program: [Call(service: "big"), Sleep("1s"), Call"#,
    ));
    assert_eq!(
        (of["calls.refused"], of["budget.team.calls"], of["budget.team.stopped"]),
        (1.0, 1.0, 0.0)
    );
}

#[test]
fn branches_end_with_their_agent_and_a_handler_still_answers() {
    let steps = r#"Parallel([[Task(name: "inner", steps: [Sleep("1h")])], [Repeat(times: Forever, steps: [Call(service: "big")])]]), Think("1h")"#;
    let text = scenario(r#"calls: 3"#, 2, steps, "");
    let of = numbers(&text);
    assert_eq!(
        (of["task.stopped"], of["task.inner.aborted"], of["task.unfinished"]),
        (2.0, 2.0, 0.0)
    );
    let path = observed(&read(&text), 1, CriticalPath::new());
    assert_eq!((path.checked(), path.wrong()), (4, &[] as &[String]));
    // A helper that calls from the same budget: its handler ends, and the ask is answered.
    let steps = r#"Repeat(times: 3, steps: [Ask(to: Any("helper"), topic: "help")])"#;
    let helper = r#""helper": (count: 1, at: "x", on: {"help": [Call(service: "big"), Think("1s"), Reply()]}), "boss""#;
    let text = scenario(r#"calls: 1"#, 1, steps, "")
        .replace(r#""boss""#, helper)
        .replace(r#"["a"]"#, r#"["helper"]"#);
    let of = numbers(&text);
    assert_eq!(
        (of["task.done"], of["budget.team.stopped"], of["task.time.mean"]),
        (1.0, 2.0, 2.0)
    );
}

#[test]
fn calls_go_to_the_cheaper_service_once_the_budget_is_spent() {
    let steps = r#"Repeat(times: 10, steps: [Call(service: "big", tokens: (tokens_in: 100, tokens_out: 50))])"#;
    let of = numbers(&scenario(
        r#"money: "4 USD", then: Degrade({"big": "small"})"#,
        1,
        steps,
        "",
    ));
    // Four calls of 1.2, and six of 0.1.
    assert_eq!(
        (
            of["service.big.served"],
            of["service.small.served"],
            of["budget.team.degraded"]
        ),
        (4.0, 6.0, 6.0)
    );
    assert!((of["budget.team.money"] - 5.4).abs() < 1e-9);
    assert_eq!((of["task.done"], of["task.time.mean"]), (1.0, 7.0));
    assert!((of["budget.team.money_per_task"] - 5.4).abs() < 1e-9);
    assert!((of["budget.team.money_per_answer"] - 0.54).abs() < 1e-9);
}

#[test]
fn who_asks_for_more_waits_for_the_answer() {
    let steps = r#"Repeat(times: 10, steps: [Call(service: "big")])"#;
    let ask = r#"calls: 4, then: Ask(to: Any("boss"), topic: "more", grant: (calls: 3))"#;
    let of = numbers(&scenario(ask, 1, steps, ""));
    // Four calls, three and three: two asks of 100 ms there, 10 s of thought and 100 ms back.
    assert_eq!(
        (
            of["budget.team.asks"],
            of["budget.team.grants"],
            of["budget.team.calls"]
        ),
        (2.0, 2.0, 10.0)
    );
    assert_eq!((of["task.time.mean"], of["task.part.coordination"]), (30.4, 20.4));
    assert_eq!((of["budget.team.wait.max"], of["budget.team.over_calls"]), (10.2, 0.0));
    // Nobody answers in time: the step fails, and with it the task.
    let late = ask.replace("grant", r#"timeout: "5s", grant"#);
    let of = numbers(&scenario(&late, 1, steps, ""));
    assert_eq!(
        (of["task.failed"], of["budget.team.asks"], of["budget.team.grants"]),
        (1.0, 1.0, 0.0)
    );
    // Whoever goes on after a failure goes on behind the call that wasn't made.
    let text = scenario(&late, 1, steps, "").replace("program: [Repeat", "on_failure: Continue, program: [Repeat");
    let of = numbers(&text);
    assert_eq!(
        (of["budget.team.calls"], of["budget.team.asks"], of["task.time.mean"]),
        (4.0, 6.0, 34.0)
    );
}

/// What was spent by the records of servers alone.
#[derive(Default)]
struct Spending {
    prices: BTreeMap<u32, [u64; 3]>,
    of_servers: BTreeMap<u32, [u64; 3]>,
    of_ledger: BTreeMap<u32, [u64; 3]>,
}

impl Observer for Spending {
    fn wants(&self) -> Mask {
        Mask::of(&[What::ServiceStarted, What::Budget])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let add = |sums: &mut [u64; 3], tokens: u64, money: u64| {
            sums[0] += 1;
            sums[1] += (tokens >> 32) + (tokens & 0xffff_ffff);
            sums[2] += money;
        };
        for record in batch.records {
            match record.what {
                What::ServiceStarted => {
                    let [call, each_in, each_out] = self.prices[&record.subject];
                    let money = call + each_in * (record.c >> 32) + each_out * (record.c & 0xffff_ffff);
                    add(
                        self.of_servers.entry((record.a >> 32) as u32).or_default(),
                        record.c,
                        money,
                    );
                }
                _ if record.c == event::BILLED => {
                    let money = batch.extra(record)[0];
                    add(self.of_ledger.entry(record.subject).or_default(), record.b, money);
                }
                _ => {}
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn prices(scenario: &Scenario) -> BTreeMap<u32, [u64; 3]> {
    let plan = &scenario.variants[0];
    let of = |service: &quorate::scenario::plan::ServicePlan| {
        let spec = &service.spec;
        [spec.price_per_call, spec.price_per_token_in, spec.price_per_token_out]
    };
    let services = plan.services.iter();
    services
        .map(|service| (plan.service(&service.name).unwrap(), of(service)))
        .collect()
}

#[test]
fn what_was_spent_is_what_servers_began_to_work_on_under_faults() {
    let faults = r#"faults: {
        "crash": Crash(who: "big", keep: State, when: Drawn(until: "300s", to_failure: Exponential(mean: "20s"), to_repair: Exponential(mean: "3s"))),
        "lost": Crash(who: "a", keep: Nothing, when: Drawn(until: "300s", to_failure: Exponential(mean: "40s"), to_repair: Exponential(mean: "2s"))),
        "pause": Pause(who: "a", when: Drawn(until: "300s", to_failure: Exponential(mean: "25s"), to_repair: Exponential(mean: "3s"))),
    },"#;
    let steps = r#"Repeat(times: 12, steps: [Parallel([
        [Call(service: "big", policy: "again", tokens: (tokens_in: Uniform(low: 10, high: 900), tokens_out: 20))], [Call(service: "small")]]),
        Think(Exponential(mean: "1s"))])"#;
    for budget in [
        r#"money: "20 USD", per: Agent"#,
        r#"tokens: 9000, calls: 70, then: Degrade({"big": "small"})"#,
        r#"calls: 20, reserve: (tokens_in: 100), then: Ask(to: Any("boss"), topic: "more", timeout: "30s", grant: (calls: 15))"#,
    ] {
        let scenario = read(&scenario(budget, 3, steps, faults));
        for seed in 1..=3 {
            let path = observed(&scenario, seed, CriticalPath::new());
            assert!(path.checked() >= 3);
            assert_eq!(path.wrong(), &[] as &[String], "{budget}, seed {seed}");
            let spending = Spending {
                prices: prices(&scenario),
                ..Spending::default()
            };
            let spending = observed(&scenario, seed, spending);
            assert_eq!(spending.of_ledger, spending.of_servers, "{budget}, seed {seed}");
            assert_eq!(spending.of_ledger.len(), 3);
        }
        measured(&scenario, 0, 0);
    }
}

#[test]
fn a_budget_of_no_amount_measures_and_changes_nothing() {
    let steps = r#"Repeat(times: 5, steps: [Call(service: "big", tokens: (tokens_in: Exponential(mean: 50))), Think(Exponential(mean: "1s"))])"#;
    let with = scenario("", 2, steps, "");
    let without = with.replace(r#"budgets: {"team": (agents: ["a"], )},"#, "");
    assert!(!without.contains("budgets: {"));
    let (with, without) = (measured(&read(&with), 0, 0), measured(&read(&without), 0, 0));
    assert_eq!(with.print, without.print);
    assert_eq!(
        with.sheet.numbers["budget.team.money"],
        without.sheet.numbers["calls.money"]
    );
    assert_eq!(with.sheet.numbers["budget.team.tasks_done"], 2.0);
}

#[test]
fn budgets_that_can_not_be_are_refused_with_their_place() {
    let cases = [
        (r#"then: Stop"#, "E0525"),
        (r#"money: "0 USD""#, "E02"),
        (r#"money: "-1 USD""#, "E02"),
        (r#"calls: 3, then: Degrade({"big": "big"})"#, "E0526"),
        (r#"calls: 3, then: Degrade({"big": "small", "small": "big"})"#, "E0526"),
        (r#"calls: 3, then: Degrade({"big": "smal"})"#, "did you mean \"small\"?"),
        (r#"calls: 3, then: Degrade({})"#, "E0442"),
        (
            r#"calls: 3, then: Ask(to: Any("boss"), topic: "mor", grant: (calls: 1))"#,
            "E0452",
        ),
        (
            r#"calls: 3, then: Ask(to: Any("boss"), topic: "more", grant: (tokens: 1))"#,
            "E0525",
        ),
        (
            r#"calls: 3, then: Ask(to: All("boss"), topic: "more", grant: (calls: 1))"#,
            "E0457",
        ),
    ];
    for (budget, code) in cases {
        let text = said(&scenario(budget, 1, LOOP, ""));
        assert!(text.contains(code) && text.contains("s.ron:"), "{budget}: {text}");
    }
    let text = scenario(r#"calls: 3"#, 1, LOOP, "").replace(r#"["a"]"#, r#"["b"]"#);
    assert!(said(&text).contains("E04"), "{}", said(&text));
    let itself = r#"calls: 3, then: Ask(to: Any("boss"), topic: "more", grant: (calls: 1))"#;
    let text = scenario(itself, 1, LOOP, "")
        .replace(r#"agents: ["a"], "#, "")
        .replace("[Think(", r#"[Call(service: "small"), Think("#);
    assert!(said(&text).contains("he would ask himself"), "{}", said(&text));
}
