//! The limits against closed forms, and against a bucket that is kept as a level and a time in fractions.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> SimTime {
    SimTime::from_nanos(nanos)
}

fn bucket(count: u64, secs: u64, burst: u64) -> Allows {
    Allows::Bucket {
        count,
        period: SimDuration::from_secs(secs),
        burst,
    }
}

fn limit(counts: Counts, allows: Allows, per: Per) -> LimitSpec {
    LimitSpec {
        counts,
        allows,
        per,
        estimate: None,
    }
}

fn levels(all: Vec<LimitSpec>) -> Levels {
    let excess = Excess::Refuse { retry_after: true };
    Levels::new(Arc::new(LimitsSpec { all, excess }))
}

fn claim(tokens_in: u32, tokens_out: u32, max_out: u32) -> Claim {
    Claim {
        key: Key::root(1, 0),
        group: 0,
        about: 7,
        tokens_in,
        tokens_out,
        max_out: Some(max_out),
    }
}

#[test]
fn a_request_that_is_refused_takes_nothing_of_any_limit() {
    let mut levels = levels(vec![
        limit(Counts::Requests, bucket(60, 60, 60), Per::All),
        limit(Counts::TokensIn, bucket(1000, 60, 1000), Per::All),
    ]);
    let big = claim(900, 0, 0);
    levels.take(1, &big, at(0));
    // The second one lacks 800 tokens, which come in 48 s; the limit of requests has room.
    let said = levels.look(&big, at(0));
    assert_eq!(said, Verdict::Later(SimDuration::from_secs(48), 1));
    let before = levels.clone();
    assert_eq!(
        levels.look(&big, at(48 * SECOND - 1)),
        Verdict::Later(SimDuration::from_nanos(1), 1)
    );
    assert_eq!(levels.levels, before.levels);
    assert_eq!(levels.look(&big, at(48 * SECOND)), Verdict::Room);
    assert_eq!(levels.look(&claim(1001, 0, 0), at(0)), Verdict::Never(1));
}

#[test]
fn the_longest_of_the_waits_is_said_and_a_busy_house_says_none() {
    let mut levels = levels(vec![
        limit(Counts::Concurrency, Allows::AtATime(1), Per::All),
        limit(Counts::Requests, bucket(1, 10, 1), Per::All),
        limit(Counts::Tokens, bucket(10, 1, 100), Per::All),
    ]);
    let one = claim(50, 0, 0);
    levels.take(1, &one, at(0));
    assert_eq!(levels.look(&one, at(0)), Verdict::Later(SimDuration::from_secs(10), 1));
    assert_eq!(levels.look(&one, at(10 * SECOND)), Verdict::Busy(0));
    levels.leave(1, &one, at(10 * SECOND), true);
    assert_eq!(levels.look(&one, at(10 * SECOND)), Verdict::Room);
    assert_eq!(levels.inside(), 0);
}

#[test]
fn the_answers_tokens_are_taken_by_the_stated_maximum_and_put_right() {
    let mut levels = levels(vec![limit(Counts::TokensOut, bucket(100, 1, 1000), Per::All)]);
    let short = claim(0, 100, 800);
    levels.take(1, &short, at(0));
    // 200 are left; 600 more take four seconds.
    assert_eq!(levels.look(&short, at(0)), Verdict::Later(SimDuration::from_secs(6), 0));
    levels.leave(1, &short, at(0), true);
    assert_eq!(levels.look(&short, at(0)), Verdict::Room);
    // One that has more than was taken for it pushes the level below zero: 900 - 800 - 3000 + 800 to go.
    let long = claim(0, 3000, 800);
    levels.take(2, &long, at(0));
    levels.leave(2, &long, at(0), true);
    assert_eq!(
        levels.look(&claim(0, 0, 1), at(0)),
        Verdict::Later(SimDuration::from_millis(21_010), 0)
    );
}

#[test]
fn a_refund_never_fills_a_bucket_beyond_its_size() {
    let mut levels = levels(vec![limit(Counts::TokensOut, bucket(100, 1, 1000), Per::All)]);
    let early = claim(0, 0, 1000);
    levels.take(1, &early, at(0));
    // The bucket is full again when the thousand come back.
    levels.leave(1, &early, at(20 * SECOND), true);
    levels.take(2, &early, at(20 * SECOND));
    assert_eq!(
        levels.look(&claim(0, 0, 1), at(20 * SECOND)),
        Verdict::Later(SimDuration::from_millis(10), 0)
    );
}

#[test]
fn twice_as_much_passes_over_the_edge_of_a_fixed_window() {
    let windows = Allows::Windows {
        count: 10,
        period: SimDuration::from_secs(60),
        phase: SimDuration::from_secs(15),
    };
    let mut levels = levels(vec![limit(Counts::Requests, windows, Per::All)]);
    let one = claim(0, 0, 0);
    let mut passed = |from: u64, many: u64| {
        let pass = |n: &u64| {
            let fits = levels.look(&one, at(from)) == Verdict::Room;
            if fits {
                levels.take(from + n, &one, at(from));
            }
            fits
        };
        (0..many).filter(pass).count()
    };
    assert_eq!(passed(75 * SECOND - 1, 30), 10);
    assert_eq!(passed(75 * SECOND, 30), 10);
    assert_eq!(passed(134 * SECOND, 30), 0);
    assert_eq!(
        levels.look(&one, at(134 * SECOND)),
        Verdict::Later(SimDuration::from_secs(1), 0)
    );
    assert_eq!(levels.look(&one, at(135 * SECOND)), Verdict::Room);
}

#[test]
fn a_window_that_is_over_gives_nothing_back_and_a_debt_is_taken_in_the_present_one() {
    let windows = Allows::Windows {
        count: 100,
        period: SimDuration::from_secs(60),
        phase: SimDuration::ZERO,
    };
    let mut levels = levels(vec![limit(Counts::TokensOut, windows, Per::All)]);
    levels.take(1, &claim(0, 10, 80), at(0));
    levels.take(2, &claim(0, 50, 20), at(0));
    levels.take(3, &claim(0, 0, 100), at(60 * SECOND));
    levels.leave(1, &claim(0, 10, 80), at(61 * SECOND), true);
    assert_eq!(levels.levels[0][&0], Level::Used { window: 2, used: 100 });
    levels.leave(2, &claim(0, 50, 20), at(61 * SECOND), true);
    assert_eq!(levels.levels[0][&0], Level::Used { window: 2, used: 130 });
    levels.leave(3, &claim(0, 0, 100), at(62 * SECOND), true);
    assert_eq!(levels.levels[0][&0], Level::Used { window: 2, used: 30 });
}

#[test]
fn each_has_a_level_of_its_own_and_those_that_say_nothing_are_forgotten() {
    let mut levels = levels(vec![
        limit(Counts::Requests, bucket(1, 1, 1), Per::Agent),
        limit(Counts::Requests, bucket(1, 1, 2), Per::Group),
    ]);
    let of = |agent: u64, group: u16| Claim {
        key: Key::root(1, 0).member(agent),
        group,
        ..claim(0, 0, 0)
    };
    levels.take(1, &of(1, 0), at(0));
    assert_eq!(
        levels.look(&of(1, 0), at(0)),
        Verdict::Later(SimDuration::from_secs(1), 0)
    );
    assert_eq!(levels.look(&of(2, 0), at(0)), Verdict::Room);
    levels.take(2, &of(2, 0), at(0));
    assert_eq!(
        levels.look(&of(3, 0), at(0)),
        Verdict::Later(SimDuration::from_secs(1), 1)
    );
    assert_eq!(levels.look(&of(3, 1), at(0)), Verdict::Room);
    for agent in 0..5000 {
        levels.take(agent, &of(agent, 2), at(agent * 10 * SECOND));
    }
    assert!(levels.levels[0].len() < 1100, "{}", levels.levels[0].len());
}

/// The same bucket as a level in billionths of a token times the period, and the time at which it was so.
struct Slow {
    level: i128,
    since: u64,
}

proptest! {
    /// Whatever is taken, given back and taken too little: the bucket's waits are those of a level and a time.
    #[test]
    fn a_bucket_is_a_level_and_a_time(
        count in 1u64..50,
        period in 1u64..1_000,
        burst in 1u64..40,
        steps in prop::collection::vec((0u64..3_000, 1u64..40, -30i128..30), 1..60),
    ) {
        let allows = Allows::Bucket { count, period: SimDuration::from_nanos(period), burst };
        let full = i128::from(burst) * i128::from(period);
        let (mut slow, mut fast, mut now) = (Slow { level: full, since: 0 }, None, 0u64);
        for (gap, amount, more) in steps {
            now += gap;
            slow.level = (slow.level + i128::from(now - slow.since) * i128::from(count)).min(full);
            slow.since = now;
            if amount > burst {
                continue;
            }
            let lacks = i128::from(amount) * i128::from(period) - slow.level;
            let expected = if lacks <= 0 { 0 } else { (lacks as u128).div_ceil(u128::from(count)) as u64 };
            let said = wait(allows, fast, amount, at(now)).map(SimDuration::as_nanos);
            prop_assert_eq!(said, Some(expected));
            if expected == 0 {
                slow.level -= i128::from(amount) * i128::from(period);
                fast = Some(changed(allows, fast, at(now), i128::from(amount)));
                slow.level = (slow.level - more * i128::from(period)).min(full);
                fast = Some(changed(allows, fast, at(now), more));
            }
        }
    }
}
