//! `sites` and `network`.

use super::Resolver;
use crate::network::measured::{Measured, MeasuredError};
use crate::network::{
    Bandwidth, Correlation, Fifo, Latency, LinkSpec, Loss, Measurement, NetworkSpec, Reordering, SiteId,
};
use crate::random::Law;
use crate::scenario::language::network::{Jitter, Loss as Losing, Matrix, Order, PairLink};
use crate::scenario::language::{Link, Network};
use crate::scenario::syntax::{Code, Diagnostic, Span, Spanned, write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sites of a pair, whether both directions are meant, and the link.
type Pair<'l> = (((SiteId, SiteId), bool), &'l Spanned<PairLink>);

impl Resolver<'_, '_> {
    /// Replaces the placeholder network by the one that is written, as far as it makes sense.
    pub(super) fn resolve_network(&mut self) {
        let file = self.file;
        let (network, span) = (&file.network.value, file.network.span);
        let measured = network.matrix.as_ref().and_then(|matrix| self.matrix(matrix));
        let latency = |measurement: &Option<Arc<Measurement>>| match measurement {
            Some(measurement) => Latency::Measured(Arc::clone(measurement)),
            None => Latency::default(),
        };
        let default = self.link(&network.default, latency(&measured), span);
        let inside = network.matrix.as_ref().is_some_and(|matrix| matrix.local);
        let local = if inside { latency(&measured) } else { Latency::default() };
        let local = self.link(&network.local, local, span);
        let pairs = self.pairs(network);
        let mut spec = NetworkSpec {
            classes: vec![default.unwrap_or_default(), local.unwrap_or_default()],
            default: 0,
            local: 1,
            pairs: BTreeMap::new(),
            ..self.network.clone()
        };
        for ((ends, both_ways), link) in pairs {
            let base = if ends.0 == ends.1 {
                &network.local
            } else {
                &network.default
            };
            let link_over = link.value.link().over(base);
            let otherwise = match ends.0 == ends.1 && !inside {
                true => Latency::default(),
                false => latency(&measured),
            };
            let Some(class) = self.link(&link_over, otherwise, link.span) else {
                continue;
            };
            let index = spec.classes.len() as u32;
            spec.classes.push(class);
            spec.pairs.insert((ends.0.0, ends.1.0), index);
            if both_ways {
                spec.pairs.insert((ends.1.0, ends.0.0), index);
            }
        }
        if let Some(matrix) = &network.matrix
            && measured.is_some()
        {
            self.check_cells(&spec, matrix);
        }
        self.network = spec;
    }

    /// The links of single pairs in the order of their sites, so that their order in the file changes nothing.
    fn pairs<'l>(&mut self, network: &'l Network) -> Vec<Pair<'l>> {
        let mut pairs = Vec::new();
        let mut seen: BTreeMap<(SiteId, SiteId), Span> = BTreeMap::new();
        for link in &network.links {
            let (ends, both_ways) = match (&link.between, &link.from, &link.to) {
                (Some((a, b)), None, None) => ((self.site(a), self.site(b)), true),
                (None, Some(from), Some(to)) => ((self.site(from), self.site(to)), false),
                _ => {
                    let message = "a link says either `between` two sites, or `from` one `to` another";
                    self.error(Code::BadLink, link.span.head(1), message);
                    continue;
                }
            };
            let (Some(a), Some(b)) = ends else { continue };
            let (a, b) = if both_ways && b < a { (b, a) } else { (a, b) };
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
                continue;
            }
            pairs.push((((a, b), both_ways), link));
        }
        pairs.sort_by_key(|(ends, _)| *ends);
        pairs
    }

    fn link(&mut self, link: &Link, otherwise: Latency, span: Span) -> Option<LinkSpec> {
        let latency = match &link.one_way {
            Some(law) => self.time(law).map(Latency::Law),
            None => Some(otherwise),
        };
        let kinds = link.by_kind.as_ref().map(|kinds| {
            // In the order of the kinds of message.
            let kinds = [
                &kinds.message,
                &kinds.ask,
                &kinds.answer,
                &kinds.request,
                &kinds.response,
                &kinds.peer,
            ];
            kinds.map(|law| match law {
                Some(law) => self.time(law).map(Some),
                None => Some(None),
            })
        });
        let by_kind: Option<Vec<Option<Law>>> = kinds.map_or(Some(Vec::new()), |kinds| kinds.into_iter().collect());
        let jitter = match &link.jitter {
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
        };
        let loss = match &link.loss {
            None => Loss::default(),
            Some(Losing::Independent(p)) => Loss::Independent(p.get()),
            Some(Losing::Bursty {
                good,
                bad,
                loss_good,
                loss_bad,
            }) => Loss::Bursty {
                good: **good,
                bad: **bad,
                loss_good: loss_good.get(),
                loss_bad: loss_bad.get(),
            },
        };
        let fifo = match link.order {
            None | Some(Order::Any) => Fifo::No,
            Some(Order::Link) => Fifo::PerLink,
            Some(Order::Pair) => Fifo::PerPair,
        };
        let reordering = match &link.reordering {
            Some(reordering) => self.time(&reordering.extra).map(|extra| {
                Some(Reordering {
                    chance: reordering.chance.get(),
                    extra,
                })
            }),
            None => Some(None),
        };
        if link.reordering.is_some() && fifo != Fifo::No {
            let place = link
                .reordering
                .as_ref()
                .map_or(span, |reordering| reordering.extra.span);
            self.error(Code::BadLink, place, "the link keeps the order and reorders at once");
        }
        if link.queue.is_some() && link.bandwidth.is_none() {
            self.error(Code::BadLink, span.head(1), "a link with a `queue` needs a `bandwidth`");
        }
        Some(LinkSpec {
            latency: latency?,
            by_kind: by_kind?,
            jitter,
            loss,
            duplication: link.duplication.map_or(0.0, |p| p.get()),
            fifo,
            reordering: reordering?,
            bandwidth: link.bandwidth.map(|bandwidth| Bandwidth {
                rate: bandwidth.0 as f64 / 8.0,
                queue: link.queue.map(|queue| queue.0),
            }),
        })
    }

    fn matrix(&mut self, matrix: &Spanned<Matrix>) -> Option<Arc<Measurement>> {
        let file = self.file;
        let table = self.data.measured(&matrix.data, matrix.set.as_deref(), self.out);
        let missing = match &matrix.missing {
            Some(law) => self.time(law).map(Some),
            None => Some(None),
        };
        let table = table?;
        let regions: Vec<Option<u32>> = file
            .sites
            .0
            .canonical()
            .map(|(_, site)| self.region(&table, site.region.as_ref()?))
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
        if matrix.missing.is_some() {
            return;
        }
        let names: Vec<&Spanned<String>> = self.file.sites.0.canonical().map(|(name, _)| name).collect();
        let given: Vec<bool> = self
            .file
            .sites
            .0
            .canonical()
            .map(|(_, site)| site.region.is_some())
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

    /// Whether a message from one site to the other may be lost by the link itself.
    pub(super) fn loses(&self, from: SiteId, to: SiteId) -> bool {
        self.network.classes[self.network.class_of(from, to) as usize]
            .loss
            .mean()
            > 0.0
    }
}
