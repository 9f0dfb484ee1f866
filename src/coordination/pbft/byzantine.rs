//! What a Byzantine replica makes of what it should have said.
//!
//! It runs the protocol, so that it knows what would be believed, and changes what leaves it. It has no seal but its own.

use super::super::shared::{Shared, mix};
use super::Rules;
use super::message::{Batch, Certificate, Message, NOTHING, NewView, Order, Request, Seal, Transfer, ViewChange, Vote};
use super::replica::{Cx, Replica};
use serde::{Deserialize, Serialize};

/// How a Byzantine replica misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// It says nothing.
    Silent,
    /// It tells replicas with odd numbers something else than those with even ones, in orders, votes, checkpoints and view changes,
    /// commits whatever it has voted for at once, and orders both at every third sequence number.
    Equivocate,
    /// It says everything late: see [`Rules::delay`].
    Delay,
    /// It says what isn't so: orders of requests that nobody asked for, votes for wrong digests and in the name of others, wrong replies,
    /// checkpoints and states, view changes with made-up or withheld certificates, new views that drop what was prepared.
    Forge,
    /// It keeps the protocol towards the other replicas, and tells clients the opposite as soon as it knows what they ask for, before
    /// anything is agreed. All who do so say the same.
    Collude,
}

/// A digest that a forger makes up.
fn false_digest(digest: u64) -> u64 {
    mix(digest, 0xfa15e) | 2
}

impl Replica {
    /// Says something to one member.
    pub(super) fn say(&mut self, to: u32, message: Message, cx: &mut Cx<'_, '_>) {
        if to == self.me {
            return;
        }
        match self.behaviour {
            None => cx.io.send(to, message),
            Some(_) => self.distort(to, message, cx),
        }
    }

    /// Says something to all other replicas.
    pub(super) fn say_to_all(&mut self, message: Message, cx: &mut Cx<'_, '_>) {
        let all = 0..cx.rules.replicas;
        match self.behaviour {
            None => cx.io.send_to_all(all, &message),
            Some(_) => {
                for to in all {
                    if to != self.me {
                        self.distort(to, message.clone(), cx);
                    }
                }
            }
        }
    }

    fn distort(&mut self, to: u32, message: Message, cx: &mut Cx<'_, '_>) {
        match self.behaviour {
            Some(Behaviour::Delay) => {
                let at = cx.now().saturating_add(cx.rules.delay);
                self.held.push_back((at, to, message));
            }
            Some(Behaviour::Equivocate) if to < cx.rules.replicas => {
                let other = self.contradict(message.clone());
                let (first, second) = match to % 2 {
                    0 => (message, other),
                    _ => (other, message),
                };
                let changes_its_mind = matches!(&first, Message::PrePrepare { seq, .. } if seq % 3 == 0);
                self.commit_at_once(to, &first, cx);
                cx.io.send(to, first);
                if changes_its_mind {
                    self.commit_at_once(to, &second, cx);
                    cx.io.send(to, second);
                }
            }
            Some(Behaviour::Equivocate) => cx.io.send(to, message),
            Some(Behaviour::Forge) => {
                let message = self.forge(to, message, cx.rules);
                cx.io.send(to, message);
            }
            Some(Behaviour::Collude) => {
                let message = match message {
                    Message::Reply { identity, value, .. } => self.opposite(identity, value ^ 1),
                    message => message,
                };
                cx.io.send(to, message);
            }
            Some(Behaviour::Silent) | None => {}
        }
    }

    /// A colluder tells a client the opposite of what will be agreed.
    pub(super) fn forestall(&self, request: &Request, cx: &mut Cx<'_, '_>) {
        if self.behaviour == Some(Behaviour::Collude) {
            let lie = self.opposite(request.identity, request.value ^ 1);
            cx.io.send(request.client, lie);
        }
    }

    fn opposite(&self, identity: u64, value: u64) -> Message {
        let view = self.view;
        let seal = self.signer.seal(Seal::Reply, [view, identity, value]);
        Message::Reply {
            view,
            identity,
            value,
            seal,
        }
    }

    fn vote(&self, what: Seal, (view, seq, digest): (u64, u64, u64)) -> Vote {
        Vote {
            view,
            seq,
            digest,
            seal: self.signer.seal(what, [view, seq, digest]),
            by: self.me,
        }
    }

    /// An equivocator commits what it has just ordered or agreed with.
    fn commit_at_once(&self, to: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let about = match message {
            Message::PrePrepare { view, seq, batch, .. } => (*view, *seq, batch.digest),
            Message::Prepare(vote) => (vote.view, vote.seq, vote.digest),
            _ => return,
        };
        if to < cx.rules.replicas {
            cx.io.send(to, Message::Commit(self.vote(Seal::Commit, about)));
        }
    }

    /// The other batch that an equivocator has for a sequence number: the same requests the other way round, or none.
    fn other_batch(&self, batch: &Batch) -> Batch {
        let requests = match batch.requests.as_slice() {
            [_] | [] => Vec::new(),
            several => several.iter().rev().copied().collect(),
        };
        Batch::of(requests)
    }

    /// What an equivocator says to the others about the same.
    fn contradict(&self, message: Message) -> Message {
        let other = |seq: u64, digest: u64| {
            let batch = self.log.get(seq).and_then(|slot| slot.find(digest));
            batch.map_or(NOTHING, |batch| self.other_batch(&batch).digest)
        };
        match message {
            Message::PrePrepare { view, seq, batch, .. } => {
                let batch = Shared::new(self.other_batch(&batch));
                let seal = self.signer.seal(Seal::Prepare, [view, seq, batch.digest]);
                Message::PrePrepare { view, seq, seal, batch }
            }
            Message::Prepare(Vote { view, seq, digest, .. }) => {
                Message::Prepare(self.vote(Seal::Prepare, (view, seq, other(seq, digest))))
            }
            Message::Commit(Vote { view, seq, digest, .. }) => {
                Message::Commit(self.vote(Seal::Commit, (view, seq, other(seq, digest))))
            }
            Message::Checkpoint { seq, digest, .. } => self.mark(seq, false_digest(digest)),
            Message::ViewChange(change) => Message::ViewChange(self.withhold(&change)),
            message => message,
        }
    }

    fn mark(&self, seq: u64, digest: u64) -> Message {
        let seal = self.signer.seal(Seal::Checkpoint, [seq, digest, 0]);
        Message::Checkpoint { seq, digest, seal }
    }

    /// A wish for a view that says nothing of what was prepared: nobody can see that.
    fn withhold(&self, change: &ViewChange) -> Shared<ViewChange> {
        let mut change = ViewChange {
            prepared: Vec::new(),
            ..change.clone()
        };
        change.seal = self.signer.seal(Seal::ViewChange, change.content());
        Shared::new(change)
    }

    /// A wish for a view with certificates that never were, for the sequence numbers that others may have prepared.
    fn make_up(&self, change: &ViewChange, rules: &Rules) -> Shared<ViewChange> {
        let low = change.low();
        let made_up = |seq: u64| Certificate {
            view: change.view - 1,
            seq,
            digest: false_digest(seq),
            signers: (1 << rules.quorum()) - 1,
            seals: mix(seq, change.view),
        };
        let prepared = (low + 1..=low + 4.min(rules.window)).map(made_up).collect();
        let mut change = ViewChange {
            prepared,
            ..change.clone()
        };
        change.seal = self.signer.seal(Seal::ViewChange, change.content());
        Shared::new(change)
    }

    /// What a forger says instead.
    fn forge(&self, to: u32, message: Message, rules: &Rules) -> Message {
        let odd = |seq: u64| (seq + u64::from(to)) % 2 == 1;
        match message {
            Message::PrePrepare { view, seq, batch, .. } => {
                // In the name of a client, whose seal it hasn't got.
                let made_up = Request {
                    identity: false_digest(seq),
                    value: view,
                    client: rules.replicas,
                    bytes: 64,
                    seal: mix(seq, view),
                };
                let mut requests = batch.requests.clone();
                requests.truncate(rules.batch as usize - 1);
                requests.push(made_up);
                let batch = Shared::new(Batch::of(requests));
                let seal = self.signer.seal(Seal::Prepare, [view, seq, batch.digest]);
                Message::PrePrepare { view, seq, seal, batch }
            }
            Message::Prepare(vote) => Message::Prepare(self.forge_vote(Seal::Prepare, vote, odd(vote.seq), rules)),
            Message::Commit(vote) => Message::Commit(self.forge_vote(Seal::Commit, vote, odd(vote.seq), rules)),
            Message::Reply { identity, value, .. } => self.opposite(identity, value ^ 1),
            Message::Checkpoint { seq, digest, .. } => self.mark(seq, false_digest(digest)),
            Message::ViewChange(change) => Message::ViewChange(match odd(change.view) {
                true => self.make_up(&change, rules),
                false => self.withhold(&change),
            }),
            Message::NewView(new) => Message::NewView(self.drop_prepared(&new)),
            Message::Stable(proof) | Message::FetchState(proof) => Message::Stable(Shared::new(Certificate {
                seq: proof.seq + rules.checkpoint_every,
                ..*proof
            })),
            Message::State(transfer) => Message::State(Shared::new(Transfer {
                proof: transfer.proof,
                snapshot: transfer.snapshot.forged(),
            })),
            Message::Batch { seq, .. } => Message::Batch {
                seq,
                batch: Shared::new(Batch::of(Vec::new())),
            },
            Message::Decision { proof, .. } => Message::Decision {
                proof: Shared::new(Certificate {
                    digest: NOTHING,
                    ..*proof
                }),
                batch: Shared::new(Batch::of(Vec::new())),
            },
            message => message,
        }
    }

    /// A vote for something else, or for something else in the name of another.
    fn forge_vote(&self, what: Seal, vote: Vote, for_another: bool, rules: &Rules) -> Vote {
        let digest = false_digest(vote.digest);
        let vote = self.vote(what, (vote.view, vote.seq, digest));
        match for_another {
            true => Vote {
                by: (self.me + 1) % rules.replicas,
                ..vote
            },
            false => vote,
        }
    }

    /// A new view in which nothing has to be ordered that was prepared.
    fn drop_prepared(&self, new: &NewView) -> Shared<NewView> {
        let nothing = |order: &Order| Order {
            digest: NOTHING,
            seal: self.signer.seal(Seal::Prepare, [new.view, order.seq, NOTHING]),
            ..*order
        };
        let mut new = NewView {
            orders: new.orders.iter().map(nothing).collect(),
            ..new.clone()
        };
        new.seal = self.signer.seal(Seal::NewView, new.content());
        Shared::new(new)
    }
}
