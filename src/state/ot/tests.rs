//! Sites that talk through a server in any order: they end in one text, in which every character is that was typed and not deleted.

use super::document::TrackedText;
use super::site::{Edit, Received, Revision, Site};
use crate::state::{Accept, Context, Dot, Fate, Op, Origin};
use proptest::prelude::*;
use std::collections::VecDeque;

fn origin(site: usize) -> Origin {
    Origin::new(site as u16, 0)
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A site's user inserts, or deletes.
    Edit {
        site: usize,
        inserts: bool,
        at: u32,
        length: u32,
    },
    /// A batch that is on its way reaches the server; it stays on its way as well, if it comes twice.
    Submit { which: usize, again: bool },
    /// A revision reaches a site.
    Tell { which: usize, again: bool },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let edit = (0..3usize, any::<bool>(), 0u32..30, 0u32..5).prop_map(|(site, inserts, at, length)| Event::Edit {
        site,
        inserts,
        at,
        length,
    });
    let submit = (0..8usize, prop::bool::weighted(0.2)).prop_map(|(which, again)| Event::Submit { which, again });
    let tell = (0..16usize, prop::bool::weighted(0.2)).prop_map(|(which, again)| Event::Tell { which, again });
    prop::collection::vec(prop_oneof![2 => edit, 1 => submit, 2 => tell], 0..120)
}

/// Two clients and the server, the messages between them, and what was done.
struct Play {
    sites: Vec<Site>,
    numbers: [u32; 3],
    up: Vec<(u32, Vec<Edit>)>,
    down: Vec<(usize, u32, Revision)>,
    placed: u64,
    took: Vec<(Dot, u32)>,
}

const SERVER: usize = 2;

impl Play {
    fn new(is_whole: bool) -> Self {
        Self {
            sites: vec![Site::new(is_whole); 3],
            numbers: [0; 3],
            up: Vec::new(),
            down: Vec::new(),
            placed: 0,
            took: Vec::new(),
        }
    }

    fn broadcast(&mut self) {
        let place = self.sites[SERVER].revision() - 1;
        let revision = self.sites[SERVER].log()[place as usize].clone();
        for client in 0..SERVER {
            self.down.push((client, place, revision.clone()));
        }
    }

    fn ship(&mut self, site: usize) {
        if site == SERVER {
            if self.sites[SERVER].append_own() {
                self.broadcast();
            }
        } else if self.sites[site].send() {
            let batch = self.sites[site].outstanding().to_vec();
            self.up.push((self.sites[site].revision(), batch));
        }
    }

    fn act(&mut self, event: Event) {
        match event {
            Event::Edit {
                site,
                inserts,
                at,
                length,
            } => {
                self.numbers[site] += 1;
                let dot = Dot::new(origin(site), self.numbers[site]);
                let op = match inserts {
                    true => Op::InsertText {
                        at,
                        from: self.numbers[site] * 100,
                        length,
                    },
                    false => Op::DeleteText { at, length },
                };
                let accept = Accept {
                    dot,
                    stamp: 0,
                    context: None,
                };
                let took = &mut self.took;
                self.sites[site].local(op, accept, &mut |fate| {
                    if let Fate::Took { first, length, .. } = fate {
                        took.extend((0..length).map(|place| (first.dot, first.place + place)));
                    }
                });
                self.placed += if inserts { u64::from(length) } else { 0 };
                self.ship(site);
            }
            Event::Submit { which, again } if !self.up.is_empty() => {
                let which = which % self.up.len();
                let (revision, edits) = match again {
                    true => self.up[which].clone(),
                    false => self.up.remove(which),
                };
                if self.sites[SERVER].submit(revision, edits, &mut |_| {}) {
                    self.broadcast();
                }
            }
            Event::Tell { which, again } if !self.down.is_empty() => {
                let which = which % self.down.len();
                let (client, place, revision) = match again {
                    true => self.down[which].clone(),
                    false => self.down.remove(which),
                };
                self.sites[client].receive(place, revision, &mut |_| {});
                self.ship(client);
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        while !self.up.is_empty() || !self.down.is_empty() {
            self.act(Event::Submit { which: 0, again: false });
            self.act(Event::Tell { which: 0, again: false });
        }
    }
}

fn shown(text: &TrackedText) -> Vec<(u64, u32, u32)> {
    text.spans()
        .iter()
        .map(|span| (span.id, span.from, span.length))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sites_end_in_one_text_in_which_every_character_is_that_nobody_deleted(events in events()) {
        let mut play = Play::new(true);
        for event in events {
            play.act(event);
            for site in &play.sites {
                prop_assert_eq!(u64::from(site.text().length()), shown(site.text()).iter().map(|span| u64::from(span.2)).sum::<u64>());
            }
        }
        play.finish();
        let first = shown(play.sites[0].text());
        for site in &play.sites {
            prop_assert!(!site.is_ahead());
            prop_assert_eq!(site.revision(), play.sites[SERVER].revision());
            prop_assert_eq!(&shown(site.text()), &first);
            prop_assert_eq!(site.text().hash(), play.sites[0].text().hash());
            prop_assert_eq!(site.seen(), play.sites[0].seen());
        }
        play.took.sort_unstable();
        play.took.dedup();
        let left = u64::from(play.sites[0].text().length());
        prop_assert_eq!(left, play.placed - play.took.len() as u64);
    }
}

#[test]
fn without_transformation_sites_differ() {
    let mut play = Play::new(false);
    let insert = |site, at| Event::Edit {
        site,
        inserts: true,
        at,
        length: 2,
    };
    play.act(insert(0, 0));
    play.finish();
    play.act(insert(0, 0));
    play.act(insert(1, 2));
    play.finish();
    assert_ne!(play.sites[0].text().hash(), play.sites[1].text().hash());
    assert_ne!(shown(play.sites[0].text()), shown(play.sites[1].text()));
}

#[test]
fn a_client_sends_one_batch_at_a_time() {
    let mut site = Site::new(true);
    let mut numbers = 1..;
    let mut edit = |site: &mut Site| {
        let dot = Dot::new(origin(0), numbers.next().unwrap());
        let accept = Accept {
            dot,
            stamp: 0,
            context: None,
        };
        site.local(
            Op::InsertText {
                at: 0,
                from: 0,
                length: 1,
            },
            accept,
            &mut |_| {},
        );
    };
    edit(&mut site);
    assert!(site.send());
    edit(&mut site);
    edit(&mut site);
    assert!(!site.send());
    assert_eq!(site.outstanding().len(), 1);
    let own = site.outstanding().to_vec();
    assert_eq!(site.receive(1, Vec::new(), &mut |_| {}), Received::Early);
    assert_eq!(site.receive(0, own.clone(), &mut |_| {}), Received::Taken);
    assert_eq!(site.receive(0, own, &mut |_| {}), Received::Known);
    assert!(site.send());
    assert_eq!((site.outstanding().len(), site.revision()), (2, 2));
}

/// A position is found in the text as its agent saw it, whatever came since.
#[test]
fn positions_of_an_older_text_are_found() {
    let mut queue: VecDeque<Op> = VecDeque::new();
    queue.push_back(Op::InsertText {
        at: 0,
        from: 0,
        length: 5,
    });
    let mut site = Site::new(true);
    let accept = |number| Accept {
        dot: Dot::new(origin(0), number),
        stamp: 0,
        context: None,
    };
    site.local(queue.pop_front().unwrap(), accept(1), &mut |_| {});
    let context = Context {
        seen: site.seen().clone().into(),
        ..Context::default()
    };
    // Somebody else puts two characters in front and takes the third and the fourth of the first five.
    let other = |number, op| {
        let accept = Accept {
            dot: Dot::new(origin(1), number),
            stamp: 0,
            context: None,
        };
        (op, accept)
    };
    for (op, accept) in [
        other(
            1,
            Op::InsertText {
                at: 0,
                from: 10,
                length: 2,
            },
        ),
        other(2, Op::DeleteText { at: 4, length: 2 }),
    ] {
        site.local(op, accept, &mut |_| {});
    }
    let seen = Accept {
        context: Some(&context),
        ..accept(2)
    };
    // After the fourth, which is gone; and the second to the fifth, of which two are.
    site.local(
        Op::InsertText {
            at: 4,
            from: 20,
            length: 1,
        },
        seen,
        &mut |_| {},
    );
    let seen = Accept {
        context: Some(&context),
        ..accept(3)
    };
    site.local(Op::DeleteText { at: 1, length: 4 }, seen, &mut |_| {});
    let content: Vec<u32> = site
        .text()
        .spans()
        .iter()
        .flat_map(|span| span.from..span.from + span.length)
        .collect();
    assert_eq!(content, [10, 11, 0, 20]);
}
