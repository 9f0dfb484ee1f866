//! `sites` and `network`.

use super::Resolver;
use crate::network::measured::{Measured, MeasuredError};
use crate::network::{
    Bandwidth, Correlation, Fifo, Latency, LinkSpec, Loss, Measurement, NetworkSpec, Reordering, SiteId,
};
use crate::random::Law;
use crate::scenario::language::network::{Jitter, Loss as Losing, Matrix, Order, PairLink};
use crate::scenario::language::{Link, Network};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cell of every pair of sites is looked at, so that there can't be any number of them.
const MOST_MEASURED: usize = 4096;

/// The sites of a pair, and whether both directions are meant.
type Ends = ((SiteId, SiteId), bool);

impl Resolver<'_, '_> {
    /// Replaces the placeholder network by the one that is written, as far as it makes sense.
    pub(super) fn resolve_network(&mut self) {
        let file = self.file;
        let Some(network) = file.network.get() else {
            self.network_known = false;
            return;
        };
        let (network, span) = (&network.value, network.span);
        let matrix = network.matrix.given();
        let measured = matrix.and_then(|matrix| self.matrix(matrix));
        let latency = |measurement: &Option<Arc<Measurement>>| match measurement {
            Some(measurement) => Latency::Measured(Arc::clone(measurement)),
            None => Latency::default(),
        };
        let inside = matrix.is_some_and(|matrix| matrix.local.get() == Some(&true));
        let local = if inside { latency(&measured) } else { Latency::default() };
        let default = network.default.get();
        let default = default.and_then(|link| self.link(link, link, latency(&measured), span));
        let local_link = network.local.get();
        let local = local_link.and_then(|link| self.link(link, link, local, span));
        let pairs = self.pairs(network);
        self.network_known &= !network.matrix.is_unread() && default.is_some() && local.is_some();
        let mut spec = NetworkSpec {
            classes: vec![default.unwrap_or_default(), local.unwrap_or_default()],
            default: 0,
            local: 1,
            pairs: BTreeMap::new(),
            ..self.network.clone()
        };
        for (ends, link) in pairs {
            let within = ends.map(|((from, to), _)| from == to);
            let base = match within {
                Some(true) => network.local.get(),
                Some(false) => network.default.get(),
                None => None,
            };
            let otherwise = match within {
                Some(true) if !inside => Latency::default(),
                _ => latency(&measured),
            };
            let class = self.pair_link(link, base, otherwise);
            let (Some((ends, both_ways)), Some(class)) = (ends, class) else {
                self.network_known = false;
                continue;
            };
            let index = spec.classes.len() as u32;
            spec.classes.push(class);
            spec.pairs.insert((ends.0.0, ends.1.0), index);
            if both_ways {
                spec.pairs.insert((ends.1.0, ends.0.0), index);
            }
        }
        if let Some(matrix) = matrix.filter(|_| measured.is_some() && self.network_known) {
            self.check_cells(&spec, matrix);
        }
        self.network = spec;
    }

    /// The link of a pair of sites, with what it leaves out taken from `base`.
    fn pair_link(&mut self, link: &Spanned<PairLink>, base: Option<&Link>, otherwise: Latency) -> Option<LinkSpec> {
        // Over a link that is unknown, what the pair itself says is all that can be checked.
        let nothing = Link::default();
        let own = link.value.link();
        let over = own.over(base.unwrap_or(&nothing));
        let spec = self.link(&over, &own, otherwise, link.span);
        spec.filter(|_| base.is_some())
    }

    /// The links of single pairs in the order of their sites, so that their order in the file changes nothing. It may be
    /// unknown which sites they are.
    fn pairs<'l>(&mut self, network: &'l Network) -> Vec<(Option<Ends>, &'l Spanned<PairLink>)> {
        let mut pairs = Vec::new();
        let mut seen: BTreeMap<(SiteId, SiteId), Span> = BTreeMap::new();
        let links = network.links.get().map_or(&[][..], Vec::as_slice);
        self.network_known &= !network.links.is_unread() && !links.iter().any(Part::is_unread);
        for link in links.iter().filter_map(Part::get) {
            let Some(((a, b), both_ways)) = self.ends(link) else {
                pairs.push((None, link));
                continue;
            };
            let (a, b) = if both_ways && b < a { (b, a) } else { (a, b) };
            pairs.push((Some(((a, b), both_ways)), link));
            let mut twice = None;
            for direction in [(a, b), (b, a)].into_iter().take(1 + usize::from(both_ways && a != b)) {
                twice = seen.insert(direction, link.span.head(1)).or(twice);
            }
            if let Some(first) = twice {
                let problem = Diagnostic::error(
                    Code::NamedTwice,
                    link.span.head(1),
                    "this direction of this pair of sites has a link already",
                );
                self.out.push(problem.label(first, "it stood here first"));
            }
        }
        pairs.sort_by_key(|(ends, _)| *ends);
        pairs
    }

    /// The sites of a pair, and whether both directions are meant.
    fn ends(&mut self, link: &Spanned<PairLink>) -> Option<Ends> {
        let (ends, both_ways) = match (link.between.get()?, link.from.get()?, link.to.get()?) {
            (Some((a, b)), None, None) => ((self.site_of(a), self.site_of(b)), true),
            (None, Some(from), Some(to)) => ((self.site(from), self.site(to)), false),
            _ => {
                let message = "a link says either `between` two sites, or `from` one `to` another";
                self.error(Code::BadLink, link.span.head(1), message);
                return None;
            }
        };
        Some(((ends.0?, ends.1?), both_ways))
    }

    /// A link, of which `own` is what its own place says: what is wrong with the rest is said where that stands.
    fn link(&mut self, link: &Link, own: &Link, otherwise: Latency, span: Span) -> Option<LinkSpec> {
        let latency = link.one_way.each(|law| self.time(law).map(Latency::Law));
        let by_kind = link.by_kind.each(|kinds| {
            // In the order of the kinds of message.
            let kinds = [
                &kinds.message,
                &kinds.ask,
                &kinds.answer,
                &kinds.request,
                &kinds.response,
                &kinds.peer,
                &kinds.cancel,
            ];
            let laws = kinds.map(|law| law.each(|law| self.time(law)));
            laws.into_iter().collect::<Option<Vec<Option<Law>>>>()
        });
        let jitter = link.jitter.get().map(|jitter| match jitter {
            Some(Jitter::Correlated { every, rho, share }) => {
                if rho.get() >= 1.0 {
                    self.error(
                        Code::BadLink,
                        rho.span,
                        "a correlation of 1 never changes; it has to be below 1",
                    );
                }
                Some(Correlation {
                    every: **every,
                    rho: rho.get(),
                    share: share.get(),
                })
            }
            _ => None,
        });
        let loss = link.loss.get().map(|loss| match loss {
            None => Loss::default(),
            Some(Losing::Independent(p)) => Loss::Independent(p.get()),
            Some(Losing::Bursty {
                good,
                bad,
                loss_good,
                loss_bad,
            }) => Loss::Bursty {
                good: *good.value,
                bad: *bad.value,
                loss_good: loss_good.get(),
                loss_bad: loss_bad.get(),
            },
        });
        let fifo = link.order.get().map(|order| match order {
            None | Some(Order::Any) => Fifo::No,
            Some(Order::Link) => Fifo::PerLink,
            Some(Order::Pair) => Fifo::PerPair,
        });
        let reordering = link.reordering.each(|reordering| {
            let extra = self.time_of(&reordering.extra);
            Some(Reordering {
                chance: reordering.chance.get()?.get(),
                extra: extra?,
            })
        });
        if let Some(reordering) = link.reordering.given()
            && fifo.is_some_and(|fifo| fifo != Fifo::No)
            && (own.order.given().is_some() || own.reordering.given().is_some())
        {
            let place = reordering.extra.get().map_or(span.head(1), |extra| extra.span);
            self.error(Code::BadLink, place, "the link keeps the order and reorders at once");
        }
        if let (Some(_), Some(None)) = (own.queue.given(), link.bandwidth.get()) {
            self.error(Code::BadLink, span.head(1), "a link with a `queue` needs a `bandwidth`");
        }
        let (bandwidth, queue) = (link.bandwidth.get()?, link.queue.get()?);
        Some(LinkSpec {
            latency: latency?.unwrap_or(otherwise),
            by_kind: by_kind?.unwrap_or_default(),
            jitter: jitter?,
            loss: loss?,
            duplication: link.duplication.get()?.map_or(0.0, |p| p.get()),
            fifo: fifo?,
            reordering: reordering?,
            bandwidth: bandwidth.map(|bandwidth| Bandwidth {
                rate: bandwidth.0 as f64 / 8.0,
                queue: queue.map(|queue| queue.0),
            }),
        })
    }

    fn matrix(&mut self, matrix: &Spanned<Matrix>) -> Option<Arc<Measurement>> {
        let file = self.file;
        if file.sites.0.len() > MOST_MEASURED {
            let message = format!(
                "a measured table gives the latencies between {MOST_MEASURED} sites at most, and there are {}",
                file.sites.0.len()
            );
            self.error(Code::TooMany, matrix.span.head(1), message);
            return None;
        }
        let set = matrix.set.get().zip(matrix.data.get());
        let table = set.and_then(|(set, data)| self.data.measured(data, set.as_deref(), self.out));
        let missing = matrix.missing.each(|law| self.time(law));
        let table = table?;
        let regions: Vec<Option<u32>> = file
            .sites
            .0
            .canonical()
            .map(|(_, site)| self.region(&table, site.get()?.region.given()?))
            .collect();
        Some(Arc::new(Measurement {
            table,
            regions,
            missing: missing?,
        }))
    }

    fn region(&mut self, table: &Measured, name: &Spanned<String>) -> Option<u32> {
        match table.region(name) {
            Ok(region) => Some(region),
            Err(error) => {
                let message = format!("the table has no region {}", write::quoted(name));
                let mut problem = Diagnostic::error(Code::UnknownRegion, name.span, message);
                if let MeasuredError::Region { suggestions, .. } = error
                    && let Some(near) = suggestions.first()
                {
                    let quoted = write::quoted(near);
                    problem = problem.replace(format!("did you mean {quoted}?"), name.span, quoted);
                }
                self.out.push(problem);
                None
            }
        }
    }

    /// Every pair whose link doesn't say its latency needs a measured one.
    fn check_cells(&mut self, spec: &NetworkSpec, matrix: &Spanned<Matrix>) {
        let Some(None) = matrix.missing.get() else {
            return;
        };
        let names: Vec<&Spanned<String>> = self.file.sites.0.canonical().map(|(name, _)| name).collect();
        let given: Vec<bool> = self
            .file
            .sites
            .0
            .canonical()
            .map(|(_, site)| site.get().is_none_or(|site| !matches!(site.region.get(), Some(None))))
            .collect();
        let sites = spec.sites.len() as u32;
        for from in (0..sites).map(SiteId) {
            for to in (0..sites).map(SiteId) {
                let class = &spec.classes[spec.class_of(from, to) as usize];
                let Latency::Measured(measurement) = &class.latency else {
                    continue;
                };
                let regions = &measurement.regions;
                let (a, b) = (regions[from.0 as usize], regions[to.0 as usize]);
                let (Some(a), Some(b)) = (a, b) else {
                    // A region that isn't in the table has been reported. Once a site is enough.
                    let without = [from, to].into_iter().find(|site| !given[site.0 as usize]);
                    if let Some(site) = without.filter(|site| *site == from) {
                        let name = names[site.0 as usize];
                        let message = format!(
                            "the site {} lies in no `region` of the measured table",
                            write::quoted(name)
                        );
                        let problem = Diagnostic::error(Code::MissingLatency, name.span, message);
                        self.out
                            .push(problem.label(matrix.span.head(1), "which gives the latencies of its links"));
                        break;
                    }
                    continue;
                };
                if measurement.table.round_trip(a, b).is_none() {
                    let message = format!(
                        "nothing was measured from {} to {}",
                        write::quoted(names[from.0 as usize]),
                        write::quoted(names[to.0 as usize])
                    );
                    let problem = Diagnostic::error(Code::MissingLatency, matrix.span.head(1), message);
                    self.out
                        .push(problem.help("say what stands for it: `missing: \"100ms\"`"));
                }
            }
        }
    }

    /// The mean latency of one way, in nanoseconds: what says which replica is near.
    pub(super) fn distance(&self, from: SiteId, to: SiteId) -> f64 {
        if from == to {
            return -1.0;
        }
        match &self.network.classes[self.network.class_of(from, to) as usize].latency {
            Latency::Law(law) => law.mean(),
            Latency::Measured(measurement) => measurement.one_way(from, to).map_or(f64::INFINITY, |law| law.mean()),
        }
    }

    /// Whether a message from one site to the other may be lost by the link itself, as far as it is known.
    pub(super) fn loses(&self, from: SiteId, to: SiteId) -> bool {
        self.network_known
            && self.network.classes[self.network.class_of(from, to) as usize]
                .loss
                .mean()
                > 0.0
    }
}
