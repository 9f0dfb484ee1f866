//! Loss, bursts, copies, jitter, degradation: rates against theory, and draws that nobody else moves.

use super::*;

const MS: u64 = 1_000_000;

/// How many of `n` messages, one each millisecond, are lost.
fn losses(network: &mut Network, n: u64) -> Vec<bool> {
    (0..n)
        .map(|k| matches!(network.route(&message(0, 1, k, t(k * MS))), Verdict::Lost(_)))
        .collect()
}

fn share(flags: &[bool]) -> f64 {
    flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64
}

#[test]
fn independent_loss_has_its_rate() {
    for p in [0.01, 0.3] {
        let spec = three_sites(LinkSpec {
            loss: Loss::Independent(p),
            ..link(Law::Constant(5.0))
        });
        let found = share(&losses(&mut build(spec), 400_000));
        assert!(
            (found - p).abs() < 4.0 * (p * (1.0 - p) / 400_000.0_f64).sqrt(),
            "{found} of {p}"
        );
    }
    for (p, all) in [(0.0, 0.0), (1.0, 1.0)] {
        let spec = three_sites(LinkSpec {
            loss: Loss::Independent(p),
            ..link(Law::Constant(5.0))
        });
        assert_eq!(share(&losses(&mut build(spec), 1000)), all);
    }
}

#[test]
fn a_lossier_link_loses_the_same_and_more() {
    let lost = |p| {
        let spec = three_sites(LinkSpec {
            loss: Loss::Independent(p),
            ..link(Law::Constant(5.0))
        });
        losses(&mut build(spec), 10_000)
    };
    let (few, many) = (lost(0.1), lost(0.2));
    assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
}

#[test]
fn bursty_loss_has_the_rate_and_the_burst_length_of_theory() {
    let (good, bad, n) = (90.0, 10.0, 2_000_000);
    let loss = Loss::Bursty {
        good: SimDuration::from_millis(90),
        bad: SimDuration::from_millis(10),
        loss_good: 0.0,
        loss_bad: 1.0,
    };
    let lost = losses(
        &mut build(three_sites(LinkSpec {
            loss,
            ..link(Law::Constant(5.0))
        })),
        n,
    );
    let rate = 1.0 / good + 1.0 / bad;
    // The time average of a two-state process: its variance is 2 p (1 - p) / (rate x time).
    let error = (2.0 * 0.1 * 0.9 / (rate * n as f64)).sqrt();
    assert!(
        (share(&lost) - loss.mean()).abs() < 4.0 * error,
        "{} of {}",
        share(&lost),
        loss.mean()
    );
    // Looked at once a millisecond, it leaves the bad state with this probability, so runs are geometric.
    let leaves = 0.9 * (1.0 - crate::random::math::exp(-rate));
    let runs: Vec<f64> = lost
        .chunk_by(|a, b| a == b)
        .filter(|run| run[0])
        .map(|run| run.len() as f64)
        .collect();
    let (mean, _, error, _) = moments(&runs);
    assert!(
        (mean - 1.0 / leaves).abs() < 4.0 * error,
        "bursts of {mean} +- {error}, expected {}",
        1.0 / leaves
    );
}

#[test]
fn bursts_are_booked_by_their_cause() {
    let loss = Loss::Bursty {
        good: SimDuration::from_millis(50),
        bad: SimDuration::from_millis(50),
        loss_good: 0.1,
        loss_bad: 0.5,
    };
    let mut network = build(three_sites(LinkSpec {
        loss,
        ..link(Law::Constant(5.0))
    }));
    losses(&mut network, 100_000);
    let books = network.counters();
    let (random, burst) = (books.lost_to(LossCause::Random), books.lost_to(LossCause::Burst));
    assert!(
        (4000..6000).contains(&random) && (22_000..28_000).contains(&burst),
        "{random}, {burst}"
    );
}

#[test]
fn copies_come_at_their_rate_and_draw_their_own_delay() {
    let spec = LinkSpec {
        duplication: 0.2,
        ..link(Law::Uniform { low: 0.0, high: 1e6 })
    };
    let mut network = build(three_sites(spec));
    let pairs: Vec<(f64, f64)> = (0..100_000)
        .filter_map(|k| match network.route(&message(0, 1, k, t(0))) {
            Verdict::Twice(a, b) => Some((a.at.as_nanos() as f64 - 5e5, b.at.as_nanos() as f64 - 5e5)),
            _ => None,
        })
        .collect();
    let n = pairs.len() as f64;
    assert!((n - 20_000.0).abs() < 4.0 * 127.0, "{n} copies");
    assert_eq!(network.counters().duplicated, pairs.len() as u64);
    let correlation = pairs.iter().map(|(a, b)| a * b).sum::<f64>() / n / (1e12 / 12.0);
    assert!(
        correlation.abs() < 4.0 / n.sqrt(),
        "original and copy correlate by {correlation}"
    );
}

#[test]
fn each_kind_of_message_has_its_latency() {
    let by_kind = vec![None, Some(Law::Constant(70.0))];
    let mut network = build(three_sites(LinkSpec {
        by_kind,
        ..link(Law::Constant(5.0))
    }));
    let times = [0, 1, 2].map(|kind| {
        due(network.route(&Outgoing {
            kind,
            ..message(0, 1, 0, t(0))
        }))
    });
    assert_eq!(times, [t(5), t(70), t(5)]);
}

fn jittery(rho: f64, share: f64) -> Network {
    let jitter = Some(Correlation {
        every: SimDuration::from_millis(100),
        rho,
        share,
    });
    build(three_sites(LinkSpec {
        jitter,
        ..link(Law::Normal { mean: 50e6, sd: 5e6 })
    }))
}

/// The normal score of the delay of message `number` of site 0, sent at `now`.
fn score(network: &mut Network, number: u64, now: SimTime) -> f64 {
    (due(network.route(&message(0, 1, number, now))).since(now).as_nanos() as f64 - 50e6) / 5e6
}

#[test]
fn jitter_correlates_as_share_times_rho_to_the_lag() {
    let (rho, share, n) = (0.8, 0.6, 300_000_u64);
    let mut network = jittery(rho, share);
    let path: Vec<f64> = (0..n).map(|k| score(&mut network, k, t(k * 100 * MS + 7))).collect();
    let mut expected = 1.0;
    for lag in 0..6 {
        let found = path.iter().zip(&path[lag..]).map(|(a, b)| a * b).sum::<f64>() / (n as usize - lag) as f64;
        // Bartlett: at most sqrt(2 (1 + 2 sum of squared autocorrelations) / n).
        let error = (2.0 * (1.0 + 2.0 * share * share * rho * rho / (1.0 - rho * rho)) / n as f64).sqrt();
        assert!(
            (found - expected).abs() < 4.0 * error,
            "lag {lag}: {found} +- {error}, expected {expected}"
        );
        expected = if lag == 0 { share * rho } else { expected * rho };
    }
}

#[test]
fn jitter_is_the_same_at_ten_times_the_traffic() {
    let (mut quiet, mut busy) = (jittery(0.8, 0.7), jittery(0.8, 0.7));
    for k in 0..20_000 {
        let now = t(k * 37 * MS);
        for other in 0..9 {
            busy.route(&Outgoing {
                key: Key::root(99, other),
                from_tag: 7,
                ..message(0, 1, k, now)
            });
        }
        assert_eq!(score(&mut quiet, k, now).to_bits(), score(&mut busy, k, now).to_bits());
    }
}

#[test]
fn all_of_the_shared_jitter_is_shared() {
    let mut network = jittery(0.9, 1.0);
    let times: Vec<_> = (0..50).map(|k| score(&mut network, k, t(k * MS))).collect();
    assert!(times.iter().all(|time| *time == times[0]));
    // The two directions of a pair are two links.
    let back = due(network.route(&message(1, 0, 0, t(50 * MS))))
        .since(t(50 * MS))
        .as_nanos() as f64;
    assert!(((back - 50e6) / 5e6 - times[0]).abs() > 1e-6);
}

#[test]
fn another_link_site_or_sender_moves_no_draw() {
    let class = || LinkSpec {
        loss: Loss::Bursty {
            good: SimDuration::from_millis(9),
            bad: SimDuration::from_millis(1),
            loss_good: 0.1,
            loss_bad: 0.9,
        },
        jitter: Some(Correlation {
            every: SimDuration::from_millis(3),
            rho: 0.9,
            share: 0.5,
        }),
        duplication: 0.1,
        ..link(Law::Exponential { mean: 1e6 })
    };
    let mut small = build(NetworkSpec::uniform(["a", "b"], class()));
    let mut large = build(NetworkSpec::uniform(["z", "b", "y", "a"], class()));
    let plain = |verdict| match verdict {
        Verdict::At(leg) => vec![leg.at],
        Verdict::Twice(a, b) => vec![a.at, b.at],
        _ => Vec::new(),
    };
    for k in 0..5_000 {
        let m = message(0, 1, k, t(k * MS));
        for (from, to) in [(0, 2), (3, 0), (1, 3)] {
            large.route(&Outgoing {
                key: Key::root(5, 5),
                ..message(from, to, k, m.now)
            });
        }
        let moved = Outgoing {
            from: SiteId(3),
            to: SiteId(1),
            ..m
        };
        assert_eq!(plain(small.route(&m)), plain(large.route(&moved)), "message {k}");
    }
    assert_eq!((small.links(), large.links()), (1, 4));
}

#[test]
fn the_same_run_gives_the_same_snapshot() {
    let run = || {
        let mut network = jittery(0.8, 0.5);
        for k in 0..1000 {
            network.route(&message((k % 3) as u32, 2, k, t(k * MS)));
        }
        serde_json::to_string(&network).unwrap()
    };
    assert_eq!(run(), run());
}

fn worse(latency_factor: f64, added_ns: u64, loss: f64) -> Degradation {
    Degradation {
        name: "worse".into(),
        from: Group::sites([SiteId(0)]),
        to: Group::All,
        both_ways: false,
        latency_factor,
        latency_added: SimDuration::from_nanos(added_ns),
        loss,
        bandwidth_factor: 1.0,
    }
}

#[test]
fn degradations_nest_and_leave_no_trace() {
    let mut spec = three_sites(link(Law::Constant(100.0)));
    spec.degradations = vec![worse(2.0, 7, 0.0), worse(1.5, 0, 0.0)];
    let mut network = build(spec);
    let mut times = Vec::new();
    let mut look = |network: &mut Network| times.push(due(network.route(&message(0, 1, 0, t(0)))).as_nanos());
    look(&mut network);
    network.degrade(0);
    look(&mut network);
    network.degrade(1);
    network.degrade(0);
    look(&mut network);
    network.restore(0);
    look(&mut network);
    network.restore(0);
    look(&mut network);
    network.restore(1);
    look(&mut network);
    assert_eq!(times, [100, 207, 307, 307, 150, 100]);
    network.degrade(0);
    assert_eq!(
        due(network.route(&message(1, 0, 0, t(0)))),
        t(100),
        "the other direction is as ever"
    );
}

#[test]
fn added_losses_combine_with_the_link_s_own() {
    let mut spec = three_sites(LinkSpec {
        loss: Loss::Independent(0.2),
        ..link(Law::Constant(5.0))
    });
    spec.degradations = vec![worse(1.0, 0, 0.25), worse(1.0, 0, 0.5)];
    let mut network = build(spec);
    let before = losses(&mut network, 100_000);
    network.degrade(0);
    network.degrade(1);
    let after = losses(&mut network, 100_000);
    // 1 - 0.8 x 0.75 x 0.5 = 0.7, and what the link loses by itself is lost as before.
    assert!((share(&after) - 0.7).abs() < 4.0 * 0.00145, "{}", share(&after));
    assert!(before.iter().zip(&after).all(|(before, after)| !before || *after));
    let books = network.counters();
    assert_eq!(
        books.lost_to(LossCause::Random),
        2 * before.iter().filter(|&&lost| lost).count() as u64
    );
    assert!(books.balances() && books.lost_to(LossCause::Degraded) > 45_000);
}

#[test]
fn a_wrong_spec_is_refused_with_everything_that_is_wrong() {
    let mut spec = NetworkSpec::uniform(
        ["a", "b", "a"],
        LinkSpec {
            loss: Loss::Independent(1.5),
            duplication: f64::NAN,
            fifo: Fifo::PerLink,
            reordering: Some(Reordering {
                chance: -0.1,
                extra: Law::Constant(1.0),
            }),
            bandwidth: Some(Bandwidth { rate: 0.0, queue: None }),
            jitter: Some(Correlation {
                every: SimDuration::ZERO,
                rho: 1.0,
                share: 2.0,
            }),
            ..link(Law::Uniform { low: 3.0, high: 1.0 })
        },
    );
    spec.pairs.insert((0, 9), 7);
    spec.degradations = vec![Degradation {
        bandwidth_factor: 0.0,
        ..worse(f64::INFINITY, 0, 2.0)
    }];
    let group = Group::sites([SiteId(5)]);
    let cut = |from| Cut {
        name: "x".into(),
        from,
        to: Group::Tags(TagSet::default()),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Held,
    };
    spec.cuts = vec![cut(group)];
    let problems = spec.problems();
    assert_eq!(problems.len(), 17, "{problems:#?}");
    assert_eq!(Network::new(Arc::new(spec), Key::root(0, 0)).unwrap_err(), problems);
}
