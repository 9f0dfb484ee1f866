//! Groups of endpoints, as cuts and degradations name them.
//!
//! An endpoint is a site, and a tag that says which agent (or service) it is there. Whether it is in a group is found in
//! constant time for sites, and in logarithmic time for tags, however large the group.

use super::SiteId;
use serde::Serialize;
use std::ops::Range;

/// A set of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// Everyone.
    All,
    /// Whoever is at one of these sites.
    Sites(SiteSet),
    /// Whoever has one of these tags: groups and single agents.
    Tags(TagSet),
    /// Whoever is in one of these.
    AnyOf(Vec<Group>),
    /// Whoever is in all of these.
    AllOf(Vec<Group>),
    /// Whoever isn't in it.
    Except(Box<Group>),
}

/// A set of sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteSet {
    /// One bit a site; the last word isn't 0.
    words: Vec<u64>,
}

/// A set of tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSet {
    /// In order, not empty, not touching.
    ranges: Vec<Range<u32>>,
}

/// Where a message comes from and goes to, as far as groups ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ends {
    /// The sender's site.
    pub from: SiteId,
    /// The receiver's.
    pub to: SiteId,
    /// Who sends.
    pub from_tag: u32,
    /// Who receives.
    pub to_tag: u32,
}

impl Group {
    /// Whoever is at one of these sites.
    pub fn sites(sites: impl IntoIterator<Item = SiteId>) -> Self {
        Self::Sites(sites.into_iter().collect())
    }

    /// Whoever has a tag in this range. (A [`TagSet`] is collected from several.)
    pub fn tags(range: Range<u32>) -> Self {
        Self::Tags([range].into_iter().collect())
    }

    /// Whoever isn't in this group.
    pub fn others(self) -> Self {
        Self::Except(Box::new(self))
    }

    /// Whether the endpoint is in the group.
    pub fn contains(&self, site: SiteId, tag: u32) -> bool {
        match self {
            Self::All => true,
            Self::Sites(sites) => sites.contains(site),
            Self::Tags(tags) => tags.contains(tag),
            Self::AnyOf(groups) => groups.iter().any(|group| group.contains(site, tag)),
            Self::AllOf(groups) => groups.iter().all(|group| group.contains(site, tag)),
            Self::Except(group) => !group.contains(site, tag),
        }
    }

    /// Whether it asks for more than the site.
    pub fn asks_for_tags(&self) -> bool {
        match self {
            Self::All | Self::Sites(_) => false,
            Self::Tags(_) => true,
            Self::AnyOf(groups) | Self::AllOf(groups) => groups.iter().any(Self::asks_for_tags),
            Self::Except(group) => group.asks_for_tags(),
        }
    }

    /// Says what is wrong with it in a network of `sites` sites.
    pub(super) fn check(&self, sites: usize, wrong: &mut dyn FnMut(String)) {
        match self {
            Self::All => {}
            Self::Sites(named) if named.words.is_empty() => wrong("a group of no sites".into()),
            Self::Sites(named) => {
                for site in named.iter().filter(|site| site.0 as usize >= sites) {
                    wrong(format!("there is no site {}", site.0));
                }
            }
            Self::Tags(tags) if tags.ranges.is_empty() => wrong("a group of no agents".into()),
            Self::Tags(_) => {}
            Self::AnyOf(groups) | Self::AllOf(groups) => {
                if groups.is_empty() {
                    wrong("a group made of no groups".into());
                }
                groups.iter().for_each(|group| group.check(sites, wrong));
            }
            Self::Except(group) => group.check(sites, wrong),
        }
    }
}

impl Ends {
    /// Whether a message between these ends goes from one group to the other, or, where `both_ways`, back.
    pub fn cross(&self, from: &Group, to: &Group, both_ways: bool) -> bool {
        let forth = || from.contains(self.from, self.from_tag) && to.contains(self.to, self.to_tag);
        let back = || from.contains(self.to, self.to_tag) && to.contains(self.from, self.from_tag);
        forth() || (both_ways && back())
    }
}

impl SiteSet {
    /// Whether the site is in the set.
    #[inline]
    pub fn contains(&self, site: SiteId) -> bool {
        self.words
            .get(site.0 as usize / 64)
            .is_some_and(|word| word >> (site.0 % 64) & 1 == 1)
    }

    /// The sites, in order.
    pub fn iter(&self) -> impl Iterator<Item = SiteId> {
        (0..self.words.len() as u32 * 64)
            .map(SiteId)
            .filter(|&site| self.contains(site))
    }
}

impl FromIterator<SiteId> for SiteSet {
    fn from_iter<I: IntoIterator<Item = SiteId>>(sites: I) -> Self {
        let mut words = Vec::new();
        for site in sites {
            let word = site.0 as usize / 64;
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= 1_u64 << (site.0 % 64);
        }
        Self { words }
    }
}

impl TagSet {
    /// Whether the tag is in the set.
    #[inline]
    pub fn contains(&self, tag: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= tag);
        after > 0 && tag < self.ranges[after - 1].end
    }

    /// Its ranges, in order, none touching another.
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }
}

impl FromIterator<Range<u32>> for TagSet {
    fn from_iter<I: IntoIterator<Item = Range<u32>>>(ranges: I) -> Self {
        let mut all: Vec<Range<u32>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut ranges: Vec<Range<u32>> = Vec::with_capacity(all.len());
        for range in all {
            match ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_combine() {
        let group = Group::AllOf(vec![
            Group::sites([SiteId(1), SiteId(70)]),
            Group::AnyOf(vec![
                Group::tags(0..5),
                Group::Tags([9..12, 3..4].into_iter().collect()),
            ])
            .others(),
        ]);
        assert!(group.asks_for_tags() && !Group::sites([SiteId(1)]).others().asks_for_tags());
        assert!(group.contains(SiteId(1), 7) && group.contains(SiteId(70), 12));
        assert!(!group.contains(SiteId(1), 3) && !group.contains(SiteId(70), 10) && !group.contains(SiteId(6), 7));
        assert!(!group.contains(SiteId(9999), 7));
    }

    #[test]
    fn what_is_wrong_is_found_at_any_depth() {
        let mut found = Vec::new();
        let deep = Group::AnyOf(vec![
            Group::sites([SiteId(2), SiteId(64)]).others(),
            Group::Tags(TagSet::default()),
            Group::AllOf(vec![]),
        ]);
        deep.check(2, &mut |problem| found.push(problem));
        let expected = [
            "there is no site 2",
            "there is no site 64",
            "a group of no agents",
            "a group made of no groups",
        ];
        assert_eq!(found, expected);
    }

    proptest! {
        // A fixed seed: a test that fails once in a hundred runs helps nobody. Change it, and raise the cases, to search.
        #![proptest_config(ProptestConfig {
            cases: 200,
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_tag_is_in_the_set_if_it_is_in_a_range(ranges in prop::collection::vec((0u32..60, 0u32..9), 0..12)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let set: TagSet = ranges.iter().cloned().collect();
            for tag in 0..80 {
                prop_assert_eq!(set.contains(tag), ranges.iter().any(|range| range.contains(&tag)));
            }
            prop_assert!(set.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
