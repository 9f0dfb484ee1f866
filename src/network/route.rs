//! The network of one run: what happens to a message when it is sent, and when it is due.
//!
//! In order: a cut in the way loses or holds it; the transmitter's queue refuses it or sends it after those before it; the
//! link loses it by its own law, then by what degrades it; it may be copied; each copy draws its delay; ordered links
//! deliver it no earlier than what went before. Conditions (bursts, jitter, degradations) are those of the moment of
//! sending.
//!
//! The common case (a known link without memory, nothing wrong anywhere) is one look-up, one or two draws, one addition.

use super::burst::Burst;
use super::cuts::{Cuts, InTransit, Journey, Passage, Whose};
use super::groups::Ends;
use super::jitter::{Slot, Wave, at_score};
use super::order::Floor;
use super::release::Held;
use super::spec::{Bandwidth, Degradation, Fifo, Latency, LinkSpec, Loss, NetworkSpec, SpecError};
use super::table::Table;
use super::{Arrival, Conservation, Leg, LinkId, LossCause, Outgoing, SiteId, Verdict};
use crate::kernel::{Key, Purpose, SimDuration, SimTime};
use crate::random::{Law, standard_normal};
use serde::Serialize;
use std::sync::Arc;

/// The draws about one message, under its sender's key and at its number. (The network's purposes are 0x4e00 to 0x4e1f.)
mod about {
    use super::Purpose;
    pub const LOSS: Purpose = Purpose(0x4e00);
    pub const DUPLICATION: Purpose = Purpose(0x4e01);
    /// The delay of the original; one more is that of the copy. So with the two after it.
    pub const DELAY: u16 = 0x4e02;
    pub const OWN_SCORE: u16 = 0x4e04;
    pub const REORDERING: u16 = 0x4e06;
}

/// The network of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    #[serde(skip)]
    pub(super) spec: Arc<NetworkSpec>,
    /// The key of each site: what hangs on a link is drawn under a key made of both ends'.
    #[serde(skip)]
    site_keys: Arc<[Key]>,
    /// The slow jitter of each class.
    #[serde(skip)]
    waves: Arc<[Option<Wave>]>,
    /// The latency laws: one for each class that has a law, then those of measured links, as they are first used.
    #[serde(skip)]
    laws: Vec<Law>,
    /// What the messages of a link go through: one for each class, then those of measured links.
    #[serde(skip)]
    paths: Vec<Path>,
    /// The links by (from, to).
    found: Places,
    pub(super) links: Vec<Link>,
    pub(super) cuts: Cuts,
    /// How often each degradation is on, and which are, in the order in which they began.
    degraded: Vec<u32>,
    degrading: Vec<u32>,
    /// How many cuts and degradations are on.
    disturbances: u32,
    /// Order per pair: the latest delivery of each pair.
    pub(super) floors: Table<Floor>,
    /// Whether links that keep order keep it for each pair as well, because a cut may hold some agents' messages only.
    pub(super) floors_for_all: bool,
    pub(super) held: Held,
    pub(super) books: Conservation,
}

/// Where a link is found: its number and its path.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Place {
    pub(super) link: u32,
    path: u32,
}

/// The places of the links: a matrix where there are few sites, else a table of those that are used.
#[derive(Debug, Clone, Serialize)]
enum Places {
    Matrix { sites: u32, cells: Vec<Option<Place>> },
    Table(Table<Place>),
}

impl Places {
    /// The most sites with a matrix, of 12 bytes a pair.
    const MATRIX: usize = 128;

    fn of(sites: usize) -> Self {
        match sites {
            0..=Self::MATRIX => Self::Matrix {
                sites: sites as u32,
                cells: vec![None; sites * sites],
            },
            _ => Self::Table(Table::default()),
        }
    }

    #[inline]
    fn get(&self, from: SiteId, to: SiteId) -> Option<Place> {
        match self {
            Self::Matrix { sites, cells } => cells[(from.0 * sites + to.0) as usize],
            Self::Table(table) => table.get(u64::from(from.0) << 32 | u64::from(to.0)),
        }
    }

    fn set(&mut self, from: SiteId, to: SiteId, place: Place) {
        match self {
            Self::Matrix { sites, cells } => cells[(from.0 * *sites + to.0) as usize] = Some(place),
            Self::Table(table) => table.set(u64::from(from.0) << 32 | u64::from(to.0), place),
        }
    }
}

/// What messages on a link go through.
#[derive(Debug, Clone, Copy)]
struct Path {
    class: u32,
    law: u32,
    /// The probability of independent loss.
    loss: f64,
    /// Nothing else can happen than that loss and a delay by the one law.
    plain: bool,
    /// The delay, if the law is a constant.
    fixed: Option<SimDuration>,
}

/// The memory of a directed link.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Link {
    key: Key,
    /// Until when the transmitter is busy.
    busy: SimTime,
    pub(super) floor: Floor,
    burst: Burst,
    slot: Slot,
}

/// What is added by the degradations that are on.
#[derive(Debug, Clone, Copy)]
struct Worse {
    factor: f64,
    added: SimDuration,
    /// The probability to pass all of them.
    pass: f64,
    bandwidth: f64,
}

const AS_EVER: Worse = Worse {
    factor: 1.0,
    added: SimDuration::ZERO,
    pass: 1.0,
    bandwidth: 1.0,
};

impl Outgoing {
    /// Its ends, as cuts and degradations see them.
    pub(super) fn ends(&self) -> Ends {
        Ends {
            from: self.from,
            to: self.to,
            from_tag: self.from_tag,
            to_tag: self.to_tag,
        }
    }
}

impl Network {
    /// The network of the run with this root key.
    ///
    /// # Errors
    /// Refuses a spec with [`NetworkSpec::problems`].
    pub fn new(spec: Arc<NetworkSpec>, root: Key) -> Result<Self, Vec<SpecError>> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let key = root.child("network");
        let laws = spec.classes.iter().map(|class| match &class.latency {
            Latency::Law(law) => law.clone(),
            // Never drawn from: a measured link brings its own.
            Latency::Measured(_) => Law::Constant(0.0),
        });
        let paths = spec
            .classes
            .iter()
            .enumerate()
            .map(|(index, class)| path_of(class, index as u32));
        let sites = spec.sites.len();
        Ok(Self {
            site_keys: spec.sites.iter().map(|site| key.child(&site.name)).collect(),
            waves: spec
                .classes
                .iter()
                .map(|class| class.jitter.as_ref().map(Wave::new))
                .collect(),
            laws: laws.collect(),
            paths: paths.collect(),
            found: Places::of(sites),
            links: Vec::new(),
            cuts: Cuts::new(spec.cuts.len()),
            degraded: vec![0; spec.degradations.len()],
            degrading: Vec::new(),
            disturbances: 0,
            floors: Table::default(),
            floors_for_all: spec
                .cuts
                .iter()
                .any(|cut| cut.in_flight == InTransit::Held && cut.asks_for_tags()),
            held: Held::new(spec.cuts.len()),
            books: Conservation::default(),
            spec,
        })
    }

    /// The books: where every message is.
    pub fn counters(&self) -> Conservation {
        self.books
    }

    /// How many directed links were used so far.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// What this network was built from.
    pub fn spec(&self) -> &Arc<NetworkSpec> {
        &self.spec
    }

    /// What becomes of a message that is sent now.
    pub fn route(&mut self, m: &Outgoing) -> Verdict {
        match self.route_plainly((m.from, m.to), m.now, (m.key, m.number)) {
            Ok(verdict) => verdict,
            Err(place) => self.route_otherwise(m, place),
        }
    }

    /// The same in the common case, which needs to know less of the message: its ends, when it is sent, and the key and the number of
    /// its draws. Else its place, for [`Network::route_otherwise`].
    #[inline(always)]
    pub(crate) fn route_plainly(
        &mut self,
        (from, to): (SiteId, SiteId),
        now: SimTime,
        (key, number): (Key, u64),
    ) -> Result<Verdict, Place> {
        self.books.sent += 1;
        let place = self.place(from, to);
        let path = self.paths[place.path as usize];
        if !path.plain || self.disturbances > 0 {
            return Err(place);
        }
        if path.loss > 0.0 && key.stream(about::LOSS, number).chance(path.loss) {
            return Ok(self.lose(LossCause::Random));
        }
        let delay = path.fixed.unwrap_or_else(|| {
            let mut stream = key.stream(Purpose(about::DELAY), number);
            self.laws[path.law as usize].sample_duration(&mut stream, number)
        });
        Ok(Verdict::At(self.leave(place.link, now.saturating_add(delay))))
    }

    /// What becomes of a message that isn't the common case.
    pub(crate) fn route_otherwise(&mut self, m: &Outgoing, place: Place) -> Verdict {
        if self.cuts.any() {
            match self.cuts.at_send(&self.spec.cuts, &m.ends()) {
                Passage::Free => {}
                Passage::Lost => return self.lose(LossCause::Partition),
                Passage::Held(cut) => return Verdict::Held(self.hold_back(m, cut)),
            }
        }
        self.send_through(m, place)
    }

    /// Sends what no cut stops. Also what a cut held until now, which was counted when it was sent.
    pub(super) fn send_through(&mut self, m: &Outgoing, place: Place) -> Verdict {
        let index = self.paths[place.path as usize].class as usize;
        let &LinkSpec {
            loss,
            duplication,
            fifo,
            bandwidth,
            ..
        } = &self.spec.classes[index];
        let worse = if self.degrading.is_empty() {
            AS_EVER
        } else {
            self.worse(&m.ends())
        };
        let Some(left) = self.transmit(m, place.link, bandwidth, worse.bandwidth) else {
            return self.lose(LossCause::Overflow);
        };
        if let Some(cause) = self.chance_loss(m, place.link, loss, worse.pass) {
            return self.lose(cause);
        }
        let copied = duplication > 0.0 && m.key.stream(about::DUPLICATION, m.number).chance(duplication);
        let floor = self.floor(m, place.link, fifo);
        let first = left.saturating_add(self.delay(m, place, worse, 0)).max(floor);
        if !copied {
            self.raise_floor(m, place.link, fifo, first);
            return Verdict::At(self.leave(place.link, first));
        }
        let second = left.saturating_add(self.delay(m, place, worse, 1)).max(floor);
        self.raise_floor(m, place.link, fifo, first.max(second));
        self.books.duplicated += 1;
        Verdict::Twice(self.leave(place.link, first), self.leave(place.link, second))
    }

    /// What becomes of a message that is due now, on a leg of this epoch. `message` is asked for only if a cut fell since:
    /// the message as it was sent, with `now` the time at which it is due.
    #[inline]
    pub fn arrive(&mut self, epoch: u32, message: impl FnOnce() -> Outgoing) -> Arrival {
        self.books.in_flight -= 1;
        if epoch == self.cuts.epoch() {
            self.books.delivered += 1;
            return Arrival::Deliver;
        }
        self.arrive_late(epoch, message())
    }

    fn arrive_late(&mut self, epoch: u32, m: Outgoing) -> Arrival {
        match self.cuts.journey(&self.spec.cuts, &m.ends(), Whose::Ends, epoch, m.now) {
            Journey::Lost => {
                self.lose(LossCause::Partition);
                Arrival::Lost(LossCause::Partition)
            }
            Journey::Standing(cut) => Arrival::Held(self.hold_up(&m, epoch, cut)),
            Journey::Due(at) if at > m.now => {
                let link = self.place(m.from, m.to).link;
                Arrival::Later(self.leave(link, at))
            }
            Journey::Due(_) => {
                self.books.delivered += 1;
                Arrival::Deliver
            }
        }
    }

    /// A degradation begins, once more if it is on already.
    pub fn degrade(&mut self, degradation: u32) {
        let depth = &mut self.degraded[degradation as usize];
        *depth += 1;
        if *depth == 1 {
            self.degrading.push(degradation);
            self.disturbances += 1;
        }
    }

    /// A degradation ends, once.
    ///
    /// # Panics
    /// Panics if it isn't on.
    pub fn restore(&mut self, degradation: u32) {
        let depth = &mut self.degraded[degradation as usize];
        assert!(*depth > 0, "degradation {degradation} ends but never began");
        *depth -= 1;
        if *depth == 0 {
            self.degrading.retain(|&other| other != degradation);
            self.disturbances -= 1;
        }
    }

    /// A cut falls at `now`, once more if it is on already.
    pub fn fall(&mut self, cut: u32, now: SimTime) {
        if self.cuts.fall(cut, now) {
            self.disturbances += 1;
        }
    }

    /// One disturbance less: a cut is healed.
    pub(super) fn calmer(&mut self) {
        self.disturbances -= 1;
    }

    /// The place of a link, which is made if it is new.
    #[inline]
    pub(super) fn place(&mut self, from: SiteId, to: SiteId) -> Place {
        match self.found.get(from, to) {
            Some(place) => place,
            None => self.make_link(from, to),
        }
    }

    #[cold]
    fn make_link(&mut self, from: SiteId, to: SiteId) -> Place {
        let class = self.spec.class_of(from, to);
        let mut path = class;
        if let Latency::Measured(measurement) = &self.spec.classes[class as usize].latency {
            let law = measurement
                .one_way(from, to)
                .expect("the check of the spec saw that every cell is there");
            path = self.paths.len() as u32;
            self.paths.push(Path {
                law: self.laws.len() as u32,
                fixed: fixed_delay(&law),
                ..self.paths[class as usize]
            });
            self.laws.push(law);
        }
        let place = Place {
            link: self.links.len() as u32,
            path,
        };
        self.links.push(Link {
            key: self.site_keys[from.0 as usize].member(self.site_keys[to.0 as usize].bits()),
            busy: SimTime::ZERO,
            floor: Floor::default(),
            burst: Burst::default(),
            slot: Slot::default(),
        });
        self.found.set(from, to, place);
        place
    }

    /// Books a loss.
    pub(super) fn lose(&mut self, cause: LossCause) -> Verdict {
        self.books.lost[cause as usize] += 1;
        Verdict::Lost(cause)
    }

    /// Books a departure.
    #[inline]
    pub(super) fn leave(&mut self, link: u32, at: SimTime) -> Leg {
        self.books.in_flight += 1;
        Leg {
            link: LinkId(link),
            epoch: self.cuts.epoch(),
            at,
        }
    }

    /// What the degradations that are on come to for a message.
    fn worse(&self, ends: &Ends) -> Worse {
        let mut worse = AS_EVER;
        for &index in &self.degrading {
            let degradation = &self.spec.degradations[index as usize];
            if degradation.concerns(ends) {
                worse.factor *= degradation.latency_factor;
                worse.added = SimDuration::from_nanos(
                    worse
                        .added
                        .as_nanos()
                        .saturating_add(degradation.latency_added.as_nanos()),
                );
                worse.pass *= 1.0 - degradation.loss;
                worse.bandwidth *= degradation.bandwidth_factor;
            }
        }
        worse
    }

    /// When the last byte has left; `None` if the queue is full.
    fn transmit(&mut self, m: &Outgoing, link: u32, bandwidth: Option<Bandwidth>, factor: f64) -> Option<SimTime> {
        let Some(bandwidth) = bandwidth else { return Some(m.now) };
        let rate = bandwidth.rate * factor;
        let link = &mut self.links[link as usize];
        let waiting = link.busy.since(m.now);
        if let Some(bound) = bandwidth.queue
            && waiting > SimDuration::ZERO
        {
            let backlog = waiting.as_nanos() as f64 * rate / 1e9;
            if backlog + f64::from(m.bytes) > bound as f64 {
                return None;
            }
        }
        let takes = SimDuration::from_nanos_f64(f64::from(m.bytes) * 1e9 / rate);
        link.busy = link.busy.max(m.now).saturating_add(takes);
        Some(link.busy)
    }

    /// Whether chance takes the message, and why. One draw decides all of it, so that a lossier link loses what a better
    /// one loses, and more.
    fn chance_loss(&mut self, m: &Outgoing, link: u32, loss: Loss, pass: f64) -> Option<LossCause> {
        let (own, cause) = match loss {
            Loss::Independent(p) => (p, LossCause::Random),
            Loss::Bursty {
                good,
                bad,
                loss_good,
                loss_bad,
            } => {
                let link = &mut self.links[link as usize];
                match link.burst.is_bad(link.key, good, bad, m.now) {
                    true => (loss_bad, LossCause::Burst),
                    false => (loss_good, LossCause::Random),
                }
            }
        };
        let all = 1.0 - (1.0 - own) * pass;
        if all <= 0.0 {
            return None;
        }
        let draw = m.key.stream(about::LOSS, m.number).unit();
        // `all` may round below `own`.
        match draw {
            draw if draw < own => Some(cause),
            draw if draw < all => Some(LossCause::Degraded),
            _ => None,
        }
    }

    /// The delay of the original (`copy` 0) or of the copy (1).
    fn delay(&mut self, m: &Outgoing, place: Place, worse: Worse, copy: u16) -> SimDuration {
        let path = self.paths[place.path as usize];
        let class = &self.spec.classes[path.class as usize];
        let law = match class.by_kind.get(usize::from(m.kind)) {
            Some(Some(law)) => law,
            _ => &self.laws[path.law as usize],
        };
        let mut ns = match &self.waves[path.class as usize] {
            None => law.sample(&mut m.key.stream(Purpose(about::DELAY + copy), m.number), m.number),
            Some(wave) => {
                let own = standard_normal(&mut m.key.stream(Purpose(about::OWN_SCORE + copy), m.number));
                let link = &mut self.links[place.link as usize];
                at_score(law, wave.score(&mut link.slot, link.key, m.now, own))
            }
        };
        if let Some(reordering) = &class.reordering {
            let mut stream = m.key.stream(Purpose(about::REORDERING + copy), m.number);
            if stream.chance(reordering.chance) {
                ns = ns.max(0.0) + reordering.extra.sample(&mut stream, m.number).max(0.0);
            }
        }
        let own = SimDuration::from_nanos_f64(ns * worse.factor);
        SimDuration::from_nanos(own.as_nanos().saturating_add(worse.added.as_nanos()))
    }
}

impl Degradation {
    /// Whether it concerns a message between these ends.
    fn concerns(&self, ends: &Ends) -> bool {
        ends.cross(&self.from, &self.to, self.both_ways)
    }
}

fn path_of(class: &LinkSpec, index: u32) -> Path {
    let (loss, independent) = match class.loss {
        Loss::Independent(p) => (p, true),
        Loss::Bursty { .. } => (0.0, false),
    };
    let plain = independent
        && class.by_kind.iter().all(Option::is_none)
        && class.jitter.is_none()
        && class.duplication == 0.0
        && class.fifo == Fifo::No
        && class.reordering.is_none()
        && class.bandwidth.is_none();
    Path {
        class: index,
        law: index,
        loss,
        plain,
        fixed: match &class.latency {
            Latency::Law(law) => fixed_delay(law),
            Latency::Measured(_) => None,
        },
    }
}

/// The delay of a law that doesn't depend on chance.
fn fixed_delay(law: &Law) -> Option<SimDuration> {
    match law {
        Law::Constant(nanos) => Some(SimDuration::from_nanos_f64(*nanos)),
        _ => None,
    }
}
