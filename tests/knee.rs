//! `quorate knee` as a user runs it. The scenario is a tenth of `scenarios/validation/metastable.ron`: a server that works on 30 requests a
//! second and stands still for ten, whose clients try a second time at once after a second.
//!
//! While every call makes two attempts, the backlog of 20 lambda requests shrinks by 30 - 2 lambda a second: from 15/s on never. A run that
//! watches for T seconds sees it gone only below the load at which that takes T.

mod common;

use common::{Place, json, out, text};
use serde_json::Value;

const SERVER: &str = r#"(
    quorate: 1,
    name: "server",
    question: "From which load on does an outage last?",
    base: "two attempts",
    seed: 1,
    until: At("200s"),
    sites: ["here"],
    services: {"server": (at: "here", servers: 1, time: "33333333ns")},
    policies: {"retry": (timeout: "1s", attempts: 2)},
    agents: {"client": (count: Stream(), at: "here", start: Poisson(rate: "28/s"), program: [Call(service: "server", policy: "retry")])},
    faults: {"outage": Stall(services: "server", at: "20s", for: "10s")},
    variants: {
        "one attempt": [Set(path: "policies.retry.attempts", to: 1)],
        "at 9/s": [Set(path: "agents.client.start.rate", to: "9/s")],
    },
    knee: (path: "agents.client.start.rate", from: "8/s", to: "28/s", precision: "6%"),
)
"#;

/// The same, watched for half a minute: enough to tell 8/s from 28/s.
fn brief() -> String {
    SERVER.replace("\"200s\"", "\"60s\"")
}

/// The loads between which a search for the load at which a run hasn't recovered by its end found the knee, and where.
fn unrecovered(place: &Place, more: &[&str]) -> (f64, f64, f64) {
    let mut args = vec![
        "knee",
        "tiny.ron",
        "--variant",
        "base",
        "--format",
        "json",
        "--no-output",
    ];
    args.extend(["--measure", "fault.outage.unrecovered", "--above", "0"]);
    args.extend(more);
    let ran = place.run(&args);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let found = json(&ran.stdout)["variants"][0].clone();
    assert_eq!(found["outcome"], "knee", "{found}");
    let of = |name: &str| found[name].as_f64().unwrap();
    (of("low"), of("at"), of("high"))
}

#[test]
fn the_knee_of_one_retry_lies_at_half_of_the_capacity_less_what_the_horizon_takes() {
    // 170 s after the outage, of which the last five have to be good: 20 lambda = 165 (30 - 2 lambda).
    let (low, at, high) = unrecovered(&Place::with(SERVER), &[]);
    let predicted = 165.0 * 30.0 / (20.0 + 2.0 * 165.0);
    assert!(
        low < predicted + 0.3 && predicted - 0.3 < high,
        "{low} to {high} for {predicted}"
    );
    assert!(low <= at && at <= high && high - low <= 0.06 * (low + high) / 2.0);
    // Watched for 970 s it is nearer to 15/s.
    let long = Place::with(&SERVER.replace("\"200s\"", "\"1000s\""));
    let (from, _, to) = unrecovered(
        &long,
        &["--from", "13.6/s", "--to", "16/s", "--points", "3", "--precision", "5%"],
    );
    let predicted = 965.0 * 30.0 / (20.0 + 2.0 * 965.0);
    assert!(
        from < predicted + 0.3 && predicted - 0.3 < to,
        "{from} to {to} for {predicted}"
    );
    assert!(from > low, "{from} after {low}");
}

#[test]
fn runs_whose_backlog_still_shrinks_stay_in_the_interval() {
    let ran = Place::with(SERVER).run(&[
        "knee",
        "tiny.ron",
        "--variant",
        "base",
        "--format",
        "json",
        "--no-output",
    ]);
    assert_eq!(ran.status.code(), Some(3), "the interval is wider than asked for");
    let found = &json(&ran.stdout)["variants"][0];
    assert_eq!((&found["outcome"], &found["precise"]), (&"knee".into(), &false.into()));
    let (low, high) = (found["low"].as_f64().unwrap(), found["high"].as_f64().unwrap());
    assert!(
        (13.0..15.0).contains(&low) && (14.5..16.5).contains(&high),
        "{low} to {high}"
    );
    let points = found["points"].as_array().unwrap();
    let inside = |point: &&Value| (low..high).contains(&point["value"].as_f64().unwrap()) && point["side"].is_null();
    let undecided = points
        .iter()
        .filter(inside)
        .map(|point| point["undecided"]["share"].as_f64().unwrap());
    assert!(undecided.fold(0.0, f64::max) > 0.2);
}

#[test]
fn every_variant_has_its_own_answer_and_one_that_never_changes_is_said_plainly() {
    let place = Place::with(&brief());
    let ran = place.run(&[
        "knee",
        "tiny.ron",
        "--measure",
        "fault.outage.unrecovered",
        "--above",
        "0",
        "--precision",
        "20%",
        "--no-output",
    ]);
    let said = out(&ran);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let row = |name: &str| {
        said.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{said}"))
    };
    assert!(row("two attempts").contains("no before, yes beyond"), "{said}");
    // A variant's own value of the parameter doesn't stand in the way.
    assert!(row("at 9/s").contains("no before, yes beyond"), "{said}");
    let knee = |name: &str| {
        row(name)
            .split_once("  ")
            .unwrap()
            .1
            .trim()
            .split("  ")
            .next()
            .unwrap()
            .to_string()
    };
    assert_eq!(knee("two attempts"), knee("at 9/s"));
    // 25 s for the backlog: 20 lambda = 25 (30 - 2 lambda), and of one attempt 10 lambda = 25 (30 - lambda).
    let at = |name: &str| knee(name).trim_end_matches("/s").parse::<f64>().unwrap();
    assert!(
        (at("two attempts") - 10.7).abs() < 1.5 && (at("one attempt") - 21.4).abs() < 3.0,
        "{said}"
    );
    let never = place.run(&["knee", "tiny.ron", "--to", "9/s", "--variant", "base", "--no-output"]);
    assert_eq!(never.status.code(), Some(3));
    assert!(
        out(&never).contains("herd.metastable: no at every value looked at"),
        "{}",
        out(&never)
    );
}

#[test]
fn the_knee_of_a_count_is_a_count_and_units_are_those_of_the_answer() {
    // A hundred a second take three and a third servers; with four hardly anybody waits for a second.
    let many = SERVER
        .replace("28/s", "100/s")
        .replace("faults: {\"outage\"", "faults: {}, // {\"outage\"");
    let place = Place::with(&many.replace("\"200s\"", "\"30s\""));
    let common = [
        "knee",
        "tiny.ron",
        "--variant",
        "base",
        "--no-output",
        "--above",
        "1.05",
    ];
    let of = |more: &[&str]| {
        let ran = place.run(&[&common, more].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", out(&ran) + &text(&ran.stderr));
        out(&ran)
    };
    let servers = [
        "--path",
        "services.server.servers",
        "--from",
        "1",
        "--to",
        "12",
        "--measure",
        "calls.amplification",
    ];
    let said = of(&servers);
    let row = said
        .lines()
        .find(|line| line.starts_with("two attempts"))
        .unwrap()
        .to_string();
    let words: Vec<&str> = row.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(
        words[..4],
        ["two attempts", "4", "3 to 4", "yes before, no beyond"],
        "{said}"
    );
    let document = json(&of(&[&servers[..], &["--format", "json"]].concat()).into_bytes());
    let found = &document["variants"][0];
    assert_eq!(
        (&found["low"], &found["at"], &found["high"]),
        (&3.0.into(), &4.0.into(), &4.0.into())
    );
    let points = found["points"].as_array().unwrap();
    assert!(
        points
            .iter()
            .all(|point| point["value"].as_f64().unwrap().fract() == 0.0),
        "{points:?}"
    );

    // From milliseconds to seconds, in one unit: what takes longer than the timeout of a second is given up.
    let work = [
        "--path",
        "services.server.time",
        "--from",
        "10ms",
        "--to",
        "3s",
        "--measure",
        "calls.amplification",
        "--precision",
        "30%",
    ];
    let said = of(&[&work[..], &["--set", "services.server.servers=150"]].concat());
    assert!(said.contains("from 0.01 s to 3 s"), "{said}");
    let row = said.lines().find(|line| line.starts_with("two attempts")).unwrap();
    let ends = row.split("  ").find(|part| part.contains(" to ")).unwrap();
    let (low, high) = ends.trim().trim_end_matches(" s").split_once(" s to ").unwrap();
    let [low, high] = [low, high].map(|end| end.parse::<f64>().unwrap());
    assert!(low < 1.0 && 1.0 <= high && !row.contains("ms"), "{said}");
}

#[test]
fn the_same_comes_out_on_any_number_of_threads() {
    let place = Place::with(&brief());
    let ran = |jobs: &str| {
        let args = [
            "knee",
            "tiny.ron",
            "--measure",
            "fault.outage.unrecovered",
            "--above",
            "0",
            "--precision",
            "20%",
            "--format",
            "json",
            "--no-output",
            "--jobs",
            jobs,
        ];
        place.run(&args).stdout
    };
    let one = ran("1");
    assert!(json(&one)["variants"].as_array().unwrap().len() == 3);
    assert_eq!(text(&one), text(&ran("2")));
}

#[test]
fn the_folder_of_the_knee_stays_when_the_scenario_is_run() {
    let place = Place::with(&brief());
    let knee = [
        "knee",
        "tiny.ron",
        "--measure",
        "fault.outage.unrecovered",
        "--above",
        "0",
        "--precision",
        "40%",
        "--points",
        "2",
        "--variant",
        "base",
    ];
    assert_eq!(place.code(&knee), 0);
    let folder = place.path("outputs/server/knee");
    let before = common::files(&folder);
    let names: Vec<&str> = before.keys().map(String::as_str).collect();
    for name in [
        "knee.json",
        "points.csv",
        "manifest.json",
        "plots/verdict.png",
        "plots/goodput.svg",
        "plots/amplification.png",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    assert_eq!(place.code(&["run", "tiny.ron", "--replicates", "1"]), 0);
    assert!(place.path("outputs/server/results.json").is_file());
    assert_eq!(common::files(&folder), before);
    place.code(&knee);
    assert_eq!(common::files(&folder), before);
    assert!(place.path("outputs/server/results.json").is_file());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let place = Place::with(&brief());
    place.write("plain.ron", &brief().replace("    knee:", "    // knee:"));
    place.write(
        "wrong.ron",
        &brief().replace("from: \"8/s\", to: \"28/s\"", "from: \"28/s\", to: \"8s\""),
    );
    place.write(
        "nowhere.ron",
        &brief().replace(
            "path: \"agents.client.start.rate\", from",
            "path: \"agents.client.start.rte\", from",
        ),
    );
    for (args, said) in [
        (&["plain.ron"][..], "say which parameter"),
        (&["plain.ron", "--path", "agents.client.start.rate"], "say from where"),
        (&["tiny.ron", "--from", "30/s"], "isn't below its end"),
        (
            &["tiny.ron", "--from", "1s"],
            "the range begins with a duration and ends with a rate",
        ),
        (&["tiny.ron", "--from", "many"], "`many` is no number"),
        (
            &["tiny.ron", "--path", "agents.client.start.rte"],
            "a Poisson has no field `rte`",
        ),
        (
            &["tiny.ron", "--measure", "herd.metastabel"],
            "did you mean herd.metastable?",
        ),
        (&["tiny.ron", "--above", "1"], "is a yes or no, and takes no `above`"),
        (
            &["tiny.ron", "--measure", "calls.goodput"],
            "say which value is one, with `above`",
        ),
        (
            &["tiny.ron", "--measure", "calls.goodput", "--above", "1s"],
            "calls.goodput is in 1/s",
        ),
        (
            &["tiny.ron", "--replicates", "3"],
            "decide nothing with this confidence",
        ),
        (&["tiny.ron", "--confidence", "20%"], "a confidence lies"),
        (&["tiny.ron", "--variant", "none"], "there is no variant"),
        (&["wrong.ron"], "E0540"),
        (&["nowhere.ron"], "with agents.client.start.rte at 8/s"),
    ] {
        let mut all = vec!["knee"];
        all.extend(args);
        let ran = place.run(&all);
        let errors = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
    assert!(!place.path("outputs").exists(), "nothing was begun");
}
