//! A member of a protocol: what it is handed, and what it may want done.
//!
//! A protocol is a type that implements [`Member`]. It calls no clock, network or generator: it gets one [`Input`] at a time with an [`Io`]
//! that reads its own clock, draws under its own key, and takes down what it wants done. Whoever hosts it (a
//! [`Group`](super::group::Group) in a world, a bench in tests) does that once the input is dealt with, in the order in which it was said.

use crate::kernel::{Key, Purpose, Stream, Words};
use crate::world::population::purpose;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// The time of a timer that isn't set.
pub const NEVER: i64 = i64::MAX;

/// What happens in any protocol, as records say it: the word `c` of [`What::Coordination`](crate::world::record::What::Coordination), whose
/// word `a` is what it is about. A protocol's own events have numbers from [`OWN`](event::OWN).
pub mod event {
    /// A member is asked for something. About: its identity; word: which attempt.
    pub const ASKED: u16 = 0;
    /// A member answers. About: its identity; word: 1 if it was done, 0 if it is refused; extra: since when it was asked, and the answer.
    pub const ANSWERED: u16 = 1;
    /// A member says something to the agent beside it. About: what.
    pub const TOLD: u16 = 2;
    /// A member takes something for decided. About: its identity; word: its place in the order of decisions, from 1; extra: the
    /// decision, if there is more than one that it might have been, and how many rounds it took.
    pub const DECIDED: u16 = 3;
    /// A member stands for election, or wants another leader. About: the term or view.
    pub const STANDS: u16 = 4;
    /// A member leads. About: the term or view.
    pub const LEADS: u16 = 5;
    /// A member leads no more. About: the term or view.
    pub const YIELDS: u16 = 6;
    /// A member sets an agent to work. About: the member's word for it; word: the agent; extra: what it is about.
    pub const ENGAGES: u16 = 7;
    /// The answer of an agent has come. About: the member's word for it; word: the answer; extra: since when, how long the agent was at it, and where
    /// all the time went, by [`Part`](crate::world::call::Part).
    pub const ENGAGED: u16 = 8;
    /// The first event of a protocol's own.
    pub const OWN: u16 = 16;
}

/// What members say to each other.
pub trait Saying: Clone + Debug + Serialize + Send + 'static {
    /// The names of its kinds, for tables: short words of lower case.
    const KINDS: &'static [&'static str];

    /// Which of these it is.
    fn kind(&self) -> u16;

    /// Its size on the wire.
    fn bytes(&self) -> u32;

    /// All of its content, for the fingerprint.
    fn digest(&self, words: &mut Words);
}

/// A member of a protocol: a state machine without I/O.
///
/// Its times are nanoseconds of its own clock, which may drift and be stepped. A member with no timer set and nothing to hear does nothing.
pub trait Member: Clone + Debug + Serialize + Send + 'static {
    /// What all members share and none changes: sizes, timeouts, options.
    type Rules: Clone + Debug + Send + Sync + 'static;
    /// What they say to each other.
    type Message: Saying;

    /// Deals with something. What it wants done is taken down in `io`.
    fn on(&mut self, rules: &Self::Rules, input: Input<Self::Message>, io: &mut Io<'_, Self::Message>);

    /// When it wants [`Input::Due`], by its own clock, which reads `now`: the earliest of its timers; [`NEVER`] for none. Asked after every
    /// input, and when its clock was stepped.
    fn due(&self, now: i64) -> i64;

    /// It has crashed: what it held in memory is gone, and unless `keeps_disk` so is what was on its disk. It gets
    /// [`Input::Restarted`] when it is back, and nothing before. Its timers must be unset by then.
    fn crash(&mut self, rules: &Self::Rules, keeps_disk: bool);

    /// Whether nothing would come of waiting longer, as far as it knows, once nobody asks for anything new: for the drain at a run's end.
    fn is_at_rest(&self) -> bool {
        true
    }
}

/// What a member is handed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Input<M> {
    /// The run begins.
    Start,
    /// It is back from a crash.
    Restarted,
    /// A message has come.
    Heard {
        /// From which member.
        from: u32,
        /// What it says.
        message: M,
    },
    /// Its clock reads what [`Member::due`] said, or more.
    Due,
    /// Somebody beside it asks for something, and waits for [`Io::answer`].
    Asked(Asked),
    /// Whoever asked under this token doesn't wait any more.
    Withdrawn(u64),
    /// An agent that was engaged is through.
    Engaged {
        /// The member's own word for it.
        token: u64,
        /// What the agent says: see [`crate::agents::errs`].
        answer: u64,
    },
}

/// Work for an agent: one of its handlers is run, at whose end it replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engagement {
    /// The member's own word for it, under which the answer comes; each stands for one engagement.
    pub token: u64,
    /// The agent's entity.
    pub agent: u32,
    /// The topic of the handler.
    pub topic: u16,
    /// The size of the question.
    pub bytes: u32,
    /// What an answer without error says, in the lowest bit.
    pub question: u64,
    /// Whether a judgement is asked for, and not a piece of work whose result may be wrong.
    pub judges: bool,
    /// What it is about: agents that are asked about the same thing err about the same thing.
    pub about: u64,
}

/// What somebody asks of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The host's word for who waits.
    pub token: u64,
    /// What it is: asked again, it has the same identity, and is to take effect once.
    pub identity: u64,
    /// A word of content.
    pub value: u64,
    /// Its size on the wire.
    pub bytes: u32,
}

/// An answer to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The host's word for who waits.
    pub token: u64,
    /// Whether it was done; else it is refused.
    pub done: bool,
    /// A word for whoever asked.
    pub value: u64,
}

/// Something that observers are to know: it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What happened: see [`event`].
    pub event: u16,
    /// What it is about: the identity of what was asked, a term, a view.
    pub about: u64,
    /// A word more.
    pub word: u64,
    /// Whatever else there is to say.
    pub extra: Vec<u64>,
}

/// What a member wants done, in the order in which it said so.
#[derive(Debug, Clone, Serialize)]
pub struct Wishes<M> {
    /// To whom a message goes, and which of those that are said it is. What goes to several stands there once, and its receivers one after
    /// another.
    pub sends: Vec<(u32, u32)>,
    /// What is said.
    pub said: Vec<M>,
    /// Answers to what was asked.
    pub answers: Vec<Answer>,
    /// Words for the agent beside it.
    pub told: Vec<u64>,
    /// Agents to be set to work.
    pub engaged: Vec<Engagement>,
    /// Engagements whose answers it doesn't want any more, by their tokens.
    pub dismissed: Vec<u64>,
    /// Notes for observers.
    pub notes: Vec<Note>,
    /// For how long it is busy with this, in nanoseconds: what it wants done is done then, and it hears nothing before.
    pub busy: u64,
}

impl<M> Default for Wishes<M> {
    fn default() -> Self {
        Self {
            sends: Vec::new(),
            said: Vec::new(),
            answers: Vec::new(),
            told: Vec::new(),
            engaged: Vec::new(),
            dismissed: Vec::new(),
            notes: Vec::new(),
            busy: 0,
        }
    }
}

/// A member's only way out.
#[derive(Debug)]
pub struct Io<'a, M> {
    /// Its own number among the members.
    pub me: u32,
    /// What its clock reads.
    pub now: i64,
    key: Key,
    wishes: &'a mut Wishes<M>,
}

impl<'a, M: Saying> Io<'a, M> {
    /// For a host: what member `me` says while its clock reads `now` is taken down in `wishes`; it draws under `key`.
    pub fn new(me: u32, now: i64, key: Key, wishes: &'a mut Wishes<M>) -> Self {
        Self { me, now, key, wishes }
    }

    /// Sends a message to another member. One to itself is a mistake: what a member knows it needn't be told.
    pub fn send(&mut self, to: u32, message: M) {
        debug_assert_ne!(to, self.me, "a member talks to itself: {message:?}");
        self.wishes.sends.push((to, self.wishes.said.len() as u32));
        self.wishes.said.push(message);
    }

    /// Sends a message to all of these members but itself.
    pub fn send_to_all(&mut self, to: impl IntoIterator<Item = u32>, message: &M) {
        let (which, before) = (self.wishes.said.len() as u32, self.wishes.sends.len());
        let others = to.into_iter().filter(|to| *to != self.me);
        self.wishes.sends.extend(others.map(|to| (to, which)));
        if self.wishes.sends.len() > before {
            self.wishes.said.push(message.clone());
        }
    }

    /// Answers what was asked.
    pub fn answer(&mut self, token: u64, value: u64) {
        let done = true;
        self.wishes.answers.push(Answer { token, done, value });
    }

    /// Refuses what was asked.
    pub fn refuse(&mut self, token: u64) {
        let (done, value) = (false, 0);
        self.wishes.answers.push(Answer { token, done, value });
    }

    /// Says something to the agent beside this member, if there is one.
    pub fn tell(&mut self, value: u64) {
        self.wishes.told.push(value);
    }

    /// Sets an agent to work. Its answer may never come: the network loses, and agents crash.
    pub fn engage(&mut self, engagement: Engagement) {
        self.wishes.engaged.push(engagement);
    }

    /// Doesn't want the answer of an agent any more, which isn't told so.
    pub fn dismiss(&mut self, token: u64) {
        self.wishes.dismissed.push(token);
    }

    /// Takes something down for observers.
    pub fn note(&mut self, event: u16, about: u64, word: u64) {
        self.note_with(event, about, word, &[]);
    }

    /// Takes something down for observers, with more words.
    pub fn note_with(&mut self, event: u16, about: u64, word: u64, extra: &[u64]) {
        let extra = extra.to_vec();
        self.wishes.notes.push(Note {
            event,
            about,
            word,
            extra,
        });
    }

    /// What the member does takes so long: work with signatures, a write to its disk. Several such add up.
    pub fn work(&mut self, nanos: u64) {
        self.wishes.busy = self.wishes.busy.saturating_add(nanos);
    }

    /// Its draws about the number `about`, whatever it is that a protocol numbers: the same number draws the same.
    pub fn draw(&self, about: u64) -> Stream {
        self.draw_for(purpose::PROTOCOL, about)
    }

    /// Its draws about `about` for a purpose of one's own.
    pub fn draw_for(&self, purpose: Purpose, about: u64) -> Stream {
        self.key.stream(purpose, about)
    }
}
