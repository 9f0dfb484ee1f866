//! `quorate judge` as a user runs it: verdicts and exit codes, what is shown, formats, conversion, bad input.

mod common;

use common::{Place, files, json, out, text};
use std::process::Output;

/// A stale read: 1 comes back after 2 was acknowledged.
const STALE: &str = r#"{"process":0,"type":"invoke","op":"write","value":1,"time":0}
{"process":0,"type":"ok","op":"write","time":1000000}
{"process":1,"type":"invoke","op":"read","time":1500000}
{"process":1,"type":"ok","op":"read","value":1,"time":1700000}
{"process":0,"type":"invoke","op":"write","value":2,"time":2000000}
{"process":0,"type":"ok","op":"write","time":3000000}
{"process":1,"type":"invoke","op":"read","time":4000000}
{"process":1,"type":"ok","op":"read","value":1,"time":5000000}
"#;

fn place(history: &str) -> Place {
    let place = Place::with("");
    place.write("h", history);
    place
}

fn judge(history: &str, args: &[&str]) -> Output {
    let mut all = vec!["judge", "h"];
    all.extend(args);
    place(history).run(&all)
}

#[test]
fn a_stale_read_is_shown_with_its_smallest_part_a_sentence_and_a_timeline() {
    let ran = judge(STALE, &["--model", "linearizable", "--model", "sequential"]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    insta::assert_snapshot!(out(&ran));
    assert!(out(&ran).lines().all(|line| line.chars().count() <= 100));
    let holds = judge(STALE, &["--model", "sequential"]);
    assert_eq!(holds.status.code(), Some(0));
    assert_eq!(
        out(&holds),
        "h: 4 operations of 2 processes, 1 object (register)\nsequential  holds\n"
    );
}

#[test]
fn json_says_the_same_for_programs() {
    let ran = judge(STALE, &["--model", "linearizable", "--format", "json"]);
    assert_eq!(ran.status.code(), Some(1));
    let report = json(&ran.stdout);
    assert_eq!(report["spec"], "register");
    let judged = &report["judgements"][0];
    assert_eq!(
        (judged["verdict"].as_str(), judged["violation"]["kind"].as_str()),
        (Some("violated"), Some("stale read"))
    );
    let names: Vec<&str> = judged["violation"]["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["w1", "w3", "r4"]);
    assert_eq!(judged["violation"]["operations"][2]["line"], 7);
    assert_eq!(judged["violation"]["smallest"], true);
}

#[test]
fn an_operation_of_unknown_outcome_takes_effect_late_or_never() {
    let open = "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :info :f :write :value :timed-out}";
    for (reads, code) in [("1 1", 0), ("nil 1", 0), ("1 nil", 1), ("nil nil", 0)] {
        let mut history = open.to_string();
        for value in reads.split(' ') {
            history.push_str(&format!(
                "{{:process 1 :type :invoke :f :read :value nil}} {{:process 1 :type :ok :f :read :value {value}}}\n"
            ));
        }
        let ran = judge(&history, &["--model", "linearizable"]);
        assert_eq!(ran.status.code(), Some(code), "{reads}: {}", out(&ran));
    }
}

#[test]
fn the_formats_of_others_are_read() {
    // In the form of Porcupine's etcd logs: a refused cas has found another value, which here can't be.
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t3\nINFO  jepsen.util - 0\t:ok\t:write\t3\n\
               INFO  jepsen.util - 1\t:invoke\t:cas\t[3 4]\nINFO  jepsen.util - 1\t:fail\t:cas\t[3 4]\n";
    let ran = judge(log, &["--model", "linearizable"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        out(&ran).contains("Cas c2 from 3 to 4 found another value, but"),
        "{}",
        out(&ran)
    );
    // In Jepsen's histories it only says that it never happened.
    let edn = text(&place(log).run(&["judge", "h", "--convert", "jepsen-edn"]).stdout);
    assert!(
        edn.contains("{:process 1, :type :fail, :f :cas, :value [3 4], :index 3}"),
        "{edn}"
    );
    assert_eq!(judge(&edn, &["--model", "linearizable"]).status.code(), Some(0));
    // In the form of Porcupine's key-value logs: the second append is lost.
    let kv = r#"{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 0 y"}
{:process 0, :type :ok, :f :append, :key "7", :value "x 0 0 y"}
{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 1 y"}
{:process 0, :type :ok, :f :append, :key "7", :value "x 0 1 y"}
{:process 0, :type :invoke, :f :get, :key "8", :value nil}
{:process 0, :type :ok, :f :get, :key "8", :value ""}
{:process 0, :type :invoke, :f :get, :key "7", :value nil}
{:process 0, :type :ok, :f :get, :key "7", :value "x 0 0 y"}
"#;
    let ran = judge(kv, &["--model", "linearizable"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        out(&ran).contains("the register then holds \"x 0 0 yx 0 1 y\""),
        "{}",
        out(&ran)
    );
    assert_eq!(
        judge(kv, &["--model", "causal"]).status.code(),
        Some(2),
        "appends aren't judged under the weaker models"
    );
    // Elle's lists, with a nemesis.
    let elle = "[{:process :nemesis :type :info :f :kill}\n\
                {:process 0 :type :invoke :f :txn :value [[:append 9 1] [:append 8 1]]} {:process 0 :type :ok :f :txn :value [[:append 9 1] [:append 8 1]]}\n\
                {:process 1 :type :invoke :f :txn :value [[:r 9 nil] [:r 8 nil]]} {:process 1 :type :ok :f :txn :value [[:r 9 [1]] [:r 8 nil]]}]";
    let ran = judge(elle, &["--model", "read-atomic"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        out(&ran).contains("Transaction t2 saw 1 of key 9 but not 1 of key 8, both of which t1 appended."),
        "{}",
        out(&ran)
    );
}

#[test]
fn a_history_goes_through_edn_and_comes_back() {
    let edn = out(&place(STALE).run(&["judge", "h", "--convert", "jepsen-edn"]));
    assert!(
        edn.starts_with("{:process 0, :type :invoke, :f :write, :value 1, :time 0, :index 0}\n"),
        "{edn}"
    );
    let back = out(&place(&edn).run(&["judge", "h", "--convert", "jsonl"]));
    let direct = out(&place(STALE).run(&["judge", "h", "--convert", "jsonl"]));
    assert_eq!(back, direct);
    assert_eq!(judge(&back, &["--model", "linearizable"]).status.code(), Some(1));
}

#[test]
fn out_writes_the_part_and_its_timeline() {
    let place = place(STALE);
    assert_eq!(
        place.code(&[
            "judge",
            "h",
            "--model",
            "linearizable",
            "--model",
            "sequential",
            "--out",
            "judged"
        ]),
        1
    );
    let written = files(&place.path("judged/h"));
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "judgement.json",
            "linearizable.jsonl",
            "linearizable.png",
            "linearizable.svg",
            "manifest.json"
        ]
    );
    let svg = text(&written["linearizable.svg"]);
    assert!(svg.contains("Not linearizable: stale read") && svg.contains("w3 write 2") && svg.contains("process 1"));
    assert!(written["linearizable.png"].starts_with(b"\x89PNG"));
    // The part is a history, and violated like the whole.
    place.write("part", &text(&written["linearizable.jsonl"]));
    assert_eq!(place.code(&["judge", "part", "--model", "linearizable"]), 1);
    assert_eq!(json(&written["judgement.json"])["judgements"][1]["verdict"], "holds");
}

#[test]
fn bad_histories_are_refused_with_their_line() {
    let ok = |op: &str, rest: &str| format!("{{\"process\":0,\"type\":\"{op}\"{rest}}}\n");
    let read = ok("invoke", ",\"op\":\"read\"");
    for (history, says) in [
        (format!("{read}{{\"process\":0,\"type\":\"o"), "h:2: error[E0603]: the history ends in the middle of this line"),
        (ok("invoke", ",\"op\":\"increment\""), "h:1: error[E0605]: `increment` is no operation"),
        (ok("ok", ",\"op\":\"read\",\"value\":1"), "h:1: error[E0607]: process 0 is answered"),
        (read.repeat(2), "h:2: error[E0608]: process 0 invokes an operation while its read of line 1 is outstanding"),
        (
            "{\"process\":0,\"type\":\"invoke\",\"op\":\"read\",\"time\":9}\n{\"process\":1,\"type\":\"invoke\",\"op\":\"read\",\"time\":8}\n".to_string(),
            "h:2: error[E0610]: the time goes back from 9 ns in line 1 to 8 ns",
        ),
        ("what is this".to_string(), "h:1: error[E0602]"),
        ("\u{1b}[31m".to_string(), "h:1: error[E0602]"),
    ] {
        let ran = judge(&history, &["--model", "linearizable"]);
        let said = text(&ran.stderr);
        assert_eq!((ran.status.code(), out(&ran).as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(says) && !said.contains('\u{1b}'), "{said}");
    }
    let limited = judge(STALE, &["--model", "linearizable", "--max-operations", "3"]);
    assert_eq!(limited.status.code(), Some(2));
    assert!(
        text(&limited.stderr).contains("h:7: error[E0611]: the history has more than 3 operations"),
        "{}",
        text(&limited.stderr)
    );
    assert!(out(&place("").run(&["help", "E0611"])).contains("--max-operations"));
}

#[test]
fn a_huge_file_is_refused_at_the_limit_and_never_held() {
    // A gigabyte that is never written: the reader stops at the operation beyond the limit, and the rest isn't read.
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(common::QUORATE)
        .args(["judge", "-", "--model", "linearizable", "--max-operations", "50000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let mut sent = 0usize;
    let line = b"{\"process\":3,\"type\":\"invoke\",\"op\":\"write\",\"value\":7}\n{\"process\":3,\"type\":\"ok\",\"op\":\"write\"}\n";
    while sent < 1 << 30 && pipe.write_all(line).is_ok() {
        sent += line.len();
    }
    drop(pipe);
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        text(&ran.stderr).contains("-:100001: error[E0611]: the history has more than 50000 operations"),
        "{}",
        text(&ran.stderr)
    );
    assert!(sent < 1 << 26, "it read {sent} bytes");
}

#[test]
fn what_cannot_be_judged_is_refused_and_what_cannot_be_decided_is_unknown() {
    let queue = "{\"process\":0,\"type\":\"invoke\",\"op\":\"enqueue\",\"value\":1}\n{\"process\":0,\"type\":\"ok\"}\n";
    let refused = judge(queue, &["--model", "causal"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("causal can't be judged for queue: "),
        "{}",
        text(&refused.stderr)
    );
    let other = judge(queue, &["--model", "linearizable", "--spec", "register"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("h:1: error[E0612]: `enqueue` is no operation of register"),
        "{}",
        text(&other.stderr)
    );
    assert!(text(&other.stderr).contains("--spec queue"), "{}", text(&other.stderr));
    let twice = STALE.replace("\"value\":2", "\"value\":1");
    let unknown = judge(&twice, &["--model", "causal"]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(
        out(&unknown).contains("causal  unknown: read r2 returned 1, which both write w1 of 1 and write w3 of 1"),
        "{}",
        out(&unknown)
    );
    let mistyped = judge(STALE, &["--model", "linearisable"]);
    assert_eq!(mistyped.status.code(), Some(2));
    assert!(
        text(&mistyped.stderr).contains("did you mean 'linearizable'?"),
        "{}",
        text(&mistyped.stderr)
    );
    assert_eq!(judge(STALE, &[]).status.code(), Some(2));
    assert_eq!(place("").code(&["judge", "nowhere", "--model", "linearizable"]), 2);
}

#[test]
fn a_small_budget_leaves_a_search_undecided() {
    // Many concurrent writes of few values, and a read at the end that nothing explains.
    let mut history = String::new();
    for process in 0..14 {
        history.push_str(&format!(
            "{{\"process\":{process},\"type\":\"invoke\",\"op\":\"write\",\"value\":{}}}\n",
            process % 7
        ));
    }
    for process in 0..14 {
        history.push_str(&format!("{{\"process\":{process},\"type\":\"ok\"}}\n"));
    }
    for value in [1, 2, 1] {
        history.push_str(&format!("{{\"process\":20,\"type\":\"invoke\",\"op\":\"read\"}}\n{{\"process\":20,\"type\":\"ok\",\"value\":{value}}}\n"));
    }
    let unknown = judge(&history, &["--model", "linearizable", "--budget", "10"]);
    assert_eq!(unknown.status.code(), Some(3), "{}", out(&unknown));
    assert!(
        out(&unknown).contains("linearizable  unknown: the step budget (--budget) was used up"),
        "{}",
        out(&unknown)
    );
    assert_eq!(judge(&history, &["--model", "linearizable"]).status.code(), Some(1));
}

#[test]
fn the_initial_value_is_what_it_is_said_to_be() {
    let history = "{\"process\":0,\"type\":\"invoke\",\"op\":\"read\"}\n{\"process\":0,\"type\":\"ok\",\"value\":0}\n";
    assert_eq!(judge(history, &["--model", "linearizable"]).status.code(), Some(1));
    assert_eq!(
        judge(history, &["--model", "linearizable", "--initial", "0"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn nothing_is_judged_of_nothing_and_a_mark_of_utf_8_is_no_harm() {
    for empty in ["", "\n\n"] {
        let said = judge(empty, &["--model", "linearizable"]);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert!(text(&said.stderr).contains("has no operations"), "{said:?}");
    }
    let plain = "{\"process\": 0, \"type\": \"invoke\", \"op\": \"write\", \"value\": 1}\n\
                 {\"process\": 0, \"type\": \"ok\", \"op\": \"write\", \"value\": 1}\n";
    let marked = judge(&format!("\u{feff}{plain}"), &["--model", "linearizable"]);
    assert_eq!(marked.status.code(), Some(0), "{marked:?}");
}

/// Two writers and a reader of one register, at two sites 100 ms apart; the store is at both, or at one.
fn shared_register(model: &str, at: &str) -> String {
    format!(
        r#"(quorate: 1, name: "register", until: At("60s"), replicates: 1, sites: ["a", "b"],
  network: (default: (one_way: "100ms")),
  state: {{"memory": (at: {at}, keys: {{"note": Register, "done": Counter}}, model: {model})}},
  agents: {{
    "writer": (at: ["a", "b"], count: 2, program: [Repeat(times: 20, steps: [
        Write(key: "note"), Add(key: "done"), Sleep(Exponential(mean: "300ms")),
    ])]),
    "reader": (at: ["a", "b"], count: 2, program: [Repeat(times: 40, steps: [
        Read(key: "note"), Sleep(Exponential(mean: "150ms")),
    ])]),
  }})"#
    )
}

#[test]
fn the_history_of_a_run_is_judged() {
    let run = |model: &str, at: &str| {
        let place = place("");
        place.write("s.ron", &shared_register(model, at));
        let ran = place.run(&["history", "s.ron"]);
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        assert!(
            text(&ran.stderr).contains("40 operations on counters, sets, maps or texts left out"),
            "{ran:?}"
        );
        place.write("h.jsonl", &out(&ran));
        // 40 writes and 80 reads, each asked and answered.
        assert_eq!(out(&ran).lines().count(), 240);
        place
    };
    // One replica is linearizable. Two that tell each other later are not, but keep sessions that stay where they are.
    let one = run("LastWriteWins", "\"a\"");
    assert_eq!(one.code(&["judge", "h.jsonl", "--model", "linearizable"]), 0);
    let two = run("LastWriteWins", "[\"a\", \"b\"]");
    let judged = two.run(&["judge", "h.jsonl", "--model", "linearizable"]);
    assert_eq!(judged.status.code(), Some(1), "{}", out(&judged));
    assert_eq!(two.code(&["judge", "h.jsonl", "--model", "read-your-writes"]), 0);
    assert_eq!(two.code(&["judge", "h.jsonl", "--model", "monotonic-reads"]), 0);
    // It reads in the format of others as well, and the same scenario always has the same history.
    two.write("h.edn", &out(&two.run(&["history", "s.ron", "--format", "jepsen-edn"])));
    assert_eq!(two.code(&["judge", "h.edn", "--model", "linearizable"]), 1);
    assert_eq!(
        out(&two.run(&["history", "s.ron"])),
        text(&std::fs::read(two.path("h.jsonl")).unwrap())
    );
    assert_ne!(
        out(&two.run(&["history", "s.ron", "--replicate", "1"])),
        out(&two.run(&["history", "s.ron"]))
    );
    // A run that is stopped says so, and what it had done until then stands.
    let echo = "\"echo\": (at: \"a\", count: 2, program: [Sleep(\"1s\"), Send(to: Any(\"echo\"), topic: \"x\")], \
                on: {\"x\": [Send(to: Sender, topic: \"x\")]}), \"reader\":";
    let endless = shared_register("LastWriteWins", "\"a\"").replace("\"reader\":", echo);
    two.write("endless.ron", &endless);
    let stopped = two.run(&["history", "endless.ron"]);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    assert!(text(&stopped.stderr).contains("the run was stopped at "), "{stopped:?}");
    let unknown = two.run(&["history", "s.ron", "--variant", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(2));
    // Values that stand beside each other are no register's.
    two.write("s.ron", &shared_register("VersionVectors()", "[\"a\", \"b\"]"));
    let siblings = two.run(&["history", "s.ron"]);
    assert_eq!((siblings.status.code(), out(&siblings).as_str()), (Some(2), ""));
    assert!(
        text(&siblings.stderr).contains("values beside each other"),
        "{siblings:?}"
    );
}
