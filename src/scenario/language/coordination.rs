//! `coordination`: groups whose members work together by a protocol.

use super::gossip::{Exchange, GossipItem, OrNever, Pace, ProbePace, Spread, Targets, Via};
use super::laws::TimeLaw;
use super::state::SiteClock;
use super::work::{Speculate, Take};
use crate::scenario::syntax::quantity::{Bytes, Duration, Fraction, Positive};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

crate::language! {
    /// A group whose members work together by a protocol. Agents ask it by `Submit`.
    pub struct Coordination {
        /// How its members work together.
        pattern: Part<Spanned<Pattern>>,
        /// The sites of its members: member `n` is at the place `n` of the list, from the start again after the last.
        at: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// How many members it has. Without this one for each site of `at`.
        members: Part<Option<Spanned<Positive<u32>>>>,
        /// In place of `at` and `members`: a member beside each agent of this group, or of these groups in their order, at the agent's site. What
        /// strikes the agent strikes the member.
        beside: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// The topic of the messages by which members tell something to the agents beside them. Without it they don't.
        tells: Part<Option<Spanned<String>>>,
        /// The size of an answer to an agent.
        answer: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        /// The clocks of its members, by site. Others are right.
        clocks: Named<Part<SiteClock>> = Named::default(),
    }

    /// A pattern of coordination.
    pub enum Pattern {
        /// Raft: a replicated log with an elected leader.
        Raft {
            /// The shortest time without a leader after which a server stands for election, by its own clock.
            election_min: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(1))),
            /// The longest; each is drawn between the two.
            election_max: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
            /// The time between two heartbeats of a leader, by its own clock.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(200))),
            /// Whether a server asks first whether it could be elected.
            pre_vote: Part<bool> = Part::from(true),
            /// The most entries in one message.
            batch: Part<Positive<u32>> = Part::from(super::positive(64)),
            /// The most messages with entries on their way to one server.
            in_flight: Part<Positive<u32>> = Part::from(super::positive(16)),
            /// How many entries are applied before the log is compacted.
            snapshot_every: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// For how many entries a proposal is remembered, so that another attempt at it isn't applied again.
            remember: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// The site of the server that stands for election at the start. Without it whoever's timeout is over first.
            first: Part<Option<Spanned<String>>>,
            /// How long a write to the disk takes.
            disk: Part<Duration> = Part::from(Duration::ZERO),
            /// Planned changes: servers that join and leave, and a leader that hands over. A server that is to join isn't one of the group before.
            changes: Part<Vec<Part<Spanned<ServerChange>>>> = Part::from(Vec::new()),
        },
        /// An orchestrator: it gives the tasks of a graph to agents, waits for results, and tries again.
        Orchestrator {
            /// The graph.
            work: Part<Spanned<String>>,
            /// How many tasks an agent has at a time.
            at_once: Part<Positive<u32>> = Part::from(super::positive(1)),
            /// How long a task may take before it is given to another agent as well. Without it for ever.
            timeout: Part<Option<Positive<Duration>>>,
            /// How often a task is given at most before its job is given up.
            attempts: Part<Positive<u32>> = Part::from(super::positive(3)),
            /// How long a transition takes: a job that begins, or a result that comes.
            decides: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
            /// How long it takes to write a transition to a log on disk. Without it there is no log, and a crash takes all jobs.
            log: Part<Option<Duration>>,
            /// How other members take over from the first.
            standby: Part<Option<Spanned<Standby>>>,
        },
        /// A team: members beside the agents of all crews take tasks of a graph for them, and tell each other by gossip.
        Team {
            /// The graph.
            work: Part<Spanned<String>>,
            /// The time between two comparisons of what a member knows with what others know, by its own clock.
            period: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_millis(500))),
            /// With how many others it compares at a time.
            fan_out: Part<Spanned<Positive<u32>>> = Part::from(Spanned::from(super::positive(1))),
            /// How members keep out of each other's way.
            take: Part<Take> = Part::from(super::work::ranked()),
            /// How long a member waits between a claim and the work, so as to hear of others.
            settle: Part<Duration> = Part::from(Duration::ZERO),
            /// How long a claim lives before others may claim the task as well. Without it for ever.
            timeout: Part<Option<Spanned<Positive<Duration>>>>,
            /// How long a member takes to claim a task.
            decides: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
            /// How long a member takes to write a fact to its disk.
            disk: Part<Duration> = Part::from(Duration::ZERO),
            /// How tasks are begun on drafts of what they need. Without it they aren't.
            speculate: Part<Option<Spanned<Speculate>>>,
        },
        /// Voting: a teller puts what is submitted to agents, and counts their ballots.
        Voting {
            /// The groups of agents that vote.
            voters: Part<Spanned<OneOrMany<Part<Spanned<String>>>>>,
            /// The topic of the handler by which they vote.
            on: Part<Spanned<String>> = Part::from(Spanned::from("vote".to_string())),
            /// What approves.
            rule: Part<Spanned<Rule>> = Part::from(Spanned::from(Rule::Majority)),
            /// The weight of a ballot, by group. Others weigh 1.
            weights: Named<Part<Positive<u32>>> = Named::default(),
            /// The groups of whose agents a no rejects, whatever the others say.
            veto: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
            /// How many ballots must have come, abstentions among them.
            quorum: Part<Option<Spanned<Positive<u32>>>>,
            /// How long a vote lasts at most. Without it until all have voted, or no ballot can change the result.
            timeout: Part<Option<Positive<Duration>>>,
            /// The size of a ballot.
            ballot: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// How long the teller takes to check a ballot's signature.
            verify: Part<Duration> = Part::from(Duration::ZERO),
        },
        /// Gossip: items spread from member to member, as an epidemic does.
        Gossip {
            /// Which way news go in a contact.
            exchange: Part<Exchange> = Part::from(Exchange::PushPull),
            /// What members tell.
            spread: Part<Spanned<Spread>> = Part::from(Spanned::from(Spread::Everything)),
            /// When members make contacts.
            pace: Part<Pace> = Part::from(super::gossip::apart()),
            /// With how many others at a time.
            fan_out: Part<Spanned<Positive<u32>>> = Part::from(Spanned::from(super::positive(1))),
            /// How often a member compares what it has with a random other one. Without it never.
            anti_entropy: Part<Option<Spanned<Positive<Duration>>>>,
            /// To how many others each opens a link: it contacts only those that it has a link with, whoever opened it. Without it all.
            neighbours: Part<Option<Spanned<Positive<u32>>>>,
            /// What comes into the world by itself.
            items: Part<Vec<Part<Spanned<GossipItem>>>> = Part::from(Vec::new()),
        },
        /// SWIM: members probe each other, and tell each other who is there and who has failed.
        Swim {
            /// The time between two probes of a member, by its own clock.
            period: Part<Spanned<Positive<Duration>>> = Part::from(Spanned::from(super::positive(Duration::from_secs(1)))),
            /// How long a direct probe may go unanswered before others are asked for help.
            timeout: Part<Spanned<Positive<Duration>>> = Part::from(Spanned::from(super::positive(Duration::from_millis(200)))),
            /// How many others are asked.
            helpers: Part<Spanned<u32>> = Part::from(Spanned::from(3)),
            /// How long a suspect may say that it lives before it is taken for failed.
            suspicion: Part<OrNever> = Part::from(super::gossip::after(5)),
            /// How often news are passed on: this many times the natural logarithm of the number of members.
            retransmit: Part<Spanned<f64>> = Part::from(Spanned::from(3.0)),
            /// How many news a message carries at most.
            piggyback: Part<Positive<u32>> = Part::from(super::positive(6)),
            /// Whom a member probes.
            targets: Part<Targets> = Part::from(Targets::Shuffled),
            /// When members probe: all at the same instants, or each from a phase of its own.
            pace: Part<ProbePace> = Part::from(ProbePace::Apart),
            /// How many members know each other from the beginning. Without it all.
            initial: Part<Option<Spanned<Positive<u32>>>>,
            /// How long after another one each of the others joins, the first so long after the beginning.
            join_every: Part<Option<Spanned<Duration>>>,
            /// How often a member exchanges all that it knows with another one, and with one who seems to have failed.
            sync: Part<OrNever> = Part::from(super::gossip::after(30)),
        },
        /// Causal broadcast: every member delivers events after their causes.
        Causal {
            /// How events get to the others.
            via: Part<Spanned<Via>> = Part::from(Spanned::from(Via::Direct)),
            /// How often a member compares what it has with a random other one.
            repair: Part<OrNever> = Part::from(super::gossip::after(1)),
        },
        /// PBFT: consensus among replicas of which some may be Byzantine.
        Pbft {
            /// How many replicas may be Byzantine. Without it as many as the number of replicas allows: a third of them, less than that.
            faulty: Part<Option<Spanned<u32>>>,
            /// Which replicas are, and what they do.
            byzantine: Part<Vec<Part<Spanned<Byzantine>>>> = Part::from(Vec::new()),
            /// The most requests that share a sequence number.
            batch: Part<Positive<u32>> = Part::from(super::positive(1)),
            /// For how many sequence numbers a primary waits at a time.
            in_flight: Part<Spanned<Positive<u32>>> = Part::from(super::positive(64)),
            /// How many sequence numbers lie between two checkpoints.
            checkpoint_every: Part<Spanned<Positive<u32>>> = Part::from(super::positive(64)),
            /// How many sequence numbers beyond the last stable checkpoint are dealt with.
            window: Part<Spanned<Positive<u32>>> = Part::from(super::positive(128)),
            /// For how many requests one is remembered, so that another attempt at it isn't executed again.
            remember: Part<Positive<u32>> = Part::from(super::positive(65_536)),
            /// How long a replica waits for a request to be executed before it asks for another primary, by its own clock.
            view_timeout: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
            /// How long a desk waits for an answer before it asks all replicas.
            client_timeout: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(1))),
            /// How often a replica that waits for something says what it has.
            status_every: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(250))),
            /// How long it takes to sign a message.
            sign: Part<Duration> = Part::from(Duration::ZERO),
            /// How long it takes to verify a signature.
            verify: Part<Duration> = Part::from(Duration::ZERO),
            /// How long it takes to execute a request.
            execute: Part<Duration> = Part::from(Duration::ZERO),
            /// By how much those that `Delay` are late. Without it by four fifths of `view_timeout`.
            delay: Part<Option<Positive<Duration>>>,
        },
        /// A longest-chain ledger: proof of work.
        Ledger {
            /// The shares of all work that members do. Without them they are equal.
            shares: Part<Option<Spanned<Vec<Part<Spanned<f64>>>>>>,
            /// The mean time between two blocks.
            interval: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(600))),
            /// How many blocks, that of a request included, make it done.
            confirmations: Part<Positive<u32>> = Part::from(super::positive(6)),
            /// The most requests in a block.
            block: Part<Positive<u32>> = Part::from(super::positive(2_000)),
            /// The size of a block without requests.
            header: Part<Spanned<Bytes>> = Part::from(Bytes(80)),
            /// How many others a member connects to. Without it all are connected.
            peers: Part<Option<Spanned<Positive<u32>>>>,
            /// Whether members tell of blocks and send them to those who ask, or send them at once.
            announces: Part<bool> = Part::from(false),
            /// How long a member waits for what it has asked for before it asks again.
            patience: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(60))),
            /// Who mines in secret.
            attacker: Part<Option<Spanned<Attacker>>>,
        },
        /// A hierarchy: coordinators in tiers, who decide what is within their competence and escalate the rest.
        Hierarchy {
            /// Its tiers, from the root down. Several coordinators in the first are several systems.
            tiers: Part<Spanned<Vec<Part<Spanned<super::hierarchy::Tier>>>>> = Part::from(Spanned::from(Vec::new())),
            /// In place of `tiers`: its coordinators one by one, by name.
            nodes: Named<Part<super::hierarchy::HierarchyNode>> = Named::default(),
            /// How long a decision takes, where tiers and coordinators say nothing of their own.
            decides: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
            /// How often coordinators tell their parents the sums of what was decided. Without it never.
            report: Part<Option<Spanned<Positive<Duration>>>>,
            /// What grants draw on. Without it everything is granted.
            quota: Part<Option<Spanned<super::hierarchy::Quota>>>,
            /// What a coordinator does that is cut off from its parent.
            alone: Part<super::hierarchy::Alone> = Part::from(super::hierarchy::Alone::Stop),
            /// After how long without a word from its parent it is.
            cut_off: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(5))),
            /// What becomes of a position whose coordinator is silent.
            failover: Part<super::hierarchy::Succession> = Part::from(super::hierarchy::Succession::None),
            /// The time between two beats of a coordinator, by its own clock.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(500))),
            /// After how long without a beat a coordinator is silent.
            after: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
            /// How long somebody waits for an answer before it asks again; doubled each time, up to eight times as long.
            patience: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(5))),
            /// The part of the submissions that is another system's matter. Given, the hierarchy may have several roots.
            abroad: Part<Option<Spanned<Fraction>>>,
        },
    }

    /// A planned change of a Raft group, at a time by the servers' own clocks.
    pub enum ServerChange {
        /// A server joins.
        Add {
            /// Its site, where the group has no other server.
            server: Part<Spanned<String>>,
            /// When it begins to ask to be let in.
            at: Part<Spanned<Duration>>,
        },
        /// A server leaves for good.
        Remove {
            /// Its site, where the group has no other server.
            server: Part<Spanned<String>>,
            /// From when on whoever leads takes it out.
            at: Part<Spanned<Duration>>,
        },
        /// Whoever leads hands over.
        Transfer {
            /// The site of the server that is to lead.
            to: Part<Spanned<String>>,
            /// When.
            at: Part<Spanned<Duration>>,
        },
    }

    /// A replica that misbehaves.
    pub struct Byzantine {
        /// Its number among the replicas, from 0.
        member: Part<Spanned<u32>>,
        /// What it does.
        does: Part<Misdeed>,
    }

    /// How a replica misbehaves.
    pub enum Misdeed {
        /// It says nothing.
        Silent,
        /// It orders and votes differently to odd and to even members, and commits at once.
        Equivocate,
        /// It says everything late.
        Delay,
        /// It orders what nobody asked for, votes for wrong digests and in others' names, and lies in all else that it says.
        Forge,
        /// It keeps the protocol towards the others, and tells those who ask the opposite of what was submitted, before anything is agreed.
        /// All who do so say the same.
        Collude,
    }

    /// A member that mines in secret, so as to undo what others take for done.
    pub struct Attacker {
        /// Its number among the members, from 0.
        member: Part<Spanned<u32>>,
        /// It gives up when it is so many blocks behind.
        gives_up: Part<Positive<u32>> = Part::from(super::positive(20)),
    }

    /// How other members take over from an orchestrator.
    pub struct Standby {
        /// The time between two heartbeats of the active one.
        heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(500))),
        /// How long the second member hears nothing before it takes over; the third waits twice as long.
        after: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
    }

    /// What approves.
    pub enum Rule {
        /// More weight for it than against it.
        Majority,
        /// At least this share of the weight of those who voted yes or no.
        Share(Spanned<Fraction>),
        /// At least so much weight.
        AtLeast(Spanned<Positive<u32>>),
        /// Nobody against it, and somebody for it.
        Unanimous,
    }
}

impl Coordination {
    /// The groups of agents that its members are beside, as far as they can be read.
    pub fn stands_beside(&self) -> impl Iterator<Item = &Spanned<String>> {
        let beside = self.beside.given().into_iter();
        beside.flat_map(|beside| beside.value.0.iter().filter_map(Part::get))
    }

    /// The topics by which it sets agents to work, those of its work left out.
    pub fn engaging_topics(&self) -> Vec<&str> {
        match self.pattern.get().map(|pattern| &pattern.value) {
            Some(Pattern::Voting { on, .. }) => on.get().map(|on| on.value.as_str()).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}
