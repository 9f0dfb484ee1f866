//! `services`: what agents call.

use super::laws::{NumberLaw, TimeLaw};
use crate::scenario::syntax::quantity::{Bytes, Duration, Money, Positive, Probability, Rate};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

crate::language! {
    /// Something that agents call: a model, a tool, a database.
    pub struct Service {
        /// Its site.
        at: Part<Spanned<String>>,
        /// How many requests are in work at once.
        servers: Part<Servers> = Part::from(Servers::Unlimited),
        /// Who is served next.
        discipline: Part<Spanned<Discipline>> = Part::from(Discipline::Fifo),
        /// How many requests may wait for a server; one more is refused. Without it any number may. Where requests share the servers
        /// nobody waits: so many more than there are servers may be in work.
        queue: Part<Option<Spanned<u32>>>,
        /// How long the work on a request takes.
        time: Part<ServiceTime> = Part::from(ServiceTime::Law(constant())),
        /// How many tokens a request has, unless the call says it.
        tokens: Part<Option<Tokens>>,
        /// The rate limit at its door.
        limit: Part<Option<RateLimit>>,
        /// What it does about requests that nobody waits for any more.
        abandoned: Part<Spanned<Abandoned>> = Part::from(Abandoned::Serve),
        /// Several limits at its door at once; not beside `limit`. A request comes in if all of them have room for it, and otherwise takes
        /// nothing of any. `Retry-After` is the longest wait of those that have none; a limit of requests at a time says none.
        limits: Part<Vec<Part<Spanned<Limit>>>> = Part::from(Vec::new()),
        /// What happens to a request beyond one of the `limits`. Whoever waits does so in one line, whose first comes in as soon as all of them
        /// have room for him.
        excess: Part<Spanned<Excess>> = Part::from(Excess::Refuse { retry_after: true }),
        /// When it refuses because it has too much to do, as with the status 529.
        overload: Part<Option<Spanned<Overload>>>,
        /// That it is an inference endpoint, which works on requests in batches. Then `servers` and `time` say nothing; `discipline` says who
        /// comes into the batch next.
        batching: Part<Option<Spanned<Batching>>>,
        /// What may be spent in all; beyond it every request is refused.
        budget: Part<Option<Budget>>,
        /// What a call costs.
        price: Part<Option<Price>>,
        /// The size of an answer.
        answer: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        /// How long a request may wait for a server: one whose turn comes later is refused then. Without it any time. An inference endpoint
        /// looks at whose turn it is whenever it puts an iteration together.
        most_wait: Part<Option<Spanned<Positive<Duration>>>>,
        /// That it keeps answers, and gives them to calls that say what they are `about`. A cache at the callers is that of a gateway at their
        /// site.
        cache: Part<Option<Spanned<AnswerCache>>>,
        /// That it is a gateway: once its servers have worked on a request for `time` (which may be none), it passes it on to others, and
        /// answers with what they answer. What they refuse, or don't answer in time, it refuses.
        forwards: Part<Option<Spanned<Forwards>>>,
        /// That it is a lock, which agents hold while they do the steps of a `WithLock`, and not something that works. Beside this a
        /// lock service has a site and the size of an answer.
        lock: Part<Option<Spanned<Lock>>>,
    }

    /// How a lock service grants its lock: to one holder at a time, in the order of requests.
    pub struct Lock {
        /// How long a grant lasts by the clock of the service; then the next one gets the lock.
        lease: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(10))),
        /// How often holders renew their lease, without waiting for a confirmation. Without it they don't.
        renew: Part<Option<Spanned<Positive<Duration>>>>,
        /// Whether reads and updates under the lock carry the token of its grant, so that a store refuses those whose token is older than one
        /// that it has seen.
        fencing: Part<bool> = Part::from(false),
    }

    /// How many requests are in work at once.
    pub enum Servers {
        /// Any number.
        Unlimited,
        /// So many; the number alone means this.
        Count(Positive<u32>) as bare,
    }

    /// Who is served next. Nobody who is in work is interrupted for somebody else.
    pub enum Discipline {
        /// Who came first.
        Fifo,
        /// Who came last.
        Lifo,
        /// Who has the highest `priority`, which calls say; of these who came first.
        Priority,
        /// Whose work takes the least time, which the service knows when he comes; of these who came first.
        ShortestFirst,
        /// Each tenant gets its share, however much others ask for: whoever has got the least so far, for its weight, is served next
        /// (start-time fair queueing). What a tenant doesn't ask for goes to the others, and isn't saved up.
        Fair {
            /// Who is a tenant. Of what comes through gateways it is who asked first.
            tenants: Part<Tenants> = Part::from(Tenants::Groups),
            /// What a share is measured in.
            of: Part<ShareOf> = Part::from(ShareOf::Requests),
            /// The weights of groups, or of each agent in them; whoever isn't named has 1.
            weights: Named<Part<Positive<u32>>> = Named::default(),
        },
        /// All at once: they share the servers in equal parts, none more than one server (processor sharing). A request's time at work
        /// grows with the company that it has.
        Sharing,
    }

    /// How a service keeps answers. One that is given again costs nothing, and passes by queue, limits and budget.
    pub struct AnswerCache {
        /// How long an answer is fresh, from when it was found out.
        ttl: Part<Positive<Duration>>,
        /// By which part of that it is fresh for less or longer, evenly: answers of one time then don't expire together.
        jitter: Part<Spanned<f64>> = Part::from(0.0),
        /// For how long after that it is given all the same, while one request of the service's own finds out a fresh one.
        stale: Part<Duration> = Part::from(Duration::ZERO),
        /// How many answers are kept; of more the one that was asked for longest ago goes.
        size: Part<Positive<u32>> = Part::from(super::positive(1_000_000)),
        /// Whether those who ask about what somebody has asked about and hasn't been answered wait for his answer, and share his
        /// fate, instead of asking as well.
        single_flight: Part<bool> = Part::from(false),
    }

    /// Who is a tenant of a service.
    pub enum Tenants {
        /// Each group of agents.
        Groups,
        /// Each agent.
        Agents,
    }

    /// What a share of a service is measured in.
    pub enum ShareOf {
        /// Requests.
        Requests,
        /// Tokens, in and out together.
        Tokens,
        /// The time that the work takes.
        Work,
    }

    /// How a gateway passes requests on. It makes calls of its own, one or several for each request.
    pub struct Forwards {
        /// To whom: services, other gateways among them. One that stands here twice gets twice the share where chance or turns decide.
        to: Part<Spanned<OneOrMany<Part<Spanned<String>>>>>,
        /// Which of them gets a request. A gateway goes by what it knows itself, and asks nobody.
        routing: Part<Spanned<Routing>> = Part::from(Routing::RoundRobin),
        /// How many of them get each request, all at once: a fan-out.
        fan_out: Part<Spanned<Positive<u32>>> = Part::from(super::positive(1)),
        /// How many of these have to answer; without it all. The others aren't waited for then.
        need: Part<Option<Spanned<Positive<u32>>>>,
        /// The policy of its calls: timeout, attempts and the waits between them, a budget of retries, a throttle for each server, hedges.
        /// Another attempt goes to another one, where there is one. Without it one attempt, for ever.
        policy: Part<Option<Spanned<String>>>,
        /// The size of a request that is passed on.
        request: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        /// Whether one of the gateway's `servers` is busy with a request until it is answered, as a thread would be. So no more than these
        /// are under way at once, and the others wait here, by the `discipline` and the `queue`. Otherwise it is busy for `time` alone.
        holds: Part<Spanned<bool>> = Part::from(false),
        /// That several requests are gathered to one, with the tokens of all of them; its answer answers all.
        batch: Part<Option<Spanned<Batch>>>,
        /// That one that fails is left out for a while. Where all are left out, none is.
        ejects: Part<Option<Spanned<Ejects>>>,
    }

    /// Which of several gets a request: of a gateway's, or an attempt of a call that names several services. What is under way is known of what
    /// comes from here: from the gateway, or from the owner of the policy (see its `shared_by`).
    pub enum Routing {
        /// The first that may be asked.
        First,
        /// Any, all alike.
        Random,
        /// One after another.
        RoundRobin,
        /// Who has the fewest requests under way from here.
        LeastInFlight,
        /// Who has the fewest of so many that are drawn: two are nearly as good as all. (M. Mitzenmacher, "The Power of Two Choices in
        /// Randomized Load Balancing", IEEE TPDS 12(10), 2001.)
        PowerOf(Positive<u32>),
        /// The same for all requests of an agent.
        Sticky,
    }

    /// How requests are gathered.
    pub struct Batch {
        /// How many at most.
        most: Part<Positive<u32>>,
        /// How long the first of them waits for others at most.
        wait: Part<Positive<Duration>>,
    }

    /// When one that fails is left out: refusals and attempts without an answer in time count.
    pub struct Ejects {
        /// After how many failures in a row.
        failures: Part<Positive<u32>> = Part::from(super::positive(5)),
        /// For how long at first. The second time it is twice as long, the third time three times.
        period: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(30))),
    }

    /// What a service does about requests that nobody waits for: their client has cancelled them (`cancels` of its policy), or their
    /// deadline is over, which it is told with the request. What others wait for as well, attempts of the same call with an
    /// `idempotency_key`, is served in any case.
    pub enum Abandoned {
        /// It serves them.
        Serve,
        /// It discards them when it would begin to work on them: then they cost no work and no money, but they have taken a place in
        /// the queue until then.
        Discard,
        /// The same; and it stops the work on a request that its client cancels. What was done of it is paid.
        Interrupt,
    }

    /// How long the work on a request takes.
    pub enum ServiceTime {
        /// By the request's tokens.
        Tokens {
            /// The time to the first token.
            first: Part<Spanned<TimeLaw>> = Part::from(constant()),
            /// The time for each token of the prompt.
            each_in: Part<Spanned<TimeLaw>> = Part::from(constant()),
            /// The time for each token of the answer.
            each_out: Part<Spanned<TimeLaw>> = Part::from(constant()),
        },
        /// By a law; the law alone means this.
        Law(Spanned<TimeLaw>) as bare,
    }

    /// How many tokens a request has.
    pub enum Tokens {
        /// By two laws.
        Laws {
            /// Tokens of the prompt.
            tokens_in: Part<Spanned<NumberLaw>> = Part::from(NumberLaw::Constant(0.0)),
            /// Tokens of the answer.
            tokens_out: Part<Spanned<NumberLaw>>,
        } as bare,
        /// Both from one row of a data set, so that they belong together.
        Data {
            /// The data set.
            data: Part<Spanned<String>>,
            /// The column of the prompt's tokens; without it the prompt has none.
            tokens_in: Part<Option<Spanned<String>>>,
            /// The column of the answer's tokens.
            tokens_out: Part<Spanned<String>>,
            /// How rows are taken.
            order: Part<RowOrder> = Part::from(RowOrder::Random),
        },
    }

    /// How rows are taken from a data set.
    pub enum RowOrder {
        /// A random row for each request.
        Random,
        /// Row after row for the requests of an agent, from the start again after the last.
        Replay,
    }

    /// A token bucket: a rate, refilled continuously, with room for a burst. It starts full.
    pub struct RateLimit {
        /// How many requests pass in how much time.
        rate: Positive<Rate>,
        /// How many may pass at once after a pause.
        burst: Positive<u64> = super::positive(1),
        /// What happens to a request beyond it.
        excess: Excess = Excess::Refuse { retry_after: true },
    }

    /// One of several limits. Tokens of an answer aren't known when a request comes: they are taken by an estimate, and what was taken too
    /// much or too little is put right when the work is finished, so that less than nothing may be left. A request that is more than the
    /// limit can ever have room for is refused for that reason. What a crash drops gives no tokens back.
    pub enum Limit {
        /// Requests.
        Requests {
            /// How many in how much time.
            rate: Part<Spanned<Positive<Rate>>>,
            /// How many may come at once after a pause; without it as many as come in a minute. Not with `Windows`.
            burst: Part<Option<Spanned<Positive<u64>>>>,
            /// How what was taken comes back.
            refill: Part<Spanned<Refill>> = Part::from(Refill::Continuous),
            /// For whom it is.
            per: Part<Per> = Part::from(Per::All),
        },
        /// Tokens of prompts.
        TokensIn {
            /// How many in how much time.
            rate: Part<Spanned<Positive<Rate>>>,
            /// How many may come at once after a pause; without it as many as come in a minute. Not with `Windows`.
            burst: Part<Option<Spanned<Positive<u64>>>>,
            /// How what was taken comes back.
            refill: Part<Spanned<Refill>> = Part::from(Refill::Continuous),
            /// For whom it is.
            per: Part<Per> = Part::from(Per::All),
        },
        /// Tokens of answers.
        TokensOut {
            /// How many in how much time.
            rate: Part<Spanned<Positive<Rate>>>,
            /// How many may come at once after a pause; without it as many as come in a minute. Not with `Windows`.
            burst: Part<Option<Spanned<Positive<u64>>>>,
            /// How what was taken comes back.
            refill: Part<Spanned<Refill>> = Part::from(Refill::Continuous),
            /// How many tokens are taken before the answer is known; without it the `max_out` of the call, and none if it has none.
            estimate: Part<Option<Spanned<NumberLaw>>>,
            /// For whom it is.
            per: Part<Per> = Part::from(Per::All),
        },
        /// Tokens of prompts and answers together.
        Tokens {
            /// How many in how much time.
            rate: Part<Spanned<Positive<Rate>>>,
            /// How many may come at once after a pause; without it as many as come in a minute. Not with `Windows`.
            burst: Part<Option<Spanned<Positive<u64>>>>,
            /// How what was taken comes back.
            refill: Part<Spanned<Refill>> = Part::from(Refill::Continuous),
            /// How many tokens of the answer are taken before it is known; without it the `max_out` of the call, and none if it has none.
            estimate: Part<Option<Spanned<NumberLaw>>>,
            /// For whom it is.
            per: Part<Per> = Part::from(Per::All),
        },
        /// Requests that have come in and aren't finished: waiting for a server or in work.
        Concurrency {
            /// How many at a time.
            most: Part<Spanned<Positive<u64>>>,
            /// For whom it is.
            per: Part<Per> = Part::from(Per::All),
        },
    }

    /// How what was taken of a limit comes back.
    pub enum Refill {
        /// Continuously, into a bucket that is full at first.
        Continuous,
        /// All at once, at the edges of windows of time.
        Windows {
            /// The length of a window.
            every: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(60))),
            /// When the first edge is; the others lie a whole number of windows after it.
            phase: Part<Spanned<Duration>> = Part::from(Duration::ZERO),
        },
    }

    /// For whom a limit is.
    pub enum Per {
        /// All together.
        All,
        /// Each agent by itself.
        Agent,
        /// Each group of agents by itself.
        Group,
    }

    /// When a service refuses because it has too much to do. It says nothing of when to come again.
    pub struct Overload {
        /// The probability with which it refuses a request, however much it has to do.
        probability: Probability = Probability::ZERO,
        /// How many requests may be in the house, waiting or in work; one more is refused. Without it any number.
        above: Option<Positive<u64>>,
    }

    /// How an inference endpoint works on requests: in iterations, between which requests come into the batch and leave it. In each of them all
    /// sequences whose prompt has been read get one more token, and prompts are read in chunks by what is left of `tokens`. A request waits
    /// until its first chunk is read, and comes into the batch if the cache of keys and values has room for its prompt. Where a sequence
    /// finds no room for its next token, the one that came in last is put out, and is computed anew later; what it has made isn't
    /// lost. In accounts of time the wait until it is back is retrying.
    pub struct Batching {
        /// How many sequences are in the batch at most.
        max_batch: Part<Positive<u32>> = Part::from(super::positive(256)),
        /// How many tokens an iteration takes in at most, those of sequences that are decoded first: not less than `max_batch`.
        tokens: Part<Spanned<Positive<u32>>> = Part::from(super::positive(2048)),
        /// How many tokens the cache of keys and values holds.
        kv: Part<Spanned<Positive<u64>>>,
        /// The tokens of a block of it.
        block: Part<Positive<u32>> = Part::from(super::positive(16)),
        /// Whether blocks are kept after their use, as long as nobody needs their room: a prompt that begins with the same tokens (`prefix`,
        /// `continues`) isn't read so far. What hasn't been used for longest goes first.
        prefix_cache: Part<bool> = Part::from(false),
        /// What an iteration takes, whatever is in it.
        base: Part<Duration> = Part::from(Duration::ZERO),
        /// What each token of a prompt adds.
        each_in: Part<Duration> = Part::from(Duration::ZERO),
        /// What each sequence that is decoded adds.
        each_out: Part<Duration> = Part::from(Duration::ZERO),
        /// What each token adds that the batch holds when the iteration begins.
        each_held: Part<Duration> = Part::from(Duration::ZERO),
    }

    /// What happens to a request beyond the limit.
    pub enum Excess {
        /// It is refused.
        Refuse {
            /// Whether the refusal says when to try again.
            retry_after: bool = true,
        },
        /// It waits at the door, in order.
        Wait,
    }

    /// What may be spent in all. Once one of its parts is spent, requests are refused. Those that were let in before are still worked
    /// on and paid: tokens and money go beyond the budget by what these cost.
    pub struct Budget {
        /// Calls, counted when they are let in: never more than this.
        calls: Option<Positive<u64>>,
        /// Tokens, in and out together, counted when work on a request begins.
        tokens: Option<Positive<u64>>,
        /// Money, counted when work on a request begins.
        money: Option<Spanned<Positive<Money>>>,
    }

    /// What a call costs: the parts add up.
    pub struct Price {
        /// Each call.
        call: Part<Spanned<Money>> = Part::from(Money(0)),
        /// A million tokens of the prompt.
        million_in: Part<Spanned<Money>> = Part::from(Money(0)),
        /// A million tokens of the answer.
        million_out: Part<Spanned<Money>> = Part::from(Money(0)),
    }
}

/// No time at all.
pub(super) fn constant() -> Spanned<TimeLaw> {
    Spanned::from(TimeLaw::Constant(Duration::ZERO))
}
