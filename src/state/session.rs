//! Sessions: what a client remembers of its operations on a store, and what it asks of the replicas that serve it.
//!
//! The client's library of causally consistent stores (COPS: Lloyd et al., SOSP 2011) and of session guarantees (Terry et al.,
//! PDIS 1994), as data without I/O. Updates are named across the keys of a store by a [`Dot`]: the replica that accepted one,
//! and the number of that update among all that it accepted. Replicas take the updates of each origin in in their order, so a
//! vector of the highest numbers stands for a set of updates.
//!
//! Guarantees: what a client asks for is never less than what its guarantees need. It may be more: a component of a vector
//! stands for all earlier updates of its origin, whoever made them.

use super::dots::{Dot, VersionVector};
use serde::{Deserialize, Serialize};

/// What a request brings of its client's session; and what an answer adds to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Updates that the client has read, or is reading.
    pub reads: VersionVector,
    /// Its own updates.
    pub writes: VersionVector,
}

impl Token {
    /// Bytes on the wire: nothing when empty, otherwise the vectors that aren't.
    pub fn bytes(&self) -> u64 {
        let of = |vector: &VersionVector| if vector.is_empty() { 0 } else { vector.bytes() };
        of(&self.reads) + of(&self.writes)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// A hash of the content.
    pub fn digest(&self) -> u64 {
        self.writes.hash(self.reads.hash(1).rotate_left(7))
    }

    /// All of its updates, by origin.
    pub fn updates(&self) -> impl Iterator<Item = Dot> + '_ {
        self.reads.tops().iter().chain(self.writes.tops()).copied()
    }
}

/// The session guarantees that a store keeps (Terry et al., 1994), each by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantees {
    /// A read shows what its session has written.
    pub read_your_writes: bool,
    /// A read shows what its session has read.
    pub monotonic_reads: bool,
    /// An update is applied after the earlier ones of its session, everywhere.
    pub monotonic_writes: bool,
    /// An update is applied after what its session has read, everywhere.
    pub writes_follow_reads: bool,
}

impl Guarantees {
    /// All four.
    pub const ALL: Self = Self {
        read_your_writes: true,
        monotonic_reads: true,
        monotonic_writes: true,
        writes_follow_reads: true,
    };
}

/// What clients of a store remember from one operation to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    /// Nothing.
    #[default]
    None,
    /// The nearest dependencies: what was read since the last update, and that update.
    Nearest,
    /// What was read, and what was written, as far as these guarantees need it.
    Vectors(Guarantees),
    /// Which replica they used.
    Replica,
    /// The last answer alone: a flaw for tests, that of a client which takes its last operation for its only dependency.
    #[doc(hidden)]
    LastAnswer,
}

impl Memory {
    /// Whether requests bring a token.
    pub fn has_token(self) -> bool {
        matches!(self, Self::Nearest | Self::Vectors(_) | Self::LastAnswer)
    }
}

/// The session of a client with a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    known: Token,
}

impl Session {
    /// What a request brings.
    pub fn token(&self, memory: Memory, updates: bool) -> Option<Box<Token>> {
        let some = |vector: &VersionVector, wanted: bool| {
            if wanted {
                vector.clone()
            } else {
                VersionVector::default()
            }
        };
        let token = match memory {
            Memory::None | Memory::Replica => return None,
            Memory::Nearest | Memory::LastAnswer => self.known.clone(),
            Memory::Vectors(guarantees) => {
                let (reads, writes) = match updates {
                    true => (guarantees.writes_follow_reads, guarantees.monotonic_writes),
                    false => (guarantees.monotonic_reads, guarantees.read_your_writes),
                };
                Token {
                    reads: some(&self.known.reads, reads),
                    writes: some(&self.known.writes, writes),
                }
            }
        };
        (!token.is_empty()).then(|| Box::new(token))
    }

    /// An operation that had brought `sent` was answered with `got`.
    ///
    /// The nearest dependencies: an update comes after all that its request had brought, so that it alone stands for that from
    /// then on. What was learnt while it was under way isn't among it, and stays.
    pub fn note(&mut self, memory: Memory, sent: Option<&Token>, got: &Token) {
        match memory {
            Memory::None | Memory::Replica => return,
            Memory::Nearest if !got.writes.is_empty() => {
                if let Some(sent) = sent {
                    self.known.reads = beyond(&self.known.reads, &sent.reads);
                    self.known.writes = beyond(&self.known.writes, &sent.writes);
                }
            }
            Memory::Nearest => {}
            Memory::LastAnswer => self.known = Token::default(),
            Memory::Vectors(guarantees) => {
                if guarantees.monotonic_reads || guarantees.writes_follow_reads {
                    self.known.reads.join(&got.reads);
                }
                if guarantees.read_your_writes || guarantees.monotonic_writes {
                    self.known.writes.join(&got.writes);
                }
                return;
            }
        }
        self.known.reads.join(&got.reads);
        self.known.writes.join(&got.writes);
    }
}

/// The components of a vector that another one hasn't.
pub(crate) fn beyond(vector: &VersionVector, other: &VersionVector) -> VersionVector {
    let news = vector.tops().iter().filter(|top| !other.contains(**top));
    VersionVector::from_tops(news.copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Origin;

    fn vector(tops: &[(u16, u32)]) -> VersionVector {
        let mut vector = VersionVector::default();
        for (origin, number) in tops {
            vector.raise(Origin::new(*origin, 0), *number);
        }
        vector
    }

    fn read(tops: &[(u16, u32)]) -> Token {
        Token {
            reads: vector(tops),
            writes: VersionVector::default(),
        }
    }

    fn wrote(origin: u16, number: u32) -> Token {
        Token {
            reads: VersionVector::default(),
            writes: vector(&[(origin, number)]),
        }
    }

    #[test]
    fn an_update_stands_for_what_its_request_had_brought() {
        let (memory, mut session) = (Memory::Nearest, Session::default());
        session.note(memory, None, &read(&[(0, 4), (1, 2)]));
        let sent = session.token(memory, true).expect("something was read");
        // A read that another branch of the agent makes while the update is under way isn't covered by it.
        session.note(memory, None, &read(&[(1, 3)]));
        session.note(memory, Some(&sent), &wrote(2, 7));
        let left = session.token(memory, false).expect("something is left");
        assert_eq!(
            *left,
            Token {
                reads: vector(&[(1, 3)]),
                writes: vector(&[(2, 7)])
            }
        );
        assert_eq!(session.token(memory, true), Some(left));
    }

    #[test]
    fn vectors_bring_what_their_guarantees_need_and_no_more() {
        let all = Token {
            reads: vector(&[(0, 4)]),
            writes: vector(&[(2, 7)]),
        };
        let one = |set: fn(&mut Guarantees)| {
            let mut guarantees = Guarantees::default();
            set(&mut guarantees);
            let memory = Memory::Vectors(guarantees);
            let mut session = Session::default();
            session.note(memory, None, &all);
            [false, true].map(|updates| session.token(memory, updates).map(|token| *token))
        };
        let (reads, writes) = (Some(read(&[(0, 4)])), Some(wrote(2, 7)));
        assert_eq!(one(|it| it.read_your_writes = true), [writes.clone(), None]);
        assert_eq!(one(|it| it.monotonic_reads = true), [reads.clone(), None]);
        assert_eq!(one(|it| it.monotonic_writes = true), [None, writes]);
        assert_eq!(one(|it| it.writes_follow_reads = true), [None, reads]);
        assert_eq!(one(|_| {}), [None, None]);
        assert_eq!(one(|it| *it = Guarantees::ALL), [Some(all.clone()), Some(all.clone())]);
    }

    #[test]
    fn a_token_weighs_its_vectors() {
        assert_eq!(Token::default().bytes(), 0);
        assert_eq!(read(&[(0, 4), (1, 2)]).bytes(), 4 + 16);
        let both = Token {
            reads: vector(&[(0, 4)]),
            writes: vector(&[(2, 7)]),
        };
        assert_eq!(both.bytes(), 2 * (4 + 8));
        assert_ne!(both.digest(), read(&[(0, 4)]).digest());
    }
}
