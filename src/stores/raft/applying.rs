//! How the log gets into the keys.

use super::super::replica::{show, tell};
use super::super::store::Store;
use super::super::words::{op_words, push_versions, store_key};
use super::member::{Command, Image, Seat};
use crate::coordination::raft::Committed;
use crate::state::{Accept, Context, Dot, Fate, Op, Origin, Resolution};
use crate::world::population::Cx;
use crate::world::record::What;

impl<R: Resolution> Store<R> {
    /// Applies an entry, and answers who waits for it here.
    pub(super) fn apply_entry(&mut self, seat: Seat, committed: Committed<Command>, cx: &mut Cx<'_, '_>) {
        let Committed {
            index,
            identity,
            command,
            fresh,
        } = committed;
        let remember = u64::from(self.group().remember);
        let it = self.member(seat);
        it.decided = index;
        it.moved.forget(index, remember);
        let (member, agreed) = (seat.replica, &mut self.agreed[seat.shard as usize]);
        if fresh {
            // Every replica does the same here; only the first is where it happens, for the records.
            let is_first = index > *agreed;
            *agreed = (*agreed).max(index);
            let slot = &self.replicas[member as usize].slots[command.key as usize];
            let holds = command.expects.is_none_or(|version| version == u64::from(slot.number));
            if is_first && command.expects.is_some() {
                let words = [
                    command.source.identity,
                    store_key(self.index, command.key),
                    u64::from(holds),
                ];
                cx.record(What::Swapped, self.replicas[member as usize].endpoint.id, words);
            }
            if holds {
                self.apply_command(member, index, &command, is_first, cx);
            } else {
                self.member(seat).moved.note(identity, index, remember);
            }
        }
        self.answer_update(seat, identity, command.key, cx);
        self.serve_behind(seat, cx);
    }

    /// Applies a command as the next version of its key.
    fn apply_command(&mut self, member: u32, index: u64, command: &Command, is_first: bool, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let (id, word) = (replica.endpoint.id, store_key(self.index, command.key));
        let slot = &mut replica.slots[command.key as usize];
        slot.number += 1;
        // The group is one origin: it numbers a key's updates in the order of its log.
        let dot = Dot::new(Origin::new(0, 0), slot.number);
        let stamp = i64::try_from(index).expect("fewer than 2^63 entries");
        if is_first && cx.wants(What::Accepted) {
            let may_see = matches!(command.op, Op::Write(_) | Op::InsertText { .. } | Op::DeleteText { .. });
            let blind = u64::from(!command.informed || !may_see);
            let [what, with] = op_words(command.op);
            let source = &command.source;
            self.words.clear();
            self.words.extend([
                source.began.as_nanos(),
                u64::from(source.client) | blind << 32,
                stamp as u64,
                what,
                with,
            ]);
            push_versions(&self.model.versions(&slot.entry), &mut self.words);
            let words = [source.identity, word, dot.bits()];
            cx.record_with(What::Accepted, id, words, &self.words);
        }
        let context = command.informed.then(Context::default);
        let at = Accept {
            dot,
            stamp,
            context: context.as_ref(),
        };
        self.model.update(&mut slot.entry, command.op, at, &mut |fate| {
            let once = matches!(fate, Fate::BuiltOn { .. } | Fate::Placed { .. } | Fate::Took { .. });
            if is_first || !once {
                tell(cx, id, word, fate);
            }
        });
        show(&self.model, slot, id, word, cx);
        if is_first {
            let source = &command.source;
            let (before, failed) = match cx.shared.calls.get_mut(source.call) {
                Some(call) => {
                    call.executed += 1;
                    (u64::from(call.executed - 1), u64::from(call.failed))
                }
                // Nobody needs the call any more, and none of its attempts was answered.
                None => (0, 1),
            };
            let words = [source.identity, before, failed];
            cx.record_with(What::Executed, id, words, &[source.began.as_nanos()]);
        }
    }

    /// The state of the keys of a group at a replica, in place of the log.
    pub(super) fn member_image(&mut self, seat: Seat) -> Image<R> {
        let slots = (0u32..).zip(&self.replicas[seat.replica as usize].slots);
        let sharding = &self.group().sharding;
        let keys = slots
            .filter(|(key, slot)| slot.number > 0 && sharding.shard(*key) == seat.shard)
            .map(|(key, slot)| (key, slot.entry.clone(), slot.number));
        let keys = keys.collect();
        let it = self.member(seat);
        Image {
            keys,
            moved: it.moved.clone(),
            decided: it.decided,
        }
    }

    /// A replica takes over the state that the leader has sent, and answers who waits for what that has.
    pub(super) fn install(&mut self, seat: Seat, image: Image<R>, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[seat.replica as usize];
        let id = replica.endpoint.id;
        for (key, entry, number) in image.keys {
            let (slot, word) = (&mut replica.slots[key as usize], store_key(self.index, key));
            slot.number = number;
            if self
                .model
                .join(&mut slot.entry, &entry, &mut |fate| tell(cx, id, word, fate))
            {
                show(&self.model, slot, id, word, cx);
            }
        }
        let it = self.member(seat);
        (it.moved, it.decided) = (image.moved, image.decided);
        let waiting: Vec<_> = it.updates.keys().copied().collect();
        for identity in waiting {
            let it = self.member(seat);
            let attempt = it.updates[&identity].first().map(|waiting| waiting.attempt);
            if it.node.disk().sessions.knows(identity)
                && let Some((_, call)) = attempt.and_then(|attempt| cx.shared.journey(attempt))
                && let crate::world::call::Request::Update { key, .. } = call.request
            {
                self.answer_update(seat, identity, key, cx);
            }
        }
        self.serve_behind(seat, cx);
    }
}
