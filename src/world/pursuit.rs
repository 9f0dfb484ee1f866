//! How a client pursues a call about which its policy says more than a timeout and retries: a deadline, several attempts under way
//! at once, several servers. Plain calls have none of it.
//!
//! What of it travels with a request, and so may be known to its server: the deadline, and of a tied request its twin.

use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// What a client keeps of a call that it pursues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pursuit {
    /// When the call is given up, whatever is under way; never if it has no deadline.
    pub deadline: SimTime,
    /// The service that the call names first: what its client knows of services as a whole is kept under it.
    pub home: u32,
    /// Attempts that were made one after another: hedges aren't among them, but those are that the client has rejected by itself.
    pub rounds: u32,
    /// The number of the last attempt.
    pub numbered: u32,
    /// Hedges that were sent since the last round began.
    pub hedges: u32,
    /// When the next one is sent; never if none is.
    pub hedge_at: SimTime,
    /// Attempts that the client waits for.
    pub flights: Vec<Flight>,
    /// All attempts, by number, where the servers differ: the first is number 1.
    pub sent: Vec<Sent>,
    /// The next attempt, where its server is chosen already.
    pub planned: Option<Sent>,
    /// Whether its requests can be cancelled, which their server is told.
    pub cancels: bool,
    /// The attempt that is held at the client, if one is.
    pub hold: Option<Hold>,
    /// Since when it is; never if none is.
    pub held: SimTime,
    /// Why its first attempt didn't leave, if that is still to be dealt with.
    pub verdict: Option<Rejection>,
}

/// Why a client rejects an attempt by itself; the number in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u64)]
pub enum Rejection {
    /// The server rejects many.
    Throttle,
    /// The circuit breaker is open.
    Breaker,
    /// The budget of retries is spent: the call fails.
    Budget,
    /// The deadline is over, or would be before the next attempt: the call fails.
    Deadline,
    /// There is no token of the client's rate, or no place among the attempts under way: a hedge isn't held.
    Full,
}

/// An attempt that its client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The attempt's number.
    pub number: u32,
    /// Its server.
    pub server: u32,
    /// When it was sent.
    pub sent: SimTime,
    /// How long it had been held at its client before.
    pub held: SimDuration,
    /// When it is given up; never if it has no timeout.
    pub due: SimTime,
    /// The generation of the circuit breaker that let it pass.
    pub generation: u32,
    /// Whether it is a hedge.
    pub hedge: bool,
}

/// An attempt that is held at its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Where it will go.
    pub to: Sent,
    /// The generation of the circuit breaker that let it pass.
    pub generation: u32,
    /// What it waits for.
    pub stage: Stage,
}

/// What an attempt is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// A token of the client's rate, which is reserved.
    Token,
    /// A place among the attempts under way.
    Place,
    /// Nothing more: it has got a place.
    Placed,
}

/// Where an attempt went, and who is tied to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its server.
    pub server: u32,
    /// Of a tied request: the server and the number of its twin.
    pub twin: Option<(u32, u32)>,
}

impl Pursuit {
    /// The pursuit of a call of `home` that has made no attempt yet.
    pub fn new(home: u32) -> Self {
        Self {
            deadline: SimTime::NEVER,
            home,
            rounds: 0,
            numbered: 0,
            hedges: 0,
            hedge_at: SimTime::NEVER,
            flights: Vec::new(),
            sent: Vec::new(),
            planned: None,
            cancels: false,
            hold: None,
            held: SimTime::NEVER,
            verdict: None,
        }
    }

    /// Whether the client waits for this attempt.
    pub fn awaits(&self, number: u32) -> bool {
        self.flights.iter().any(|flight| flight.number == number)
    }

    /// Where an attempt went, if that isn't where the call's first one did.
    pub fn sent(&self, number: u32) -> Option<&Sent> {
        self.sent.get((number as usize).checked_sub(1)?)
    }

    /// Who is tied to an attempt.
    pub fn twin(&self, number: u32) -> Option<(u32, u32)> {
        self.sent(number)?.twin
    }

    /// When something about it is due next.
    pub fn next_due(&self) -> SimTime {
        let timeouts = self.flights.iter().map(|flight| flight.due);
        timeouts
            .chain([self.deadline, self.hedge_at])
            .min()
            .unwrap_or(SimTime::NEVER)
    }

    /// What a server is told of it, as a word for the fingerprint.
    pub fn digest(&self, number: u32) -> u64 {
        let twin = self
            .twin(number)
            .map_or(0, |(server, number)| u64::from(server) << 32 | u64::from(number));
        let deadline = if self.deadline == SimTime::NEVER {
            0
        } else {
            self.deadline.as_nanos()
        };
        deadline ^ twin.rotate_left(17) ^ u64::from(self.cancels) << 63
    }
}
