//! The readers on good and bad input, and what is written read again.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<History, Problems> {
    read(text.as_bytes(), Reading::default())
}

fn good(text: &str) -> History {
    parse(text).unwrap_or_else(|problems| panic!("{}", problems.shown("h")))
}

fn bad(text: &str) -> Problem {
    let problems = parse(text).expect_err(text);
    problems.list[0].clone()
}

fn written(history: &History, format: Writing) -> String {
    let mut out = Vec::new();
    write(history, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_three_formats_say_the_same() {
    let lines = "{\"process\":3,\"type\":\"invoke\",\"op\":\"write\",\"value\":1}\n\
                 {\"process\":4,\"type\":\"invoke\",\"op\":\"read\"}\n\
                 {\"process\":3,\"type\":\"ok\",\"op\":\"write\",\"value\":1}\n\
                 {\"process\":4,\"type\":\"ok\",\"value\":1}\n\
                 {\"process\":4,\"type\":\"invoke\",\"op\":\"cas\",\"value\":[1,2]}\n\
                 {\"process\":4,\"type\":\"info\",\"op\":\"cas\"}\n";
    let edn = "[{:process 3, :type :invoke, :f :write, :value 1} ; a comment\n\
               {:process :nemesis, :type :info, :f :kill, :value #{\"n1\" [1 {}]}}\n\
               #jepsen.history.Op{:process 4 :type :invoke :f :read :value nil :error [:a \"b\\\"\\n\"]}\n\
               {:process 3, :type :ok, :f :write, :value 1}, {:process 4, :type :ok, :f :read, :value 1}\n\
               #_{:process 9} {:process 4, :type :invoke, :f :cas, :value [1 2]}\n\
               {:process 4, :type :info, :f :cas, :value :timed-out}]\n";
    let log = "INFO  jepsen.util - 3\t:invoke\t:write\t1\nINFO  jepsen.core - whatever\nINFO  jepsen.util - :nemesis\t:info\t:start\tnil\n\
               INFO  jepsen.util - 4 \t:invoke :read \tnil \t:hint 0\nINFO  jepsen.util - 3\t:ok\t:write\t1\n\
               INFO  jepsen.util - 4\t:ok\t:read\t1\nINFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 4\t:info\t:cas\t:timed-out\n";
    let all: Vec<History> = [lines, edn, log].into_iter().map(good).collect();
    for history in &all {
        let strip = |of: &Operation| Operation {
            line: 0,
            response_line: 0,
            ..*of
        };
        let plain = |history: &History| history.operations().iter().map(strip).collect::<Vec<_>>();
        assert_eq!(plain(history), plain(&all[0]));
        assert_eq!(history.processes(), [3, 4]);
        assert_eq!(history.name(2), "c3");
    }
    let [write, read, cas] = *all[0].operations() else {
        panic!()
    };
    assert_eq!(
        (write.line, write.response_line, write.invoked, write.returned),
        (1, 3, 0, 2)
    );
    assert!(matches!(read.action, Action::Read { saw: Saw::One(value), .. } if *all[0].value(value) == Value::Int(1)));
    assert_eq!((cas.outcome, cas.returned, cas.responded), (Outcome::Info, NEVER, 5));
    assert!(write.precedes(&cas) && !write.precedes(&read) && !cas.precedes(&write));
    assert_eq!(all[1].operations()[1].line, 3);
}

#[test]
fn what_a_refused_cas_says_depends_on_the_format() {
    let log = good("INFO  jepsen.util - 3\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 3\t:fail\t:cas\t[1 2]\n");
    assert_eq!(log.operations()[0].outcome, Outcome::Ok);
    assert!(matches!(log.operations()[0].action, Action::Cas { swapped: false, .. }));
    let edn =
        good("{:process 3, :type :invoke, :f :cas, :value [1 2]}{:process 3, :type :fail, :f :cas, :value [1 2]}");
    assert_eq!(edn.operations()[0].outcome, Outcome::Fail);
    let read = good("INFO  jepsen.util - 3\t:invoke\t:read\tnil\nINFO  jepsen.util - 3\t:fail\t:read\t:timed-out\n");
    assert_eq!(read.operations()[0].outcome, Outcome::Fail);
}

#[test]
fn keys_stand_in_a_field_or_in_the_value() {
    let tuples = good(
        "{:process 0 :type :invoke :f :write :value [:x 3]} {:process 0 :type :ok :f :write :value [:x 3]}
         {:process 0 :type :invoke :f :cas :value [:x [3 4]]} {:process 0 :type :ok :f :cas :value [:x [3 4]]}
         {:process 0 :type :invoke :f :cas :value [3 4]} {:process 0 :type :fail :f :cas :value [3 4]}
         {:process 0 :type :invoke :f :read :value [:x nil]} {:process 0 :type :ok :f :read :value [:x 4]}
         {:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read :value [1 2 3]}
         {:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read :value #{2 1}}",
    );
    let keys: Vec<String> = tuples
        .operations()
        .iter()
        .map(|of| tuples.key(of.action.key().unwrap()).to_string())
        .collect();
    assert_eq!(keys, [":x", ":x", "nil", ":x", "nil", "nil"]);
    assert!(matches!(tuples.operations()[4].action, Action::Read { saw: Saw::Many(span), .. } if span.len() == 3));
    assert_eq!(tuples.keys(), 2);
    let wrong =
        bad("{:process 0 :type :invoke :f :read :value [:x nil]} {:process 0 :type :ok :f :read :value [:y 4]}");
    assert_eq!(wrong.fault, Fault::Mismatch);
    // Porcupine's key-value logs: what isn't there is read as the empty text.
    let kv = good(
        "{:process 0, :type :invoke, :f :get, :key \"7\", :value nil}\n{:process 0, :type :ok, :f :get, :key \"7\", :value \"\"}\n",
    );
    assert!(matches!(
        kv.operations()[0].action,
        Action::Read {
            saw: Saw::One(Val::NIL),
            ..
        }
    ));
}

#[test]
fn transactions_carry_their_reads() {
    let history = good(
        "{:type :invoke, :value [[:append 9 1] [:r 8 nil]], :process 1}
         {:type :ok, :value [[:append 9 1] [:r 8 [4 5]]], :process 1}
         {:type :invoke, :f :txn, :value [[:r 8 nil]], :process 1}
         {:type :fail, :f :txn, :value [[:r 8 [7]]], :process 1}",
    );
    let Action::Txn(span) = history.operations()[0].action else {
        panic!()
    };
    assert!(matches!(history.micros(span), [Micro::Append(_, _), Micro::Read(_, Some(list))] if list.len() == 2));
    let keys = history.keys_of(&history.operations()[0]);
    assert_eq!(keys.len(), 2);
    let other = "{:type :invoke, :value [[:append 9 1]], :process 1} {:type :ok, :value [[:append 9 2]], :process 1}";
    assert_eq!(bad(other).fault, Fault::Mismatch);
    let writes = "{:type :invoke, :f :txn :value [[:w 9 1]], :process 1}";
    assert_eq!(bad(writes).fault, Fault::UnknownOperation);
    let more =
        "{:type :invoke, :value [[:r 9 nil]], :process 1} {:type :ok, :value [[:r 9 nil] [:r 9 nil]], :process 1}";
    assert_eq!(bad(more).fault, Fault::Mismatch);
}

#[test]
fn bad_input_is_refused_with_its_line() {
    let invoke = |op: &str| format!("{{\"process\":0,\"type\":\"invoke\",\"op\":\"{op}\"}}\n");
    for (text, fault, line, says) in [
        (invoke("read") + "{\"process\":0,\"ty", Fault::EndsMidLine, 2, "middle of this line"),
        (invoke("read") + "{\"process\":0,\"ty\n", Fault::NotAnEvent, 2, "no JSON object"),
        (invoke("raed"), Fault::UnknownOperation, 1, "did you mean `read`?"),
        (invoke("increment"), Fault::UnknownOperation, 1, "`increment` is no operation"),
        ("{\"process\":7,\"type\":\"ok\",\"op\":\"read\",\"value\":1}".into(), Fault::NoInvocation, 1, "process 7"),
        (invoke("read") + &invoke("read"), Fault::Overlapping, 2, "its read of line 1 is outstanding"),
        (
            "{\"process\":0,\"type\":\"invoke\",\"op\":\"read\",\"id\":4}\n{\"process\":1,\"type\":\"invoke\",\"op\":\"read\",\"id\":4}".into(),
            Fault::Overlapping,
            2,
            "id 4 is taken: it is the read of process 0 in line 1",
        ),
        (
            "{\"process\":0,\"type\":\"invoke\",\"op\":\"read\",\"time\":5}\n{\"process\":1,\"type\":\"invoke\",\"op\":\"read\",\"time\":4}".into(),
            Fault::TimeGoesBack,
            2,
            "from 5 ns in line 1 to 4 ns",
        ),
        (invoke("read") + "{\"process\":0,\"type\":\"ok\"}", Fault::BadValue, 2, "what was returned"),
        (invoke("read") + "{\"process\":0,\"type\":\"ok\",\"op\":\"write\"}", Fault::Mismatch, 2, "had invoked `read`"),
        (invoke("read") + "{\"process\":0,\"type\":\"okay\"}", Fault::NotAnEvent, 2, "no type"),
        (invoke("cas"), Fault::BadValue, 1, "[from to]"),
        ("{\"process\":-1,\"type\":\"invoke\",\"op\":\"read\"}".into(), Fault::NotAnEvent, 1, "`process`"),
        ("{\"proces\":1}".into(), Fault::NotAnEvent, 1, "did you mean `process`?"),
        ("{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":[1]}".into(), Fault::BadValue, 1, "a collection"),
        ("{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":18446744073709551615}".into(), Fault::BadValue, 1, "64 bits"),
        ("hello".into(), Fault::UnknownFormat, 1, "isn't that of any format"),
        ("\n\nhello".into(), Fault::UnknownFormat, 3, "isn't that of any format"),
        ("[{:process 0, :type :invoke, :f :read, :value nil}\n".into(), Fault::EndsMidLine, 2, "`]` is missing"),
        ("{:process 0, :type :invoke,\n :f :re".into(), Fault::EndsMidLine, 2, "`}` is missing"),
        ("{:process 0, :type :invoke, :f :read, :value \"ab".into(), Fault::EndsMidLine, 1, "text isn't closed"),
        ("{:process 0, :type :invoke, :f :pop, :value nil}".into(), Fault::UnknownOperation, 1, "`pop`"),
        ("{:process 0, :type :invoke, :f :write, :value 99999999999999999999}".into(), Fault::BadValue, 1, "64 bits"),
        ("{:process 0 :type}".into(), Fault::NotAnEvent, 1, "without a value"),
        ("[} ]".into(), Fault::NotAnEvent, 1, "closes nothing"),
        ("[4]".into(), Fault::NotAnEvent, 1, "an operation is a map"),
        ("[] []".into(), Fault::NotAnEvent, 1, "more behind"),
        ("INFO  jepsen.util - 3\t:invoke\t:cas\t[1 2".into(), Fault::EndsMidLine, 1, "middle of this line"),
        ("INFO  jepsen.util - 3\t:begin\t:cas\t[1 2]\n".into(), Fault::NotAnEvent, 1, "the type is one of"),
    ] {
        let found = bad(&text);
        assert_eq!((found.fault, found.line), (fault, line), "{text}: {}", found.message);
        assert!(found.message.contains(says), "{text}: {}", found.message);
    }
    let nested = "[".repeat(100_000);
    assert_eq!(bad(&nested).fault, Fault::NotAnEvent);
    let tags = "{:process 0 :a ".to_string() + &"#a ".repeat(100_000);
    assert_eq!(bad(&tags).fault, Fault::NotAnEvent);
    let tagged = "{:process 0 :a [".to_string() + &"#{".repeat(100_000);
    assert_eq!(bad(&tagged).fault, Fault::NotAnEvent);
}

#[test]
fn two_numbers_never_become_one_value() {
    let json = |value: &str| format!("{{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":{value}}}\n");
    let edn = |value: &str| format!("{{:process 0, :type :invoke, :f :write, :value {value}}}");
    let log = |value: &str| format!("INFO  jepsen.util - 0\t:invoke\t:write\t{value}\n");
    for value in [
        "36893488147419103233",
        "18446744073709551616",
        "9223372036854775808",
        "-9223372036854775809",
        "36893488147419103233.0",
        "0.1234567890123456789",
        "1e-400",
    ] {
        for text in [json(value), edn(value), log(value)] {
            let found = bad(&text);
            assert_eq!(
                (found.fault, found.line),
                (Fault::BadValue, 1),
                "{text}: {}",
                found.message
            );
            let column = text.find(value).unwrap() as u32 + 1;
            assert_eq!(found.column, column, "{text}");
        }
    }
    for exact in [edn("36893488147419103233N"), edn("36893488147419103233M"), edn("1e400")] {
        assert_eq!(bad(&exact).fault, Fault::BadValue, "{exact}");
    }
    assert!(bad(&json("[1,36893488147419103233]")).message.contains("64 bits"));
    for value in [
        "-9223372036854775808",
        "0.30000000000000004",
        "100000000000000000000e-300",
        "0.000",
        "1.5e-7",
        "\"1e999\\\" 1e999\"",
    ] {
        for text in [json(value), edn(value)] {
            good(&text);
        }
    }
}

#[test]
fn an_update_says_its_value_and_its_acknowledgement_no_other() {
    for op in ["write", "append", "add", "remove", "enqueue", "cas"] {
        for text in [
            format!("{{\"process\":0,\"type\":\"invoke\",\"op\":\"{op}\",\"key\":\"x\"}}\n"),
            format!("{{:process 0, :type :invoke, :f :{op}, :key :x}}"),
        ] {
            assert_eq!(bad(&text).fault, Fault::BadValue, "{text}");
        }
    }
    good("{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":null}\n");
    let differs = [
        "{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":1}\n{\"process\":0,\"type\":\"ok\",\"value\":2}\n",
        "{:process 0 :type :invoke :f :write :value [:x 1]}\n{:process 0 :type :ok :f :write :value [:x 2]}",
        "{:process 0 :type :invoke :f :add :value 1}\n{:process 0 :type :ok :f :add :value :other}",
        "{:process 0 :type :invoke :f :cas :value [1 2]}\n{:process 0 :type :ok :f :cas :value [1 3]}",
        "{:process 0 :type :invoke :f :cas :value [1 2]}\n{:process 0 :type :ok :f :cas :value false}",
        "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t2\n",
        "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:fail\t:cas\t[3 2]\n",
    ];
    for text in differs {
        let found = bad(text);
        assert_eq!(
            (found.fault, found.line),
            (Fault::Mismatch, 2),
            "{text}: {}",
            found.message
        );
        assert!(found.message.contains("of line 1 has "), "{}", found.message);
    }
    // An answer that isn't one says something else than a value, and one that says nothing acknowledges what was asked for.
    for text in [
        "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :info :f :write :value :timed-out}",
        "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :fail :f :write :value :refused}",
        "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value nil}",
        "{:process 0 :type :invoke :f :cas :value [:x [1 2]]} {:process 0 :type :ok :f :cas :value [:x [1 2]]}",
    ] {
        good(text);
    }
}

#[test]
fn a_field_is_given_once() {
    let found = bad("{\"process\":0,\"type\":\"invoke\",\"op\":\"write\",\"value\":1,\"value\":2}\n");
    assert_eq!((found.fault, found.line), (Fault::NotAnEvent, 1));
    assert_eq!(found.message, "the field `value` is given twice");
    assert!(found.column > 50, "{}", found.column);
    let found = bad("{:process 0 :type :invoke :f :write :value 1 :value 2}");
    assert_eq!((found.fault, found.line), (Fault::NotAnEvent, 1));
    assert_eq!(found.message, "the field :value is given twice");
}

#[test]
fn all_problems_are_said_at_once() {
    let lines = "{\"process\":0,\"type\":\"ok\",\"op\":\"read\",\"value\":1}\n".repeat(30);
    let problems = parse(&lines).unwrap_err();
    assert_eq!((problems.list.len(), problems.list[19].line), (Problems::KEPT, 20));
    let shown = problems.shown("h.jsonl");
    assert!(
        shown.starts_with("h.jsonl:1: error[E0607]: process 0 is answered"),
        "{shown}"
    );
    assert!(shown.ends_with("`quorate help E0607` explains the first\n"), "{shown}");
    let control = bad("{\"process\":0,\"type\":\"\u{1b}[31m\"}");
    assert!(!control.shown("h").contains('\u{1b}'));
}

/// A stream of lines without end, that counts what is taken of it.
struct Endless {
    line: &'static [u8],
    at: usize,
    taken: usize,
}

impl std::io::Read for Endless {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        unreachable!("the readers use the buffer")
    }
}

impl std::io::BufRead for Endless {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.at == self.line.len() {
            self.at = 0;
        }
        Ok(&self.line[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
        self.taken += amount;
    }
}

#[test]
fn no_input_takes_more_memory_than_the_limits_say() {
    let limits = Limits {
        operations: 1000,
        elements: 1000,
        text: 1000,
        line: 4000,
        ignore_times: false,
    };
    for (line, format) in [
        (&b"{\"process\":1,\"type\":\"invoke\",\"op\":\"read\"}\n{\"process\":1,\"type\":\"info\",\"op\":\"read\"}\n"[..], Format::JsonLines),
        (b"{\"process\":1,\"type\":\"invoke\",\"op\":\"read\"}\n{\"process\":1,\"type\":\"ok\",\"value\":[1,2,3,4,5,6]}\n", Format::JsonLines),
        (b"{\"a", Format::JsonLines),
        (b"{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]} {:process 1 :type :info :f :txn}", Format::Jepsen),
        (b"[{:process 1 :a #{\"", Format::Jepsen),
        (b"{:process 1 :a ", Format::Jepsen),
        (b"long", Format::Jepsen),
        (b"INFO  jepsen.util - 3\t:invoke\t:read\tnil", Format::Porcupine),
    ] {
        let mut endless = Endless { line, at: 0, taken: 0 };
        let reading = Reading {
            format: Some(format),
            limits,
        };
        let problems = read(&mut endless, reading).unwrap_err();
        let problem = &problems.list[0];
        assert!(
            problem.fault == Fault::TooLarge || line.starts_with(b"{:process 1 :a ") || line.starts_with(b"[{:process 1 :a "),
            "{problem:?}"
        );
        assert!(problem.line > 0 && endless.taken < 300_000, "{problem:?} after {}", endless.taken);
    }
}

#[test]
fn times_are_read_over_when_asked() {
    let text = "{:process 0 :type :invoke :f :read :time 9} {:process 1 :type :invoke :f :read :time 5}";
    assert_eq!(bad(text).fault, Fault::TimeGoesBack);
    let limits = Limits {
        ignore_times: true,
        ..Limits::default()
    };
    let history = read(text.as_bytes(), Reading { format: None, limits }).unwrap();
    assert_eq!(history.operations()[0].invoked_at, NO_TIME);
}

/// Lines of a random well-formed history.
fn any_history() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        (-3i64..50).prop_map(|n| n.to_string()),
        Just("null".to_string()),
        Just("true".to_string()),
        Just("-0.5".to_string()),
        "[:a-z\"\\\\é]{0,4}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let event = (0u64..4, 0usize..11, value.clone(), value, 0usize..4, any::<bool>());
    proptest::collection::vec(event, 0..40).prop_map(|events| {
        let mut open: BTreeMap<u64, (usize, String)> = BTreeMap::new();
        let mut text = String::new();
        for (time, (process, op, a, b, end, keyed)) in events.into_iter().enumerate() {
            let key = if keyed { format!(",\"key\":{b}") } else { String::new() };
            match open.remove(&process) {
                None => {
                    let word = [
                        "read", "write", "cas", "append", "add", "remove", "enqueue", "dequeue", "txn", "read", "cas",
                    ][op];
                    let (key, value) = match word {
                        "read" | "dequeue" => (key, String::new()),
                        "cas" => (key, format!(",\"value\":[{a},{b}]")),
                        "txn" => (
                            String::new(),
                            format!(",\"value\":[[\"append\",{a},{b}],[\"r\",{b},null]]"),
                        ),
                        _ => (key, format!(",\"value\":{a}")),
                    };
                    let line = format!(
                        "{{\"process\":{process},\"type\":\"invoke\",\"op\":\"{word}\"{key}{value},\"time\":{time}}}\n"
                    );
                    text.push_str(&line);
                    open.insert(process, (op, value));
                }
                Some((op, value)) => {
                    let kind = ["ok", "fail", "info", "ok"][end];
                    let value = match op {
                        0 | 7 => format!(",\"value\":{a}"),
                        8 => value.replace("null]]", "[1,\"x\"]]]"),
                        9 => format!(",\"value\":[{a},{b}]"),
                        10 => format!("{value},\"swapped\":{}", a.len() > 2),
                        _ => value,
                    };
                    text.push_str(&format!(
                        "{{\"process\":{process},\"type\":\"{kind}\"{value},\"time\":{time}}}\n"
                    ));
                }
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_reads_the_same(text in any_history()) {
        let history = good(&text);
        let lines = written(&history, Writing::JsonLines);
        let again = good(&lines);
        prop_assert_eq!(&written(&again, Writing::JsonLines), &lines);
        prop_assert_eq!(lines.lines().count(), text.lines().count());
        // EDN has no place for the difference between a `cas` that found something else and a refused one; nor has Jepsen for
        // keys that are nil, so all of it is compared after one way through EDN.
        let edn = written(&history, Writing::Jepsen);
        let through = good(&edn);
        prop_assert_eq!(written(&through, Writing::Jepsen), edn);
        prop_assert_eq!(through.operations().len(), history.operations().len());
        for (a, b) in through.operations().iter().zip(history.operations()) {
            prop_assert_eq!((a.invoked, a.responded, a.process, a.action.word()), (b.invoked, b.responded, b.process, b.action.word()));
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b':'), Just(b'"'), Just(b'['), Just(b'#')], 0..200)) {
        for (_, format) in Format::ALL {
            let reading = Reading { format: Some(format), ..Reading::default() };
            let _ = read(&bytes[..], reading);
            let mut after = b"{:process 0 :type ".to_vec();
            after.extend_from_slice(&bytes);
            let _ = read(&after[..], reading);
        }
    }
}
