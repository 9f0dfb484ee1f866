//! `meshes`: proxies beside callers and beside services, through which calls go without their knowing.
//!
//! Guarantees: a mesh is gone before anything is resolved: it stands for gateways, which can be named, measured and struck by faults as any
//! service. A run under a mesh is the run under these gateways, event for event.

use super::laws::TimeLaw;
use super::services::{Ejects, Forwards, Routing, Servers, Service, constant};
use super::{Names, Scenario};
use crate::scenario::syntax::quantity::Positive;
use crate::scenario::syntax::{Code, Diagnostic, Diagnostics, Named, OneOrMany, Part, Spanned, from_text, write};
use std::collections::BTreeSet;

crate::language! {
    /// A service mesh. A call of one of its routes goes to a proxy at the caller's site, from there to a proxy beside one of the services
    /// that the route names, and from there to the service; the answer comes back the same way. The proxies are services themselves: that at
    /// the site `edge` for the route `model` is called `model from edge`, that beside the service `model a` is `model a proxy`.
    pub struct Mesh {
        /// By the name that agents call: the service, or several that do the same. A route may have the name of its service.
        routes: Named<Names>,
        /// How long a proxy works on a request.
        proxy: Part<Spanned<TimeLaw>> = Part::from(constant()),
        /// Where there are proxies.
        sides: Part<Sides> = Part::from(Sides::Both),
        /// Which of several services gets a request, as the caller's proxy sees them.
        routing: Part<Spanned<Routing>> = Part::from(Routing::RoundRobin),
        /// The policy of the caller's proxy, as of any gateway.
        policy: Part<Option<Spanned<String>>>,
        /// That the caller's proxy leaves out for a while who fails.
        ejects: Part<Option<Spanned<Ejects>>>,
        /// How many requests the proxy beside a service lets through at once; further ones wait there. Without it any number.
        in_flight: Part<Option<Positive<u32>>>,
        /// How many may wait there; one more is refused. Without it any number may.
        queue: Part<Option<Spanned<u32>>>,
    }

    /// Where there are proxies.
    pub enum Sides {
        /// Beside callers and beside services.
        Both,
        /// Beside callers alone.
        Callers,
    }
}

/// The name of the proxy at a site through which calls of a route go.
pub fn outbound(route: &str, site: &str) -> String {
    format!("{route} from {site}")
}

/// The name of the proxy beside a service.
fn inbound(service: &str) -> String {
    format!("{service} proxy")
}

impl Scenario {
    /// Whether a mesh has a route of this name.
    pub fn is_route(&self, name: &str) -> bool {
        self.meshes.known().any(|(_, mesh)| mesh.routes.get(name).is_some())
    }

    /// Whether a service is a proxy that a mesh stands for.
    pub(in crate::scenario) fn is_proxy(&self, name: &str) -> bool {
        self.meshes.known().any(|(_, mesh)| {
            mesh.routes.iter().any(|(route, services)| {
                let beside = services.get().into_iter().flat_map(|services| &services.value.0);
                let mut beside = beside.filter_map(Part::get);
                self.sites.0.names().any(|site| outbound(route, site) == name)
                    || beside.any(|service| inbound(service) == name)
            })
        })
    }

    /// The sites of the groups that call a route.
    fn callers(&self, route: &str) -> BTreeSet<String> {
        let mut sites = BTreeSet::new();
        for (_, group) in self.agents.known() {
            let mut calls = false;
            group.each_step(&mut |step| {
                if let super::Step::Call { service, .. } = &step.value {
                    let named = service.get().into_iter().flat_map(|names| &names.value.0);
                    calls |= named.filter_map(Part::get).any(|name| name.value == route);
                }
            });
            if let Some(names) = group.at.get().filter(|_| calls) {
                sites.extend(
                    names
                        .value
                        .0
                        .iter()
                        .filter_map(Part::get)
                        .map(|name| name.value.clone()),
                );
            }
        }
        sites
    }

    /// Puts the gateways that meshes stand for beside the services.
    pub(in crate::scenario) fn expand_meshes(&mut self, out: &mut Diagnostics) {
        if self.meshes.is_empty() {
            return;
        }
        let mut all: Vec<(Spanned<String>, Part<Service>)> = self
            .services
            .iter()
            .map(|(name, service)| (name.clone(), service.clone()))
            .collect();
        let mut names: BTreeSet<String> = all.iter().map(|(name, _)| name.value.clone()).collect();
        let mut routes = BTreeSet::new();
        let mut add = |name: Spanned<String>, service: Service, out: &mut Diagnostics| {
            if names.insert(name.value.clone()) {
                all.push((name, Part::from(service)));
            } else {
                let message = format!("a proxy would be called {}, and so is a service", write::quoted(&name));
                out.push(Diagnostic::error(Code::BadGateway, name.span, message).help("give the service another name"));
            }
        };
        for (_, mesh) in self.meshes.known() {
            let mut beside = BTreeSet::new();
            for (route, instances) in mesh.routes.iter() {
                if !routes.insert(route.value.clone()) {
                    let message = format!("two meshes have the route {}", write::quoted(route));
                    out.push(
                        Diagnostic::error(Code::BadGateway, route.span, message).help("a call goes through one mesh"),
                    );
                    continue;
                }
                let Some(instances) = instances.get() else { continue };
                let mut to = Vec::new();
                for instance in &instances.value.0 {
                    let Some(name) = instance.get() else { continue };
                    // Who isn't known is said where the proxy that asks it is resolved.
                    let service = self.services.known_value(name);
                    let (Some(service), Some(Sides::Both)) = (service, mesh.sides.get()) else {
                        to.push(instance.clone());
                        continue;
                    };
                    let proxy = Spanned::new(inbound(name), name.span);
                    to.push(Part::read(proxy.clone()));
                    if beside.insert(proxy.value.clone()) {
                        add(proxy, mesh.beside(service, instance), out);
                    }
                }
                for site in self.callers(route) {
                    let name = Spanned::new(outbound(route, &site), route.span);
                    let to = Spanned::new(OneOrMany(to.clone()), instances.span);
                    add(name, mesh.at(site, route, to), out);
                }
            }
        }
        if let Ok(services) = Named::new(all) {
            self.services = services.grown_from(&self.services);
        }
    }
}

impl Mesh {
    /// A proxy at `site`, where nothing is said of it yet.
    fn proxy(&self, at: Part<Spanned<String>>, forwards: Forwards, span: &Spanned<String>) -> Service {
        let service: Service = from_text("(at: \"\")").expect("a service that says where it is");
        Service {
            at,
            time: match self.proxy.get() {
                Some(law) => Part::from(super::services::ServiceTime::Law(law.clone())),
                None => Part::UNREAD,
            },
            forwards: Part::from(Some(Spanned::new(forwards, span.span))),
            ..service
        }
    }

    /// The proxy through which calls from a site go.
    fn at(&self, site: String, route: &Spanned<String>, to: Spanned<OneOrMany<Part<Spanned<String>>>>) -> Service {
        let plain: Forwards = from_text("(to: [])").expect("a gateway that says to whom");
        let forwards = Forwards {
            to: Part::read(to),
            routing: self.routing.clone(),
            policy: self.policy.clone(),
            ejects: self.ejects.clone(),
            ..plain
        };
        self.proxy(Part::read(Spanned::new(site, route.span)), forwards, route)
    }

    /// The proxy beside a service.
    fn beside(&self, service: &Service, name: &Part<Spanned<String>>) -> Service {
        let plain: Forwards = from_text("(to: [])").expect("a gateway that says to whom");
        let place = name.get().cloned().unwrap_or_default();
        let bound = self.in_flight.given().copied();
        let forwards = Forwards {
            to: Part::read(Spanned::new(OneOrMany(vec![name.clone()]), place.span)),
            holds: Part::from(bound.is_some()),
            ..plain
        };
        let servers = match bound {
            Some(count) => Servers::Count(count),
            None => Servers::Unlimited,
        };
        Service {
            servers: Part::from(servers),
            queue: self.queue.clone(),
            ..self.proxy(service.at.clone(), forwards, &place)
        }
    }
}
