//! What servers did, by the records alone: when they were down or stood still, and what they worked on when.

use crate::coordination::member::event::ANSWERED;
use crate::kernel::SimDuration;
use crate::services::batching::event;
use crate::services::service::cached;
use crate::world::record::{Record, What};
use std::collections::BTreeMap;

/// How a server's speed went.
#[derive(Debug, Clone)]
struct Speed {
    down: bool,
    paused: bool,
    speed: f64,
    /// From when on it worked at which speed; at none where it was down.
    changes: Vec<(u64, f64)>,
}

impl Default for Speed {
    fn default() -> Self {
        Self {
            down: false,
            paused: false,
            speed: 1.0,
            changes: vec![(0, 1.0)],
        }
    }
}

/// A piece of work that was done to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    call: u64,
    ended: u64,
    /// When it began last: a crash undoes what was done before.
    began: u64,
    arrived: u64,
}

/// How the time of a request at its server divides, but for the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// How long the server was down or stood still before work began.
    pub stood: u64,
    /// The same from then on.
    pub down: u64,
    /// How long it worked in vain.
    pub undone: u64,
}

/// What is known of all servers.
#[derive(Debug, Clone, Default)]
pub(super) struct Servers {
    speeds: BTreeMap<u32, Speed>,
    /// Requests that arrived, by call.
    arrived: BTreeMap<u64, Vec<u64>>,
    /// When work on a call, or on another that was begun by the same one, began.
    began: BTreeMap<u64, Vec<u64>>,
    /// What was done, by the call that began it.
    done: BTreeMap<u64, Vec<Work>>,
    /// When calls were answered from a cache, or as another one was.
    cached: BTreeMap<u64, Vec<u64>>,
    /// For calls that gateways made, the call that began it.
    roots: BTreeMap<u64, u64>,
    /// When calls were out of the batch of an inference endpoint that they had been in; the last may not be over.
    out: BTreeMap<u64, Vec<(u64, Option<u64>)>>,
}

impl Servers {
    /// A record about a server.
    pub fn see(&mut self, record: &Record, extra: &[u64]) {
        let now = record.time.as_nanos();
        match record.what {
            What::RequestArrived => self.arrived.entry(record.a).or_default().push(now),
            What::Inference => self.see_batch(record),
            What::ServiceStarted => self.began.entry(self.root(record.a)).or_default().push(now),
            What::AnswerCached if matches!(record.c, cached::FRESH | cached::STALE | cached::SHARED) => {
                self.cached.entry(record.a).or_default().push(now);
            }
            What::PassedOn if extra.len() == 2 => {
                let root = self.root(extra[0]);
                self.roots.insert(record.a, root);
            }
            What::ServiceFinished => self.done.entry(self.root(record.a)).or_default().push(Work {
                call: record.a,
                ended: now,
                began: record.b,
                arrived: extra[0],
            }),
            // Whoever asks a member of a coordination group waits for others.
            What::Coordination if record.c == u64::from(ANSWERED) => {
                self.cached.entry(record.a).or_default().push(now);
            }
            What::Crashed | What::Restarted | What::Paced | What::Paused | What::Resumed => {
                let speed = self.speeds.entry(record.subject).or_default();
                match record.what {
                    What::Crashed => speed.down = true,
                    What::Restarted => speed.down = false,
                    What::Paused => speed.paused = true,
                    What::Resumed => speed.paused = false,
                    _ => speed.speed = f64::from_bits(record.a),
                }
                let effective = if speed.down || speed.paused { 0.0 } else { speed.speed };
                speed.changes.push((now, effective));
            }
            _ => {}
        }
    }

    /// The call that began it: a server may know a request by that.
    fn root(&self, call: u64) -> u64 {
        self.roots.get(&call).copied().unwrap_or(call)
    }

    /// What was done for a call: its own requests, and then those of others that were begun by the same one.
    fn done_for(&self, call: u64) -> impl Iterator<Item = &Work> + Clone {
        let works = || self.done.get(&self.root(call)).into_iter().flatten();
        let own = works().filter(move |work| work.call == call);
        own.chain(works().filter(move |work| work.call != call))
    }

    /// A record about the batch of an inference endpoint.
    fn see_batch(&mut self, record: &Record) {
        let now = record.time.as_nanos();
        match record.c {
            event::PREEMPTED => self.out.entry(record.a).or_default().push((now, None)),
            event::AGAIN => {
                let last = self.out.get_mut(&record.a).and_then(|all| all.last_mut());
                if let Some((_, until)) = last {
                    *until = Some(now);
                }
            }
            _ => {}
        }
    }

    /// How long a server did other work between two times than that on a call that was out of its batch.
    fn out(&self, server: u32, call: u64, from: u64, to: u64) -> u64 {
        let all = self.out.get(&call).into_iter().flatten();
        let clipped = all.filter_map(|(since, until)| Some(((*since).max(from), (*until)?.min(to))));
        let lasting = clipped.filter(|(since, until)| since < until);
        lasting
            .map(|(since, until)| (until - since) - (self.stood(server, until) - self.stood(server, since)))
            .sum()
    }

    /// How long a server was down or stood still before `until`; at less than its own speed for the part that it lacked.
    fn stood(&self, server: u32, until: u64) -> u64 {
        let Some(speed) = self.speeds.get(&server) else {
            return 0;
        };
        let ends = speed.changes.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        let stretches = speed.changes.iter().zip(ends);
        stretches
            .map(|((from, speed), to)| {
                let length = to.min(until).saturating_sub(*from);
                let at_work = SimDuration::from_nanos_f64(length as f64 * speed).as_nanos();
                length - at_work.min(length)
            })
            .sum()
    }

    /// When work on a request of this call ended last before `until` that had arrived then, and begun then or later.
    pub fn ended(&self, call: u64, [arrived, started]: [u64; 2], until: u64) -> Option<u64> {
        let works = self.done_for(call);
        let own = works.filter(|work| {
            work.call == call && work.arrived == arrived && work.began >= started && work.ended <= until
        });
        own.map(|work| work.ended).max()
    }

    /// Whether a request of this call may have been answered from a cache at `finished`, or as another one was.
    pub fn cached(&self, call: u64, finished: u64) -> bool {
        self.cached.get(&call).is_some_and(|all| all.contains(&finished))
    }

    /// How long a server was down or stood still between two times.
    pub fn stood_between(&self, server: u32, from: u64, to: u64) -> u64 {
        self.stood(server, to) - self.stood(server, from)
    }

    /// How the time of a request of this call divides that arrived, began to be worked on and was answered at these times.
    /// `claimed` is what the server says: it has to follow from work that was done.
    pub fn split(&self, server: u32, call: u64, times: [u64; 3], claimed: Split) -> Result<Split, String> {
        let [arrived, started, finished] = times;
        let known = |times: Option<&Vec<u64>>, at: u64| times.is_some_and(|all| all.contains(&at));
        if !known(self.arrived.get(&call), arrived) {
            return Err(format!("no request arrived at {arrived}"));
        }
        if started > arrived && !known(self.began.get(&self.root(call)), started) {
            return Err(format!("no work began at {started}"));
        }
        let stood = |from: u64, to: u64| self.stood(server, to) - self.stood(server, from);
        // A server that knows the call already answers at once, or joins the work that is under way.
        let at_once = (finished == started).then_some(Split {
            stood: stood(arrived, started),
            down: 0,
            undone: 0,
        });
        let own = self
            .done_for(call)
            .filter(|work| work.ended == finished && work.arrived <= arrived);
        let of = |work: &Work| {
            let last = work.began.max(started);
            Split {
                stood: stood(arrived, started),
                down: stood(started, finished),
                undone: (last - started) - stood(started, last) + self.out(server, call, last, finished),
            }
        };
        let mut all = own.map(of).chain(at_once);
        // Copies of a request may be at work at once: one of them has to explain what the server says.
        all.clone()
            .find(|split| *split == claimed)
            .or_else(|| all.next())
            .ok_or_else(|| format!("no work ended at {finished}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u32 = 7;
    const CALL: u64 = 1;

    /// A server that slows down to a quarter from 10 to 18 and is down from 20 to 25; a call that came at 4 and was worked on from 8 on,
    /// anew from 25, to 31.
    fn servers() -> Servers {
        let mut servers = Servers::default();
        servers.arrived.insert(CALL, vec![4]);
        servers.began.insert(CALL, vec![8, 25]);
        let work = Work {
            call: CALL,
            ended: 31,
            began: 25,
            arrived: 4,
        };
        servers.done.insert(CALL, vec![work]);
        let changes = vec![(0, 1.0), (10, 0.25), (18, 1.0), (20, 0.0), (25, 1.0)];
        let speed = Speed {
            changes,
            ..Speed::default()
        };
        servers.speeds.insert(S, speed);
        servers
    }

    #[test]
    fn an_outage_is_down_and_what_it_undid_is_work_in_vain() {
        let servers = servers();
        assert_eq!([9, 18, 21, 40].map(|until| servers.stood(S, until)), [0, 6, 7, 11]);
        assert_eq!(servers.stood(S + 1, 40), 0);
        let truth = Split {
            stood: 0,
            down: 11,
            undone: 6,
        };
        assert_eq!(servers.split(S, CALL, [4, 8, 31], truth), Ok(truth));
        // One that joined the work at 19 has a second of it undone.
        let mut servers = servers;
        servers.arrived.insert(CALL, vec![4, 19]);
        let joined = Split {
            stood: 0,
            down: 5,
            undone: 1,
        };
        assert_eq!(servers.split(S, CALL, [19, 19, 31], joined), Ok(joined));
    }

    #[test]
    fn what_a_server_says_and_did_not_do_is_found() {
        let servers = servers();
        let claimed = Split {
            stood: 0,
            down: 17,
            undone: 0,
        };
        assert_ne!(servers.split(S, CALL, [4, 8, 31], claimed), Ok(claimed));
        assert!(
            servers.split(S, CALL, [4, 8, 30], claimed).is_err(),
            "no work ended then"
        );
        assert!(
            servers.split(S, CALL, [4, 9, 31], claimed).is_err(),
            "no work began then"
        );
        assert!(
            servers.split(S, CALL, [5, 8, 31], claimed).is_err(),
            "no request arrived then"
        );
    }
}
