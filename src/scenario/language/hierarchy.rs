//! `coordination`: what hierarchies have to say.

use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Fraction, Positive};
use crate::scenario::syntax::{OneOrMany, Part, Spanned};

crate::language! {
    /// A tier of a hierarchy.
    pub struct Tier {
        /// What it is called. Without it `tier0` for the first, and so on.
        name: Part<Option<Spanned<String>>>,
        /// The sites of its coordinators: number `n` is at the place `n` of the list, from the start again after the last. Without it each
        /// is at the site of the one that it stands under.
        at: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// How many coordinators it has. Without this and `fan_out` one for each site of `at`.
        count: Part<Option<Spanned<Positive<u32>>>>,
        /// How many of them stand under each one of the tier above: the first so many under the first. Without it each stands under the
        /// nearest one, in turn if several are equally near.
        fan_out: Part<Option<Spanned<Positive<u32>>>>,
        /// Up to which `value` a coordinator decides a submission itself. Without it everything. The first tier decides everything.
        limit: Part<Option<u64>>,
        /// How long a decision takes.
        decides: Part<Option<Spanned<TimeLaw>>>,
        /// The sites of deputies, in turn. Without it each is at the site of the next coordinator of the tier, and that of a coordinator that is
        /// alone at the site of its first child.
        deputies: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
    }

    /// A coordinator of a hierarchy.
    pub struct HierarchyNode {
        /// Its site.
        at: Part<Spanned<String>>,
        /// The one that it stands under. Without it it is a root.
        under: Part<Option<Spanned<String>>>,
        /// Up to which `value` it decides a submission itself. Without it everything. A root decides everything.
        limit: Part<Option<u64>>,
        /// How long a decision takes.
        decides: Part<Option<Spanned<TimeLaw>>>,
        /// The site of its deputy. Without it that of the next coordinator under the same one, or of its first child.
        deputy: Part<Option<Spanned<String>>>,
    }

    /// What grants draw on, by the `value` of submissions.
    pub struct Quota {
        /// All that may be granted.
        total: Part<u64>,
        /// How much a coordinator is given at a time, at least, if there is so much.
        lease: Part<Positive<u32>> = Part::from(super::positive(1)),
        /// The part of it that the root's deputy holds, so that it can go on when the root is gone.
        reserve: Part<Fraction> = Part::from(Fraction::new(0.2).expect("a fraction")),
    }

    /// What a coordinator does that is cut off from its parent.
    pub enum Alone {
        /// What needs the parent waits.
        Stop,
        /// It decides itself, beyond its limit and beyond what it was given.
        GoOn,
    }

    /// What becomes of a position whose coordinator is silent.
    pub enum Succession {
        /// Nothing.
        None,
        /// Its deputy takes over.
        Deputy,
        /// Its children go to a sibling until it is back.
        Sibling,
    }
}
