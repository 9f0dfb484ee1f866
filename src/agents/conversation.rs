//! Conversations: what an agent has said and been told by models, as the beginning of the next prompt.

use super::group::AgentGroup;
use super::step::PromptStep;
use crate::world::call::Prompt;
use serde::Serialize;

/// An agent's conversation in one run of its program.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Conversation {
    /// Which run.
    run: u32,
    /// The tokens so far.
    tokens: u32,
}

impl AgentGroup {
    /// What a call says of its prompt and its answer, which have so many tokens of their own where it says so: the turns before are added, and
    /// the answer is cut at its maximum.
    #[inline(never)]
    pub(super) fn prompt(&self, id: u32, said: &PromptStep, tokens: (&mut u32, &mut u32)) -> Option<Box<Prompt>> {
        let member = self.member_of(id);
        let run = self.biographies[member as usize].runs;
        let before = self
            .conversations
            .get(&member)
            .filter(|conversation| conversation.run == run);
        let key = self.agents[member as usize].endpoint.key.bits();
        let prompt = Prompt {
            max_out: said.max_out,
            shared: said.shared,
            conversation: said.continues.then(|| {
                key.rotate_left(20)
                    .wrapping_add(u64::from(run).wrapping_mul(0xbf58_476d_1ce4_e5b9))
            }),
            before: before.map_or(0, |conversation| conversation.tokens * u32::from(said.continues)),
            about: None,
        };
        // What the call doesn't say, the service says, and it adds the turns before.
        if (*tokens.0, *tokens.1) != (0, 0) {
            prompt.extend(tokens.0);
        }
        prompt.cut(tokens.1);
        prompt.of_request()
    }

    /// A turn of an agent's conversation was answered: so many tokens come before the next one.
    pub(super) fn turn_over(&mut self, member: u32, tokens: u32) {
        let run = self.biographies[member as usize].runs;
        self.conversations.insert(member, Conversation { run, tokens });
    }
}
