//! The steps of a program.

use super::laws::{NumberLaw, TimeLaw};
use super::services::Routing;
use crate::scenario::syntax::quantity::{Bytes, Duration, Positive, Probability};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

/// The position at the end of any text.
pub(super) const END: NumberLaw = NumberLaw::Constant(4_294_967_295.0);

/// No tokens.
fn no_tokens() -> TokenCount {
    TokenCount::Law(NumberLaw::Constant(0.0).into())
}

/// A list of steps.
pub type Steps = Part<Vec<Part<Spanned<Step>>>>;

/// Declares the steps; those on shared state have the fields that say which key, which replica and how.
macro_rules! steps {
    (
        plain { $($plain:tt)* }
        state { $( $(#[doc = $vdoc:literal])* $variant:ident { $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty $(= $default:expr)? ),* } ),* $(,)? }
    ) => {
        crate::language! {
            /// One step of a program.
            pub enum Step {
                $(
                    $(#[doc = $vdoc])*
                    $variant {
                        /// The key, by its name.
                        key: Part<Spanned<String>>,
                        /// The store, where two stores have a key of this name.
                        store: Part<Option<Spanned<String>>>,
                        /// Which of several keys of this name, from 0 and rounded down; without it any, all alike.
                        which: Part<Option<Spanned<Which>>>,
                        $( $(#[doc = $fdoc])* $field: $ty $(= $default)?, )*
                        /// Which replica is asked; without it the nearest, or whom a `Quorum` says.
                        replica: Part<Option<Replica>>,
                        /// The policy.
                        policy: Part<Option<Spanned<String>>>,
                    },
                )*
                $($plain)*
            }
        }
    };
}

steps! {
    plain {
        /// Local work: the agent is busy, and handles no message meanwhile.
        Think(Spanned<TimeLaw>),
        /// A wait of its own accord; the agent handles messages meanwhile. In accounts of time it is the agent's own, as thinking is.
        Sleep(Spanned<TimeLaw>),
        /// A call to a service, and the wait for its answer.
        Call {
            /// The service; or several, each with a server of its own, of which every attempt asks one. In measures the call counts for the one
            /// that its first attempt goes to, and each attempt for its own.
            service: Part<Spanned<OneOrMany<Part<Spanned<String>>>>>,
            /// Which of several services an attempt goes to. A retry or a hedge goes to one that the call hasn't tried yet, if there is
            /// one; and to none whose circuit breaker is open while another one's isn't.
            route: Part<Spanned<Routing>> = Part::from(Routing::First),
            /// The policy.
            policy: Part<Option<Spanned<String>>>,
            /// The size of the request.
            request: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// How many tokens the request has; otherwise the service says it.
            tokens: Part<Option<CallTokens>>,
            /// How urgent it is, for a service whose `discipline` is `Priority`: the higher, the earlier.
            priority: Part<Spanned<u32>> = Part::from(0),
            /// What it asks about, rounded down, for a service that keeps answers (`cache`): equal numbers are equal questions. Without it
            /// every call is a question of its own.
            about: Part<Option<Spanned<NumberLaw>>>,
        },
        /// Hands something to a coordination group, and waits until it is dealt with: a proposal until it is decided, a vote until it is
        /// counted. It is a call, with a policy, of the member nearest to the agent.
        Submit {
            /// The coordination group.
            to: Part<Spanned<String>>,
            /// A number that it is about, rounded down: of a question 1 if yes is right, of a proposal what is proposed, which is the answer. Without it
            /// 1.
            value: Part<Option<Spanned<NumberLaw>>>,
            /// Its size.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// The policy.
            policy: Part<Option<Spanned<String>>>,
            /// What is done if the answer is yes: decided, approved.
            then: Steps = Part::from(Vec::new()),
            /// What is done if it is no, or if there is none and the group of agents goes on.
            otherwise: Steps = Part::from(Vec::new()),
        },
        /// A message for a channel.
        Publish {
            /// The channel.
            to: Part<Spanned<String>>,
            /// What it is about: of a log, publications with one key stay in their order. Without it it is about nothing.
            key: Part<Option<Spanned<super::channels::PublicationKey>>>,
            /// Its size.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// Whether the agent waits until the channel has it. Otherwise it goes on at once, and nobody knows whether it came.
            acknowledged: Part<Spanned<bool>> = Part::from(true),
            /// The policy. Its `idempotency_key` is how the channel recognises a repeat.
            policy: Part<Option<Spanned<String>>>,
        },
        /// Asks a channel for messages, and does something about each, one after the other. A message is acknowledged once its steps are done;
        /// if one of them fails it isn't, and the next message comes.
        Poll {
            /// The channel.
            from: Part<Spanned<String>>,
            /// How many messages at most.
            most: Part<Spanned<Positive<u32>>> = Part::from(super::positive(10)),
            /// How long the channel waits for the first, if there is none: long polling. A `timeout` of the policy has to be longer.
            wait: Part<Spanned<Duration>> = Part::from(Duration::from_secs(20)),
            /// What is done about each message.
            each: Steps = Part::from(Vec::new()),
            /// The policy.
            policy: Part<Option<Spanned<String>>>,
        },
        /// A message; no answer is waited for.
        Send {
            /// Who receives it.
            to: Part<Peers>,
            /// What it is about.
            topic: Part<Spanned<String>>,
            /// Its size.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        },
        /// A message, and the wait for its answer.
        Ask {
            /// Who is asked: one.
            to: Part<Peers>,
            /// What it is about.
            topic: Part<Spanned<String>>,
            /// Its size.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// How long the answer may take. Without it for ever.
            timeout: Part<Option<Positive<Duration>>>,
            /// Whether that is a deadline for what its handler calls and asks in turn, until it replies.
            propagate: Part<Spanned<bool>> = Part::from(false),
        },
        /// The answer to the ask that is being handled.
        Reply {
            /// Its size.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        },
        /// The wait for a message.
        Wait {
            /// Its topic; without one any topic that has no handler.
            topic: Part<Option<Spanned<String>>>,
            /// How many of them.
            count: Part<Positive<u32>> = Part::from(super::positive(1)),
            /// How long at most. Without it for ever.
            timeout: Part<Option<Positive<Duration>>>,
        },
        /// Steps, so many times.
        Repeat {
            /// How often.
            times: Part<Times>,
            /// What.
            steps: Steps,
        },
        /// Performs the rows of one recorded run, in the order of the file, each as its `cases` say. The first row is begun when the step is,
        /// every other when the one before is over. An agent counts the runs that it takes in a step: the count and its place in the
        /// rows are part of its memory, as places in loops are. A crash that takes the memory takes both, so that the agent begins anew with the
        /// first row of its first run; a `journal` brings both back. A failed step ends what it would end anywhere else: with
        /// `on_failure: Continue` the row goes on. Not within the `guess` of a `Speculate`, which would be done again with another run.
        EachRow {
            /// The data set, as `"airline-calls"`.
            data: Part<Spanned<String>>,
            /// The columns that name a run: rows that agree in all of them are one run. Runs are numbered by their first rows.
            /// Without it all rows are one run.
            run: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
            /// Which run an agent takes.
            take: Part<Take> = Part::from(Take::InOrder),
            /// The column by which a row's steps are chosen.
            column: Part<Spanned<String>>,
            /// What is done, by the value of the column.
            cases: Named<Steps> = Named::default(),
            /// What is done in rows with a value that no case names. Without it there may be no such row.
            otherwise: Option<Steps>,
            /// Which runs were a success on record, for the measures `replay.*`.
            success: Part<Option<Success>>,
        },
        /// Goes by another column of the row that the `EachRow` around it performs.
        Match {
            /// The column.
            column: Part<Spanned<String>>,
            /// What is done, by the value of the column.
            cases: Named<Steps> = Named::default(),
            /// What is done in rows with a value that no case names. Without it no such row may come here.
            otherwise: Option<Steps>,
        },
        /// Branches, all at once; it is over when the last is.
        Parallel(Part<Vec<Steps>>),
        /// One of several lists of steps, with probabilities in proportion to the weights.
        Choose(Part<Vec<Part<(Part<f64>, Steps)>>>),
        /// Starts the guess while its basis is under way. A right guess is waited for; a wrong one is thrown away and done again.
        Speculate {
            /// What the guess depends on.
            basis: Steps,
            /// What is done on a guess.
            guess: Steps,
            /// The probability that the guess is right.
            right: Part<Probability>,
        },
        /// Steps that are measured under a name of their own.
        Task {
            /// The name.
            name: Part<Spanned<String>>,
            /// What it consists of.
            steps: Steps,
        },
        /// Steps that the agent does while it holds a lock. It is asked for by the policy, and given back after the last step, or when one of
        /// them fails; without the lock they are left out. The agent doesn't look whether its lease is over.
        WithLock {
            /// The lock service.
            lock: Part<Spanned<String>>,
            /// The policy: how long the lock is waited for, and how often it is asked for.
            policy: Part<Option<Spanned<String>>>,
            /// What is done meanwhile.
            steps: Steps,
        },
        /// Takes the part of an author in a recorded editing session of one text: the agent with an author's number in its group makes
        /// that one's edits, each once its own replica has all that the author had taken in, and with nothing later before its eyes.
        /// The group has as many agents as there are authors, and each has a replica of its own. Every edit has an idempotency
        /// key, so that a `policy` with a timeout makes good what is lost on the way to the replica.
        Edit {
            /// The text, by its name.
            key: Part<Spanned<String>>,
            /// The store, where two stores have a key of this name.
            store: Part<Option<Spanned<String>>>,
            /// The session: a data set, as `"friendsforever"` (two authors) and `"clownschool"` (three).
            trace: Part<Spanned<String>>,
            /// The time before each transaction. Without it each is made as soon as the one before is answered.
            think: Part<Option<Spanned<TimeLaw>>>,
            /// How long an edit waits for what it builds on; then it builds on what is there. Without it for ever.
            patience: Part<Option<Positive<Duration>>>,
            /// The policy.
            policy: Part<Option<Spanned<String>>>,
        },
        /// The end of the program, or of the handler.
        Stop,
    }
    state {
        /// Reads a key.
        Read {},
        /// Reads a key, and goes on by how much it shows: how many values a register, what sum a counter, how many elements a
        /// set, fields a map, characters a text.
        When {
            /// The least amount with which `steps` are done.
            at_least: Part<i64>,
            /// What is done with as much.
            steps: Steps,
            /// What is done with less.
            otherwise: Steps = Part::from(Vec::new())
        },
        /// Writes a register: a value that no other write has.
        Write {
            /// Whether the write says what the agent last saw of the key.
            informed: Part<bool> = Part::from(false)
        },
        /// Adds to a counter.
        Add {
            /// How much; a whole number.
            by: Part<Spanned<NumberLaw>> = Part::from(NumberLaw::Constant(1.0))
        },
        /// Inserts an element into a set.
        Insert {
            /// The element's number.
            element: Part<Spanned<NumberLaw>>
        },
        /// Removes an element from a set.
        Remove {
            /// The element's number.
            element: Part<Spanned<NumberLaw>>
        },
        /// Writes the register of a map's field: a value that no other write has.
        Put {
            /// The field's number.
            field: Part<Spanned<NumberLaw>>
        },
        /// Adds to the counter of a map's field.
        Increase {
            /// The field's number.
            field: Part<Spanned<NumberLaw>>,
            /// How much; a whole number.
            by: Part<Spanned<NumberLaw>> = Part::from(NumberLaw::Constant(1.0))
        },
        /// Takes a field out of a map.
        Drop {
            /// The field's number.
            field: Part<Spanned<NumberLaw>>
        },
        /// Inserts characters into a text.
        InsertText {
            /// How many characters are before them; a whole number. Beyond the end is the end, which is meant if nothing is said.
            at: Part<Spanned<NumberLaw>> = Part::from(super::steps::END),
            /// How many they are.
            length: Part<Spanned<NumberLaw>> = Part::from(NumberLaw::Constant(1.0)),
            /// Whether the position is one of the text as the agent last saw it, not of what the replica shows.
            informed: Part<bool> = Part::from(false)
        },
        /// Deletes characters from a text.
        DeleteText {
            /// How many characters are before them; a whole number.
            at: Part<Spanned<NumberLaw>>,
            /// How many they are; those beyond the end aren't there.
            length: Part<Spanned<NumberLaw>> = Part::from(NumberLaw::Constant(1.0)),
            /// Whether the position is one of the text as the agent last saw it, not of what the replica shows.
            informed: Part<bool> = Part::from(false)
        },
        /// Reads a key, thinks, and changes the key, saying what was read.
        Update {
            /// The time between the read and the change.
            think: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
            /// The change.
            op: Part<Spanned<UpdateOp>> = Part::from(UpdateOp::Write),
            /// The least amount that the read shows for the agent to go on; with less there is no change. See `When`.
            at_least: Part<Option<i64>>
        },
        /// Reads a key, thinks, and changes it if nobody has changed it since (optimistic locking). If somebody has, the
        /// change is refused, and all of it is done again after the policy's backoff. The store has one replica, or one order of all
        /// updates: a `Primary`, or `Raft`.
        CompareAndSwap {
            /// The time between the read and the change.
            think: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
            /// The change.
            op: Part<Spanned<UpdateOp>> = Part::from(UpdateOp::Write),
            /// The least amount that the read shows for the agent to go on; with less there is no change. See `When`.
            at_least: Part<Option<i64>>,
            /// Whether an agent that has read the key in an earlier step changes it as it saw it then: without a read and a think
            /// before it, if nobody has changed the key since that read. If somebody has, it reads and thinks as above. Not with `at_least`.
            seen: Part<bool> = Part::from(false)
        },
    }
}

crate::language! {
    /// A change of a key.
    pub enum UpdateOp {
        /// A register is written.
        Write,
        /// Something is added to a counter.
        Add(Spanned<NumberLaw>),
        /// An element is inserted into a set.
        Insert(Spanned<NumberLaw>),
        /// An element is removed from a set.
        Remove(Spanned<NumberLaw>),
        /// The register of a map's field is written.
        Put(Spanned<NumberLaw>),
        /// Something is added to the counter of a map's field.
        Increase {
            /// The field's number.
            field: Spanned<NumberLaw>,
            /// How much.
            by: Spanned<NumberLaw> = Spanned::from(NumberLaw::Constant(1.0)),
        },
        /// A field is taken out of a map.
        Drop(Spanned<NumberLaw>),
        /// Characters are inserted into the text that was read.
        InsertText {
            /// How many characters are before them; beyond the end is the end.
            at: Spanned<NumberLaw> = Spanned::from(END),
            /// How many they are.
            length: Spanned<NumberLaw> = Spanned::from(NumberLaw::Constant(1.0)),
        },
        /// Characters are deleted from the text that was read.
        DeleteText {
            /// How many characters are before them.
            at: Spanned<NumberLaw>,
            /// How many they are.
            length: Spanned<NumberLaw> = Spanned::from(NumberLaw::Constant(1.0)),
        },
    }

    /// Which replica of a store is asked.
    pub enum Replica {
        /// The one in the agent's site, or the nearest by mean latency.
        Nearest,
        /// Any, anew for each attempt; for each operation where attempts bring an idempotency key.
        Random,
        /// The one in this site.
        At(Spanned<String>),
    }

    /// How many tokens a call has.
    pub struct CallTokens {
        /// Tokens of the prompt.
        tokens_in: Part<Spanned<TokenCount>> = Part::from(no_tokens()),
        /// Tokens of the answer.
        tokens_out: Part<Spanned<TokenCount>> = Part::from(no_tokens()),
        /// How many tokens the answer has at most: it is cut there, and limits go by it before they know the answer. With no other tokens than
        /// this the service says how many there are.
        max_out: Part<Option<Positive<u32>>>,
        /// The tokens that the prompt begins with, and that others begin with, too.
        prefix: Part<Option<Prefix>>,
        /// Whether the prompt continues the agent's conversation: it consists of the prompt and the answer of its last call that did, in this run of
        /// the program, and `tokens_in` come after those.
        continues: Part<bool> = Part::from(false),
    }

    /// The first tokens of a prompt, which are the same in all prompts with a prefix of this name.
    pub struct Prefix {
        /// What it is called.
        name: String,
        /// How many tokens it has, of those of the prompt.
        tokens: Positive<u32>,
    }

    /// How many tokens of one kind a call has.
    pub enum TokenCount {
        /// Drawn by a law, which alone means this.
        Law(Spanned<NumberLaw>) as bare,
        /// As a data set's row says whose number is the agent's: agents that arrive at the times of a record (`Trace`) have the tokens that
        /// are recorded beside them.
        OfArrival {
            /// The data set.
            data: Part<Spanned<String>>,
            /// The column, of numbers that aren't negative.
            column: Part<Spanned<String>>,
        },
        /// As the row says that the `EachRow` around it performs.
        OfRow {
            /// The columns, of numbers that aren't negative: they are added up.
            columns: Part<Spanned<OneOrMany<Part<Spanned<String>>>>>,
            /// What a 1 in them means, in tokens: 0.25 if they count characters of English.
            times: Part<f64> = Part::from(1.0),
            /// Whether the rows before it in the run are meant, all together, and not the row itself: a model reads the conversation so far.
            before: Part<bool> = Part::from(false),
        },
    }

    /// Which of several keys of one name.
    pub enum Which {
        /// Drawn by a law for each operation anew; the law alone means this.
        Law(Spanned<NumberLaw>) as bare,
        /// Drawn once for the run that the `EachRow` around it replays: all of the run's operations with the same law are about the same key.
        OfRun(Spanned<NumberLaw>),
    }

    /// Which recorded run an agent takes.
    pub enum Take {
        /// In turn: of a group of `n` agents number `a` (from 0) takes run `a`, next time run `a + n`, and so on; behind the last run comes
        /// the first again, so that with more agents than runs several take the same. Agents of a stream take one after the other.
        InOrder,
        /// Any, all alike, by a draw of the agent's own for each run that it takes.
        Random,
    }

    /// Which runs were a success on record.
    pub struct Success {
        /// The column that says so, with the same value in all rows of a run.
        column: Part<Spanned<String>>,
        /// What it says of a success.
        is: Part<Spanned<String>>,
    }

    /// How often steps are repeated.
    pub enum Times {
        /// Without end.
        Forever,
        /// So often, drawn anew each time and rounded; a number alone means this.
        Law(Spanned<NumberLaw>) as bare,
    }

    /// Who receives a message.
    pub enum Peers {
        /// One of a group at random, never the sender.
        Any(Spanned<String>),
        /// Everyone of a group but the sender.
        All(Spanned<String>),
        /// The agent of a group with the sender's own number, modulo the size of the group.
        Same(Spanned<String>),
        /// The agent behind the sender, in a ring; the group is the sender's own or one of the same size.
        Next(Spanned<String>),
        /// The agent with this number in a group.
        Member(Spanned<String>, Part<u32>),
        /// Who sent the message that is being handled, or was waited for last.
        Sender,
    }
}
