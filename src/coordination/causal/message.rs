//! What members who broadcast in causal order say to each other.

use crate::coordination::member::Saying;
use crate::kernel::Words;
use serde::{Deserialize, Serialize};

/// Who issues events: a member, and from when on it has kept its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Author {
    /// The member.
    pub member: u32,
    /// Milliseconds of its clock when it lost its disk last; 0 if never.
    pub since: u32,
}

/// How many events of each author somebody has: the authors ascending, none with zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector(Vec<(Author, u32)>);

impl Vector {
    fn find(&self, author: Author) -> Result<usize, usize> {
        self.0.binary_search_by_key(&author, |(author, _)| *author)
    }

    /// How many events of an author are in.
    pub fn get(&self, author: Author) -> u32 {
        self.find(author).map_or(0, |place| self.0[place].1)
    }

    /// Another event of an author is in.
    pub fn advance(&mut self, author: Author) {
        match self.find(author) {
            Ok(place) => self.0[place].1 += 1,
            Err(place) => self.0.insert(place, (author, 1)),
        }
    }

    /// Whether all is in that is in `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(author, number)| self.get(*author) >= *number)
    }

    /// The authors and how many events of theirs are in.
    pub fn iter(&self) -> impl Iterator<Item = (Author, u32)> + '_ {
        self.0.iter().copied()
    }

    /// How many authors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&self) -> usize {
        12 * self.0.len()
    }

    fn digest(&self, words: &mut Words) {
        words.push(self.0.len() as u64);
        for (author, number) in &self.0 {
            words.push_all([
                u64::from(author.member) << 32 | u64::from(author.since),
                (*number).into(),
            ]);
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its identity, for whoever asked for it.
    pub identity: u64,
    /// Who issued it.
    pub author: Author,
    /// Its number there, from 1.
    pub number: u32,
    /// A word of content.
    pub value: u64,
    /// Its size, beside its clock.
    pub bytes: u32,
    /// What its author had delivered before it.
    pub after: Vector,
}

impl Event {
    fn size(&self) -> usize {
        20 + self.bytes as usize + self.after.bytes()
    }

    fn digest(&self, words: &mut Words) {
        let author = u64::from(self.author.member) << 32 | u64::from(self.author.since);
        let number = u64::from(self.number) << 32 | u64::from(self.bytes);
        words.push_all([self.identity, author, number, self.value]);
        self.after.digest(words);
    }
}

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Talk {
    /// This has happened.
    Event(Box<Event>),
    /// This is what I have.
    Compare(Vector),
    /// This is what you lack, and, if I lack something, what I have.
    Missing(Vec<Event>, Option<Vector>),
}

impl Saying for Talk {
    const KINDS: &'static [&'static str] = &["event", "compare", "missing"];

    fn kind(&self) -> u16 {
        match self {
            Self::Event(_) => 0,
            Self::Compare(_) => 1,
            Self::Missing(..) => 2,
        }
    }

    fn bytes(&self) -> u32 {
        let content = match self {
            Self::Event(event) => event.size(),
            Self::Compare(has) => has.bytes(),
            Self::Missing(events, has) => {
                events.iter().map(Event::size).sum::<usize>() + has.as_ref().map_or(0, Vector::bytes)
            }
        };
        u32::try_from(4 + content).unwrap_or(u32::MAX)
    }

    fn digest(&self, words: &mut Words) {
        words.push(self.kind().into());
        match self {
            Self::Event(event) => event.digest(words),
            Self::Compare(has) => has.digest(words),
            Self::Missing(events, has) => {
                words.push(events.len() as u64);
                events.iter().for_each(|event| event.digest(words));
                words.push(u64::from(has.is_some()));
                if let Some(has) = has {
                    has.digest(words);
                }
            }
        }
    }
}
