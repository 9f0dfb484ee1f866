//! What a run leaves behind: it can be run again from there, and replaces nobody else's.

mod common;

use common::{Place, TINY, files, json, out, text};
use std::fs;

/// The results of a run, and its fingerprints.
fn results(place: &Place, folder: &str) -> (String, serde_json::Value) {
    let read = |name: &str| fs::read(place.path(folder).join(name)).unwrap();
    (
        text(&read("results.json")),
        json(&read("manifest.json"))["fingerprints"].clone(),
    )
}

#[test]
fn the_written_scenario_is_what_was_run_and_runs_anywhere() {
    // Data files are declared in the scenario, in an included file, by an override and by variants; two are called alike.
    let scenario = TINY
        .replace("quorate: 1,", "quorate: 1,\n    include: [\"parts/more.ron\"],")
        .replace(
            "sites: [",
            "data: {\"tool\": (file: \"tool.csv\"), \"unused\": (file: \"nowhere.csv\")},\n    sites: [",
        )
        .replace("Exponential(mean: \"20ms\")", "Empirical(data: \"tool\", column: \"s\", unit: \"1s\")")
        .replace("Think(\"10ms\")", "Think(Empirical(data: \"think\", column: \"s\", unit: \"1s\"))")
        .replace(
            "\"far\": [",
            "\"quick\": [Set(path: \"data.tool.file\", to: \"quick.csv\")],\n        \"slow\": [Set(path: \"data.tool\", to: (file: \"slow.csv\"))],\n        \"far\": [",
        )
        .replace(
            "// more",
            "Measure(name: \"task.time.mean\", variant: \"quick\", over: \"slow\", is: AtMost(\"-1ms\")),\n        \
             Measure(name: \"task.time.mean\", variant: \"far\", is: AtLeast(\"1ms\")),",
        );
    let place = Place::with(&scenario);
    fs::create_dir_all(place.path("parts/own")).unwrap();
    place.write("parts/more.ron", "(data: {\"think\": (file: \"own/tool.csv\")})");
    place.write("parts/own/tool.csv", "s\n0.01\n0.02\n0.03\n");
    place.write("tool.csv", "s\n0.02\n0.05\n");
    place.write("quick.csv", "s\n0.001\n0.002\n");
    place.write("slow.csv", "s\n0.5\n0.6\n");
    place.write("set.csv", "s\n0.2\n0.3\n");
    for (name, args) in [
        ("plain", &[][..]),
        ("seed", &["--seed", "18446744073709551615", "--replicates", "2"][..]),
        (
            "set",
            &["--set", "data.tool.file=set.csv", "--set", "question=\"Why?\""],
        ),
        ("variants", &["--variant", "quick", "--variant", "slow"]),
        ("base", &["--variant", "base", "--seed", "8"]),
    ] {
        let ran = place.run(&[&["run", "tiny.ron", "--out", name][..], args].concat());
        assert_eq!(ran.status.code(), Some(0), "{name}: {}{}", text(&ran.stderr), out(&ran));
        // Somewhere else, without the files that the scenario was made of.
        let elsewhere = Place::with("nothing");
        let folder = place.path(name).join("tiny");
        for (path, bytes) in files(&folder) {
            if path == "scenario.ron" || path.starts_with("data/") {
                fs::create_dir_all(elsewhere.path(&path).parent().unwrap()).unwrap();
                fs::write(elsewhere.path(&path), bytes).unwrap();
            }
        }
        let again = elsewhere.run(&["run", "scenario.ron"]);
        assert_eq!(again.status.code(), Some(0), "{name}: {}", text(&again.stderr));
        assert_eq!(
            results(&place, &format!("{name}/tiny")),
            results(&elsewhere, "outputs/tiny"),
            "{name}"
        );
        // And once more from what that has written.
        let third = elsewhere.run(&["run", "outputs/tiny/scenario.ron", "--out", "third"]);
        assert_eq!(third.status.code(), Some(0), "{name}: {}", text(&third.stderr));
        assert_eq!(
            results(&elsewhere, "outputs/tiny"),
            results(&elsewhere, "third/tiny"),
            "{name}"
        );
        // So says the printed command.
        let line = out(&ran);
        let command = line
            .lines()
            .last()
            .unwrap()
            .split("reproduce: quorate ")
            .nth(1)
            .unwrap();
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        let printed = place.run(&[&words[..], &["--out", "printed"]].concat());
        assert_eq!(printed.status.code(), Some(0), "{command}: {}", text(&printed.stderr));
        assert_eq!(
            results(&place, &format!("{name}/tiny")),
            results(&place, "printed/tiny"),
            "{command}"
        );
    }
    let manifest = json(&fs::read(place.path("plain/tiny/manifest.json")).unwrap());
    let data: Vec<&String> = manifest["data"].as_object().unwrap().keys().collect();
    assert_eq!(
        data,
        ["data/2-tool.csv", "data/quick.csv", "data/slow.csv", "data/tool.csv"]
    );
    let copy = manifest["data"]["data/quick.csv"].as_str().unwrap();
    assert_eq!(copy, blake3::hash(b"s\n0.001\n0.002\n").to_hex().as_str());
    // What only the variants that weren't run read isn't there.
    assert!(!place.path("base/tiny/data/quick.csv").exists());
    assert!(place.path("variants/tiny/data/quick.csv").exists());
}

#[test]
fn the_place_of_a_data_file_is_no_part_of_a_scenario_but_its_content_is() {
    let hash = |file: &str, content: &str| {
        let place = Place::with(
            &TINY
                .replace("sites: [", &format!("data: {{\"tool\": (file: \"{file}\")}}, sites: ["))
                .replace(
                    "Exponential(mean: \"20ms\")",
                    "Empirical(data: \"tool\", column: \"s\", unit: \"1s\")",
                ),
        );
        place.write(file, content);
        assert_eq!(place.code(&["run", "tiny.ron"]), 0);
        json(&fs::read(place.path("outputs/tiny/results.json")).unwrap())["scenario_hash"].clone()
    };
    assert_eq!(hash("a.csv", "s\n1\n"), hash("b.csv", "s\n1\n"));
    assert_ne!(hash("a.csv", "s\n1\n"), hash("a.csv", "s\n2\n"));
}

#[test]
fn names_that_no_folder_can_have_are_refused_when_a_scenario_is_checked() {
    for (name, near) in [
        ("übung", "uebung"),
        ("äbung", "aebung"),
        ("two sites", "two_sites"),
        ("nul", "nul_scenario"),
    ] {
        let place = Place::with(&TINY.replace("\"tiny\"", &format!("\"{name}\"")));
        let checked = place.run(&["check", "tiny.ron"]);
        assert_eq!(checked.status.code(), Some(2), "{name}");
        let said = text(&checked.stderr);
        assert!(
            said.contains("E0475") && said.contains(&format!("write \"{near}\"")),
            "{said}"
        );
    }
    let long = "x".repeat(300);
    let place = Place::with(&TINY.replace("\"tiny\"", &format!("\"{long}\"")));
    assert_eq!(place.code(&["check", "tiny.ron"]), 2);
    // Names that differ have folders that differ.
    let place = Place::with(&TINY.replace("\"tiny\"", "\"a-b\""));
    place.write("other.ron", &TINY.replace("\"tiny\"", "\"a_b\""));
    assert_eq!(
        (place.code(&["run", "tiny.ron"]), place.code(&["run", "other.ron"])),
        (0, 0)
    );
    assert!(place.path("outputs/a-b/results.json").exists() && place.path("outputs/a_b/results.json").exists());
}

#[test]
fn the_folder_of_another_scenario_is_never_replaced() {
    let place = Place::with(TINY);
    assert_eq!(place.code(&["run", "tiny.ron"]), 0);
    fs::rename(place.path("outputs/tiny"), place.path("outputs/mine")).unwrap();
    place.write("mine.ron", &TINY.replace("\"tiny\"", "\"mine\""));
    let before = files(&place.path("outputs"));
    let refused = place.run(&["run", "mine.ron"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains("another scenario, 'tiny'") && said.contains("--out"),
        "{said}"
    );
    // A manifest that says nothing protects as well.
    fs::write(place.path("outputs/mine/manifest.json"), "{}").unwrap();
    assert_eq!(place.code(&["run", "mine.ron"]), 2);
    fs::write(place.path("outputs/mine/manifest.json"), &before["mine/manifest.json"]).unwrap();
    assert_eq!(
        files(&place.path("outputs")),
        before,
        "nothing is left behind, no lock either"
    );
}

#[test]
fn a_window_without_a_value_has_an_empty_field() {
    // A call every other second, in windows of one.
    let place = Place::with(
        r#"(
            quorate: 1, name: "gaps", seed: 1, replicates: 1, until: At("10s"), window: "1s", sites: ["a"],
            services: {"s": (at: "a", time: "10ms")},
            agents: {"g": (count: Stream(), at: "a", start: Tick(every: "2s"), program: [Call(service: "s")])},
        )"#,
    );
    assert_eq!(place.code(&["run", "tiny.ron", "--out", "o"]), 0);
    let series = fs::read_to_string(place.path("o/gaps/series.csv")).unwrap();
    let values: Vec<&str> = series
        .lines()
        .filter(|line| line.contains(",calls.amplification,"))
        .map(|line| line.rsplit(',').next().unwrap())
        .collect();
    assert_eq!(values, ["1", ""].repeat(5));
}

/// Two replicas, one of which is cut off in a variant, and replicas that crash one by one.
const FAULTS: &str = r#"(
    quorate: 1, name: "faults", seed: 1, replicates: 2, until: At("20s"), sites: ["a", "b"],
    network: (default: (one_way: "20ms")),
    state: {"s": (at: ["a", "b"], keys: {"k": Register}, model: LastWriteWins)},
    agents: {"w": (count: 2, at: ["a", "b"], on_failure: Continue, program: [
        Repeat(times: Forever, steps: [Think("100ms"), Write(key: "k")])])},
    variants: {
        "cut": [Set(path: "faults", to: {"cut": Partition(groups: [["a"], Rest], at: "5s", for: "5s")})],
        "crashes": [Set(path: "faults", to: {"crash": Crash(who: "s", each: Member, when: Drawn(to_failure: Exponential(mean: "4s"),
            to_repair: "1s"))})],
    },
)"#;

#[test]
fn faults_are_shaded_where_they_were_and_listed_with_whom_they_hit() {
    let scenario = common::read(FAULTS);
    let options = quorate::experiment::Options {
        seed: scenario.seed,
        replicates: scenario.replicates,
        ..Default::default()
    };
    let provenance = quorate::experiment::results::Provenance {
        scenario: scenario.name.clone(),
        question: scenario.question.clone(),
        answers: scenario.answers.clone(),
        hash: scenario.hash.clone(),
        seed: options.seed,
        warm_up: scenario.variants[0].warm_up,
        base_title: scenario.base_title.clone(),
        variants: scenario.variants.iter().map(|plan| plan.variant.clone()).collect(),
    };
    let grid = quorate::experiment::Grid::new(&scenario.variants, options);
    let mut gathering = quorate::experiment::Gathering::new(provenance);
    let stop = std::sync::atomic::AtomicBool::new(false);
    grid.for_each_replicate(&stop, &|_| {}, &mut |cells| gathering.add(cells))
        .unwrap();
    let results = gathering.finish();
    let charts = quorate::output::pictures::charts(&results);
    let (_, chart) = charts.iter().find(|(name, _)| name == "divergence").unwrap();
    let quorate::output::plots::Chart::TimeSeries(chart) = chart else {
        panic!("it is over time")
    };
    let shades: Vec<Vec<(&str, f64, f64)>> = chart
        .panels
        .iter()
        .map(|panel| {
            panel
                .shades
                .iter()
                .map(|of| (of.label.as_str(), of.from, of.to))
                .collect()
        })
        .collect();
    let of = |name: &str| {
        results
            .variants
            .iter()
            .position(|variant| variant.name == name)
            .unwrap()
    };
    assert!(shades[of("base")].is_empty() && chart.shades.is_empty(), "{shades:?}");
    assert_eq!(shades[of("cut")], [("cut", 5.0, 10.0)]);
    assert!(shades[of("crashes")].iter().all(|(label, ..)| *label == "crash") && !shades[of("crashes")].is_empty());

    let place = Place::with(FAULTS);
    assert_eq!(place.run(&["run", "tiny.ron"]).status.code(), Some(0));
    let table = std::fs::read_to_string(place.path("outputs/faults/faults.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("variant,replicate,fault,target,member,start_s,end_s")
    );
    assert!(table.contains("\ncut,0,cut,,,5,10\n"), "{table}");
    for member in 0..2 {
        assert!(
            lines
                .clone()
                .any(|line| line.starts_with(&format!("crashes,0,crash,s,{member},"))),
            "{table}"
        );
    }
}
