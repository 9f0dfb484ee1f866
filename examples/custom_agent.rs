//! An agent of one's own in Rust: it searches until it's satisfied, in a world of built-in services, network and measures.

use quorate::kernel::{Entry, Purpose, SimTime};
use quorate::scenario::{Extra, Registry, RunEnd, load, syntax::Memory};
use quorate::world::population::{Cx, Endpoint, Population, Sites, purpose};
use quorate::world::{Starter, call::Parts, message::Message};

const WORLD: &str = r#"(
    quorate: 1, name: "world", until: AllDone(within: "1h"), sites: ["lab", "web"],
    network: (default: (one_way: LogNormal(median: "40ms", sigma: 0.3))),
    services: {"search": (at: "web", servers: 4, time: Exponential(mean: "200ms"))},
)"#;

/// A group of agents: each has its endpoint, the calls that it made, and the account of its time. And the service's entity.
#[derive(Clone, serde::Serialize)]
struct Searchers(Vec<(Endpoint, u32, Parts)>, u32);

impl Population for Searchers {
    fn start(&mut self, starter: &mut Starter<'_, '_>) {
        self.0
            .iter_mut()
            .for_each(|agent| starter.start(&mut agent.0, SimTime::ZERO));
    }

    fn handle(&mut self, member: u32, _: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        let (endpoint, ..) = &mut self.0[member as usize];
        cx.begin_task(endpoint, member, 0);
        cx.call(endpoint, self.1, 0, 512);
    }

    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let (endpoint, calls, parts) = &mut self.0[member as usize];
        let Some(answer) = cx.answer(message) else { return };
        parts.merge(&answer.parts);
        *calls += 1;
        match endpoint.stream(Purpose(purpose::OWN), *calls as u64).chance(0.25) {
            true => cx.end_task(endpoint, member, 0, SimTime::ZERO, parts),
            false => cx.call(endpoint, self.1, *calls, 512),
        }
    }
}

/// Runs twenty of them, and gives back what the standard measures say.
pub fn measured(seed: u64) -> (RunEnd, quorate::measures::Sheet) {
    let files = Memory::new().with("world.ron", WORLD);
    let world = load("world.ron".as_ref(), &[], &files, &Registry).scenario.unwrap();
    let plan = &world.variants[0];
    let (lab, search) = (plan.site("lab").unwrap(), plan.service("search").unwrap());
    let searchers = Extra::new("searchers", 20, Sites::One(lab), |ends| {
        let agents = ends.into_iter().map(|end| (end, 0, Parts::default()));
        Box::new(Searchers(agents.collect(), search))
    });
    quorate::experiment::measure_with(plan, seed, 0, vec![searchers])
}
fn main() {
    for (name, value) in measured(1).1.numbers {
        println!("{name:32} {value:.3}");
    }
}
