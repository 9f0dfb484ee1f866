//! Measured tables: reading, drawing, replaying.

use super::*;
use crate::random::{Order, Rows, TableError, decompressed};
use std::io::Write;

const CSV: &str =
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n\"a,b\", 396 ,109\nx,879,55.5\n";

fn message(csv: &str, column: &str) -> String {
    Column::from_csv(csv.as_bytes(), column).unwrap_err().to_string()
}

#[test]
fn a_column_is_read_in_order() {
    let column = Column::from_csv(CSV.as_bytes(), "GeneratedTokens").unwrap();
    assert_eq!(
        (column.name(), column.values()),
        ("GeneratedTokens", &[44.0, 109.0, 55.5][..])
    );
    assert_eq!(
        (column.least(), column.greatest(), column.count_up_to(55.5)),
        (44.0, 109.0, 2)
    );
    let marked = format!("\u{feff}{}", CSV.replace('\n', "\r\n"));
    assert!(Column::from_csv(marked.as_bytes(), "TIMESTAMP").is_err());
    assert_eq!(
        Column::from_csv(marked.as_bytes(), "ContextTokens").unwrap().value(1),
        396.0
    );
}

#[test]
fn problems_name_the_place() {
    assert_eq!(
        message(CSV, "generatedtoken"),
        "no column \"generatedtoken\" (did you mean \"GeneratedTokens\"?); the table has \"TIMESTAMP\", \
         \"ContextTokens\", \"GeneratedTokens\""
    );
    assert_eq!(
        message("a,b\n1,2\n", "latency"),
        "no column \"latency\"; the table has \"a\", \"b\""
    );
    assert_eq!(message("", "x"), "no column \"x\"; the table has no columns");
    assert_eq!(message("a,b\n", "b"), "the column \"b\" has no rows");
    assert_eq!(message("a,a\n1,2\n", "a"), "the table has more than one column \"a\"");
    assert_eq!(
        message("a,b\n1,2\n\n3,x4\n", "b"),
        "line 4, column \"b\": \"x4\" is not a number"
    );
    assert_eq!(message("a,b\n1,\n", "b"), "line 2, column \"b\": \"\" is not a number");
    assert_eq!(
        message("a,b\n1,inf\n", "b"),
        "line 2, column \"b\": inf is not a finite number"
    );
    assert_eq!(
        message("a,b\n1,1e999\n", "b"),
        "line 2, column \"b\": 1e999 is not a finite number"
    );
    assert_eq!(
        message("a,b\n1,NaN\n", "b"),
        "line 2, column \"b\": NaN is not a finite number"
    );
    assert_eq!(
        message("a,b\n1,2\n3\n", "b"),
        "line 3: 1 fields, where the header has 2"
    );
    let bytes = b"a,b\n1,\xff\n";
    assert_eq!(
        Column::from_csv(bytes, "b").unwrap_err().to_string(),
        "line 2: not UTF-8 text"
    );
    assert_eq!(
        Column::new("x", vec![1.0, f64::NAN]).unwrap_err().to_string(),
        "line 3, column \"x\": NaN is not a finite number"
    );
}

#[test]
fn replay_gives_the_rows_in_order_and_wraps() {
    let law = Law::Replay(column());
    let seen: Vec<f64> = (0..9).map(|n| law.sample(&mut stream(0), n)).collect();
    assert_eq!(seen, [12.5, 3.0, 7.25, 3.0, 40.0, 8.0, 1.5, 12.5, 3.0]);
    assert_eq!(law.scaled(2.0).sample(&mut stream(0), 4), 80.0);
}

#[test]
fn quantiles_of_a_column_are_nearest_rank() {
    let column = Column::new("n", (1..=10).map(f64::from).collect()).unwrap();
    let at = |p| column.quantile(p);
    assert_eq!(
        (at(0.0), at(0.1), at(0.1000001), at(0.3), at(0.7), at(0.95), at(1.0)),
        (1.0, 1.0, 2.0, 3.0, 7.0, 10.0, 10.0)
    );
    for n in 1..200u32 {
        let column = Column::new("n", (1..=n).map(f64::from).collect()).unwrap();
        assert!(
            (1..=n).all(|k| column.quantile(f64::from(k) / f64::from(n)) == f64::from(k)),
            "{n}"
        );
    }
}

#[test]
fn a_row_is_joint() {
    let rows = Rows::from_csv(CSV.as_bytes(), &["GeneratedTokens", "ContextTokens"]).unwrap();
    assert_eq!(
        (rows.len(), rows.position("ContextTokens"), rows.position("x")),
        (3, Some(1), None)
    );
    let pairs = [(44.0, 374.0), (109.0, 396.0), (55.5, 879.0)];
    let mut seen = [0; 3];
    for n in 0..300 {
        let row = rows.pick(&mut stream(n), n, Order::Random);
        assert_eq!((rows.value(row, 0), rows.value(row, 1)), pairs[row]);
        seen[row] += 1;
        assert_eq!(rows.pick(&mut stream(0), n, Order::Replay), n as usize % 3);
    }
    assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
    assert!(matches!(Rows::new(vec![]), Err(TableError::Empty { column: None })));
    let short = Column::new("short", vec![1.0]).unwrap();
    let error = Rows::new(vec![short, Column::clone(&column())]).unwrap_err();
    assert_eq!(error.to_string(), "the column \"short\" has 1 rows, but \"rtt\" has 7");
}

#[test]
fn gzip_is_seen_by_its_mark_and_bounded() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(CSV.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let size = CSV.len() as u64;
    assert_eq!(&*decompressed(&packed, size).unwrap(), CSV.as_bytes());
    assert_eq!(&*decompressed(CSV.as_bytes(), 0).unwrap(), CSV.as_bytes());
    assert_eq!(
        decompressed(&packed, size - 1),
        Err(TableError::TooLarge { limit: size - 1 })
    );
    assert!(matches!(
        decompressed(&packed[..packed.len() / 2], 1 << 20),
        Err(TableError::Damaged { .. })
    ));
}
