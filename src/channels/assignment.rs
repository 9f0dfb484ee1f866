//! How the partitions of a log are shared among the members of a consumer group.
//!
//! Guarantees: every partition has exactly one owner, unless there are no members; the shares of two members differ by one partition at
//! most. The range assignor is Kafka's for one topic (`RangeAssignor`); the sticky one moves as few partitions as an even share allows
//! (KIP-54, KIP-429).

use super::spec::Assignment;

/// The owners of all partitions. `before` are the owners so far; `members` ascend.
pub fn assign(how: Assignment, before: &[Option<u32>], members: &[u32]) -> Vec<Option<u32>> {
    match (how, members.len()) {
        (_, 0) => vec![None; before.len()],
        (Assignment::Range, _) => range(before.len(), members),
        (Assignment::Sticky, _) => sticky(before, members),
    }
}

/// Neighbouring partitions for each; the first of the members get one more where they don't come out even.
fn range(partitions: usize, members: &[u32]) -> Vec<Option<u32>> {
    let (each, more) = (partitions / members.len(), partitions % members.len());
    let owned = members.iter().enumerate();
    owned
        .flat_map(|(place, member)| std::iter::repeat_n(Some(*member), each + usize::from(place < more)))
        .collect()
}

/// Everybody keeps what he has, up to an even share; the rest goes to those with the least.
fn sticky(before: &[Option<u32>], members: &[u32]) -> Vec<Option<u32>> {
    let (each, mut more) = (before.len() / members.len(), before.len() % members.len());
    let mut counts = vec![0usize; members.len()];
    let mut owners = vec![None; before.len()];
    let place_of = |owner: u32| members.binary_search(&owner).ok();
    for owner in before.iter().flatten().filter_map(|owner| place_of(*owner)) {
        counts[owner] += 1;
    }
    // Those who have more than their share may keep one beyond it, as many as there are to spare.
    let mut quota: Vec<usize> = vec![each; members.len()];
    for (quota, _) in quota.iter_mut().zip(&counts).filter(|(_, count)| **count > each) {
        if more > 0 {
            (*quota, more) = (*quota + 1, more - 1);
        }
    }
    for quota in &mut quota {
        if more > 0 && *quota == each {
            (*quota, more) = (*quota + 1, more - 1);
        }
    }
    let mut kept = vec![0usize; members.len()];
    for (partition, owner) in before.iter().enumerate() {
        if let Some(place) = owner.and_then(place_of)
            && kept[place] < quota[place]
        {
            kept[place] += 1;
            owners[partition] = Some(members[place]);
        }
    }
    let mut next = 0;
    for owner in owners.iter_mut().filter(|owner| owner.is_none()) {
        while next < members.len() && kept[next] >= quota[next] {
            next += 1;
        }
        let Some(member) = members.get(next) else { break };
        kept[next] += 1;
        *owner = Some(*member);
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_neighbours_and_the_first_get_one_more() {
        let owners = assign(Assignment::Range, &[None; 7], &[3, 5, 8]);
        let expected = [3, 3, 3, 5, 5, 8, 8].map(Some);
        assert_eq!(owners, expected);
        // More members than partitions: some have none.
        assert_eq!(assign(Assignment::Range, &[None; 1], &[3, 5]), [Some(3)]);
    }

    #[test]
    fn who_comes_takes_no_more_than_an_even_share_from_those_who_stay() {
        let before = [1, 1, 1, 2, 2, 2].map(Some);
        assert_eq!(
            assign(Assignment::Sticky, &before, &[1, 2, 9]),
            [1, 1, 9, 2, 2, 9].map(Some)
        );
        // Who leaves leaves his partitions to the others, and nothing else moves.
        assert_eq!(assign(Assignment::Sticky, &before, &[2]), [2; 6].map(Some));
    }

    fn shares(owners: &[Option<u32>], members: &[u32]) -> Vec<usize> {
        let of = |member: &u32| owners.iter().filter(|owner| **owner == Some(*member)).count();
        members.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn everybody_has_an_even_share_and_every_partition_an_owner(
            before in prop::collection::vec(prop::option::of(0u32..6), 0..20),
            members in prop::collection::btree_set(0u32..8, 0..7),
            sticky in any::<bool>(),
        ) {
            let members: Vec<u32> = members.into_iter().collect();
            let how = if sticky { Assignment::Sticky } else { Assignment::Range };
            let owners = assign(how, &before, &members);
            prop_assert_eq!(owners.len(), before.len());
            if members.is_empty() {
                prop_assert!(owners.iter().all(Option::is_none));
            } else {
                prop_assert!(owners.iter().all(|owner| owner.is_some_and(|owner| members.contains(&owner))));
                let shares = shares(&owners, &members);
                prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
        }

        #[test]
        fn nothing_moves_that_an_even_share_leaves(
            before in prop::collection::vec(prop::option::of(0u32..6), 1..20),
            members in prop::collection::btree_set(0u32..8, 1..7),
        ) {
            let members: Vec<u32> = members.into_iter().collect();
            let owners = assign(Assignment::Sticky, &before, &members);
            let kept = before.iter().zip(&owners).filter(|(before, after)| before.is_some() && before == after).count();
            // The most that can stay: a full share of each, and one more for as many as have it and there is to spare.
            let (each, more) = (before.len() / members.len(), before.len() % members.len());
            let had = shares(&before, &members);
            let most: usize = had.iter().map(|had| (*had).min(each)).sum::<usize>()
                + had.iter().filter(|had| **had > each).count().min(more);
            prop_assert_eq!(kept, most);
        }
    }
}
