//! `budgets`: what agents may spend over all services.

use super::steps::Peers;
use crate::scenario::syntax::quantity::{Bytes, Duration, Money, Positive};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

crate::language! {
    /// What agents may spend, over all services. It is counted when work on a request begins, at the prices of the service: repeated attempts and
    /// answers that nobody uses cost as much as others, and so does work that begins anew after a crash. Before each call it is looked at; a
    /// call that was begun before goes on, so that spending goes beyond a budget by what is under way, unless calls `reserve`. A budget
    /// of no amount only measures.
    pub struct Spending {
        /// The groups that spend from it. Without it all do.
        agents: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// Who has a budget of his own.
        per: Part<Account> = Part::from(Account::All),
        /// How many requests may be worked on.
        calls: Part<Option<Spanned<Positive<u64>>>>,
        /// How many tokens, in and out together.
        tokens: Part<Option<Spanned<Positive<u64>>>>,
        /// How much money.
        money: Part<Option<Spanned<Positive<Money>>>>,
        /// What a call reserves until work on it begins: it isn't begun where that isn't left. Without it a call is begun as long as anything
        /// is left.
        reserve: Part<Option<Reserve>>,
        /// What is done about a call whose budget is spent.
        then: Part<Spanned<Spent>> = Part::from(Spent::Stop),
    }

    /// Who has a budget of his own.
    pub enum Account {
        /// All whom it is about, together.
        All,
        /// Each group.
        Group,
        /// Each agent.
        Agent,
    }

    /// What a call reserves: one request, so many tokens, and what these cost at its service. Of a call of a gateway that is the gateway's own
    /// price: what those behind it cost is counted, but nobody knows it before.
    pub struct Reserve {
        /// Tokens of the prompt.
        tokens_in: u32 = 0,
        /// Tokens of the answer.
        tokens_out: u32 = 0,
    }

    /// What is done about a call whose budget is spent.
    pub enum Spent {
        /// What the agent does ends: its run of the program with all of its branches, which counts as stopped. A handler ends, too, and
        /// answers its ask; in a branch of a handler, the step fails.
        Stop,
        /// The call goes to a cheaper service, by the services' names: `Degrade({"big": "small"})`. Calls of others go where they would.
        /// What is called by a mesh's route asks the proxy at the caller's site: that is its name here, as in `Degrade({"model from edge": "small"})`.
        Degrade(Named<Part<Spanned<String>>>),
        /// The agent asks for more, and waits; the wait is accounted as coordination. The answer grants so much, and the call is begun, unless
        /// the budget is spent again by then. If no answer comes in time, the step fails.
        Ask {
            /// Who is asked: one.
            to: Part<Peers>,
            /// What it is about; there is a handler for it there.
            topic: Part<Spanned<String>>,
            /// The size of the message.
            bytes: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// How long the answer may take. Without it for ever.
            timeout: Part<Option<Positive<Duration>>>,
            /// How much more may be spent after an answer.
            grant: Part<Spanned<Grant>>,
        },
    }

    /// How much more may be spent.
    pub struct Grant {
        /// Requests.
        calls: u64 = 0,
        /// Tokens.
        tokens: u64 = 0,
        /// Money.
        money: Money = Money(0),
    }
}
