//! Schedules step by step: those in which a planted flaw breaks a promise are rare among random ones.

use super::super::*;
use super::group::{MS, settings};
use crate::kernel::{Key, Purpose};

/// Members whose messages wait until the script delivers them.
struct Script {
    nodes: Vec<Node<u64, ()>>,
    mail: Vec<Message<u64, ()>>,
    now: i64,
    readable: Vec<(usize, u64)>,
}

impl Script {
    fn new(members: u32, settings: Settings) -> Self {
        let founders = Members::of((0..members).map(Id));
        let node = |id| {
            let key = Key::root(1, 0).member(u64::from(id));
            Node::new(Id(id), settings.clone(), founders.clone(), key, Purpose(2))
        };
        let mut script = Self {
            nodes: (0..members).map(node).collect(),
            mail: Vec::new(),
            now: 0,
            readable: Vec::new(),
        };
        for at in 0..members as usize {
            script.act(at, |node, now| node.start(now));
        }
        script
    }

    fn act(&mut self, at: usize, act: impl FnOnce(&mut Node<u64, ()>, i64)) {
        act(&mut self.nodes[at], self.now);
        let output = self.nodes[at].take_output();
        self.mail.extend(output.messages);
        self.readable
            .extend(output.readable.into_iter().map(|token| (at, token)));
    }

    fn wait(&mut self, time: i64) {
        self.now += time;
    }

    /// Does what is due at a member, a second later, and drops what was on its way before.
    fn time_out(&mut self, at: usize) {
        self.mail.clear();
        self.wait(1_000 * MS);
        self.act(at, |node, now| node.tick(now));
    }

    /// Delivers what is on its way from one member to another.
    fn pass(&mut self, from: u32, to: u32) {
        let is_meant = |message: &Message<u64, ()>| (message.from, message.to) == (Id(from), Id(to));
        let (meant, rest) = std::mem::take(&mut self.mail).into_iter().partition(is_meant);
        let meant: Vec<_> = meant;
        self.mail = rest;
        for message in meant {
            self.act(to as usize, |node, now| node.receive(message, now));
        }
    }

    /// There and back.
    fn ask(&mut self, from: u32, to: u32) {
        self.pass(from, to);
        self.pass(to, from);
    }

    fn leads(&self, at: usize) -> bool {
        self.nodes[at].role() == Role::Leader
    }
}

fn flawed(flaw: Flaw) -> Settings {
    Settings {
        flaw,
        pre_vote: false,
        batch: 1,
        ..settings()
    }
}

#[test]
fn a_vote_that_a_crash_forgets_elects_two_leaders_in_one_term() {
    for flaw in [Flaw::None, Flaw::ForgetsVote] {
        let mut script = Script::new(3, flawed(flaw));
        script.time_out(0);
        script.pass(0, 1);
        // The second has voted for the first, and crashes; the vote is still on its way.
        script.act(1, |node, now| node.restart(now));
        let vote: Vec<_> = script.mail.drain(..).filter(|message| message.from == Id(1)).collect();
        assert_eq!(vote.len(), 1);
        script.time_out(2);
        script.mail.extend(vote);
        script.ask(2, 1);
        script.pass(1, 0);
        let terms = [0, 2].map(|at| script.nodes[at].disk().term);
        assert_eq!(terms, [1, 1]);
        assert!(script.leads(0));
        assert_eq!(script.leads(2), flaw == Flaw::ForgetsVote);
    }
}

/// Figure 8 of the paper.
#[test]
fn an_entry_of_an_old_term_committed_by_counting_is_overwritten() {
    for flaw in [Flaw::None, Flaw::CommitsOldTerms] {
        let mut script = Script::new(5, flawed(flaw));
        script.time_out(0);
        (1..5).for_each(|to| script.ask(0, to));
        assert!(script.leads(0));
        (1..5).for_each(|to| script.ask(0, to));
        assert_eq!(script.nodes[0].commit(), 1, "its first entry is everywhere");
        script.mail.clear();
        // (a) The second entry gets to one other member only.
        script.act(0, |node, now| node.propose((0, 1), 7, now));
        script.pass(0, 1);
        // (b) The last member is elected by those that lack it, and has a second entry of its own.
        script.time_out(4);
        (2..4).for_each(|to| script.ask(4, to));
        assert!(script.leads(4));
        script.mail.clear();
        // (c) The first is back, is elected, and brings its second entry to a third member, but not yet its new one.
        script.act(0, |node, now| node.restart(now));
        for _ in 0..2 {
            // Its first attempt only tells it how high terms are.
            script.time_out(0);
            (1..4).for_each(|to| script.ask(0, to));
        }
        assert!(script.leads(0));
        script.pass(0, 1);
        script.pass(1, 0);
        // The third has none of it: a conflict, and then one entry.
        script.ask(0, 2);
        script.ask(0, 2);
        let on_three = script.nodes[..3]
            .iter()
            .filter(|node| node.disk().log.term(2) == Some(1))
            .count();
        assert_eq!(on_three, 3);
        let committed = script.nodes[0].commit() >= 2;
        assert_eq!(committed, flaw == Flaw::CommitsOldTerms);
        // (d) The last member is back, and its log is later than those of the third and the fourth.
        script.act(4, |node, now| node.restart(now));
        for _ in 0..2 {
            script.time_out(4);
            (2..4).for_each(|to| script.ask(4, to));
        }
        assert!(script.leads(4));
        assert_eq!(
            script.nodes[4].disk().log.term(2),
            Some(2),
            "what the first had committed, if it had, is lost"
        );
    }
}

#[test]
fn a_voter_that_listens_to_candidates_breaks_the_lease() {
    for flaw in [Flaw::None, Flaw::NeverRefuses] {
        let lease = Some(140 * MS);
        let mut script = Script::new(3, Settings { lease, ..flawed(flaw) });
        script.time_out(0);
        (1..3).for_each(|to| script.ask(0, to));
        (0..2).for_each(|_| script.ask(0, 1));
        assert_eq!(script.nodes[0].commit(), 1);
        // The third hears nothing any more, and stands for election; the second has just heard the leader.
        for _ in 0..6 {
            script.mail.clear();
            script.wait(60 * MS);
            script.act(0, |node, now| node.tick(now));
            script.ask(0, 1);
        }
        script.mail.clear();
        script.wait(10 * MS);
        script.act(2, |node, now| node.tick(now));
        script.ask(2, 1);
        script.ask(2, 1);
        script.ask(2, 1);
        script.act(2, |node, now| node.propose((0, 1), 7, now));
        (0..3).for_each(|_| script.ask(2, 1));
        let overtaken = script.nodes[2].disk().applied > script.nodes[0].disk().applied;
        assert_eq!(overtaken, flaw == Flaw::NeverRefuses);
        // The old leader answers from its state, within its lease.
        script.act(0, |node, now| node.read(5, now));
        assert_eq!(script.readable, [(0, 5)]);
    }
}

/// A leader of three whose first entry is everywhere.
fn settled() -> Script {
    let mut script = Script::new(3, flawed(Flaw::None));
    script.time_out(0);
    (1..3).for_each(|to| script.ask(0, to));
    (0..3).for_each(|_| (1..3).for_each(|to| script.ask(0, to)));
    assert!(script.leads(0));
    assert_eq!(script.nodes[2].commit(), 1);
    script.mail.clear();
    script
}

#[test]
fn the_word_of_a_commit_waits_for_no_answer_and_may_overtake_the_entry() {
    for overtakes in [false, true] {
        let mut script = settled();
        script.act(0, |node, now| node.propose((0, 1), 7, now));
        // The second answers at once; the third is far away, and hasn't got the entry yet.
        script.ask(0, 1);
        assert_eq!(script.nodes[0].commit(), 2);
        if overtakes {
            script.mail.reverse();
        }
        script.pass(0, 2);
        assert_eq!(script.nodes[2].commit(), 2, "overtakes: {overtakes}");
    }
}

#[test]
fn a_follower_is_told_of_each_commit_once_and_of_none_that_it_was_not_sent() {
    let mut script = settled();
    for number in 1..=10 {
        script.act(0, |node, now| node.propose((0, number), number, now));
        (0..2).for_each(|_| script.ask(0, 1));
    }
    assert_eq!(script.nodes[0].commit(), 11);
    let words = |to| {
        let is_word = |message: &&Message<u64, ()>| message.to == Id(to) && matches!(message.body, Body::Commit { .. });
        script.mail.iter().filter(is_word).count()
    };
    // Three entries may be on their way to it.
    assert_eq!(words(2), 3);
}

#[test]
fn a_word_about_an_entry_commits_no_other_in_its_place() {
    // The third's second entry is of the first term, and the word is about one of this term.
    for (of, commit) in [(9, 1), (1, 2)] {
        let mut script = settled();
        script.act(0, |node, now| node.propose((0, 1), 7, now));
        script.pass(0, 2);
        assert_eq!(script.nodes[2].commit(), 1);
        let word = Message {
            from: Id(1),
            to: Id(2),
            term: 9,
            body: Body::Commit { commit: 2, of },
        };
        script.act(2, |node, now| node.receive(word, now));
        assert_eq!(script.nodes[2].commit(), commit);
    }
}

#[test]
fn a_candidate_that_is_refused_gives_nobody_more_time() {
    let mut script = Script::new(3, flawed(Flaw::None));
    script.time_out(0);
    (1..3).for_each(|to| script.ask(0, to));
    (1..3).for_each(|to| script.ask(0, to));
    assert!(script.leads(0));
    script.mail.clear();
    // The last member lacks an entry, and stands once nobody hears the leader any more.
    script.act(0, |node, now| node.propose((0, 1), 7, now));
    script.pass(0, 1);
    script.wait(150 * MS);
    let (term, due) = (script.nodes[1].disk().term, script.nodes[1].due(script.now));
    let body = Body::Vote {
        last: (1, term),
        transfer: false,
    };
    let vote = Message {
        from: Id(2),
        to: Id(1),
        term: term + 1,
        body,
    };
    script.act(1, |node, now| node.receive(vote, now));
    let disk = script.nodes[1].disk();
    assert_eq!((disk.term, disk.vote), (term + 1, None), "the term is taken over");
    assert_eq!(
        script.nodes[1].due(script.now),
        due,
        "it stands itself when it would have"
    );
}
