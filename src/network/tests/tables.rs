//! Measured tables: what is read, what is refused, and that the simulated round trips have the measured moments.

use super::*;
use crate::network::measured::RoundTrip;
use std::io::Write;

/// Five regions of the GCP table and the head of another set: fantoch (github.com/vitorenesduarte/fantoch, commit
/// aea6e324, MIT or Apache-2.0), joined into CSV, values unchanged.
const EXCERPT: &[u8] = include_bytes!("rtt_excerpt.csv");

fn gcp() -> Measured {
    Measured::from_csv(EXCERPT, Some("gcp")).unwrap()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn measured_network(missing: Option<Law>) -> NetworkSpec {
    let table = gcp();
    let names = table.regions().to_vec();
    let regions = (0..names.len() as u32).map(Some).collect();
    let class = LinkSpec {
        latency: Latency::Measured(Arc::new(Measurement {
            table,
            regions,
            missing,
        })),
        ..LinkSpec::default()
    };
    let mut spec = NetworkSpec::uniform(names, class);
    spec.local = 1;
    spec
}

#[test]
fn every_cell_s_law_has_the_measured_mean_and_deviation_and_floor() {
    let table = gcp();
    assert_eq!(table.regions().len(), 5);
    for (from, to) in (0..5).flat_map(|from| (0..5).map(move |to| (from, to))) {
        let (trip, law) = (table.round_trip(from, to).unwrap(), table.one_way(from, to).unwrap());
        law.validate().unwrap();
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-9 * expected;
        assert!(close(2.0 * law.mean(), trip.avg * 1e6), "{trip:?}: mean {}", law.mean());
        assert!(
            close(2.0 * law.variance(), trip.mdev * trip.mdev * 1e12),
            "{trip:?}: variance {}",
            law.variance()
        );
        assert!(
            close(2.0 * law.support().0, trip.min * 1e6),
            "{trip:?}: floor {}",
            law.support().0
        );
    }
}

#[test]
fn simulated_round_trips_have_the_measured_mean_and_deviation() {
    let mut network = build(measured_network(None));
    let table = gcp();
    let mut checked = 0;
    for (from, to) in (0..5).flat_map(|from| (0..5).map(move |to| (from, to))) {
        let trip = table.round_trip(from, to).unwrap();
        // The other direction was measured on its own: take pairs that agree, and whose sample deviation settles within
        // the sample (that of a heavy tail doesn't).
        if from == to || trip.mdev > 0.7 * (trip.avg - trip.min) {
            continue;
        }
        let back = table.round_trip(to, from).unwrap();
        let mean = (trip.avg + back.avg) / 2.0;
        let sd = ((trip.mdev * trip.mdev + back.mdev * back.mdev) / 2.0).sqrt();
        let trips: Vec<f64> = (0..200_000)
            .map(|number| {
                let ping = due(network.route(&message(from, to, number, t(number))));
                let pong = due(network.route(&message(to, from, number, ping)));
                assert!(pong.since(t(number)).as_millis_f64() >= (trip.min + back.min) / 2.0 - 1e-5);
                pong.since(t(number)).as_millis_f64()
            })
            .collect();
        let (found, spread, error, error_of_spread) = moments(&trips);
        assert!(
            (found - mean).abs() < 4.0 * error,
            "{from} to {to}: {found} +- {error}, measured {mean}"
        );
        if back.mdev <= 0.7 * (back.avg - back.min) {
            assert!(
                (spread - sd).abs() < 4.0 * error_of_spread,
                "{from} to {to}: {spread}, measured {sd}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 2, "only {checked} pairs were fit for a check");
}

#[test]
fn cells_without_a_spread_or_a_floor_keep_their_moments() {
    let constant = RoundTrip {
        min: 3.0,
        avg: 3.0,
        mdev: 0.0,
    };
    assert_eq!(constant.one_way(), Law::Constant(1.5e6));
    let rounded = RoundTrip {
        min: 3.0,
        avg: 3.0,
        mdev: 0.5,
    }
    .one_way();
    assert!((rounded.mean() - 1.5e6).abs() < 1e-3 && (2.0 * rounded.variance() - 0.25e12).abs() < 1.0);
}

#[test]
fn compressed_tables_and_plain_matrices_are_read() {
    assert_eq!(Measured::from_csv(&compressed(EXCERPT), Some("gcp")).unwrap(), gcp());
    let matrix = Measured::from_tsv(&compressed(b"0.00\t0.25\n0.5\t0\n\n"), Unit::Seconds).unwrap();
    assert_eq!(matrix.regions(), ["0", "1"]);
    assert_eq!(matrix.one_way(0, 1), Some(Law::Constant(125e6)));
    assert_eq!(matrix.one_way(1, 0), Some(Law::Constant(250e6)));
    assert_eq!((matrix.one_way(0, 0), matrix.one_way(0, 2)), (None, None));
}

#[test]
fn a_wrong_table_is_refused_with_its_line() {
    let csv = |text: &str, set| Measured::from_csv(text.as_bytes(), set).unwrap_err().to_string();
    let head = "set,from,to,min_ms,avg_ms,max_ms,mdev_ms\n";
    let after = |rows: &str| csv(&format!("{head}s,a,a,1,2,3,1\n{rows}"), None);
    assert_eq!(
        after("s,a,b,1,x,3,1\n"),
        "line 3: column \"avg_ms\": \"x\" is not a number"
    );
    assert_eq!(after("s,a,b,1,2,3,-1\n"), "line 3: column \"mdev_ms\": -1 is negative");
    assert_eq!(
        after("s,a,b,1,2,inf,1\n"),
        "line 3: column \"max_ms\": inf is not a finite number"
    );
    assert_eq!(
        after("s,a,b,2,1,3,1\n"),
        "line 3: min 2, avg 1 and max 3 are not in this order"
    );
    assert_eq!(
        after("s,a,a,1,2,3,1\n"),
        "line 3: the pair \"a\", \"a\" was given before"
    );
    assert!(after("s,a,b,1,2\n").starts_with("line 3: "));
    assert_eq!(csv(head, None), "the table has no rows");
    assert_eq!(
        csv("from,to,min_ms,avg_ms\n", None),
        "the table lacks the columns \"max_ms\", \"mdev_ms\"; it has \"from\", \"to\", \"min_ms\", \"avg_ms\""
    );
    let sets = "the table has the sets \"gcp\", \"aws-2021-02-13\"";
    let excerpt = |set| Measured::from_csv(EXCERPT, set).unwrap_err().to_string();
    assert_eq!(excerpt(None), format!("a set must be chosen; {sets}"));
    assert_eq!(excerpt(Some("gcb")), format!("no set \"gcb\"; {sets}"));

    let tsv = |text: &[u8]| Measured::from_tsv(text, Unit::Milliseconds).unwrap_err().to_string();
    assert_eq!(tsv(b"0\t1\n1\n"), "line 2: 1 columns, where the first row has 2");
    assert_eq!(
        tsv(b"0\t1\n"),
        "the matrix has 1 rows of 2 columns, and should be square"
    );
    assert_eq!(tsv(b"0\t1\n\n-1\t0\n"), "line 3: -1 is negative");
    assert_eq!(tsv(b"0\t\xff\n"), "line 1: this is not text");
    assert_eq!(tsv(b"\n"), "the table has no rows");
    assert!(tsv(&[0x1f, 0x8b, 1, 2, 3]).contains("gzip"));
}

#[test]
fn an_unknown_region_is_refused_with_suggestions() {
    let error = gcp().region("europe-west5").unwrap_err().to_string();
    assert_eq!(
        error,
        "no region \"europe-west5\" in the table; did you mean \"europe-west4\"?"
    );
    assert_eq!(
        gcp().region("mars").unwrap_err().to_string(),
        "no region \"mars\" in the table"
    );
    assert_eq!(gcp().region("asia-east1"), Ok(0));
}

#[test]
fn a_pair_that_was_not_measured_needs_a_stand_in() {
    let mut spec = measured_network(None);
    let remeasure = |spec: &mut NetworkSpec, missing: Option<Law>| {
        let Latency::Measured(measurement) = &spec.classes[1].latency else {
            unreachable!()
        };
        let mut measurement = Measurement::clone(measurement);
        measurement.regions[1] = None;
        measurement.missing = missing;
        spec.classes[1].latency = Latency::Measured(Arc::new(measurement));
    };
    remeasure(&mut spec, None);
    let problems = spec.problems();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].to_string().contains("(and 8 more pairs)"),
        "{}",
        problems[0]
    );
    remeasure(&mut spec, Some(Law::Constant(7.0)));
    let mut network = build(spec);
    assert_eq!(due(network.route(&message(0, 1, 0, t(0)))), t(7));
    assert!(due(network.route(&message(0, 2, 0, t(0)))) > t(1000));
}
