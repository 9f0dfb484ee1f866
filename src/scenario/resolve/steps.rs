//! The steps of programs.

use super::Resolver;
use crate::agents::Policy;
use crate::agents::step::{Aim, CallStep, LockStep, Peers as To, PromptStep, Routing, SendStep, Step, Whom};
use crate::random::Law;
use crate::scenario::language::agents::Count;
use crate::scenario::language::services::Discipline;
use crate::scenario::language::steps::{CallTokens, Peers, Route, Times};
use crate::scenario::language::{Group, NumberLaw, Step as Written, Steps};
use crate::scenario::syntax::quantity::Bytes;
use crate::scenario::syntax::{Code, Diagnostic, Named, Part, Span, Spanned};

impl Written {
    /// The policy that it names.
    pub(super) fn policy(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Call { policy, .. }
            | Self::WithLock { policy, .. }
            | Self::Read { policy, .. }
            | Self::Write { policy, .. }
            | Self::Add { policy, .. }
            | Self::Insert { policy, .. }
            | Self::Remove { policy, .. }
            | Self::Put { policy, .. }
            | Self::Increase { policy, .. }
            | Self::Drop { policy, .. }
            | Self::InsertText { policy, .. }
            | Self::DeleteText { policy, .. }
            | Self::Update { policy, .. }
            | Self::CompareAndSwap { policy, .. }
            | Self::When { policy, .. }
            | Self::Submit { policy, .. }
            | Self::Edit { policy, .. } => policy.given(),
            _ => None,
        }
    }

    /// The lists of steps inside. `None`: it isn't known how many there are.
    pub(super) fn inner(&self) -> Option<Vec<&Steps>> {
        Some(match self {
            Self::Repeat { steps, .. } | Self::Task { steps, .. } | Self::WithLock { steps, .. } => vec![steps],
            Self::Parallel(branches) => branches.get()?.iter().collect(),
            Self::Choose(options) => {
                let options = options.get()?.iter();
                options.map(|option| Some(&option.get()?.1)).collect::<Option<_>>()?
            }
            Self::Speculate { basis, guess, .. } => vec![basis, guess],
            Self::Submit { then, otherwise, .. } => vec![then, otherwise],
            Self::When { steps, otherwise, .. } => vec![steps, otherwise],
            Self::EachRow { cases, otherwise, .. } | Self::Match { cases, otherwise, .. } => {
                if !cases.is_whole() {
                    return None;
                }
                cases.iter().map(|(_, steps)| steps).chain(otherwise).collect()
            }
            _ => Vec::new(),
        })
    }
}

/// Visits every step that could be read. Whether that is every step.
fn each<'s>(steps: &'s Steps, visit: &mut dyn FnMut(&'s Spanned<Written>)) -> bool {
    let Some(steps) = steps.get() else { return false };
    let mut all = true;
    for step in steps {
        let Some(step) = step.get() else {
            all = false;
            continue;
        };
        visit(step);
        match step.value.inner() {
            Some(inner) => inner.into_iter().for_each(|steps| all &= each(steps, visit)),
            None => all = false,
        }
    }
    all
}

impl Group {
    /// Visits every step of the program and of the handlers that could be read. Whether that is every step.
    pub(in crate::scenario) fn each_step<'s>(&'s self, visit: &mut dyn FnMut(&'s Spanned<Written>)) -> bool {
        let mut all = each(&self.program, visit) && self.on.is_whole();
        for (_, steps) in self.on.canonical() {
            all &= each(steps, visit);
        }
        all
    }
}

impl Resolver<'_, '_> {
    /// How urgent a call is; says so if a service doesn't go by that.
    fn priority(&mut self, services: &[&Spanned<String>], priority: &Part<Spanned<u32>>) -> Option<u32> {
        let urgency = priority.get()?;
        let ignored = services.iter().any(|name| {
            let called = self.file.services.known_value(name);
            called.is_some_and(|called| !matches!(called.discipline.get(), Some(Discipline::Priority) | None))
        });
        if urgency.value > 0 && ignored {
            let message = "the service doesn't go by priorities";
            let problem = Diagnostic::warning(Code::PriorityUnread, urgency.span, message);
            self.out.push(problem.help("give the service `discipline: Priority`"));
        }
        Some(urgency.value)
    }

    /// A service that is called.
    fn called(&mut self, service: &Spanned<String>) -> Option<u32> {
        let services = &self.file.services;
        services.look_up(service, Code::UnknownService, "service", self.out)?;
        let place = services.position(service)?;
        if services
            .known_value(service)
            .is_some_and(|called| called.lock.given().is_some())
        {
            let problem = Diagnostic::error(Code::BadLock, service.span, "this service is a lock, and does no work");
            self.out
                .push(problem.help("steps run under it in `WithLock(lock: ..., steps: [...])`"));
            return None;
        }
        Some(self.addresses.services[place])
    }

    /// The services of a call that names several, and how it is routed to them.
    fn aim(&mut self, servers: &[u32], named: Span, route: &Spanned<Route>) -> Option<Option<Box<Aim>>> {
        let distinct: std::collections::BTreeSet<u32> = servers.iter().copied().collect();
        let problem = match &route.value {
            _ if servers.is_empty() => Some((named, "a call names at least one service".to_string())),
            _ if distinct.len() < servers.len() => Some((named, "a service is named twice".to_string())),
            route_value if servers.len() == 1 && *route_value != Route::First => Some((
                route.span,
                "there is one service, so nothing is to be routed".to_string(),
            )),
            Route::PowerOf(choices) if **choices < 2 || **choices as usize > servers.len() => Some((
                route.span,
                format!(
                    "of {} services between 2 and {} can be compared",
                    servers.len(),
                    servers.len()
                ),
            )),
            _ => None,
        };
        if let Some((span, message)) = problem {
            self.error(Code::BadRoute, span, message);
            return None;
        }
        Some((servers.len() > 1).then(|| {
            Box::new(Aim {
                servers: servers.into(),
                routing: match &route.value {
                    Route::First => Routing::First,
                    Route::Random => Routing::Random,
                    Route::RoundRobin => Routing::RoundRobin,
                    Route::LeastInFlight => Routing::LeastInFlight,
                    Route::PowerOf(choices) => Routing::PowerOf(**choices),
                },
            })
        }))
    }

    /// The steps of one list; the problems of all are reported. `group` is whose program it is.
    pub(super) fn steps(
        &mut self,
        steps: &Steps,
        group: &Spanned<String>,
        policies: &Named<Policy>,
    ) -> Option<Vec<Step>> {
        let steps = steps.get()?;
        let mut all = Vec::with_capacity(steps.len());
        let mut good = true;
        for step in steps {
            let step = step.get().and_then(|step| self.step(step, group, policies, &mut all));
            good &= step.is_some();
        }
        good.then_some(all)
    }

    fn step(
        &mut self,
        step: &Spanned<Written>,
        group: &Spanned<String>,
        policies: &Named<Policy>,
        into: &mut Vec<Step>,
    ) -> Option<()> {
        let policy_of = |policy: &Part<Option<Spanned<String>>>| match policy.get()? {
            None => Some(0),
            // Number 0 is the policy of calls that name none.
            Some(name) => policies.position(name).map(|at| at as u16 + 1),
        };
        match &step.value {
            Written::Think(law) => into.push(Step::Think(self.time(law)?)),
            Written::Sleep(law) => into.push(Step::Sleep(self.time(law)?)),
            Written::Call {
                service,
                route,
                policy,
                request,
                tokens,
                priority,
                about,
            } => {
                let named = service.get();
                let names: Option<Vec<&Spanned<String>>> =
                    named.and_then(|named| named.value.0.iter().map(|name| name.get()).collect());
                let proxies = match names.as_deref() {
                    Some([name]) => self.route(name),
                    _ => None,
                };
                let known = names.as_ref().filter(|_| proxies.is_none()).and_then(|names| {
                    let all: Vec<Option<u32>> = names.iter().map(|name| self.called(name)).collect();
                    all.into_iter().collect::<Option<Vec<u32>>>()
                });
                let said = tokens;
                let tokens = tokens.each(|tokens| {
                    let laws = (
                        self.token_count(tokens.tokens_in.get()),
                        self.token_count(tokens.tokens_out.get()),
                    );
                    laws.0.zip(laws.1)
                });
                let bytes = self.bytes_of(request);
                let prompt = self.prompt(said);
                let known = match proxies {
                    // Who is asked depends on the site.
                    Some(_) => vec![u32::MAX],
                    None => known?,
                };
                let aim = self.aim(&known, named?.span, route.get()?)?;
                let call = CallStep {
                    server: known[0],
                    whom: proxies.map_or(Whom::Named, Whom::BySite),
                    policy: policy_of(policy)?,
                    bytes: bytes?,
                    tokens: tokens?,
                    priority: self.priority(&names.clone()?, priority)?,
                    prompt: prompt?,
                    about: self.about(about)?,
                    aim,
                    counts: false,
                };
                for service in names? {
                    self.check_fits(service, &call);
                }
                into.push(Step::Call(call));
            }
            Written::Submit {
                to,
                value,
                bytes,
                policy,
                then,
                otherwise,
            } => {
                let both = (
                    self.steps(then, group, policies),
                    self.steps(otherwise, group, policies),
                );
                let about = self.about(value);
                let (steps, otherwise) = (both.0?, both.1?);
                let branches = !steps.is_empty() || !otherwise.is_empty();
                let call = self.submission(to.get()?, bytes, about?, (policy_of(policy)?, branches), group);
                into.push(Step::Call(call?));
                if branches {
                    into.push(Step::When {
                        at_least: 1,
                        steps,
                        otherwise,
                    });
                }
            }
            Written::Send { to, topic, bytes } => {
                let send = self.send(to, topic, bytes, group);
                into.push(Step::Send(send?));
            }
            Written::Ask {
                to,
                topic,
                bytes,
                timeout,
                propagate,
            } => {
                if let (Some(propagate), Some(None)) = (propagate.get(), timeout.get())
                    && propagate.value
                {
                    let problem = Diagnostic::error(
                        Code::BadDeadline,
                        propagate.span,
                        "there is no `timeout` that could be propagated",
                    );
                    self.out.push(
                        problem.help("give the `Ask` a `timeout`: that is the deadline of what its handler calls"),
                    );
                }
                if matches!(to.get(), Some(Peers::All(_))) {
                    let problem =
                        Diagnostic::error(Code::WrongPeers, step.span, "an `Ask` goes to one peer, not to all");
                    self.out.push(problem.help("send to all, and `Wait` for the answers"));
                }
                let send = self.send(to, topic, bytes, group);
                into.push(Step::Ask {
                    send: send.filter(|send| !matches!(send.to, To::All { .. }))?,
                    timeout: timeout.get()?.map(|timeout| *timeout),
                    propagates: propagate.get()?.value,
                });
            }
            Written::Reply { bytes } => into.push(Step::Reply {
                bytes: self.bytes_of(bytes)?,
            }),
            Written::Wait { topic, count, timeout } => into.push(Step::Wait {
                topic: topic.get()?.as_ref().map(|topic| self.topics[&topic.value]),
                count: **count.get()?,
                timeout: timeout.get()?.map(|timeout| *timeout),
            }),
            Written::Repeat { times, steps } => {
                let inner = self.steps(steps, group, policies);
                let times = times.get().and_then(|times| match times {
                    Times::Forever => Some(None),
                    Times::Law(law) => self.amount(law, "a number of times").map(Some),
                });
                let (times, inner) = (times?, inner?);
                if times.is_none() && !super::checks::may_leave_or_wait(&inner) {
                    let message = "this loop never waits and never ends: no step in it takes any time";
                    let problem = Diagnostic::error(Code::EndlessLoop, step.span, message);
                    self.out
                        .push(problem.help("add a `Sleep` or a `Think` that takes time, or say how often it repeats"));
                    return None;
                }
                into.push(Step::Repeat { times, steps: inner });
            }
            Written::EachRow {
                data,
                run,
                take,
                column,
                cases,
                otherwise,
                success,
            } => {
                let each = super::rows::Each {
                    data,
                    run,
                    take,
                    success,
                };
                let by = super::rows::By {
                    column,
                    cases,
                    otherwise,
                };
                into.push(self.each_row(step.span, &each, &by, (group, policies))?);
            }
            Written::Match {
                column,
                cases,
                otherwise,
            } => {
                let by = super::rows::By {
                    column,
                    cases,
                    otherwise,
                };
                let known = self.in_run(step.span.head(5), "`Match`");
                let dispatch = self.dispatch(&by, (group, policies));
                known?;
                into.push(Step::Match(dispatch?));
            }
            Written::Parallel(branches) => {
                let branches = branches.get()?;
                if branches.is_empty() {
                    self.error(Code::EmptyGroup, step.span, "`Parallel` needs at least one branch");
                    return None;
                }
                let all: Vec<_> = branches
                    .iter()
                    .map(|branch| self.steps(branch, group, policies))
                    .collect();
                into.push(Step::Parallel(all.into_iter().collect::<Option<_>>()?));
            }
            Written::Choose(options) => {
                let options = options.get()?;
                let all: Vec<_> = options
                    .iter()
                    .map(|option| {
                        let (weight, steps) = option.get()?;
                        let steps = self.steps(steps, group, policies);
                        Some((*weight.get()?, steps?))
                    })
                    .collect();
                let weights = options.iter().map(|option| option.get()?.0.get().copied());
                let weights: Vec<f64> = weights.collect::<Option<_>>()?;
                let total: f64 = weights.iter().sum();
                let negative = weights.iter().any(|weight| *weight < 0.0);
                if negative || total <= 0.0 || !total.is_finite() {
                    self.error(
                        Code::BadLaw,
                        step.span,
                        "the weights of `Choose` are not negative, and one is above zero",
                    );
                    return None;
                }
                into.push(Step::Choose(all.into_iter().collect::<Option<_>>()?));
            }
            Written::When {
                at_least,
                steps,
                otherwise,
                ..
            } => {
                let read = self.operation(&step.value, &policy_of);
                let both = (
                    self.steps(steps, group, policies),
                    self.steps(otherwise, group, policies),
                );
                into.extend(read?);
                into.push(Step::When {
                    at_least: *at_least.get()?,
                    steps: both.0?,
                    otherwise: both.1?,
                });
            }
            Written::Speculate { basis, guess, right } => {
                let basis = self.steps(basis, group, policies);
                let outer = self.guess.replace(step.span);
                let both = (basis, self.steps(guess, group, policies));
                self.guess = outer;
                into.push(Step::Speculate {
                    basis: both.0?,
                    guess: both.1?,
                    right: right.get()?.get(),
                });
            }
            Written::Task { name, steps } => {
                let steps = self.steps(steps, group, policies)?;
                let name = self.tasks[&name.get()?.value];
                into.push(Step::Task { name, steps });
            }
            Written::WithLock { lock, policy, steps } => {
                let lock = lock.get().and_then(|name| self.lock_step(name, policy_of(policy)));
                let outer = self.fenced;
                if let Some((lock, span)) = &lock {
                    self.fenced = self.fenced.or(lock.fencing.then_some(*span));
                }
                let steps = self.steps(steps, group, policies);
                self.fenced = outer;
                into.push(Step::WithLock {
                    lock: lock?.0,
                    steps: steps?,
                });
            }
            Written::Edit {
                key,
                store,
                trace,
                think,
                patience,
                policy,
            } => {
                let (which, replica) = (Part::from(None), Part::from(None));
                let on = super::operations::Operation {
                    key,
                    store,
                    which: &which,
                    replica: &replica,
                };
                let edit = super::edits::Edit { trace, think, patience };
                into.push(self.edit(&on, &edit, policy_of(policy), group)?);
            }
            Written::Stop => into.push(Step::Stop),
            Written::Read { .. }
            | Written::Write { .. }
            | Written::Add { .. }
            | Written::Insert { .. }
            | Written::Remove { .. }
            | Written::Put { .. }
            | Written::Increase { .. }
            | Written::Drop { .. }
            | Written::InsertText { .. }
            | Written::DeleteText { .. }
            | Written::Update { .. }
            | Written::CompareAndSwap { .. } => into.extend(self.operation(&step.value, &policy_of)?),
        }
        Some(())
    }

    /// What a call says of its prompt and its answer beyond how long they are.
    fn prompt(&mut self, tokens: &Part<Option<CallTokens>>) -> Option<PromptStep> {
        let Some(tokens) = tokens.get()? else {
            return Some(PromptStep::default());
        };
        Some(PromptStep {
            max_out: tokens.max_out.get()?.map(|most| *most),
            shared: tokens.prefix.get()?.as_ref().map(|prefix| {
                // A name says which prefix it is, and nothing else: it isn't looked up anywhere.
                let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
                let name = prefix.name.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
                (name, *prefix.tokens)
            }),
            continues: *tokens.continues.get()?,
        })
    }

    /// What a call asks about.
    fn about(&mut self, about: &Part<Option<Spanned<NumberLaw>>>) -> Option<Option<Law>> {
        match about.get()? {
            None => Some(None),
            Some(law) => self.amount(law, "the number of a question").map(Some),
        }
    }

    /// The lock that a step needs, and where its service is named.
    fn lock_step(&mut self, name: &Spanned<String>, policy: Option<u16>) -> Option<(LockStep, Span)> {
        let services = &self.file.services;
        let service = services
            .look_up(name, Code::UnknownService, "service", self.out)?
            .get()?;
        let at = services.position(name)?;
        let Some(lock) = service.lock.get()? else {
            let problem = Diagnostic::error(Code::BadLock, name.span, "this service isn't a lock");
            self.out
                .push(problem.help("a lock service is declared with `lock: (lease: \"10s\")`"));
            return None;
        };
        let step = LockStep {
            server: self.addresses.services[at],
            policy: policy?,
            renew: lock.value.renew.get()?.as_ref().map(|renew| *renew.value),
            fencing: *lock.value.fencing.get()?,
            release: 0,
        };
        Some((step, name.span))
    }

    pub(super) fn send(
        &mut self,
        to: &Part<Peers>,
        topic: &Part<Spanned<String>>,
        bytes: &Part<Spanned<Bytes>>,
        sender: &Spanned<String>,
    ) -> Option<SendStep> {
        let bytes = self.bytes_of(bytes);
        let to = match to.get()? {
            Peers::Sender => To::Sender,
            Peers::Any(group) => {
                let (base, count) = self.members(group)?;
                if count == 1 && group.value == sender.value {
                    self.error(Code::WrongPeers, group.span, "the group has no member but the sender");
                    return None;
                }
                To::Any { base, count }
            }
            Peers::All(group) => {
                let (base, count) = self.members(group)?;
                To::All { base, count }
            }
            Peers::Same(group) => {
                let (base, count) = self.members(group)?;
                To::Same { base, count }
            }
            Peers::Next(group) => {
                let (base, count) = self.members(group)?;
                To::Next { base, count }
            }
            Peers::Member(group, number) => {
                let (base, count) = self.members(group)?;
                let number = *number.get()?;
                if number >= count {
                    let message = format!("the group has {count} members, numbered from 0: there is no {number}");
                    self.error(Code::WrongPeers, group.span, message);
                    return None;
                }
                To::One(base + number)
            }
        };
        Some(SendStep {
            to,
            topic: self.topics[&topic.get()?.value],
            bytes: bytes?,
        })
    }

    /// The entities of a group: the first, and how many.
    fn members(&mut self, name: &Spanned<String>) -> Option<(u32, u32)> {
        let file = self.file;
        let groups = &file.agents;
        let group = groups.look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
        let Count::Fixed(count) = group.get()?.count.get()?.value else {
            let message = "agents of a stream come and go: none of them can be sent to by its number";
            self.error(Code::WrongPeers, name.span, message);
            return None;
        };
        let at = groups.position(name)?;
        Some((self.addresses.agents[at], *count))
    }
}
