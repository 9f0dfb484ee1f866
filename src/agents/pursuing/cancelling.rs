//! Cancellations: a server is told that nobody waits for an attempt any more.

use super::AgentGroup;
use crate::kernel::Key;
use crate::world::call::cancel_address;
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::pursuit::Flight;
use crate::world::record::What;

impl AgentGroup {
    /// Tells the server of an attempt that nobody waits for it, over the network as anything else. Whoever has crashed tells nothing.
    pub(super) fn cancel(
        &mut self,
        member: u32,
        identity: u64,
        flight: &Flight,
        (key, address): (Key, u64),
        cx: &mut Cx<'_, '_>,
    ) {
        if self.crashing {
            return;
        }
        let message = Message::cancel(flight.server, false, identity, flight.number);
        let endpoint = &mut self.agents[member as usize].endpoint;
        let words = [identity, flight.server.into(), flight.number.into()];
        cx.record(What::CancelSent, endpoint.id, words);
        cx.send_about(endpoint, message, key, cancel_address(address));
    }
}
