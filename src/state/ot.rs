//! Operational transformation: edits of a text are changed so that they mean the same after what others did meanwhile.
//!
//! In reading order: [`transform`] is the transformation itself; [`document`] a replica's text; [`site`] the two sides of the
//! protocol, a client with what it has sent and what it holds back, and the server with its one history. Who sends what to whom
//! is the host's business.

pub mod document;
pub mod site;
#[cfg(test)]
mod tests;
pub mod transform;

pub use site::{Edit, Revision, Site};

use super::{
    Accept, Context, Fate, Keeping, KeyType, ModelInfo, Op, Rank, Realisation, Refusal, Resolution, Size, Value,
    Versions, View, hash,
};
use serde::{Deserialize, Serialize};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "ot",
    title: "Operational transformation",
    keys: &[KeyType::Text],
    doc: "\
Texts through a central server: Jupiter (Nichols, Curtis, Dixon and Lamping 1995) with one history at the server, as in Google Wave and
Docs. Each replica applies its own agents' edits at once and answers them. It sends one batch at a time to the server, with the
revision that it was made at, and holds back what is done until the server has it. The server transforms a batch against what it has
applied since that revision, appends it to its history as the next revision, and tells all replicas. A replica transforms what it hears
against what it has sent and holds back, and these against it.

All replicas that have heard of all revisions show the same text, in which every insertion stands where its agent put it, relative to
the characters around it. Of two insertions at one place that of the lower replica comes first. A character that two delete is deleted
once; what is typed into a range that somebody deletes survives.

- **InsertText**, **DeleteText**: positions count characters of the text that the agent saw, if it says so, else of the text that its
  replica shows.

The replica at the site `server` is the server; its own agents' edits are revisions at once. While it can't be reached, edits are
accepted all the same and held back, and reconciled later. What is lost on the way is sent again every `resend`, at growing intervals up to
eight times that: a batch until its revision is heard of, a revision until its receiver says that it has it. A batch that comes twice is
known by the identities of its edits.

*Crashes.* History, batches and buffers are durable unless a crash says otherwise. A replica that loses its state begins anew and gets the
whole history; what it hadn't sent is lost. A server that loses its state takes the longest history that a replica knows, and begins
once all of them have answered; until then they hold back their edits.

Nothing of the history is forgotten, and deleted characters are kept, so that a position in an older text can be found. Where two have
deleted one character, such a position may be off by it for whom only the later deletion was there.

Costs: an edit weighs 8 bytes for its identity, 8 for each contiguous change, and its characters. A revision goes to every replica,
but to its author as a mere word of it; each replica acknowledges it. The history is kept by every replica and counts as metadata. How many pairs
of changes were transformed is measured as `state.transforms`.
",
};

/// Operational transformation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationalTransformation {
    /// A flaw for tests to find: what others did is applied without being transformed.
    pub is_broken: bool,
}

impl Resolution for OperationalTransformation {
    type Entry = Site;
    type Delta = Edit;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        match key {
            KeyType::Text => Ok(Realisation(
                "an edit is transformed against what others did meanwhile, in the order of one server".into(),
            )),
            key => Err(Refusal {
                model: INFO.name,
                key,
                reason: "only edits of a text are transformed; `Crdt()` has the other types".into(),
            }),
        }
    }

    fn fresh(&self, _: KeyType) -> Site {
        Site::new(!self.is_broken)
    }

    fn update(&self, entry: &mut Site, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Edit {
        entry.local(op, at, fates)
    }

    fn merge(&self, _: &mut Site, _: &Edit, _: &mut impl FnMut(Fate)) -> bool {
        unreachable!("what others did comes from the server, in its order")
    }

    fn join(&self, _: &mut Site, _: &Site, _: &mut impl FnMut(Fate)) -> bool {
        unreachable!("there are no exchanges of whole texts: histories go through the server")
    }

    fn batch(&self, _: &mut Edit, _: &Edit) {
        unreachable!("a site gathers its batches itself")
    }

    fn view(&self, entry: &Site) -> View {
        View {
            value: Value::Text(entry.text().spans()),
            versions: self.versions(entry),
            context: self.context(entry),
        }
    }

    fn versions(&self, entry: &Site) -> Versions {
        Versions::Effects(entry.seen().clone().into())
    }

    fn context(&self, entry: &Site) -> Context {
        Context {
            seen: entry.seen().clone().into(),
            ..Context::default()
        }
    }

    /// Of the characters in their order: sites that have applied the same in another order may differ in nothing else.
    fn digest(&self, entry: &Site) -> u64 {
        hash::chain(6, entry.text().hash())
    }

    fn state_hash(&self, entry: &Site) -> u64 {
        hash::chain(entry.seen().hash(u64::from(entry.revision())), entry.text().hash())
    }

    fn entry_size(&self, entry: &Site) -> Size {
        Size {
            text: entry.text().length().into(),
            metadata: entry.metadata(),
            ..Size::default()
        }
    }

    fn delta_size(&self, delta: &Edit) -> Size {
        Size {
            text: delta.characters(),
            metadata: delta.metadata(),
            ..Size::default()
        }
    }

    fn keeping(&self, _: KeyType) -> Keeping {
        Keeping::All
    }

    fn rank(&self, _: &Edit) -> Option<Rank> {
        None
    }

    fn tombstones(&self, entry: &Site) -> u64 {
        entry.text().tombstones()
    }

    fn site<'e>(&self, entry: &'e mut Site) -> Option<&'e mut Site> {
        Some(entry)
    }
}
