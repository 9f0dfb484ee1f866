//! Partial views: whom each member knows, as a random graph that doesn't change.

use crate::kernel::{Key, Purpose};
use std::sync::Arc;

/// What the links of a view are drawn for.
const LINKS: Purpose = Purpose(0x131);

/// The neighbours of each member, in two flat arrays that all members share.
///
/// Every member opens links to a stated number of others, uniformly at random, and links go both ways: a member has that many neighbours
/// at least, and twice as many on average.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Views {
    starts: Arc<[u32]>,
    peers: Arc<[u32]>,
}

impl Views {
    /// The views of so many members, each of which opens `links` links under its own key; all others if there are no more of them.
    pub fn random(members: u32, links: u32, key_of: impl Fn(u32) -> Key) -> Self {
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(2 * members as usize * links as usize);
        for member in 0..members {
            let mut draws = key_of(member).stream(LINKS, 0);
            for peer in distinct(members, member, links, |bound| draws.below(bound)) {
                pairs.extend([(member, peer), (peer, member)]);
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; members as usize + 1];
        for (member, _) in &pairs {
            starts[*member as usize + 1] += 1;
        }
        for member in 0..members as usize {
            starts[member + 1] += starts[member];
        }
        Self {
            starts: starts.into(),
            peers: pairs.into_iter().map(|(_, peer)| peer).collect(),
        }
    }

    /// Whom a member knows, ascending.
    pub fn of(&self, member: u32) -> &[u32] {
        let [start, end] = [member, member + 1].map(|place| self.starts[place as usize] as usize);
        &self.peers[start..end]
    }

    /// How many members there are that no chain of links leads to from `member`.
    pub fn unreachable_from(&self, member: u32) -> u32 {
        let mut seen = vec![false; self.starts.len() - 1];
        seen[member as usize] = true;
        let (mut next, mut found) = (vec![member], 1);
        while let Some(member) = next.pop() {
            for peer in self.of(member) {
                if !std::mem::replace(&mut seen[*peer as usize], true) {
                    found += 1;
                    next.push(*peer);
                }
            }
        }
        seen.len() as u32 - found
    }
}

/// `count` different members other than `me`, each such set as likely as every other: all of them if there are no more.
pub(crate) fn distinct(
    members: u32,
    me: u32,
    count: u32,
    mut below: impl FnMut(u64) -> u64,
) -> smallvec::SmallVec<[u32; 4]> {
    let others = members.saturating_sub(1);
    let number = |place: u64| place as u32 + u32::from(place as u32 >= me);
    if count >= others {
        return (0..others).map(|place| number(place.into())).collect();
    }
    // Floyd's sampling (Bentley and Floyd, CACM 1987): one draw for each, none in vain.
    let mut chosen = smallvec::SmallVec::new();
    for last in others - count..others {
        let place = below(u64::from(last) + 1);
        let candidate = number(place);
        let taken = chosen.contains(&candidate);
        chosen.push(if taken { number(last.into()) } else { candidate });
    }
    chosen
}
