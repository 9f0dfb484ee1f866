//! Which of several servers gets a request.
//!
//! Guarantees: a choice depends on nothing but what its owner knows itself: what it has under way, how what came back went, whose
//! turn it is, and chance that is addressed by the request. Nobody is asked.

use super::spec::Ejection;
use crate::kernel::{SimDuration, SimTime, Stream};
use serde::{Deserialize, Serialize};

/// Which of several servers gets a request, as whoever sends it sees them: a client, or a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Routing {
    /// The first that may get one.
    First,
    /// Any, all alike.
    Random,
    /// One after another.
    RoundRobin,
    /// Who has the fewest requests of this sender under way; of these, at a gateway, the first after the one that was chosen last, and at a
    /// client any.
    LeastInFlight,
    /// Who has the fewest of so many that are drawn (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
    PowerOf(u32),
    /// The same for all requests of a client, as long as it is there: the one with the highest hash of both (rendezvous hashing, D. Thaler
    /// and C. Ravishankar, 1998), so that who leaves takes only its own clients along.
    Sticky,
}

/// What is known of one server.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Known {
    in_flight: u32,
    /// Failures in a row.
    failures: u32,
    /// How often it was left out.
    ejections: u32,
    /// Until when it is left out.
    until: SimTime,
}

/// Who chooses, and what it knows of those it chooses from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Router {
    known: Vec<Known>,
    /// Where the next turn begins.
    next: u32,
    /// Room for those who are eligible, so that a choice allocates nothing.
    #[serde(skip)]
    room: Vec<u32>,
}

impl Router {
    /// One that chooses from so many.
    pub fn new(count: usize) -> Self {
        Self {
            known: vec![Known::default(); count],
            next: 0,
            room: Vec::with_capacity(count),
        }
    }

    /// The place of the one that gets a request of `client`, none of those in `tried` if there is another one. Those who are left out get
    /// none, unless all are.
    pub fn choose(&mut self, routing: Routing, client: u64, tried: &[u32], now: SimTime, stream: &mut Stream) -> u32 {
        let mut room = std::mem::take(&mut self.room);
        let count = self.known.len() as u32;
        let there = |place: &u32| self.known[*place as usize].until <= now;
        room.clear();
        room.extend((0..count).filter(|place| there(place) && !tried.contains(place)));
        if room.is_empty() {
            room.extend((0..count).filter(there));
        }
        if room.is_empty() {
            room.extend(0..count);
        }
        let chosen = self.choose_from(&mut room, routing, client, stream);
        self.room = room;
        chosen
    }

    fn choose_from(&mut self, room: &mut [u32], routing: Routing, client: u64, stream: &mut Stream) -> u32 {
        let load = |place: u32| self.known[place as usize].in_flight;
        match routing {
            Routing::First => room[0],
            Routing::Random => room[stream.below(room.len() as u64) as usize],
            Routing::RoundRobin => {
                let next = room.iter().find(|place| **place >= self.next).unwrap_or(&room[0]);
                self.next = next + 1;
                *next
            }
            Routing::LeastInFlight => {
                let (next, count) = (self.next, self.known.len() as u32);
                let turn = |place: u32| (place + count - next % count) % count;
                let least = room.iter().min_by_key(|place| (load(**place), turn(**place)));
                let least = *least.expect("there is always somebody to choose");
                self.next = least + 1;
                least
            }
            Routing::PowerOf(choices) => {
                // So many different ones, in the order in which they are drawn: the first of the least loaded.
                let choices = (choices as usize).min(room.len());
                for index in 0..choices {
                    let other = index + stream.below((room.len() - index) as u64) as usize;
                    room.swap(index, other);
                }
                let drawn = room[..choices].iter();
                *drawn.min_by_key(|place| load(**place)).expect("at least one is drawn")
            }
            Routing::Sticky => {
                let weight = |place: &&u32| affinity(client, **place);
                *room
                    .iter()
                    .max_by_key(weight)
                    .expect("there is always somebody to choose")
            }
        }
    }

    /// A request goes to this one.
    pub fn sent(&mut self, place: u32) {
        self.known[place as usize].in_flight += 1;
    }

    /// A request to this one isn't under way any more. True if it is left out from now on.
    pub fn over(&mut self, place: u32, how: How, ejects: Option<Ejection>, now: SimTime) -> bool {
        let known = &mut self.known[place as usize];
        known.in_flight -= 1;
        match how {
            How::Done => known.failures = 0,
            How::Failed => known.failures += 1,
            How::Neither => {}
        }
        let ejected =
            ejects.filter(|ejection| how == How::Failed && known.failures >= ejection.failures && known.until <= now);
        let Some(ejection) = ejected else { return false };
        known.failures = 0;
        known.ejections += 1;
        let period = SimDuration::from_nanos(ejection.period.as_nanos().saturating_mul(known.ejections.into()));
        known.until = now.saturating_add(period);
        true
    }

    /// Until when this one is left out.
    pub fn back_at(&self, place: u32) -> SimTime {
        self.known[place as usize].until
    }

    /// Forgets everything, as after a restart.
    pub fn forget(&mut self) {
        *self = Self::new(self.known.len());
    }
}

/// How a request to a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With an answer.
    Done,
    /// With a refusal, or none in time.
    Failed,
    /// It isn't waited for any more, which says nothing of the server.
    Neither,
}

/// How much a client is drawn to a server: with `Sticky` it goes to the one that draws it most.
pub fn affinity(client: u64, server: u32) -> u64 {
    mix(client ^ mix(u64::from(server)))
}

/// A word in which every bit of the other one counts (the finaliser of SplitMix64).
fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};

    fn stream(number: u64) -> Stream {
        Key::root(1, 0).stream(Purpose(1), number)
    }

    fn choices(router: &mut Router, routing: Routing, count: u64) -> Vec<u32> {
        (0..count)
            .map(|number| router.choose(routing, number, &[], SimTime::ZERO, &mut stream(number)))
            .collect()
    }

    #[test]
    fn turns_go_round_and_leave_out_who_was_tried() {
        let mut router = Router::new(3);
        assert_eq!(choices(&mut router, Routing::RoundRobin, 5), [0, 1, 2, 0, 1]);
        let again = router.choose(Routing::RoundRobin, 0, &[2], SimTime::ZERO, &mut stream(0));
        assert_eq!(again, 0);
        let all = router.choose(Routing::RoundRobin, 0, &[0, 1, 2], SimTime::ZERO, &mut stream(0));
        assert_eq!(all, 1, "who has tried all tries the next");
    }

    #[test]
    fn the_least_loaded_is_chosen_and_ties_go_round() {
        let mut router = Router::new(3);
        let mut chosen = Vec::new();
        for number in 0..6 {
            let place = router.choose(Routing::LeastInFlight, 0, &[], SimTime::ZERO, &mut stream(number));
            router.sent(place);
            chosen.push(place);
        }
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
        router.over(1, How::Done, None, SimTime::ZERO);
        assert_eq!(choices(&mut router, Routing::LeastInFlight, 1), [1]);
        assert_eq!(choices(&mut router, Routing::PowerOf(3), 4), [1; 4], "all are drawn");
    }

    #[test]
    fn of_two_that_are_drawn_the_less_loaded_is_chosen() {
        // Of three, one of which has a request: two of three draws have it in them, and it is never chosen.
        let mut router = Router::new(3);
        router.sent(2);
        let chosen = choices(&mut router, Routing::PowerOf(2), 3000);
        let of = |place: u32| chosen.iter().filter(|one| **one == place).count();
        assert_eq!(of(2), 0);
        // Binomial with p = 1/2: four standard deviations are 110.
        assert!(of(0).abs_diff(1500) < 110, "{}", of(0));
        let any = choices(&mut router, Routing::PowerOf(1), 3000);
        let third = any.iter().filter(|one| **one == 2).count();
        assert!(third.abs_diff(1000) < 104, "one choice is chance: {third}");
    }

    #[test]
    fn a_client_stays_with_its_server_and_others_do_not_move_when_one_leaves() {
        let mut router = Router::new(4);
        let before = choices(&mut router, Routing::Sticky, 4000);
        assert_eq!(before, choices(&mut router, Routing::Sticky, 4000));
        for place in 0..4 {
            let share = before.iter().filter(|one| **one == place).count();
            assert!(share.abs_diff(1000) < 110, "{place} has {share}");
        }
        let ejects = Some(Ejection {
            failures: 1,
            period: SimDuration::from_secs(1),
        });
        router.sent(2);
        assert!(router.over(2, How::Failed, ejects, SimTime::ZERO));
        let after = choices(&mut router, Routing::Sticky, 4000);
        for (was, is) in before.iter().zip(&after) {
            assert!(*was == 2 || was == is);
            assert_ne!(*is, 2);
        }
    }

    #[test]
    fn who_fails_in_a_row_is_left_out_for_longer_each_time_and_comes_back() {
        let ejection = Ejection {
            failures: 2,
            period: SimDuration::from_secs(10),
        };
        let mut router = Router::new(2);
        let at = |secs: u64| SimTime::from_nanos(secs * 1_000_000_000);
        let fail = |router: &mut Router, how, now| {
            router.sent(0);
            router.over(0, how, Some(ejection), now)
        };
        assert!(!fail(&mut router, How::Failed, at(0)));
        assert!(!fail(&mut router, How::Done, at(0)), "an answer in between");
        assert!(!fail(&mut router, How::Failed, at(0)));
        assert!(!fail(&mut router, How::Neither, at(0)));
        assert!(fail(&mut router, How::Failed, at(0)));
        let choose = |router: &mut Router, now| router.choose(Routing::LeastInFlight, 0, &[], now, &mut stream(0));
        assert_eq!([choose(&mut router, at(9)), choose(&mut router, at(9))], [1, 1]);
        assert_eq!(choose(&mut router, at(10)), 0);
        fail(&mut router, How::Failed, at(10));
        assert!(fail(&mut router, How::Failed, at(10)));
        assert_eq!(choose(&mut router, at(29)), 1);
        // Where all are left out, all are chosen from.
        router.sent(1);
        router.sent(1);
        router.over(1, How::Failed, Some(ejection), at(29));
        assert!(router.over(1, How::Failed, Some(ejection), at(29)));
        assert_eq!(choose(&mut router, at(29)), 0);
    }
}
