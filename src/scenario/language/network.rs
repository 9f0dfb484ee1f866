//! `sites` and `network`: places, and the links between them.

use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Bandwidth, Bytes, Duration, Fraction, Positive, Probability};
use crate::scenario::syntax::{Cx, Decode, Encode, Named, Node, Part, Reference, Spanned, Value};

/// The sites: a list of names, or a map from names to what is known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites(pub Named<Part<Site>>);

impl Decode for Sites {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Value::List(items) = &node.value else {
            return Named::decode(node, cx).map(Self);
        };
        // A list is the map whose entries say nothing: the names are read, and checked for repetition, by the same code.
        let nothing = |node: &Node| Node {
            span: node.span,
            value: Value::Tuple(None, Vec::new()),
        };
        let entries = items.iter().map(|item| (item.clone(), nothing(item))).collect();
        let map = Node {
            span: node.span,
            value: Value::Map(entries),
        };
        Named::decode(&map, cx).map(Self)
    }
    fn unread() -> Option<Self> {
        Named::unread().map(Self)
    }
    fn arrange(node: &mut Node) {
        Named::<Part<Site>>::arrange(node);
    }
    fn type_name() -> String {
        "list of names, or map of Site".into()
    }
    fn describe(reference: &mut Reference) {
        Site::describe(reference);
    }
}

impl Encode for Sites {
    fn encode(&self) -> Node {
        self.0.encode()
    }
}

/// Declares a link's fields twice: alone, and with the pair of sites that they are about.
macro_rules! links {
    ($( $(#[doc = $doc:literal])* $field:ident : $ty:ty ),* $(,)?) => {
        crate::language! {
            /// What a link is like. A field that `links` leaves out is taken from `default`; what `default` leaves out is a
            /// link without latency, loss, order or limit.
            pub struct Link {
                $( $(#[doc = $doc])* $field: Part<Option<$ty>>, )*
            }

            /// The link of one pair of sites: `between` says both directions, `from` and `to` say one.
            pub struct PairLink {
                /// The two sites of a link that is alike in both directions.
                between: Part<Option<(Part<Spanned<String>>, Part<Spanned<String>>)>>,
                /// The sender's site, of one direction.
                from: Part<Option<Spanned<String>>>,
                /// The receiver's site, of one direction.
                to: Part<Option<Spanned<String>>>,
                $( $(#[doc = $doc])* $field: Part<Option<$ty>>, )*
            }
        }

        impl PairLink {
            /// The link without its sites.
            pub fn link(&self) -> Link {
                Link { $( $field: self.$field.clone(), )* }
            }
        }

        impl Link {
            /// This link, with what it leaves out taken from `base`.
            pub fn over(&self, base: &Self) -> Self {
                Self { $( $field: if let Some(None) = self.$field.get() { &base.$field } else { &self.$field }.clone(), )* }
            }
        }

        impl Default for Link {
            fn default() -> Self {
                Self { $( $field: Part::from(None), )* }
            }
        }
    };
}

links! {
    /// The latency of one way.
    one_way: Spanned<TimeLaw>,
    /// Latencies of the kinds of message that have one of their own.
    by_kind: KindLatencies,
    /// Whether the delays of neighbouring messages depend on each other.
    jitter: Jitter,
    /// What is lost.
    loss: Loss,
    /// The probability that a message which isn't lost arrives twice.
    duplication: Probability,
    /// What arrives in the order in which it was sent.
    order: Order,
    /// Extra delays that let later messages overtake.
    reordering: Reordering,
    /// How much the link carries.
    bandwidth: Positive<Bandwidth>,
    /// How many bytes may wait for the bandwidth, those left of the message that is being sent included; what comes beyond is
    /// lost. An idle link takes any message. Without this any number may wait.
    queue: Bytes,
}

crate::language! {
    /// What is known of a site.
    pub struct Site {
        /// Where the site lies in a measured table of latencies.
        region: Part<Option<Spanned<String>>>,
    }

    /// The links between the sites.
    pub struct Network {
        /// The link of every pair of different sites that isn't named in `links`.
        default: Part<Link> = Part::from(Link::default()),
        /// The link of a site to itself.
        local: Part<Link> = Part::from(Link::default()),
        /// The links of single pairs, which win over `default`.
        links: Part<Vec<Part<Spanned<PairLink>>>> = Part::from(Vec::new()),
        /// A measured table that gives the latency of every pair of different sites whose link doesn't say `one_way`.
        matrix: Part<Option<Spanned<Matrix>>>,
    }

    /// A measured table of round trips. One way is half of one, with a spread such that the round trip has the measured one.
    pub struct Matrix {
        /// The data set: CSV with the columns `from`, `to`, `min_ms`, `avg_ms`, `max_ms` and `mdev_ms`.
        data: Part<Spanned<String>>,
        /// Which of its sets, where the table has several.
        set: Part<Option<String>>,
        /// The latency of pairs that weren't measured; without it they are an error.
        missing: Part<Option<Spanned<TimeLaw>>>,
        /// Whether messages within a site take the time measured inside its region; otherwise they take that of `local`.
        local: Part<bool> = Part::from(false),
    }

    /// Latencies by kind of message; a kind that is left out takes `one_way`.
    pub struct KindLatencies {
        /// Messages between agents.
        message: Part<Option<Spanned<TimeLaw>>>,
        /// Messages between agents that are answered.
        ask: Part<Option<Spanned<TimeLaw>>>,
        /// Their answers.
        answer: Part<Option<Spanned<TimeLaw>>>,
        /// Requests to services and stores.
        request: Part<Option<Spanned<TimeLaw>>>,
        /// Their responses and refusals.
        response: Part<Option<Spanned<TimeLaw>>>,
        /// Messages between the replicas of a store.
        peer: Part<Option<Spanned<TimeLaw>>>,
        /// That a client, or the server of a tied request, gives an attempt up.
        cancel: Part<Option<Spanned<TimeLaw>>>,
    }

    /// How the delays of a link's messages hang together. The law of a single delay is always the link's own.
    pub enum Jitter {
        /// Each message for itself.
        Independent,
        /// Messages that are near in time have similar delays: a Gaussian copula over an AR(1) of time slots.
        Correlated {
            /// The length of a slot.
            every: Positive<Duration> = super::positive(Duration::from_secs(1)),
            /// The correlation of neighbouring slots. Real round trips have about 0.8.
            rho: Spanned<Fraction>,
            /// The part of the variance that messages of one slot share.
            share: Fraction = Fraction::ONE,
        },
    }

    /// What a link loses.
    pub enum Loss {
        /// Each message for itself with this probability; the probability alone means this.
        Independent(Probability) as bare,
        /// Gilbert-Elliott: the link is good or bad for exponential times, and loses with the probability of its state.
        Bursty {
            /// The mean length of a good time.
            good: Spanned<Positive<Duration>>,
            /// The mean length of a bad time.
            bad: Spanned<Positive<Duration>>,
            /// The probability of loss while it is good.
            loss_good: Probability = Probability::ZERO,
            /// The probability of loss while it is bad.
            loss_bad: Probability = Probability::ONE,
        },
    }

    /// What arrives in the order in which it was sent.
    pub enum Order {
        /// Nothing: a later message may overtake.
        Any,
        /// Everything on one directed link.
        Link,
        /// The messages of one pair of agents, in each direction.
        Pair,
    }

    /// Extra delays.
    pub struct Reordering {
        /// The probability that a message is delayed.
        chance: Part<Probability>,
        /// By how much.
        extra: Part<Spanned<TimeLaw>>,
    }
}

impl Default for Network {
    fn default() -> Self {
        super::of_defaults()
    }
}
