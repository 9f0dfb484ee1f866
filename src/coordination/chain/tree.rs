//! The blocks that a node has, and which of them are its chain.

use super::super::shared::{Shared, Table};
use super::message::{Block, Request};
use serde::Serialize;

/// A block in the tree.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stored {
    pub block: Shared<Block>,
    /// The place of the one before it.
    parent: u32,
    /// How many requests its chain has up to it.
    pub count: u64,
}

/// What became of the chain when a block came.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    /// The blocks that aren't in it any more, from the lowest.
    pub left: Vec<Shared<Block>>,
    /// Those that are new in it, from the lowest.
    pub joined: Vec<Shared<Block>>,
}

/// Blocks, each with its parent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tree {
    /// The first is before all of them.
    blocks: Vec<Stored>,
    places: Table,
    /// The places of the blocks of the chain, by height.
    chain: Vec<u32>,
    /// The height of the block of the chain in which each request is.
    included: Table,
    /// The requests that can't be in the chain, with the height of the block that rules them out.
    spent: Table,
    /// Blocks whose parents aren't here.
    loose: Vec<Shared<Block>>,
}

/// The most blocks without a parent that are kept.
const MOST_LOOSE: usize = 1_024;

impl Tree {
    pub fn new() -> Self {
        let genesis = Block {
            id: 0,
            parent: 0,
            height: 0,
            finder: u32::MAX,
            requests: Vec::new(),
            spends: None,
            bytes: 0,
        };
        let mut places = Table::default();
        places.insert(0, 0);
        Self {
            blocks: vec![Stored {
                block: Shared::new(genesis),
                parent: 0,
                count: 0,
            }],
            places,
            chain: vec![0],
            included: Table::default(),
            spent: Table::default(),
            loose: Vec::new(),
        }
    }

    /// The last block of the chain.
    pub fn tip(&self) -> &Shared<Block> {
        self.at(self.height())
    }

    /// How high the chain is.
    pub fn height(&self) -> u64 {
        self.chain.len() as u64 - 1
    }

    /// The block of the chain at a height.
    pub fn at(&self, height: u64) -> &Shared<Block> {
        &self.blocks[self.chain[height as usize] as usize].block
    }

    /// How many requests are in the chain below a height.
    pub fn count_below(&self, height: u64) -> u64 {
        self.blocks[self.chain[height as usize - 1] as usize].count
    }

    pub fn has(&self, id: u64) -> bool {
        self.places.get(id).is_some()
    }

    /// Whether a block is here, if only without its parent.
    pub fn knows(&self, id: u64) -> bool {
        self.has(id) || self.loose.iter().any(|block| block.id == id)
    }

    pub fn get(&self, id: u64) -> Option<&Stored> {
        self.places.get(id).map(|place| &self.blocks[place as usize])
    }

    /// The height at which a request is in the chain.
    pub fn height_of(&self, identity: u64) -> Option<u64> {
        self.included.get(identity)
    }

    /// Whether a request may still come into the chain.
    pub fn may_include(&self, identity: u64) -> bool {
        self.included.get(identity).is_none() && self.spent.get(identity).is_none()
    }

    /// The block with this identity and those before it that are higher than `above`, from the lowest; the last `most` of them.
    pub fn path(&self, id: u64, above: u64, most: usize) -> Vec<Shared<Block>> {
        let mut path = Vec::new();
        let mut next = self.places.get(id);
        while let Some(place) = next
            && place != 0
            && path.len() < most
        {
            let stored = &self.blocks[place as usize];
            // Somebody whose chain is as high as this one's has others.
            if stored.block.height <= above && !path.is_empty() {
                break;
            }
            path.push(stored.block.clone());
            next = Some(u64::from(stored.parent));
        }
        path.reverse();
        path
    }

    /// Takes a block in, and those that waited for it. What lacks its parent waits: the identity of the one that it lacks comes back.
    pub fn insert(&mut self, block: &Shared<Block>) -> Result<Vec<u64>, u64> {
        if !self.has(block.parent) {
            if self.loose.len() == MOST_LOOSE {
                self.loose.remove(0);
            }
            if !self.knows(block.id) {
                self.loose.push(block.clone());
            }
            return Err(self.missing(block.parent));
        }
        let mut taken = Vec::new();
        let mut next = vec![block.clone()];
        while let Some(block) = next.pop() {
            if self.has(block.id) {
                continue;
            }
            let parent = self.places.get(block.parent).unwrap_or(0) as u32;
            let count = self.blocks[parent as usize].count + block.requests.len() as u64;
            self.places.insert(block.id, self.blocks.len() as u64);
            taken.push(block.id);
            let (ready, loose) = std::mem::take(&mut self.loose)
                .into_iter()
                .partition(|one| one.parent == block.id);
            self.loose = loose;
            next.extend::<Vec<_>>(ready);
            self.blocks.push(Stored { block, parent, count });
        }
        Ok(taken)
    }

    /// The block that is missing before this one, which isn't here or hangs loose.
    fn missing(&self, id: u64) -> u64 {
        let mut missing = id;
        while let Some(block) = self.loose.iter().find(|block| block.id == missing) {
            missing = block.parent;
        }
        missing
    }

    /// Makes the chain that of a block.
    pub fn adopt(&mut self, id: u64) -> Change {
        let mut change = Change::default();
        let Some(place) = self.places.get(id) else {
            return change;
        };
        let mut joined = Vec::new();
        let mut place = place as u32;
        while self.chain.get(self.blocks[place as usize].block.height as usize) != Some(&place) {
            joined.push(place);
            place = self.blocks[place as usize].parent;
        }
        let fork = self.blocks[place as usize].block.height as usize;
        for left in self.chain.drain(fork + 1..) {
            let block = self.blocks[left as usize].block.clone();
            for request in &block.requests {
                self.included.remove(request.identity);
            }
            if let Some(spent) = block.spends {
                self.spent.remove(spent);
            }
            change.left.push(block);
        }
        for place in joined.into_iter().rev() {
            let block = self.blocks[place as usize].block.clone();
            for request in &block.requests {
                self.included.insert(request.identity, block.height);
            }
            if let Some(spent) = block.spends {
                self.spent.insert(spent, block.height);
            }
            self.chain.push(place);
            change.joined.push(block);
        }
        change
    }

    /// The requests of these that may follow the block with this identity: not in its chain, and not ruled out there.
    pub fn may_follow<'a>(&self, id: u64, requests: impl Iterator<Item = &'a Request>, most: usize) -> Vec<Request> {
        let is_tip = self.tip().id == id;
        // A block that isn't in the chain is a few blocks from it.
        let mut path = Vec::new();
        let mut next = if is_tip { None } else { self.places.get(id) };
        while let Some(place) = next {
            let stored = &self.blocks[place as usize];
            let height = stored.block.height as usize;
            if self.chain.get(height) == Some(&(place as u32)) {
                break;
            }
            path.push(stored.block.clone());
            next = Some(u64::from(stored.parent));
        }
        let fork = path.last().map_or(self.height(), |block| block.height - 1);
        let may = |request: &&Request| {
            let identity = request.identity;
            let below = |height: Option<u64>| height.is_some_and(|height| height <= fork);
            !below(self.included.get(identity))
                && !below(self.spent.get(identity))
                && path.iter().all(|block| {
                    block.spends != Some(identity) && block.requests.iter().all(|one| one.identity != identity)
                })
        };
        // What was in a block once and is in the pool again may be there twice.
        let mut taken = Table::default();
        let once = |request: &&Request| taken.insert(request.identity, 0);
        requests.filter(may).filter(once).take(most).copied().collect()
    }
}
