//! `coordination`: servers of a Raft group, and what is planned for them.

use super::Resolver;
use super::coordination::nanos;
use crate::coordination::Protocol;
use crate::coordination::raft::server::{Change, Planned};
use crate::coordination::raft::{Flaw, Settings, server};
use crate::kernel::SimTime;
use crate::network::SiteId;
use crate::scenario::language::coordination::{Pattern, ServerChange};
use crate::scenario::language::faults::Fault;
use crate::scenario::syntax::{Code, Diagnostic, Part, Spanned, write};

/// The most servers of a Raft group.
const MOST_SERVERS: usize = 64;

/// A planned change as written: about which server, and where that stands.
struct Written<'s> {
    change: Change,
    site: &'s Spanned<String>,
}

impl Resolver<'_, '_> {
    pub(super) fn raft_group(
        &mut self,
        name: &Spanned<String>,
        pattern: &Spanned<Pattern>,
        sites: &[SiteId],
    ) -> Option<Protocol> {
        let Pattern::Raft {
            election_min,
            election_max,
            heartbeat,
            pre_vote,
            batch,
            in_flight,
            snapshot_every,
            remember,
            first,
            disk,
            changes,
        } = &pattern.value
        else {
            return None;
        };
        if sites.len() > MOST_SERVERS {
            let message = format!(
                "a Raft group has {MOST_SERVERS} servers at most, and this one has {}",
                sites.len()
            );
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        self.check_order(("heartbeat", heartbeat), ("election_min", election_min), false);
        self.check_order(("election_min", election_min), ("election_max", election_max), true);
        let first = match first.get()? {
            None => None,
            Some(name) => {
                let site = self.site(name)?;
                let place = sites.iter().position(|at| *at == site);
                if place.is_none() {
                    self.error(Code::UnknownSite, name.span, "the group has no server at this site");
                }
                Some(place? as u32)
            }
        };
        let changes = self.server_changes(name, changes, first, sites);
        let snapshot_every = u64::from(**snapshot_every.get()?);
        let changes = changes?;
        Some(Protocol::Raft(Box::new(server::Rules {
            settings: Settings {
                election_min: nanos(*election_min.get()?.value),
                election_max: nanos(*election_max.get()?.value),
                heartbeat: nanos(*heartbeat.get()?.value),
                pre_vote: *pre_vote.get()?,
                lease: None,
                batch: **batch.get()? as usize,
                in_flight: **in_flight.get()? as usize,
                snapshot_every,
                trailing: snapshot_every / 2,
                remember: u64::from(**remember.get()?),
                flaw: Flaw::None,
            },
            servers: sites.len() as u32,
            first,
            disk: disk.get()?.as_nanos(),
            changes,
            tells: false,
        })))
    }

    /// What is planned for the servers, by time, if it can be.
    fn server_changes(
        &mut self,
        name: &Spanned<String>,
        changes: &Part<Vec<Part<Spanned<ServerChange>>>>,
        first: Option<u32>,
        sites: &[SiteId],
    ) -> Option<Vec<Change>> {
        let mut written = Vec::new();
        let mut whole = true;
        for change in changes.get()? {
            match change.get().and_then(|change| self.server_change(change, sites)) {
                Some(change) => written.push(change),
                None => whole = false,
            }
        }
        if !whole {
            return None;
        }
        written.sort_by_key(|one| one.change.at);
        let errors = self.out.error_count();
        self.check_plan(name, &written, first, sites);
        (self.out.error_count() == errors).then(|| written.into_iter().map(|one| one.change).collect())
    }

    fn server_change<'s>(&mut self, change: &'s Spanned<ServerChange>, sites: &[SiteId]) -> Option<Written<'s>> {
        let (site, at) = match &change.value {
            ServerChange::Add { server, at } | ServerChange::Remove { server, at } => (server, at),
            ServerChange::Transfer { to, at } => (to, at),
        };
        let (site, at) = (site.get()?, at.get()?);
        let id = self.site(site)?;
        let mut here = (0u32..).zip(sites).filter(|(_, at)| **at == id);
        let Some((place, _)) = here.next() else {
            let message = format!("the group has no server at {}", write::quoted(&site.value));
            let problem = Diagnostic::error(Code::NoSuchServer, site.span, message);
            let help = "servers that are to join stand in `at` too: they aren't of the group before";
            self.out.push(problem.help(help));
            return None;
        };
        if here.next().is_some() {
            let message = format!("the group has several servers at {}", write::quoted(&site.value));
            let problem = Diagnostic::error(Code::NoSuchServer, site.span, message);
            self.out
                .push(problem.help("a planned change names a server by its site: give it one of its own"));
            return None;
        }
        let what = match &change.value {
            ServerChange::Add { .. } => Planned::Add(place),
            ServerChange::Remove { .. } => Planned::Remove(place),
            ServerChange::Transfer { .. } => Planned::Transfer(place),
        };
        let at = nanos(at.value);
        Some(Written {
            change: Change { at, what },
            site,
        })
    }

    /// Goes through the plan in the order of time: who is there when, and whether enough are up.
    fn check_plan(&mut self, name: &Spanned<String>, plan: &[Written<'_>], first: Option<u32>, sites: &[SiteId]) {
        let count = sites.len() as u32;
        // Whoever joins first, and hasn't left before, isn't there at the beginning.
        let joins_later = |place: u32| {
            let mut about = plan.iter().map(|one| one.change.what);
            about.find(|what| matches!(what, Planned::Add(one) | Planned::Remove(one) if *one == place))
                == Some(Planned::Add(place))
        };
        let mut there: Vec<bool> = (0..count).map(|place| !joins_later(place)).collect();
        if there.iter().all(|there| !there) {
            let message = "all servers join later: nobody founds the group";
            self.error(Code::MajorityLost, plan[0].site.span, message);
            return;
        }
        if let Some(first) = first.filter(|first| !there[*first as usize])
            && let Some(one) = plan.iter().find(|one| one.change.what == Planned::Add(first))
        {
            let message = "the server that stands for election at the start (`first`) joins later";
            self.error(Code::BadServerChange, one.site.span, message);
        }
        let mut gone = vec![false; count as usize];
        for one in plan {
            let site = write::quoted(&one.site.value);
            let problem = match one.change.what {
                Planned::Add(place) if gone[place as usize] => Some(format!(
                    "the server at {site} has left for good, and can't be added again"
                )),
                Planned::Add(place) if there[place as usize] => {
                    Some(format!("the server at {site} is one of the group already"))
                }
                Planned::Remove(place) if gone[place as usize] => {
                    Some(format!("the server at {site} has been removed before"))
                }
                Planned::Remove(place) if !there[place as usize] => {
                    Some(format!("the server at {site} isn't one of the group yet"))
                }
                Planned::Transfer(place) if !there[place as usize] => Some(format!(
                    "the server at {site} isn't one of the group then, and can't lead"
                )),
                _ => None,
            };
            if let Some(message) = problem {
                self.error(Code::BadServerChange, one.site.span, message);
                continue;
            }
            match one.change.what {
                Planned::Add(place) => there[place as usize] = true,
                Planned::Remove(place) => {
                    (there[place as usize], gone[place as usize]) = (false, true);
                    if there.iter().all(|there| !there) {
                        let message = "nobody is left in the group: its last server can't be removed";
                        self.error(Code::MajorityLost, one.site.span, message);
                        return;
                    }
                }
                Planned::Transfer(_) => {}
            }
            self.check_majority(name, one, &there, sites);
        }
    }

    /// Warns of a change at a time when faults whose times are fixed leave no majority: it isn't committed then.
    fn check_majority(&mut self, name: &Spanned<String>, one: &Written<'_>, there: &[bool], sites: &[SiteId]) {
        let at = u64::try_from(one.change.at).unwrap_or(0);
        let members = there.iter().filter(|there| **there).count();
        let is_up = |(site, there): &(&SiteId, &bool)| **there && !self.is_down(name, **site, at);
        let up = sites.iter().zip(there).filter(is_up).count();
        let majority = members / 2 + 1;
        if up < majority {
            let message = format!(
                "{up} of the group's {members} servers are up at {}, and a change takes {majority}",
                SimTime::from_nanos(at)
            );
            let problem = Diagnostic::warning(Code::MajorityLost, one.site.span, message);
            self.out
                .push(problem.note("nothing is decided until more are back: then the change is made"));
        }
    }

    /// Whether a crash with a fixed time has the servers of a group at this site down.
    fn is_down(&self, name: &Spanned<String>, site: SiteId, at: u64) -> bool {
        self.file.faults.known().any(|(_, fault)| {
            let Fault::Crash { who, .. } = &fault.value else {
                return false;
            };
            let times = fault.value.times();
            let from = times.at.given().map(|from| from.value.as_nanos());
            let lasts = times.lasts.given().map(|lasts| lasts.value.as_nanos());
            let until = times.until.given().map(|until| until.value.as_nanos());
            let Some(from) = from else { return false };
            let until = until
                .or(lasts.map(|lasts| from.saturating_add(lasts)))
                .unwrap_or(u64::MAX);
            let here = site.0 as usize;
            let hits = |one: &Spanned<String>| one.value == name.value || self.file.sites.0.position(one) == Some(here);
            let is_hit = who
                .get()
                .is_some_and(|who| who.value.0.iter().filter_map(Part::get).any(hits));
            is_hit && (from..until).contains(&at)
        })
    }
}
