//! `coordination`: who stands under whom in a hierarchy, where they are, and what each may do.

use super::Resolver;
use super::coordination::nanos;
use crate::coordination::Protocol;
use crate::coordination::hierarchy::{Alone, Failover, Flaw, Quota, Rules, Tier as Rank, Tree};
use crate::network::SiteId;
use crate::random::Law;
use crate::scenario::language::coordination::Pattern;
use crate::scenario::language::hierarchy::{self, HierarchyNode};
use crate::scenario::syntax::{Code, Diagnostic, Named, OneOrMany, Part, Span, Spanned, unknown_name, write};
use std::collections::BTreeMap;

/// The most coordinators of a hierarchy.
const MOST_COORDINATORS: u64 = 100_000;
/// The most tiers.
const MOST_TIERS: u32 = 64;

type Sites = Spanned<OneOrMany<Part<Spanned<String>>>>;
type Decides<'f> = &'f Part<Option<Spanned<crate::scenario::language::TimeLaw>>>;

/// A hierarchy as its tree and its places: what members there are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    tree: Tree,
    /// The sites of positions, and of their deputies.
    pub sites: Vec<SiteId>,
    deputies: Vec<SiteId>,
    /// The names of its tiers.
    tiers: Vec<String>,
    /// For each position where it is written what its coordinator may do: the place of its tier, or of its node.
    ranks: Vec<u32>,
}

impl Layout {
    /// The sites of members, those of desks left out.
    pub fn members(&self, failover: Failover) -> Vec<SiteId> {
        match failover {
            Failover::Deputy => [self.sites.as_slice(), &self.deputies].concat(),
            Failover::None | Failover::Sibling => self.sites.clone(),
        }
    }
}

/// What becomes of positions, as the scenario says.
pub(super) fn failover_of(pattern: &Pattern) -> Option<Failover> {
    let Pattern::Hierarchy { failover, .. } = pattern else {
        return None;
    };
    Some(match failover.get()? {
        hierarchy::Succession::None => Failover::None,
        hierarchy::Succession::Deputy => Failover::Deputy,
        hierarchy::Succession::Sibling => Failover::Sibling,
    })
}

impl Resolver<'_, '_> {
    /// The tree of a hierarchy, and where its members are; `None` if the pattern is another one, or something is wrong.
    pub(super) fn layout(&mut self, pattern: &Spanned<Pattern>) -> Option<Layout> {
        let Pattern::Hierarchy {
            tiers, nodes, abroad, ..
        } = &pattern.value
        else {
            return None;
        };
        let (tiers, abroad) = (tiers.get()?, abroad.get()?);
        let is_federated = abroad.is_some();
        let layout = match (tiers.value.is_empty(), nodes.is_empty() && nodes.is_whole()) {
            (true, true) => {
                let problem = Diagnostic::error(Code::BadHierarchy, pattern.span, "nothing says who coordinates");
                self.out.push(
                    problem
                        .help("`tiers: [(at: \"a\"), (at: [\"b\", \"c\"])]` are a root and two coordinators under it"),
                );
                None
            }
            (false, false) => {
                let message = "a hierarchy is written in `tiers`, or in `nodes` one by one: not in both";
                self.error(Code::BadHierarchy, tiers.span, message);
                None
            }
            (false, true) => self.tiers_layout(&tiers.value, is_federated),
            (true, false) => self.nodes_layout(nodes, is_federated),
        }?;
        if layout.tree.depth() > MOST_TIERS {
            let message = format!(
                "a hierarchy has {MOST_TIERS} tiers at most, and this one has {}",
                layout.tree.depth()
            );
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        if let Some(abroad) = abroad
            && layout.tree.roots().len() < 2
        {
            let message = "there is no other system: the hierarchy has one root";
            self.error(Code::NothingAbroad, abroad.span, message);
            return None;
        }
        Some(layout)
    }

    fn tiers_layout(&mut self, tiers: &[Part<Spanned<hierarchy::Tier>>], is_federated: bool) -> Option<Layout> {
        let tiers: Option<Vec<&Spanned<hierarchy::Tier>>> = tiers.iter().map(Part::get).collect();
        let tiers = tiers?;
        let (mut parents, mut sites, mut ranks): (Vec<Option<u32>>, Vec<SiteId>, Vec<u32>) = Default::default();
        let mut names: Vec<String> = Vec::new();
        let mut above = 0..0;
        for (number, tier) in (0u32..).zip(&tiers) {
            let (at, count, fan_out) = (tier.value.at.get()?, tier.value.count.get()?, tier.value.fan_out.get()?);
            let given = match at {
                None => None,
                Some(at) => Some(self.listed(at)?),
            };
            if number == 0
                && let Some(fan_out) = fan_out
            {
                let message = "the first tier has none above it: `fan_out` has nothing to say";
                self.error(Code::BadHierarchy, fan_out.span, message);
                return None;
            }
            if let (Some(fan_out), Some(_)) = (fan_out, count) {
                let message = "`fan_out` says how many coordinators the tier has: `count` would say it again";
                self.error(Code::BadHierarchy, fan_out.span, message);
                return None;
            }
            let size = match (fan_out, count, &given) {
                (Some(fan_out), _, _) => u64::from(above.end - above.start) * u64::from(*fan_out.value),
                (None, Some(count), _) => u64::from(*count.value),
                (None, None, Some(given)) => given.len() as u64,
                (None, None, None) => {
                    let problem = Diagnostic::error(
                        Code::BadHierarchy,
                        tier.span,
                        "nothing says how many coordinators the tier has",
                    );
                    self.out
                        .push(problem.help(
                            "`at` names their sites, `count` their number, `fan_out` how many each has under it",
                        ));
                    return None;
                }
            };
            if number == 0 && given.is_none() {
                let message = "the first tier says where it is: `at`";
                self.error(Code::BadHierarchy, tier.span, message);
                return None;
            }
            if sites.len() as u64 + size > MOST_COORDINATORS {
                let message = format!("a hierarchy has {MOST_COORDINATORS} coordinators at most");
                self.error(Code::TooMany, tier.span, message);
                return None;
            }
            if number == 0 && size > 1 && !is_federated {
                let message = format!("{size} coordinators stand under nobody, and a hierarchy has one root");
                let problem = Diagnostic::error(Code::OrphanCoordinator, tier.span, message);
                self.out.push(
                    problem.help("several roots are several systems if `abroad` says how much is another's matter"),
                );
                return None;
            }
            let first = sites.len() as u32;
            // The next child of each site's coordinators above, in turn.
            let mut turns: BTreeMap<SiteId, u32> = BTreeMap::new();
            for place in 0..size as u32 {
                let of_list = given.as_ref().map(|given| given[place as usize % given.len()]);
                let parent = if number == 0 {
                    None
                } else if let Some(fan_out) = fan_out {
                    Some(above.start + place / *fan_out.value)
                } else if let Some(site) = of_list {
                    Some(self.nearest_above(site, &sites, above.clone(), &mut turns))
                } else {
                    Some(above.start + place % (above.end - above.start))
                };
                let site = of_list.or_else(|| parent.map(|parent| sites[parent as usize]));
                parents.push(parent);
                sites.push(site?);
                ranks.push(number);
            }
            above = first..first + size as u32;
            let name = match tier.value.name.get()? {
                Some(name) => name.value.clone(),
                None => format!("tier{number}"),
            };
            if names.contains(&name) {
                let message = format!("{} stands twice", write::quoted(&name));
                self.error(Code::NamedTwice, tier.span, message);
                return None;
            }
            names.push(name);
        }
        let tree = Tree::of(parents).ok()?;
        let mut deputies = Vec::new();
        for (number, tier) in (0u32..).zip(&tiers) {
            let of_tier: Vec<u32> = (0..tree.len()).filter(|at| ranks[*at as usize] == number).collect();
            let given = match tier.value.deputies.get()? {
                None => None,
                Some(given) => Some(self.listed(given)?),
            };
            for (place, position) in of_tier.iter().enumerate() {
                deputies.push(match &given {
                    Some(given) => given[place % given.len()],
                    None => Self::usual_deputy(&tree, &sites, &of_tier, (place, *position)),
                });
            }
        }
        Some(Layout {
            tree,
            sites,
            deputies,
            tiers: names,
            ranks,
        })
    }

    /// The site of the next one among `peers`, or of the first child of one that is alone.
    fn usual_deputy(tree: &Tree, sites: &[SiteId], peers: &[u32], (place, position): (usize, u32)) -> SiteId {
        let next = peers[(place + 1) % peers.len()];
        let elsewhere = match next == position {
            true => tree.children(position).first().copied(),
            false => Some(next),
        };
        sites[elsewhere.unwrap_or(position) as usize]
    }

    fn listed(&mut self, at: &Sites) -> Option<Vec<SiteId>> {
        if at.value.0.is_empty() {
            self.error(
                Code::EmptyGroup,
                at.span,
                "expected at least one site, found an empty list",
            );
            return None;
        }
        at.value.0.iter().map(|site| self.site_of(site)).collect()
    }

    /// The coordinator of the tier above that is nearest to a site; of several in turn.
    fn nearest_above(
        &self,
        site: SiteId,
        sites: &[SiteId],
        above: std::ops::Range<u32>,
        turns: &mut BTreeMap<SiteId, u32>,
    ) -> u32 {
        let mut by_site: BTreeMap<SiteId, Vec<u32>> = BTreeMap::new();
        for position in above.clone() {
            by_site.entry(sites[position as usize]).or_default().push(position);
        }
        let distances = by_site
            .iter()
            .map(|(there, all)| (self.distance(site, *there), there, all));
        let nearest = distances.min_by(|one, other| one.0.total_cmp(&other.0).then(one.2[0].cmp(&other.2[0])));
        let Some((_, there, all)) = nearest else {
            return above.start;
        };
        let turn = turns.entry(*there).or_default();
        *turn += 1;
        all[(*turn - 1) as usize % all.len()]
    }

    fn nodes_layout(&mut self, nodes: &Named<Part<HierarchyNode>>, is_federated: bool) -> Option<Layout> {
        if nodes.canonical().len() as u64 > MOST_COORDINATORS {
            let (name, _) = nodes.canonical().next()?;
            let message = format!("a hierarchy has {MOST_COORDINATORS} coordinators at most");
            self.error(Code::TooMany, name.span, message);
            return None;
        }
        let (mut parents, mut sites, mut whole) = (Vec::new(), Vec::new(), nodes.is_whole());
        for (_, node) in nodes.canonical() {
            let Some(node) = node.get() else {
                whole = false;
                continue;
            };
            let site = self.site_of(&node.at);
            whole &= site.is_some();
            sites.push(site.unwrap_or(SiteId(0)));
            let mut parent = None;
            match node.under.get() {
                None => whole = false,
                Some(None) => {}
                Some(Some(under)) => match nodes.position(under) {
                    Some(at) => parent = Some(at as u32),
                    None => {
                        if nodes.is_whole() {
                            unknown_name(under, nodes.names(), Code::UnknownSuperior, "coordinator", self.out);
                        }
                        whole = false;
                    }
                },
            }
            parents.push(parent);
        }
        if !whole {
            return None;
        }
        let name = |position: u32| nodes.canonical().nth(position as usize).map(|(name, _)| name);
        let is_root = |at: &u32| parents[*at as usize].is_none();
        let roots: Vec<u32> = (0..parents.len() as u32).filter(is_root).collect();
        let tree = match Tree::of(parents) {
            Ok(tree) => tree,
            Err(circle) => {
                let first = name(circle[0])?;
                let names = circle.iter().chain(&circle[..1]).filter_map(|at| name(*at));
                let path: Vec<String> = names.map(|name| write::quoted(name)).collect();
                let message = format!("coordinators stand under each other: {}", path.join(" under "));
                let problem = Diagnostic::error(Code::CoordinatorCircle, first.span, message);
                self.out
                    .push(problem.help("one of them is the root: it has no `under`"));
                return None;
            }
        };
        if let [root, orphans @ ..] = roots.as_slice()
            && !is_federated
            && !orphans.is_empty()
        {
            for orphan in orphans {
                let (orphan, root) = (name(*orphan)?, name(*root)?);
                let message = format!(
                    "{} stands under nobody, and {} is the root",
                    write::quoted(orphan),
                    write::quoted(root)
                );
                let problem = Diagnostic::error(Code::OrphanCoordinator, orphan.span, message);
                self.out.push(problem.help(
                    "`under` names the one that it stands under; several roots are several systems if `abroad` says how much is another's matter",
                ));
            }
            return None;
        }
        let mut deputies = Vec::new();
        for (position, (_, node)) in (0u32..).zip(nodes.canonical()) {
            let peers = match tree.parent(position) {
                Some(parent) => tree.children(parent),
                None => tree.roots(),
            };
            let place = peers.iter().position(|peer| *peer == position).unwrap_or(0);
            deputies.push(match node.get()?.deputy.get()? {
                Some(site) => self.site(site)?,
                None => Self::usual_deputy(&tree, &sites, peers, (place, position)),
            });
        }
        Some(Layout {
            tiers: (0..tree.depth()).map(|tier| format!("tier{tier}")).collect(),
            ranks: (0..tree.len()).collect(),
            tree,
            sites,
            deputies,
        })
    }

    /// What a tier's or a coordinator's decisions take, if it says so; else what they take everywhere.
    fn decision(&mut self, own: Decides<'_>, usual: &Option<Law>) -> Option<Law> {
        match own.get()? {
            Some(own) => self.time(own),
            None => usual.clone(),
        }
    }

    fn competences(&mut self, pattern: &Spanned<Pattern>) -> Option<Vec<Rank>> {
        let Pattern::Hierarchy {
            tiers, nodes, decides, ..
        } = &pattern.value
        else {
            return None;
        };
        let usual = decides.get().and_then(|decides| self.time(decides));
        let mut all = Vec::new();
        for tier in &tiers.get()?.value {
            let tier = &tier.get()?.value;
            let decides = self.decision(&tier.decides, &usual);
            all.push((*tier.limit.get()?, decides));
        }
        for (_, node) in nodes.canonical() {
            let node = node.get()?;
            let decides = self.decision(&node.decides, &usual);
            all.push((*node.limit.get()?, decides));
        }
        let rank = |(limit, decides): (Option<u64>, Option<Law>)| {
            let decides = decides?;
            Some(Rank { limit, decides })
        };
        all.into_iter().map(rank).collect()
    }

    fn shared_out(&mut self, quota: Option<&Spanned<hierarchy::Quota>>) -> Option<Option<Quota>> {
        let Some(quota) = quota else {
            return Some(None);
        };
        let total = *quota.value.total.get()?;
        let lease = u64::from(**quota.value.lease.get()?);
        // Sums of what was given, and of what was granted beyond it, must fit.
        if total > u64::MAX >> 16 {
            let message = "a quota's `total` is 281474976710655 at most";
            self.error(Code::BadQuota, quota.span, message);
            return None;
        }
        if lease > total {
            let message = format!("a lease of {lease} is more than the `total`, {total}");
            self.error(Code::BadQuota, quota.span, message);
            return None;
        }
        let reserve = (quota.value.reserve.get()?.get() * total as f64) as u64;
        Some(Some(Quota { total, lease, reserve }))
    }

    pub(super) fn hierarchy_group(&mut self, pattern: &Spanned<Pattern>, layout: Option<Layout>) -> Option<Protocol> {
        let Pattern::Hierarchy {
            report,
            quota,
            alone,
            cut_off,
            heartbeat,
            after,
            patience,
            abroad,
            ..
        } = &pattern.value
        else {
            return None;
        };
        self.check_order(("heartbeat", heartbeat), ("after", after), false);
        self.check_order(("after", after), ("cut_off", cut_off), true);
        let tiers = self.competences(pattern);
        let quota = self.shared_out(quota.get()?.as_ref());
        // What is wrong with it was said when its members got their places.
        let layout = layout?;
        let failover = failover_of(&pattern.value)?;
        let alone = match alone.get()? {
            hierarchy::Alone::Stop => Alone::Stop,
            hierarchy::Alone::GoOn => Alone::GoOn,
        };
        if failover == Failover::Sibling && layout.tree.depth() < 3 && !layout.tree.roots().is_empty() {
            let leaves_have_siblings = (0..layout.tree.len()).any(|at| layout.tree.sibling_after(at, at).is_some());
            if !leaves_have_siblings {
                let message = "nobody has a sibling that could take its children or its desk";
                self.error(Code::BadHierarchy, pattern.span, message);
            }
        }
        let desks = self.desks(&layout);
        let mut rules = Rules {
            tiers: tiers?,
            names: layout.tiers,
            ranks: layout.ranks,
            desks: Vec::new(),
            served: Vec::new(),
            abroad: abroad.get()?.as_ref().map_or(0.0, |abroad| abroad.value.get()),
            patience: nanos(**patience.get()?),
            report: report.get()?.as_ref().map(|report| nanos(*report.value)),
            quota: quota?,
            alone,
            cut_off: nanos(*cut_off.get()?.value),
            failover,
            heartbeat: nanos(*heartbeat.get()?.value),
            after: nanos(*after.get()?.value),
            flaw: Flaw::None,
            tree: layout.tree,
        };
        rules.set_desks(desks);
        Some(Protocol::Hierarchy(Box::new(rules)))
    }

    /// For each site the leaves that are nearest to it.
    fn desks(&self, layout: &Layout) -> Vec<Vec<u32>> {
        let mut leaves: BTreeMap<SiteId, Vec<u32>> = BTreeMap::new();
        for position in (0..layout.tree.len()).filter(|at| layout.tree.is_leaf(*at)) {
            leaves
                .entry(layout.sites[position as usize])
                .or_default()
                .push(position);
        }
        let nearest = |from: SiteId| {
            let distances = leaves.iter().map(|(there, all)| (self.distance(from, *there), all));
            let nearest = distances.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1[0].cmp(&other.1[0])));
            nearest.map(|(_, all)| all.clone()).unwrap_or_default()
        };
        (0..self.file.sites.0.len() as u32)
            .map(|site| nearest(SiteId(site)))
            .collect()
    }

    /// What a hierarchy says itself, and its group can't say.
    pub(super) fn check_hierarchy_places(&mut self, given: [Option<Span>; 3]) {
        for (what, span) in ["at", "members", "beside"].into_iter().zip(given) {
            if let Some(span) = span {
                let message =
                    format!("a hierarchy says in its `tiers` or `nodes` who is where: `{what}` has nothing to say");
                self.error(Code::BadHierarchy, span, message);
            }
        }
    }
}
