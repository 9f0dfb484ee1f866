use super::super::{Decode, Encode, Show, SourceMap, from_text, parser, render_short, to_text};
use super::*;
use crate::kernel::SimDuration;
use proptest::prelude::*;

/// The problems that reading `text` as a `T` gives, one line each with what was likely meant.
fn refused<T: Decode + std::fmt::Debug>(texts: &[&str]) -> String {
    let mut lines = String::new();
    for text in texts {
        let (mut map, mut cx) = (SourceMap::new(), Cx::new());
        let node = parser::parse_bytes(
            "q",
            text.as_bytes(),
            &mut map,
            &parser::Limits::default(),
            &mut cx.diagnostics,
        );
        let value = T::decode(&node.unwrap(), &mut cx);
        assert!(value.is_none(), "{text} is read as {value:?}");
        let line = render_short(&cx.diagnostics, &map, Show::default().most);
        let meant = cx
            .diagnostics
            .iter()
            .flat_map(|d| &d.helps)
            .find_map(|h| h.replacement.clone());
        lines.push_str(line.trim_start_matches("q:1:1: error").trim_end());
        lines.push_str(&meant.map_or("\n".into(), |(_, t)| format!(" -> {t}\n")));
    }
    lines
}

fn canonical<T: Decode + Encode + PartialEq + std::fmt::Debug>(pairs: &[(&str, &str)]) {
    for (text, written) in pairs {
        let value: T = from_text(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(to_text(&value), *written, "{text}");
        assert_eq!(from_text::<T>(written).unwrap(), value, "{text}");
    }
}

#[test]
fn quantities_are_written_as_the_shortest_text() {
    canonical::<SimDuration>(&[
        (r#""250ms""#, r#""250ms""#),
        (r#""1500ms""#, r#""1.5s""#),
        (r#""120 s""#, r#""2min""#),
        (r#""90s""#, r#""90s""#),
        (r#""86400s""#, r#""1d""#),
        (r#""10us""#, r#""10us""#),
        (r#""0.0000001s""#, r#""100ns""#),
        (r#""1_000.50s""#, r#""1000.5s""#),
        (r#""0ns""#, r#""0s""#),
        (r#""18446744073709551615ns""#, r#""18446744073709551615ns""#),
    ]);
    canonical::<SignedDuration>(&[
        (r#""-200ms""#, r#""-200ms""#),
        (r#""-0s""#, r#""0s""#),
        (r#""+3s""#, r#""3s""#),
    ]);
    canonical::<Money>(&[(r#""3 USD""#, r#""3 USD""#), (r#""0.002USD""#, r#""0.002 USD""#)]);
    canonical::<Bytes>(&[
        (r#""64KiB""#, r#""64KiB""#),
        (r#""1500B""#, r#""1.5kB""#),
        (r#""2MB""#, r#""2MB""#),
    ]);
    canonical::<Bandwidth>(&[(r#""10Mbit/s""#, r#""10Mbit/s""#), (r#""1MB/s""#, r#""1MB/s""#)]);
    canonical::<Drift>(&[(r#""50ppm""#, r#""50ppm""#), (r#""-1500ppb""#, r#""-1.5ppm""#)]);
    canonical::<Rate>(&[
        (r#""40/s""#, r#""40/s""#),
        (r#""100/min""#, r#""100/min""#),
        (r#""5000/h""#, r#""5000/h""#),
        (r#""60/min""#, r#""1/s""#),
        (r#""3/10min""#, r#""18/h""#),
        (r#""1/7s""#, r#""1/7s""#),
        (r#""0.25 / s""#.replace(" / ", "/").as_str(), r#""15/min""#),
        (r#""0/h""#, r#""0/s""#),
    ]);
    canonical::<Probability>(&[
        ("0.02", "0.02"),
        (r#""2%""#, "0.02"),
        ("1", "1"),
        (r#""0.1%""#, "0.001"),
        ("-0.0", "0"),
    ]);
}

#[test]
fn values_are_exact() {
    let ns = |text: &str| {
        super::kinds::quantity_from_text::<SimDuration>(text)
            .unwrap()
            .as_nanos()
    };
    assert_eq!(ns("0.1s"), 100_000_000);
    assert_eq!(ns("3d"), 259_200_000_000_000);
    assert_eq!(ns("584.5d"), 50_500_800_000_000_000);
    assert_eq!("0.002 USD".parse::<Money>().unwrap(), Money(2_000_000));
    assert_eq!("1.5KiB".parse::<Bytes>().unwrap(), Bytes(1536));
    assert_eq!("1MB/s".parse::<Bandwidth>().unwrap(), Bandwidth(8_000_000));
    let rate: Rate = "5000/h".parse().unwrap();
    assert_eq!((rate.events(), rate.nanos()), (1, 720_000_000));
    assert_eq!(rate.at(3), Some(SimDuration::from_nanos(2_160_000_000)));
    assert!((rate.per_second() - 5000.0 / 3600.0).abs() < 1e-12);
    assert_eq!(Bandwidth(8_000_000).time_to_send(1), SimDuration::from_nanos(1_000));
    assert_eq!(Bandwidth(3).time_to_send(1), SimDuration::from_nanos(2_666_666_667));
    assert_eq!(Bandwidth(0).time_to_send(0), SimDuration::MAX);
    assert_eq!(from_text::<Probability>(r#""0.3%""#).unwrap().get(), 0.003);
}

#[test]
fn what_is_no_quantity_is_refused_with_a_way_out() {
    insta::assert_snapshot!(
        refused::<SimDuration>(&[
            "250", "1.5", r#""250""#, r#""250 msec""#, r#""5m""#, r#""5 MS""#, r#""10µs""#, r#""3 USD""#, r#""-5s""#,
            r#""0.5ns""#, r#""600000d""#, r#""1e3s""#, r#""NaN""#, r#""""#, r#""1h30min""#, r#"".5s""#, r#""5.s""#,
            "inf", "[]", "Unlimited",
            r#""999999999999999999999999999999999999999999999s""#,
        ]),
        @r###"
    [E0201]: expected a duration with its unit, found the number 250 -> "250s"
    [E0201]: expected a duration with its unit, found the number 1.5 -> "1.5s"
    [E0201]: "250" has no unit: expected a duration such as "250ms" -> "250s"
    [E0202]: `msec` is not a unit of duration -> "250ms"
    [E0202]: `m` is not a unit of duration -> "5min"
    [E0202]: `MS` is not a unit of duration -> "5ms"
    [E0202]: `µs` is not a unit of duration -> "10us"
    [E0202]: `USD` is not a unit of duration
    [E0204]: a duration can't be negative -> "5s"
    [E0205]: "0.5ns" is finer than a nanosecond
    [E0204]: "600000d" is too large for a duration
    [E0202]: `e3s` is not a unit of duration
    [E0203]: "NaN" is not a duration such as "250ms"
    [E0203]: "" is not a duration such as "250ms"
    [E0202]: `h30min` is not a unit of duration
    [E0203]: ".5s" is not a duration such as "250ms"
    [E0203]: "5.s" is not a duration such as "250ms"
    [E0106]: expected a duration such as "250ms", found the number inf
    [E0106]: expected a duration such as "250ms", found an empty list
    [E0106]: expected a duration such as "250ms", found `Unlimited`
    [E0203]: "9999999999999999999999999999999999999..." is not a duration such as "250ms"
    "###
    );
    insta::assert_snapshot!(
        [
            refused::<Rate>(&["40", r#""40""#, r#""40s""#, r#""40/second""#, r#""-1/s""#, r#""1/0s""#, r#""x/s""#, r#""5/""#]),
            refused::<Money>(&["3", r#""$3""#, r#""3 EUR""#, r#""3 dollars""#, r#""0.0000000001 USD""#]),
            refused::<Bytes>(&["64", r#""64KB""#, r#""64k""#, r#""0.5B""#, r#""10Mbit/s""#]),
            refused::<Bandwidth>(&[r#""10Mbps""#, r#""10MBit/s""#, r#""10""#, r#""2MB""#]),
            refused::<Probability>(&["2", "-0.1", "1.5", r#""200%""#, r#""0.5""#, "NaN", "true", r#""-1%""#]),
            refused::<SignedDuration>(&["5", r#""-5x""#, r#""-9999999999s""#, r#""--5s""#]),
            refused::<Drift>(&["50", r#""50%""#]),
            refused::<Positive<SimDuration>>(&[r#""0s""#, "0"]),
            refused::<Positive<u32>>(&["0", "-1"]),
        ]
        .concat(),
        @r###"
    [E0201]: expected a rate with its unit, found the number 40 -> "40/s"
    [E0201]: "40" has no unit: expected a rate such as "40/s" -> "40/s"
    [E0202]: `s` is not a unit of rate -> "40/s"
    [E0202]: `/second` is not a unit of rate -> "40/s"
    [E0204]: a rate can't be negative -> "1/s"
    [E0204]: a rate is in a time, which can't be zero
    [E0203]: "x/s" is not a rate such as "40/s"
    [E0202]: `/` is not a unit of rate
    [E0201]: expected an amount of money with its unit, found the number 3 -> "3 USD"
    [E0203]: "$3" is not an amount of money such as "0.002 USD" -> "3 USD"
    [E0202]: `EUR` is not a unit of an amount of money
    [E0202]: `dollars` is not a unit of an amount of money -> "3 USD"
    [E0205]: "0.0000000001 USD" is finer than a billionth of a dollar
    [E0201]: expected a size with its unit, found the number 64 -> "64B"
    [E0202]: `KB` is not a unit of size -> "64kB"
    [E0202]: `k` is not a unit of size -> "64kB"
    [E0205]: "0.5B" is finer than a byte
    [E0202]: `Mbit/s` is not a unit of size
    [E0202]: `Mbps` is not a unit of bandwidth -> "10Mbit/s"
    [E0202]: `MBit/s` is not a unit of bandwidth -> "10Mbit/s"
    [E0201]: "10" has no unit: expected a bandwidth such as "10Mbit/s" -> "10Mbit/s"
    [E0202]: `MB` is not a unit of bandwidth
    [E0204]: a probability lies between 0 and 1, found 2 -> "2%"
    [E0204]: a probability lies between 0 and 1, found -0.1
    [E0204]: a probability lies between 0 and 1, found 1.5 -> "1.5%"
    [E0204]: a probability lies between 0 and 1, found 2
    [E0203]: expected a probability such as 0.02 or "2%" -> 0.5
    [E0204]: a probability lies between 0 and 1, found NaN
    [E0106]: expected a probability such as 0.02 or "2%", found `true`
    [E0204]: a probability lies between 0 and 1, found -0.01
    [E0201]: expected a signed duration with its unit, found the number 5 -> "5s"
    [E0202]: `x` is not a unit of signed duration
    [E0204]: "-9999999999s" is too large for a signed duration
    [E0203]: "--5s" is not a signed duration such as "-200ms"
    [E0201]: expected a drift with its unit, found the number 50 -> "50ppm"
    [E0202]: `%` is not a unit of drift
    [E0204]: expected more than zero, found the text "0s"
    [E0201]: expected a duration with its unit, found the number 0 -> "0s"
    [E0204]: expected more than zero, found the number 0
    [E0107]: -1 is out of range: expected a whole number
    "###
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_survives_its_text(n in any::<u64>(), small in 0_u64..100_000, i in any::<i64>(), m in 0..i128::MAX) {
        for d in [SimDuration::from_nanos(n), SimDuration::from_nanos(small), SimDuration::from_millis(small)] {
            prop_assert_eq!(from_text::<SimDuration>(&to_text(&d)).unwrap(), d);
        }
        prop_assert_eq!(SignedDuration(i).to_string().parse::<SignedDuration>().unwrap(), SignedDuration(i));
        prop_assert_eq!(Drift(i).to_string().parse::<Drift>().unwrap(), Drift(i));
        prop_assert_eq!(Bytes(n).to_string().parse::<Bytes>().unwrap(), Bytes(n));
        prop_assert_eq!(Bandwidth(n).to_string().parse::<Bandwidth>().unwrap(), Bandwidth(n));
        let m = Money(m % 10_i128.pow(27));
        prop_assert_eq!(m.to_string().parse::<Money>().unwrap(), m);
        let rate = Rate::new(small, SimDuration::from_nanos(n.max(1))).unwrap();
        prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate, "{}", rate);
    }

    #[test]
    fn no_text_does_harm(text in "[-+0-9._]{0,44} ?[a-zA-Z/%µ$]{0,6}") {
        let _ = super::kinds::quantity_from_text::<SimDuration>(&text);
        let _ = text.parse::<Rate>();
        let _ = text.parse::<Money>();
        let _ = from_text::<Probability>(&format!("{text:?}"));
    }
}
