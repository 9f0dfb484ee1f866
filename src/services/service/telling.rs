//! What a service says in records: why it refuses, what it does about questions, how a gateway's attempts end. The numbers stay as they are.

/// Why a request was refused; the number in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The rate limit.
    RateLimit,
    /// The queue is full.
    QueueFull,
    /// The budget is spent.
    Budget,
    /// A limit of prompts' tokens.
    TokensIn,
    /// A limit of answers' tokens.
    TokensOut,
    /// A limit of tokens.
    Tokens,
    /// A limit of requests in the house.
    Concurrency,
    /// It is more than a limit, or the memory of an inference service, ever has room for.
    TooLarge,
    /// The service has too much to do, or says so.
    Overloaded,
    /// It has waited for too long.
    WaitedTooLong,
    /// A gateway passed it on, and those whom it asked refused it or didn't answer in time.
    Behind,
}

impl Refusal {
    /// All reasons, in the order of their numbers, as measures name them.
    pub const NAMES: [&'static str; 11] = [
        "rate_limit",
        "queue_full",
        "budget",
        "tokens_in",
        "tokens_out",
        "tokens",
        "concurrency",
        "too_large",
        "overloaded",
        "waited",
        "behind",
    ];
}

/// What a service that keeps answers does about a question: the numbers in records.
pub mod cached {
    /// It has a fresh answer.
    pub const FRESH: u64 = 0;
    /// It has one that isn't fresh, and gives that.
    pub const STALE: u64 = 1;
    /// It has none, and somebody is finding one out, whose answer is waited for.
    pub const JOINED: u64 = 2;
    /// It has none.
    pub const MISSED: u64 = 3;
    /// It begins to find out a fresh one, for nobody.
    pub const REFRESHING: u64 = 4;
    /// It has done so.
    pub const REFRESHED: u64 = 5;
    /// It couldn't.
    pub const FAILED: u64 = 6;
    /// Somebody who waited for another's answer is answered as that one is.
    pub const SHARED: u64 = 7;
}

/// How an attempt of a gateway was over: the numbers in records.
pub mod passed {
    /// It was refused.
    pub const REFUSED: u64 = 0;
    /// Its answer was used.
    pub const USED: u64 = 1;
    /// Its answer came when nobody waited for it any more.
    pub const UNUSED: u64 = 2;
    /// It had no answer in time.
    pub const TIMED_OUT: u64 = 3;
    /// It wasn't waited for any longer.
    pub const LEFT: u64 = 4;
    /// The gateway has rejected it by itself, because its server rejects many: it was never sent.
    pub const REJECTED: u64 = 5;
    /// There is none: the budget of retries had no token for it, and the call has failed.
    pub const NO_TOKEN: u64 = 6;
    /// A hedge was due, and was left out.
    pub const LEFT_OUT: u64 = 7;
    /// Its answer was used, and it was a hedge: said beside that.
    pub const WON: u64 = 8;
}
