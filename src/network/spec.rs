//! The network as described: sites, classes of links and which pair is of which class, cuts, degradations.
//!
//! It is checked once ([`NetworkSpec::problems`]), shared by every run, and never changed. Times are nanoseconds, sizes
//! bytes, probabilities in [0, 1].

use super::SiteId;
use super::cuts::Cut;
use super::groups::Group;
use super::measured::{Measured, RoundTrip};
use crate::kernel::SimDuration;
use crate::random::Law;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A whole network.
#[derive(Debug, Clone)]
pub struct NetworkSpec {
    /// The sites; a [`SiteId`] is an index into them. A site's draws hang on its name, not on its place.
    pub sites: Vec<SiteSpec>,
    /// The kinds of link there are.
    pub classes: Vec<LinkSpec>,
    /// The class of the directed pairs that have one of their own (a pair of equal sites is allowed).
    pub pairs: BTreeMap<(u32, u32), u32>,
    /// The class of every other pair of different sites.
    pub default: u32,
    /// The class of a site's link to itself.
    pub local: u32,
    /// The cuts that may fall; [`super::Network::fall`] names one by its index.
    pub cuts: Vec<Cut>,
    /// The degradations that may begin; [`super::Network::degrade`] names one by its index.
    pub degradations: Vec<Degradation>,
}

/// One site.
#[derive(Debug, Clone)]
pub struct SiteSpec {
    /// Its name: unique, and the address of its links' draws.
    pub name: String,
}

/// What the directed links of one class are like. The default: no latency, no loss, no order, no limit.
#[derive(Debug, Clone, Default)]
pub struct LinkSpec {
    /// The time from the end of the transmission to the arrival.
    pub latency: Latency,
    /// The latency of the kinds of message that have one of their own, by kind; missing entries take `latency`.
    pub by_kind: Vec<Option<Law>>,
    /// Whether the delays of different messages depend on each other.
    pub jitter: Option<Correlation>,
    /// What is lost.
    pub loss: Loss,
    /// The probability that a message which isn't lost arrives twice. The copy draws its own delay.
    pub duplication: f64,
    /// What arrives in order.
    pub fifo: Fifo,
    /// Extra delays that make later messages overtake.
    pub reordering: Option<Reordering>,
    /// The limit on bytes per second; `None` is no limit.
    pub bandwidth: Option<Bandwidth>,
}

/// Where a latency comes from.
#[derive(Debug, Clone)]
pub enum Latency {
    /// A law, in nanoseconds.
    Law(Law),
    /// A measured table: half the round trip between the two sites' regions.
    Measured(Arc<Measurement>),
}

impl Default for Latency {
    fn default() -> Self {
        Self::Law(Law::Constant(0.0))
    }
}

/// A measured table, and where the sites lie in it.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The table.
    pub table: Measured,
    /// The region of each site, by site; `None` for a site that isn't in the table.
    pub regions: Vec<Option<u32>>,
    /// What stands for cells that are missing; without it they are an error.
    pub missing: Option<Law>,
}

impl Measurement {
    /// The law of the way from one site to another.
    pub fn one_way(&self, from: SiteId, to: SiteId) -> Option<Law> {
        let measured = self.round_trip(from, to).map(|trip| trip.one_way());
        measured.or_else(|| self.missing.clone())
    }

    /// The measured round trip.
    fn round_trip(&self, from: SiteId, to: SiteId) -> Option<RoundTrip> {
        let region = |site: SiteId| self.regions.get(site.0 as usize).copied().flatten();
        self.table.round_trip(region(from)?, region(to)?)
    }
}

/// Delays that depend on each other in time: a Gaussian copula over an AR(1) of time slots.
///
/// A message's normal score is z = sqrt(share) X(slot) + sqrt(1 - share) e, with e its own, and its latency is the
/// quantile of the law at Phi(z): the law itself is kept exactly. X has lag-1 correlation `rho`, so two messages `k` slots
/// apart have scores with correlation share x rho^k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// The length of a slot.
    pub every: SimDuration,
    /// The correlation of neighbouring slots, in [0, 1).
    pub rho: f64,
    /// The part of the variance that the link's messages share, in [0, 1].
    pub share: f64,
}

/// What a link loses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Each message for itself, with this probability.
    Independent(f64),
    /// Gilbert-Elliott: the link is good or bad, for exponential times, and loses with a probability of its state.
    /// (Gilbert, BSTJ 1960; Elliott, BSTJ 1963; here in continuous time, so that it doesn't depend on traffic.)
    Bursty {
        /// The mean length of a good time.
        good: SimDuration,
        /// The mean length of a bad time.
        bad: SimDuration,
        /// The probability of loss while it is good.
        loss_good: f64,
        /// The probability of loss while it is bad.
        loss_bad: f64,
    },
}

impl Default for Loss {
    fn default() -> Self {
        Self::Independent(0.0)
    }
}

impl Loss {
    /// The part of messages lost in the long run.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Independent(p) => p,
            Self::Bursty {
                good,
                bad,
                loss_good,
                loss_bad,
            } => {
                let (good, bad) = (good.as_nanos() as f64, bad.as_nanos() as f64);
                (good * loss_good + bad * loss_bad) / (good + bad)
            }
        }
    }
}

/// What arrives in the order in which it was sent. Two messages due in the same nanosecond are in the kernel's order,
/// which for one sender is that of sending. Where a copy is made, both count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fifo {
    /// Nothing: a later message may overtake.
    #[default]
    No,
    /// Everything on one directed link.
    PerLink,
    /// The messages of one ordered pair of agents ([`super::Outgoing::pair`]).
    PerPair,
}

/// Extra delays.
#[derive(Debug, Clone)]
pub struct Reordering {
    /// The probability that a message is delayed.
    pub chance: f64,
    /// By how much, in nanoseconds.
    pub extra: Law,
}

/// A limit on what a link carries: store and forward, one message after the other, in the order of sending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidth {
    /// Bytes per second.
    pub rate: f64,
    /// How many bytes may wait or be under way at the transmitter for another message to be accepted, its own bytes
    /// counted; an idle transmitter accepts any message. `None`: no bound.
    pub queue: Option<u64>,
}

/// A change for the worse (or better) of the links between two groups, while it lasts. Degradations nest: factors
/// multiply, additions add up, losses combine as independent ones. It acts on what is sent, not on what is under way.
#[derive(Debug, Clone)]
pub struct Degradation {
    /// Its name.
    pub name: String,
    /// The senders it concerns.
    pub from: Group,
    /// The receivers it concerns.
    pub to: Group,
    /// Whether it concerns the other direction too.
    pub both_ways: bool,
    /// The latency is multiplied by this ...
    pub latency_factor: f64,
    /// ... and this is added.
    pub latency_added: SimDuration,
    /// What passes the link's own loss is lost with this probability.
    pub loss: f64,
    /// The bandwidth is multiplied by this (above 0).
    pub bandwidth_factor: f64,
}

/// Something wrong with a [`NetworkSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct SpecError {
    /// Which part: `link class 2`, `cut "split"`, `pair (a, b)`.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl NetworkSpec {
    /// A network of these sites in which everything arrives at once.
    pub fn instant(sites: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            sites: sites.into_iter().map(|name| SiteSpec { name: name.into() }).collect(),
            classes: vec![LinkSpec::default()],
            pairs: BTreeMap::new(),
            default: 0,
            local: 0,
            cuts: Vec::new(),
            degradations: Vec::new(),
        }
    }

    /// A network of these sites in which the links between different sites are as `link` says, and local ones instant.
    pub fn uniform(sites: impl IntoIterator<Item = impl Into<String>>, link: LinkSpec) -> Self {
        let mut spec = Self::instant(sites);
        spec.classes.push(link);
        spec.default = 1;
        spec
    }

    /// The class of a directed link.
    pub fn class_of(&self, from: SiteId, to: SiteId) -> u32 {
        match self.pairs.get(&(from.0, to.0)) {
            Some(&class) => class,
            None if from == to => self.local,
            None => self.default,
        }
    }

    /// Everything that is wrong with it; a network is built from a spec without problems only.
    pub fn problems(&self) -> Vec<SpecError> {
        let mut problems = Problems(Vec::new());
        self.check_sites(&mut problems);
        for (index, class) in self.classes.iter().enumerate() {
            check_class(&format!("link class {index}"), class, self.sites.len(), &mut problems);
        }
        self.check_cells(&mut problems);
        for cut in &self.cuts {
            cut.check(self.sites.len(), &mut |problem| {
                problems.add(&format!("cut \"{}\"", cut.name), problem)
            });
        }
        for degradation in &self.degradations {
            self.check_degradation(degradation, &mut problems);
        }
        problems.0
    }

    fn check_sites(&self, problems: &mut Problems) {
        let mut names: Vec<&str> = self.sites.iter().map(|site| site.name.as_str()).collect();
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            problems.add("sites", format!("the name \"{}\" is used twice", pair[0]));
        }
        if self.sites.len() >= u32::MAX as usize {
            problems.add("sites", "there are too many".into());
        }
        for (name, class) in [("the default class", self.default), ("the local class", self.local)] {
            self.check_class_exists(name, class, problems);
        }
        for (&(from, to), &class) in &self.pairs {
            let place = format!("pair ({from}, {to})");
            if from.max(to) as usize >= self.sites.len() {
                problems.add(&place, "there is no such site".into());
            }
            self.check_class_exists(&place, class, problems);
        }
    }

    fn check_class_exists(&self, place: &str, class: u32, problems: &mut Problems) {
        if class as usize >= self.classes.len() {
            problems.add(place, format!("there is no link class {class}"));
        }
    }

    /// Every pair that is to be measured must have a cell.
    fn check_cells(&self, problems: &mut Problems) {
        if !self
            .classes
            .iter()
            .any(|class| matches!(class.latency, Latency::Measured(_)))
        {
            return;
        }
        let sites = self.sites.len() as u32;
        let (mut missing, mut first) = (0_u64, None);
        for (from, to) in (0..sites).flat_map(|from| (0..sites).map(move |to| (SiteId(from), SiteId(to)))) {
            let Some(class) = self.classes.get(self.class_of(from, to) as usize) else {
                continue;
            };
            let Latency::Measured(measurement) = &class.latency else {
                continue;
            };
            if measurement.missing.is_none() && measurement.round_trip(from, to).is_none() {
                missing += 1;
                first = first.or(Some((from, to)));
            }
        }
        if let Some((from, to)) = first {
            let name = |site: SiteId| &self.sites[site.0 as usize].name;
            let more = if missing > 1 {
                format!(" (and {} more pairs)", missing - 1)
            } else {
                String::new()
            };
            problems.add(
                "measured latency",
                format!(
                    "the table has nothing from \"{}\" to \"{}\"{more}",
                    name(from),
                    name(to)
                ),
            );
        }
    }

    fn check_degradation(&self, degradation: &Degradation, problems: &mut Problems) {
        let place = format!("degradation \"{}\"", degradation.name);
        for group in [&degradation.from, &degradation.to] {
            group.check(self.sites.len(), &mut |problem| problems.add(&place, problem));
        }
        problems.probability(&place, "loss", degradation.loss);
        if !(degradation.latency_factor.is_finite() && degradation.latency_factor >= 0.0) {
            problems.add(&place, format!("a latency factor of {}", degradation.latency_factor));
        }
        if !(degradation.bandwidth_factor.is_finite() && degradation.bandwidth_factor > 0.0) {
            problems.add(
                &place,
                format!("a bandwidth factor of {}", degradation.bandwidth_factor),
            );
        }
    }
}

/// The problems found so far.
struct Problems(Vec<SpecError>);

impl Problems {
    fn add(&mut self, place: &str, problem: String) {
        self.0.push(SpecError {
            place: place.to_owned(),
            problem,
        });
    }

    fn probability(&mut self, place: &str, what: &str, p: f64) {
        if !(0.0..=1.0).contains(&p) {
            self.add(place, format!("a {what} probability of {p}, which is not in 0..1"));
        }
    }
}

fn check_class(place: &str, class: &LinkSpec, sites: usize, problems: &mut Problems) {
    match class.loss {
        Loss::Independent(p) => problems.probability(place, "loss", p),
        Loss::Bursty {
            good,
            bad,
            loss_good,
            loss_bad,
        } => {
            problems.probability(place, "loss", loss_good);
            problems.probability(place, "loss", loss_bad);
            if good == SimDuration::ZERO || bad == SimDuration::ZERO {
                problems.add(place, "a good or bad time of mean zero".into());
            }
        }
    }
    problems.probability(place, "duplication", class.duplication);
    if let Some(reordering) = &class.reordering {
        problems.probability(place, "reordering", reordering.chance);
        if class.fifo != Fifo::No {
            problems.add(place, "it keeps order and reorders at once".into());
        }
    }
    if let Some(bandwidth) = class.bandwidth
        && !(bandwidth.rate.is_finite() && bandwidth.rate > 0.0)
    {
        problems.add(place, format!("a bandwidth of {} bytes per second", bandwidth.rate));
    }
    let laws = class.by_kind.iter().flatten().chain(match &class.latency {
        Latency::Law(law) => Some(law),
        Latency::Measured(measurement) => measurement.missing.as_ref(),
    });
    for law in laws
        .clone()
        .chain(class.reordering.as_ref().map(|reordering| &reordering.extra))
    {
        if let Err(error) = law.validate() {
            problems.add(place, error.to_string());
        }
    }
    if let Some(jitter) = class.jitter {
        if !(0.0..1.0).contains(&jitter.rho) {
            problems.add(
                place,
                format!("a correlation of {}, which is not at least 0 and below 1", jitter.rho),
            );
        }
        if !(0.0..=1.0).contains(&jitter.share) {
            problems.add(
                place,
                format!("a shared part of {}, which is not in 0..1", jitter.share),
            );
        }
        if jitter.every == SimDuration::ZERO {
            problems.add(place, "slots of jitter that have no length".into());
        }
        if laws.clone().any(|law| law.replays()) {
            problems.add(
                place,
                "a replayed column has its own order: it can't take correlated jitter too".into(),
            );
        }
    }
    if let Latency::Measured(measurement) = &class.latency
        && (measurement.regions.len() != sites
            || measurement
                .regions
                .iter()
                .flatten()
                .any(|&region| region as usize >= measurement.table.regions().len()))
    {
        problems.add(place, "the measured table's regions don't fit the sites".into());
    }
}
