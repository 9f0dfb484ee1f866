//! Time as it is written and rounded.

use super::*;

#[test]
fn times_are_shown_exactly_in_one_unit() {
    let nanos = [
        0,
        1,
        999,
        1_000,
        1_001,
        12_000,
        999_999,
        1_000_000,
        250_000_000,
        1_000_001,
        1_500_000_000,
        1_000_000_001,
        60_000_000_000,
        3_600_100_000_000,
        u64::MAX,
    ];
    let shown: Vec<String> = nanos.map(|ns| SimDuration::from_nanos(ns).to_string()).to_vec();
    insta::assert_snapshot!(shown.join("\n"), @r"
    0s
    1ns
    999ns
    1us
    1.001us
    12us
    999.999us
    1ms
    250ms
    1.000001ms
    1.5s
    1.000000001s
    60s
    3600.1s
    18446744073.709551615s
    ");
    assert!(
        nanos
            .iter()
            .zip(&shown)
            .all(|(ns, shown)| SimTime::from_nanos(*ns).to_string() == *shown)
    );
}

#[test]
fn durations_round_to_the_nearest_nanosecond() {
    let cases = [
        (f64::NAN, 0),
        (f64::NEG_INFINITY, 0),
        (-0.4, 0),
        (-1e9, 0),
        (0.499_999_999_999_999_94, 0),
        (0.5, 1),
        (1.499_999_999_999_999_8, 1),
        (1.5, 2),
        (2.5, 3),
        (1e9 + 0.5, 1_000_000_001),
        ((1u64 << 52) as f64 + 1.0, (1 << 52) + 1),
        ((1u64 << 53) as f64 - 1.0, (1 << 53) - 1),
        ((1u64 << 53) as f64 + 2.0, (1 << 53) + 2),
        (1e30, u64::MAX),
        (f64::INFINITY, u64::MAX),
    ];
    for (ns, nearest) in cases {
        assert_eq!(SimDuration::from_nanos_f64(ns).as_nanos(), nearest, "{ns}");
    }
}

#[test]
fn arithmetic_saturates_where_it_says_so() {
    let (early, late) = (SimTime::from_nanos(5), SimTime::from_nanos(7));
    assert_eq!(late.since(early).as_nanos(), 2);
    assert_eq!(early.since(late), SimDuration::ZERO);
    assert_eq!(late - early, SimDuration::from_nanos(2));
    assert_eq!(SimTime::NEVER.saturating_add(SimDuration::from_secs(1)), SimTime::NEVER);
    assert_eq!(
        SimDuration::from_millis(3).saturating_sub(SimDuration::from_secs(1)),
        SimDuration::ZERO
    );
    assert_eq!(
        SimDuration::from_millis(3) * 4 + SimDuration::from_nanos(1),
        SimDuration::from_nanos(12_000_001)
    );
}
