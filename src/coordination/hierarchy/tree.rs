//! Who stands under whom: a tree, or a forest of several.

use serde::Serialize;

/// Positions and their parents. A position is a coordinator's place in the hierarchy, whoever fills it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tree {
    parents: Vec<Option<u32>>,
    children: Vec<Vec<u32>>,
    tiers: Vec<u32>,
    roots: Vec<u32>,
    systems: Vec<u32>,
}

impl Tree {
    /// The tree in which these are the parents. Those without one are the roots: the first of several is system 0.
    ///
    /// # Errors
    /// The positions that come to no root since they stand under each other, in a circle from the first of them upwards.
    ///
    /// # Panics
    /// Panics if a parent isn't a position.
    pub fn of(parents: Vec<Option<u32>>) -> Result<Self, Vec<u32>> {
        let count = parents.len();
        let mut children = vec![Vec::new(); count];
        let mut roots = Vec::new();
        for (position, parent) in (0u32..).zip(&parents) {
            match parent {
                Some(parent) => children[*parent as usize].push(position),
                None => roots.push(position),
            }
        }
        const UNKNOWN: u32 = u32::MAX;
        let (mut tiers, mut systems) = (vec![UNKNOWN; count], vec![UNKNOWN; count]);
        let mut next: Vec<u32> = roots.clone();
        for (system, root) in (0u32..).zip(&roots) {
            (tiers[*root as usize], systems[*root as usize]) = (0, system);
        }
        while let Some(position) = next.pop() {
            for child in &children[position as usize] {
                tiers[*child as usize] = tiers[position as usize] + 1;
                systems[*child as usize] = systems[position as usize];
                next.push(*child);
            }
        }
        if let Some(lost) = tiers.iter().position(|tier| *tier == UNKNOWN) {
            // Upwards from somebody who comes to no root one comes to a circle, and stays in it.
            let mut at = lost as u32;
            for _ in 0..count {
                at = parents[at as usize].unwrap_or(at);
            }
            let mut circle = vec![at];
            let mut above = parents[at as usize].unwrap_or(at);
            while above != at {
                circle.push(above);
                above = parents[above as usize].unwrap_or(at);
            }
            let first = (0..circle.len()).min_by_key(|place| circle[*place]).unwrap_or(0);
            circle.rotate_left(first);
            return Err(circle);
        }
        Ok(Self {
            parents,
            children,
            tiers,
            roots,
            systems,
        })
    }

    /// How many positions there are.
    pub fn len(&self) -> u32 {
        self.parents.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// Whom a position stands under.
    pub fn parent(&self, position: u32) -> Option<u32> {
        self.parents[position as usize]
    }

    /// Who stands under a position.
    pub fn children(&self, position: u32) -> &[u32] {
        &self.children[position as usize]
    }

    /// How far below the root a position is: 0 for a root.
    pub fn tier(&self, position: u32) -> u32 {
        self.tiers[position as usize]
    }

    /// How many tiers there are.
    pub fn depth(&self) -> u32 {
        self.tiers.iter().max().map_or(0, |tier| tier + 1)
    }

    /// The roots, one for each system.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// The system that a position belongs to.
    pub fn system(&self, position: u32) -> u32 {
        self.systems[position as usize]
    }

    /// Whether nobody stands under a position.
    pub fn is_leaf(&self, position: u32) -> bool {
        self.children[position as usize].is_empty()
    }

    /// The sibling after `at` of the position `of`, in a circle: `of` itself is left out. A root has none.
    pub fn sibling_after(&self, of: u32, at: u32) -> Option<u32> {
        let all = self.children(self.parent(of)?);
        let place = all.iter().position(|one| *one == at)?;
        let turn = all.iter().cycle().skip(place + 1).take(all.len());
        turn.copied().find(|sibling| *sibling != of)
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_knows_its_tiers_systems_and_siblings() {
        // Two systems: 0 over 2, 3 and 4; 1 over 5; 6 under 3.
        let parents = vec![None, None, Some(0), Some(0), Some(0), Some(1), Some(3)];
        let tree = Tree::of(parents).expect("no circle");
        assert_eq!(tree.depth(), 3);
        assert_eq!((tree.tier(0), tree.tier(5), tree.tier(6)), (0, 1, 2));
        assert_eq!((tree.system(6), tree.system(5)), (0, 1));
        assert_eq!(tree.roots(), [0, 1]);
        assert_eq!(tree.sibling_after(2, 2), Some(3));
        assert_eq!(tree.sibling_after(2, 4), Some(3), "its own place is left out");
        assert_eq!(tree.sibling_after(5, 5), None);
        assert_eq!(tree.sibling_after(0, 0), None);
        assert!(tree.is_leaf(6) && !tree.is_leaf(3));
    }

    #[test]
    fn a_circle_is_named_from_its_first() {
        // 4 hangs below a circle of 1, 3 and 2.
        let parents = vec![None, Some(3), Some(1), Some(2), Some(2)];
        assert_eq!(Tree::of(parents), Err(vec![1, 3, 2]));
        assert_eq!(Tree::of(vec![Some(0)]), Err(vec![0]));
    }

    proptest! {
        #[test]
        fn everybody_is_one_below_its_parent(seeds in prop::collection::vec(any::<u32>(), 1..60)) {
            let parents = seeds.iter().zip(0u32..).map(|(seed, at)| (at > 0).then(|| seed % at)).collect();
            let tree = Tree::of(parents).expect("parents come first");
            for position in 1..tree.len() {
                let parent = tree.parent(position).expect("one root");
                prop_assert_eq!(tree.tier(position), tree.tier(parent) + 1);
                prop_assert!(tree.children(parent).contains(&position));
            }
        }
    }
}
