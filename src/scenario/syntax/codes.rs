//! The registry of diagnostic codes: each has a number, a title and an explanation with an example.
//!
//! Numbers are never reused, so that an explanation found on the web stays true. E00xx: the text can't be read; E01xx: a
//! value has the wrong shape; E02xx: quantities; E03xx: includes and overrides; from E04xx: what a scenario means.

use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal, $title:literal, $explanation:literal;)*) => {
        /// What kind of problem a diagnostic is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $title] $name = $number,)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// A short name of the problem.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What the problem is, with an example and the way out: Markdown.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)* }
            }
        }
    };
}

impl Code {
    /// The number behind the `E`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether it says that something has no effect as things stand, which another variant may change.
    pub fn is_of_no_effect(self) -> bool {
        (Self::PolicyIdle..=Self::MeshIdle).contains(&self)
    }

    /// The code with this name: `E0101`, `e0101` or `101`.
    pub fn find(name: &str) -> Option<Self> {
        let number: u16 = name.trim_start_matches(['E', 'e']).parse().ok()?;
        Self::ALL.iter().copied().find(|c| c.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.number())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

codes! {
    NotText = 1, "the file is not UTF-8 text",
    "Scenario files are UTF-8. The message names the first byte that isn't, counted from zero. Save the file again as UTF-8; \
     a file that holds NUL bytes is most often UTF-16 or no text at all.";
    TooLarge = 2, "the file is too large",
    "A scenario with all its includes is read whole, so its size is bounded (16 MiB unless set otherwise). Data belongs in \
     CSV files that the scenario names, not in the scenario itself.";
    TooDeep = 3, "brackets nest too deeply",
    "Brackets may nest 128 deep, so that no file can exhaust the stack. Split the innermost part off into a named part of the \
     scenario.";
    TooManyValues = 4, "too many values",
    "The number of values in a scenario is bounded, so that no file can exhaust memory. Use `count` for many equal agents, \
     and CSV files for data.";
    UnexpectedCharacter = 5, "unexpected character",
    "Outside of quotes a scenario holds names, numbers, brackets, colons, commas and comments.\n\n```ron\n(name: “trap”) // \
     curly quotes\n```\n\nText stands between straight double quotes: `\"trap\"`.";
    OpenText = 6, "a text is never closed",
    "A text ends at the next double quote. A forgotten one makes the rest of the file part of the \
     text.\n\n```ron\n(name: \"trap)\n```\n\nWrite `(name: \"trap\")`; a quote inside a text is `\\\"`.";
    OpenComment = 7, "a comment is never closed",
    "`/*` opens a comment that `*/` closes. They nest: each `/*` inside needs its own `*/`.\n\n```ron\n() /* one /* two \
     */\n```";
    BadEscape = 8, "an escape doesn't exist",
    "Inside quotes a backslash starts an escape: `\\\"`, `\\\\`, `\\n`, `\\r`, `\\t`, `\\0`, `\\x41`, `\\u{20ac}`, or a line \
     break, which is skipped with the blanks behind it.\n\n```ron\n(file: \"C:\\data\")\n```\n\nWrite `\"C:\\\\data\"`, or \
     `r\"C:\\data\"` without escapes.";
    BadNumber = 9, "not a number",
    "Numbers are written `15`, `-3`, `1_000`, `0x1f`, `0.25`, `1e-9`. A quantity with a unit stands in \
     quotes.\n\n```ron\n(timeout: 250ms)\n```\n\nWrite `\"250ms\"`.";
    NumberTooLarge = 10, "a number is too large",
    "Integers lie between -9223372036854775808 and 18446744073709551615.\n\n```ron\n(seed: 99999999999999999999)\n```";
    UnexpectedToken = 11, "something else was expected here",
    "The text doesn't follow the grammar at this place. The message says what could stand here instead.\n\n```ron\n(name = \
     \"trap\")\n```\n\nA field is `name: value`.";
    MissingComma = 12, "a comma is missing",
    "Entries are separated by commas; one behind the last is welcome.\n\n```ron\n(seed: 7 replicates: 20)\n```";
    OpenBracket = 13, "brackets don't match",
    "Each `(`, `[` and `{` is closed by its own kind, the innermost first.\n\n```ron\n(sites: [\"a\", \"b\")\n```";
    TrailingText = 14, "text behind the end",
    "A file holds one value; nothing but comments may follow its closing bracket.\n\n```ron\n(seed: 7), (seed: 8)\n```";
    Empty = 15, "the file is empty",
    "A scenario file holds one struct.\n\n```ron\n// nothing here\n```\n\nThe least that is a value is `()`.";
    Unsupported = 16, "a part of RON that scenarios don't use",
    "Byte strings, ranges, raw identifiers and type suffixes are RON, but have no meaning in a scenario.\n\n```ron\n(seed: \
     7u64)\n```\n\nWrite `7`.";
    BadAttribute = 17, "a line `#![...]` that isn't understood",
    "The only line of this kind that a scenario needs is none at all; `#![enable(implicit_some)]` and its like are accepted \
     for the sake of editors.\n\n```ron\n#![enable(magic)] ()\n```";

    UnknownField = 101, "unknown field",
    "A struct has no field of this name. Fields are never ignored silently: a misspelt one would change the result without a \
     word. The message names the nearest one and lists all that are possible.";
    UnknownVariant = 102, "unknown variant",
    "The value is a choice between named forms, and this isn't one of them. Names are case-sensitive.";
    MissingField = 103, "missing fields",
    "A struct lacks fields that have no default. All that lack are named together.";
    DuplicateField = 104, "a field stands twice",
    "A field may stand once in its struct. Both places are shown; remove one.\n\nNeither the first nor the last wins silently.";
    DuplicateKey = 105, "a key stands twice",
    "A map has each key once. Both places are shown; rename or remove one.";
    WrongShape = 106, "a value of another kind was expected",
    "The value is of the wrong kind: a list where a number was expected, say. The message says what was expected and what was \
     found.";
    OutOfRange = 107, "a number is out of range",
    "The number doesn't fit what the field means: it is negative, has a fraction or is too large.";
    NotFinite = 108, "a number is infinite or not a number",
    "`inf`, `NaN` and numbers above 1.8e308 have no meaning in a scenario. For \"no limit\" leave the field out or use the \
     variant that says so.";
    WrongItems = 109, "a variant takes other arguments",
    "The variant exists, but takes arguments of another form: none, unnamed ones in order, or named ones.";

    MissingUnit = 201, "a quantity needs a unit",
    "Quantities carry their unit, so that nobody has to guess whether 250 are milliseconds or seconds: `\"250ms\"`, \
     `\"40/s\"`, `\"3 USD\"`, `\"64KiB\"`.";
    WrongUnit = 202, "a unit that doesn't fit",
    "The unit is unknown or measures something else. The message lists the units that fit. Units are case-sensitive: `ms` are \
     milliseconds, `MB` megabytes, `Mbit/s` megabits a second.";
    BadQuantity = 203, "not a quantity",
    "A quantity is a number and a unit in quotes: `\"1.5s\"`. Numbers are decimal, without exponents.";
    QuantityRange = 204, "a quantity is out of range",
    "The quantity is negative where it may not be, or larger than can be counted. Durations end near 584 years, probabilities \
     lie between 0 and 1.";
    TooFine = 205, "a quantity is finer than can be counted",
    "Quantities are kept exactly: durations in nanoseconds, money in billionths, sizes in bytes. A part of one would have to \
     be rounded, so it is refused: `\"0.5ns\"`.";

    CannotRead = 301, "a file can't be read",
    "The file doesn't exist or can't be read. Paths in `include` are relative to the file that includes, and name regular \
     files: no pipes or devices.";
    IncludeCycle = 302, "files include each other",
    "A file includes itself, directly or through others. The chain is shown.";
    IncludeDepth = 303, "includes nest too deeply",
    "Includes may nest 16 deep and name 256 files in all, so that no chain of files runs away. Name the files that are needed \
     in one place.";
    BadInclude = 304, "an include that isn't understood",
    "`include` is a list of paths, and both files hold a struct `(name: ...)` at the top.\n\n`include: [\"base.ron\"]`: the \
     included files are read first, the later win over the earlier, and the including file wins over all. Structs and maps \
     are merged key by key; lists and everything else are replaced as a whole. A value given as a variant replaces a variant \
     of another name.";
    BadOverride = 305, "an override that isn't understood",
    "An override is `path=value`: `services.search.at=inference`, `agents.researcher.program[0].times=3`. A key with dots or \
     blanks stands in quotes: `services.\"my search\".servers=8`. The value is written as in a file; a bare word or a quantity \
     needs no quotes.";
    UnknownPath = 306, "an override names nothing",
    "The path leads to nothing in this scenario. The message names the longest part that exists, and what stands there.";
    WrongIndex = 307, "an override names no item of the list",
    "The index is not below the length of the list. Items count from zero.";

    UnknownSite = 401, "unknown site",
    "Something is placed at, or goes to, a site that `sites` doesn't name.\n\n`sites: [\"inference\", \"tools\"]` declares two.";
    UnknownService = 402, "unknown service",
    "A call names a service that `services` doesn't declare.\n\n`services: {\"search\": (at: \"tools\", time: \"80ms\")}` declares one.";
    UnknownPolicy = 403, "unknown policy",
    "A step names a policy that `policies` doesn't declare. Steps without a policy make one attempt and wait for ever.";
    UnknownGroup = 404, "unknown group of agents",
    "A message or a fault names a group that `agents` doesn't declare.";
    UnknownStore = 405, "unknown store",
    "A step names a store that `state` doesn't declare, or says `store:` although the key belongs to another one.";
    UnknownKey = 406, "unknown key",
    "A step names a key that no store has. Keys are declared with their types: `keys: {\"notes\": Register(count: 20), \"done\": Counter}`.";
    UnknownData = 407, "unknown data set",
    "A law or table names a data set that neither comes with Quorate nor is declared: `data: {\"mine\": (file: \"mine.csv\")}`. The \
     path is relative to the file that names it.";
    UnknownColumn = 408, "unknown column",
    "The data set has no column of this name. The names stand in the first line of its file, and are case-sensitive.";
    UnknownVariantName = 409, "unknown variant of the scenario",
    "An expectation names a variant that `variants` doesn't declare. The scenario as it stands is called `base`.";
    UnknownMeasure = 410, "unknown measure",
    "An expectation names a measure, an invariant or an event that Quorate doesn't know. The page of measures \
     (`quorate reference measures`) lists them all: `Measure` takes any measure, `Always` an invariant, and `Sometimes` a measure \
     that counts, or is a yes or no.";
    UnknownRegion = 411, "unknown region",
    "A site says that it lies in a region which the measured table doesn't have.";
    UnknownTarget = 412, "a fault hits something unknown",
    "A fault names what is neither a site nor a group of agents, a service or a store; or the fault can't happen to it: only \
     services stall.";
    AmbiguousName = 413, "a name means two things",
    "The name fits two declarations: two stores have a key of this name, or a site and a group are called the same. Say which \
     (`store: ...`), or rename one.";

    BadData = 420, "a data set is malformed",
    "The file isn't the table that it should be: a line has too many fields, a value is no number, or negative where that can't \
     be. The message names the line of the data.";
    EmptyData = 421, "a data set is empty",
    "The column has no rows: there is nothing to draw from, and no arrival to replay.";
    DataUnreadable = 422, "a data file can't be read",
    "The file of a data set doesn't exist, can't be read or isn't a regular file: a pipe or a device may never end. The path is \
     relative to the file that names it.";

    BadLaw = 430, "a law that can't be",
    "The parameters make no law: a deviation below zero, an interval that ends before it begins, quantiles that fall, weights that \
     are all zero. The message says which.";
    LawForm = 431, "a law is given too little or too much",
    "Some laws can be written in several ways, each of which says everything: `LogNormal` by `median` and `sigma`, by `mean` and \
     `sd`, or by two quantiles; `Exponential` by `mean` or by `rate`.";

    EndsBeforeStart = 440, "something ends before it starts",
    "A fault's `until` isn't after its `at`.\n\n`Partition(groups: [[\"a\"]], at: \"60s\", until: \"90s\")` lasts 30 s; so does \
     `at: \"60s\", for: \"30s\"`.";
    Overlapping = 441, "windows overlap",
    "The windows of one fault come in the order of time, and each begins after the end of the one before. Faults that overlap \
     are two faults.";
    EmptyGroup = 442, "an empty group",
    "A list that has to name something names nothing: the side of a partition, the targets of a fault, the sites of a group.";
    NoTime = 443, "it isn't said when",
    "A fault says when it happens: `at` and `for` (or `until`), or `when` with several windows, flapping or drawn times.";
    AfterTheEnd = 444, "it begins after the run has ended",
    "A fault, a surge or another change of demand begins, a group of agents starts, or the warm-up ends, when the run is over, so it has no \
     effect.";
    Conflicting = 445, "two fields contradict each other",
    "Of these fields one can stand, not both. The message says which.";
    NamedTwice = 446, "something is named twice",
    "A list names the same thing twice, or two entries are about the same pair of sites.";

    EndlessLoop = 450, "a loop that never waits and never ends",
    "A `Repeat` without end in which no step takes time would stop the simulated clock for ever.\n\n`Repeat(times: Forever, steps: \
     [Send(...)])` never lets time pass; add a `Sleep` or a `Think`.";
    NoArrivals = 451, "a stream without arrivals",
    "A stream says when its agents arrive. All at once, or spread over a time, needs their number: `Stream(arrivals: 1000)`.";
    TopicUnread = 452, "a topic that nobody receives",
    "A message is sent to a group that neither handles its topic (`on: {\"topic\": [...]}`) nor waits for it. An `Ask` is answered \
     by a handler with a `Reply`.";
    NoTimeout = 453, "no timeout on a link that loses messages",
    "A call of a service, or an operation on shared state, over a link with loss, under a policy without `timeout`, waits for ever \
     once its request or its answer is lost.";
    RetryStorm = 454, "attempts without end and without a pause",
    "The policy tries again at once and without end, and the service refuses what is too much: whoever is refused floods it. \
     Give the policy a `backoff`, or a number of `attempts`.";
    ModelRefusesKey = 455, "the consistency model has no such keys",
    "The model doesn't realise this type of key, or the merge rule doesn't fit it. The message says what would do.";
    WrongKeyType = 456, "an operation that the key doesn't have",
    "Registers are written, counters are added to, sets have elements inserted and removed. All can be read.";
    WrongPeers = 457, "messages can't be sent so",
    "An `Ask` is answered by one peer, so it can't go to all. Agents of a stream come and go, so none of them has a number that \
     others could know; they are reached with `Sender`.";
    NothingReceived = 458, "an answer to nobody",
    "A `Reply` answers the ask that is being handled, or that was waited for; `Sender` is who sent what was taken last. In a program \
     that has taken nothing yet, both do nothing. They belong into a handler (`on: {\"topic\": [...]}`), or behind a `Wait`.";
    TopicUnsent = 459, "a topic that nobody sends",
    "A `Wait` names a topic that nobody sends to this group: it waits for ever, or until its timeout.";

    MissingLatency = 460, "a pair of sites has no latency",
    "`matrix` gives the latency of the pairs of sites, but a site doesn't say its `region`, or the pair wasn't measured. Give \
     the pair a link of its own, or say what stands for `missing` cells.";
    BadLink = 461, "a link that can't be",
    "The fields of the link don't fit together: it keeps the order and reorders, or has a queue but no bandwidth. The message \
     says which.";

    BadBound = 470, "a bound that can't be",
    "A bound compares like with like, and its lower end isn't above its upper one. `Near` has a distance: `within` or `relative`.";
    WrongVersion = 471, "another version of the language",
    "This Quorate reads scenarios that say `quorate: 1`. A later version of the language may mean something else by the same text.";
    TooMany = 472, "too many",
    "What a scenario has many of costs memory, so its numbers are bounded: 1,000,000 runs (variants times replicates), 1,000,000 \
     windows in a run, 4,000,000 agents, 8,000,000 copies of keys (keys times replicas). Entities are numbered in 32 bits, and \
     their groups in 16. The message says what is too many.\n\n```ron\nuntil: At(\"1h\"), window: \"1us\"\n```\n\nThat is 3.6 thousand \
     million windows; `window: \"3.6ms\"` makes 1,000,000.";
    NothingToDo = 473, "nothing happens",
    "Nobody is declared who does anything: `agents` is empty, or a group has no `program` and handles no message.";
    BadNetwork = 474, "the network can't be built",
    "The parts of the network are right each for itself, but don't fit together. The message names the part.";
    BadName = 475, "a name that a folder can't have",
    "Results are kept in a folder that is called as the scenario is, so its name has only letters (a to z), digits, `-` and `_`, at \
     most 100 of them: `latency_trap`. Two scenarios of one name replace each other's results.";
    WrongMeasureUnit = 476, "a bound in another unit than the measure's",
    "Every measure has a unit (`quorate help task.time.mean` says which), and its bounds are of that dimension: a time is bounded \
     by durations, money by amounts of money, a rate by rates, a size by sizes, a share or a ratio by numbers or percentages, and \
     what is counted by plain numbers.\n\n`Measure(name: \"task.time.mean\", is: AtMost(\"10s\"))`";
    CutNumber = 477, "a number that is cut",
    "A counter takes whole numbers: what stands behind the point is cut, so that `Add(by: 0.5)` adds nothing. Keys of one name are \
     numbered from 0, and a number beyond the last means the last.";
    ModelRefusesOp = 478, "the key's data type refuses the operation",
    "A grow-only counter takes no negative amounts, and a grow-only set no removes. The message says which type does.";

    BadQuorum = 480, "a quorum that can't be",
    "A quorum of a store is at most the number of replicas that keep a key: `r` and `w` up to `n`, and `n` up to the number of \
     sites. `sloppy` needs replicas beyond the `n` that keep a key, and `hinted_handoff`, after which another replica stands in \
     before the write is refused.\n\n```ron\n(at: [\"a\", \"b\", \"c\"], model: Quorum(n: 2, r: 3))\n```\n\nThat `r` + `w` is at \
     most `n` is no problem: reads may then be stale.";
    BadOrder = 485, "an order of updates that can't be",
    "`Causal(resolve: ...)` names one of the models that resolve conflicts, not a quorum and not `Causal` itself. `sessions` with no \
     guarantee left guarantee nothing.\n\n```ron\n(at: [\"a\", \"b\"], model: Causal(resolve: Quorum()))\n```\n\nA warning says that \
     `LastWriteWins` by wall clocks that are off contradicts the order of causes: `clock: Hybrid`, the default here, doesn't.";
    BadGroup = 486, "a group that can't agree",
    "Replicas under `Raft` hear a heartbeat of their leader well before the shortest election timeout is over: `heartbeat` is below \
     `election_min`, which is at most `election_max`. A lease supposes that the clocks of any two replicas differ in speed by no more \
     than its `drift`; where the store's `clocks` do, a warning says so, for reads may then be stale.\n\n```ron\n(at: [\"a\", \"b\", \"c\"], \
     model: Raft(heartbeat: \"2s\"))\n```\n\nMost networks need a `heartbeat` above the way there and back, and an `election_min` of some \
     heartbeats.";
    WrongAuthors = 488, "a session that these agents can't replay",
    "`Edit` replays a recorded editing session: the group has as many agents as the session has authors, each in a site of its own \
     where the store has a replica, which takes its edits by itself; and nobody else changes the text.\n\n```ron\nagents: \
     {\"authors\": (count: 3, at: [\"a\", \"b\"], program: [Edit(key: \"text\", trace: \"friendsforever\")])}\n```\n\nThat session has \
     two authors.";
    BadServer = 489, "a central server that can't be",
    "`OperationalTransformation` sends edits of texts through one replica of the store, the `server`, and sends again what is lost. So \
     `replication` and `anti_entropy` have nothing to say, and no quorum resolves conflicts by it.\n\n```ron\n(at: [\"a\", \"b\"], model: \
     OperationalTransformation(server: \"c\"))\n```\n\nThere is no replica at `c`.";
    BadPrimary = 490, "a primary that can't be",
    "At most as many copies can be waited for as there are backups, one less than sites. A `lease` is shorter than the time \
     after which another replica takes over, and needs copies that are waited for: who hasn't to confirm anything grants nothing. \
     A `heartbeat` comes at least twice in that time. `in_sync` says when `copies: All` doesn't wait for a backup any more; nobody \
     else would know of it, so nobody may take over.\n\n```ron\n(at: [\"a\", \"b\", \"c\"], model: Primary(copies: Count(1), \
     failover: After(\"10s\"), lease: \"5s\"))\n```";
    BadRows = 492, "recorded rows that can't be performed",
    "`EachRow` says for every row of a recorded run what is done, by the value of a column: each value has a case, or there is an `otherwise`. \
     What goes by a row stands within its steps: `Match`, `OfRow` and `OfRun`. A run was a success on record or it wasn't, so the column that \
     says so holds one value for all of its rows.\n\n```ron\nEachRow(data: \"airline-calls\", run: [\"task_id\", \"trial\"], column: \"role\", \
     cases: {\"tool\": [Think(\"1s\")]})\n```\n\nThe rows of the system, the user and the assistant have no case: `otherwise: []` leaves them out.";
    UnusedCase = 493, "a case that never occurs",
    "No row that gets there has this value in the column: the case is never done. Values are compared as text, with case, and without the \
     blanks around them.";
    BadJournal = 494, "a journal that can't be",
    "A journal is kept by a service, not by a lock, for a group of a fixed number of agents that run their program once, and have no handlers: \
     what handlers change is in no event. Its policy tries until it is answered: an event that may be in the log or not would leave its agent \
     without a known state. With `events: Tasks` the program has a task that isn't part of a larger step.\n\n```ron\n(count: 10, at: \"a\", \
     journal: (log: \"ledger\", snapshot_every: 100), program: [Repeat(times: 1000, steps: [Think(\"1s\")])])\n```";
    BadLock = 495, "a lock that can't be",
    "A lock service (`lock: (lease: \"10s\")`) grants its lock to the steps of a `WithLock`, and does nothing else: it isn't called, and has \
     no servers, limits or prices. A renewal comes before the lease is over. With `fencing` updates under the lock carry a token, which \
     helps where one replica sees all of them: in a store of one replica, or with a `Primary`. Under `Raft` reads have no entry in the log, and so \
     nobody sees theirs; `CompareAndSwap` refuses there what comes late.";
    PriorityUnread = 496, "a priority that nobody goes by",
    "A call says how urgent it is, and the service that it calls serves in another order. `discipline: Priority` goes by it.";
    BadBreaker = 500, "a circuit breaker that can't close, or can't open",
    "A breaker that is half-open lets `probes` attempts through, at least one, and closes after as many successes as `closes_after` says, \
     at least one. It opens after a number of failures in a row, at least one, or at a `share` of failures above 0 and not above 1.\n\n```ron\n\
     breaker: (trips: Rate(share: 1.5), probes: 0)\n```\n\nThis one never opens; if it did it would never close.";
    BadHedge = 501, "a hedge that can't be",
    "A hedge joins an attempt that is still waited for: `after` is shorter than the policy's `timeout` and its `deadline`, a quantile lies \
     between 0 and 1 and is one of 1,000 latencies at most, and one to 100 hedges are sent. Tied requests are two, at two services: the call names several, and `most` is 1. What is done \
     to shared state isn't hedged: an operation would be done twice. Stores have quorums, which ask several replicas at \
     once.\n\n```ron\npolicies: {\"p\": (timeout: \"1s\", hedge: (after: \"2s\"))}\n```";
    BadDeadline = 502, "a deadline that leaves nothing",
    "A `deadline` is for a call as a whole. One that isn't longer than the shortest backoff leaves no time for a second attempt, so that \
     `attempts` and `backoff` mean nothing. An `Ask` that propagates a deadline has a `timeout`, for that is the deadline.\n\n```ron\n\
     policies: {\"p\": (deadline: \"1s\", attempts: 3, backoff: Fixed(\"2s\"))}\n```";
    BadRatio = 503, "a ratio that means nothing",
    "A `ratio` of a retry budget is above 0, and counts in millionths: with 0 there would be no retries but those of the full bucket, which \
     `attempts` says more plainly. A bucket holds at least one token. The `k` of a throttle is at least 1: with less it would reject \
     requests to a server that accepts all of them.\n\n```ron\npolicies: {\"p\": (attempts: 3, retry_budget: (ratio: -0.1))}\n```";
    NotForThis = 504, "a policy for calls of services",
    "Only calls of services can be cancelled and hedged. Operations on shared state, requests for locks and events of journals are done, or \
     aren't: a store, a lock and a log know no cancellation.\n\n```ron\nRead(key: \"k\", policy: \"hedged\")\n```\n\nA policy of its own without \
     `hedge` and `cancels` does what it can do here: timeouts, retries, deadlines, budgets, throttles and breakers.";
    BadRoute = 505, "services that can't be routed to",
    "A call that names several services names each once, and none that is a lock; and `route` says something only where there are several. \
     `PowerOf` compares at least two, and not more than there are.\n\n```ron\nCall(service: [\"a\", \"b\"], route: PowerOf(3))\n```";
    PolicyIdle = 506, "a part of a policy that changes nothing",
    "A policy that makes one attempt has no retries: it waits for nothing after a failure (`backoff`, `honours_retry_after`), and has none that a \
     `retry_budget` could limit. Hedges take a budget's tokens where it says `hedges: true`, and there is a `hedge`.\n\n```ron\npolicies: {\"p\": \
     (timeout: \"1s\", retry_budget: (ratio: 0.1))}\n```\n\n`attempts: 3` has two retries.";
    NobodyWaits = 507, "an order of those who wait, where nobody does",
    "Where there is a server for everybody (`servers: Unlimited`), or requests share the servers (`Sharing`), nobody waits for one: there is nobody \
     whose turn a `discipline` decides, whom `most_wait` could refuse, or of whom a `queue` could have too many. A service that a fault makes \
     stand still has those who wait, and isn't warned of.\n\n```ron\n(at: \"a\", time: \"80ms\", discipline: Fair(tenants: Agents))\n```";
    GatewayIdle = 508, "a gateway's option that changes nothing",
    "`ejects` leaves out for a while who fails, of several: where all are left out none is. A `batch` gathers two requests at least.\n\n```ron\n\
     forwards: (to: \"model\", ejects: (failures: 5))\n```";
    NothingAsked = 509, "answers that aren't kept, or aren't asked for again",
    "A service that keeps answers (`cache`) gives them to calls that say what they are `about`, and to no others. Each needs the other: the service, \
     or a gateway on the way to it, and the call.";
    NothingAbandoned = 510, "nobody says that he gives up",
    "What a service does about `abandoned` requests it does about those whose client has cancelled them (`cancels: true` in his policy), or whose \
     deadline is over (`deadline` in the policy, or that of an `Ask` with `propagate`). No call that gets to this service has either.";
    NoTokens = 511, "tokens that nobody counts",
    "A price, a limit, a share or a time goes by the tokens of requests, and these have none: neither the service says how many a request has \
     (`tokens`), nor do the calls that get to it.\n\n```ron\n(at: \"a\", price: (million_out: \"15 USD\"))\n```\n\n`tokens: (tokens_in: 800, \
     tokens_out: Exponential(mean: 200))` says it for all.";
    OneTenant = 512, "shares of a service that one asks",
    "`Fair` gives each tenant its share. Where one group asks, or a weight is that of a group that doesn't ask, it changes nothing. Groups are the \
     tenants unless it says `tenants: Agents`.";
    MeshIdle = 513, "a mesh that changes nothing",
    "A mesh stands for proxies on the way of calls of its `routes`: without a route, or with one that nobody calls, there are none. Requests wait at \
     the proxy beside a service where `in_flight` says how many it lets through at once, and `queue` how many of them.";
    NothingTold = 514, "a topic under which nobody is told anything",
    "`tells` names the topic under which members tell the agents beside them what they learn: items that they gossip (`Gossip`), events in causal \
     order (`Causal`), proposals in the order of the log (`Raft`). Members of other groups tell them nothing.\n\n```ron\ncoordination: {\"news\": \
     (pattern: Gossip(), beside: \"worker\", tells: \"news\")}\n```";
    BadLimit = 520, "a limit that can't be",
    "A service has one `limit`, or several `limits`. A fixed window (`refill: Windows(every: \"1min\")`) allows a whole number in each window, \
     has no `burst`, and its first edge lies within the first window. An `excess` beside no limits is that of nothing, and an `overload` \
     says when it refuses.\n\n```ron\nlimits: [Requests(rate: \"50/min\", refill: Windows(every: \"1s\"))]\n```\n\nThat would be five \
     sixths of a request in each second; `every: \"1min\"` is 50 in each minute.";
    NeverFits = 521, "a request that can never come in",
    "Every request of this call is more than a limit's bucket or window, or than the KV cache of an inference service, ever has room \
     for: it is refused, however often it is tried again.\n\n```ron\nlimits: [TokensIn(rate: \"10000/min\", burst: 1000)]\n```\n\nA prompt \
     of 4,000 tokens never passes; a `burst` is at least as large as the largest request.";
    MayNotFit = 522, "requests that can't come in",
    "Some requests of this call are more than a limit's bucket or window, or than the KV cache of an inference service, ever has room \
     for. They are refused, however often they are tried again.";
    BadBudget = 525, "a budget that can't be",
    "A budget of agents says how much may be spent (`calls`, `tokens`, `money`), and what is done then. `Ask` grants some of each amount that can be \
     spent, and asks somebody who doesn't spend from the same budget.\n\n```ron\nbudgets: {\"team\": (money: \"5 USD\", then: Ask(to: \
     Any(\"approver\"), topic: \"more\", grant: (tokens: 1000)))}\n```\n\nThat grants tokens where money is short; `grant: (money: \"1 \
     USD\")` helps.";
    DegradesInCircle = 526, "calls that go in a circle",
    "`Degrade` sends the calls of a service to a cheaper one, and those of that one perhaps to a still cheaper one: a chain with an end.\n\n\
     ```ron\nthen: Degrade({\"big\": \"small\", \"small\": \"big\"})\n```";
    BadBatching = 530, "an inference endpoint that can't be",
    "A service with `batching` works in iterations on a batch of requests: it has no `servers`, no `time` and doesn't share (`discipline: \
     Sharing`). An iteration takes in at least as many tokens as there may be sequences, takes some time, and the cache of keys and values \
     holds a block at least.\n\n```ron\nbatching: (max_batch: 256, tokens: 128, kv: 400000, base: \"8ms\")\n```\n\nIn an iteration of 128 \
     tokens no 256 sequences are decoded: `tokens: 2048` leaves room for prompts as well.";
    BadKnee = 540, "a knee that can't be looked for",
    "`knee` says which parameter is looked through (`path`), from where `from` to where `to`, both of one kind and `from` below `to`, and which \
     measure answers. A measure that is no yes or no needs a bound that its value is held against, `above`, and a yes or no has none.\n\n\
     ```ron\nknee: (path: \"agents.client.start.rate\", from: \"280/s\", to: \"100/s\")\n```\n\nThe range begins at its lower end.";
    BadRates = 541, "a demand that can't be",
    "`Rates` is a list of times and of the rates that hold from then on: the times ascend, the first is where the arrivals begin, and a rate \
     may be zero, but not all of them. `Surge` goes from one rate to another at `at`.\n\n```ron\nstart: Rates([(\"0s\", \"100/s\"), \
     (\"60s\", \"280/s\"), (\"70s\", \"100/s\")])\n```";
    BadGateway = 560, "a gateway that can't be",
    "A gateway (`forwards: (to: [...])`) passes requests on to services that work, or to other gateways, and never back to itself. A fan-out asks \
     different ones, and no more have to answer than are asked. Its servers are held only where there is a number of them, which don't share \
     their time. Logs of agents and locks are asked directly.\n\n```ron\n(at: \"cloud\", servers: 32, time: \"2ms\", forwards: (to: [\"model a\", \"model b\"], \
     routing: PowerOf(2), holds: true))\n```";
    BadCache = 561, "a cache of answers that can't be",
    "A `cache` keeps answers for a `ttl`, give or take the part that `jitter` says, which is at least 0 and less than 1. It is for calls that say \
     what they are `about`.\n\n```ron\ncache: (ttl: \"60s\", jitter: 0.1, stale: \"10s\", single_flight: true)\n```";
    UnknownChannel = 650, "no such channel",
    "A step or a `dead_letters` names a channel that `channels` doesn't declare. The message names the nearest one.";
    BadChannel = 651, "a channel that can't be",
    "A log has a `retention`, and no `bound`, `delay`, `most_deliveries` or `dead_letters`; consumer groups, `from` and `replay` are a log's. Whoever \
     gets messages pushed has a handler in `on` under the name of the channel, and doesn't poll it; agents of a stream come and go, so that nothing \
     can be pushed to them. The name of a channel is no topic of messages between agents.\n\n```ron\nchannels: {\"orders\": (at: \"hub\", kind: Queue, \
     consumers: {\"worker\": ()})},\nagents: {\"worker\": (count: 4, at: \"hub\", on: {\"orders\": [Think(\"1s\")]})}\n```";
    ChannelUnread = 652, "a channel that nobody reads, or nobody writes",
    "What is published to a topic without consumers goes nowhere, and what is published to a queue or a log from which nobody reads waits for ever. \
     Who consumes is named in the channel's `consumers`, or polls it in a `Poll` step. A channel to which nobody publishes is silent.";
    IdleConsumers = 653, "more consumers than partitions",
    "A partition of a log belongs to one member of a consumer group: of more members than partitions some have nothing to do.\n\n```ron\nkind: \
     Log(partitions: 4), consumers: {\"worker\": ()} // of which there are 10\n```\n\nGive the log as many partitions as there are members at \
     least, or use a `Queue`.";
    DeadLetterCycle = 654, "dead letters that go round",
    "The `dead_letters` of a channel go to another one, and from there, sooner or later, back to the first: a message that can't be handled would \
     go round for ever. Let the last of them have none.";
    NotSubscribed = 655, "a poll of a topic without a subscription",
    "A topic keeps messages for those who have subscribed, and for nobody else: agents that poll it are named in its `consumers`.\n\n```ron\n\
     consumers: {\"meter\": (by: Poll)}\n```";
    ShortVisibility = 656, "messages that come back before they are handled",
    "What isn't acknowledged within the `visibility` of the channel is handed over again. Here the steps about a message take longer than that, in \
     any case, so that every message is handled several times. A poll's messages are handled one after the other: the last of them waits for all the \
     others.";
    ShortTimeout = 657, "a poll that its client gives up",
    "A long poll is answered when there is a message, or after its `wait`. A policy whose `timeout` isn't longer gives every poll up before it is \
     answered empty, and what comes to it at the last moment is lost until its visibility timeout.";
    RepeatedPublication = 658, "publications that are repeated and not recognised",
    "A policy with several attempts sends a publication again when the answer doesn't come, and a channel recognises it only by its \
     `idempotency_key`. Without that a channel that delivers at most once, or effectively once, may deliver twice.\n\n```ron\n\
     policies: {\"patient\": (timeout: \"2s\", attempts: 5, idempotency_key: true)}\n```";
    UnknownCoordination = 700, "an unknown coordination group",
    "`Submit` names a group that is declared under `coordination`. Services are asked by `Call`, stores by reads and updates.\n\n\
     ```ron\ncoordination: {\"council\": (pattern: Raft(), at: [\"a\", \"b\", \"c\"])}\n```";
    BadCoordination = 701, "a coordination group that can't be",
    "A coordination group says how its members work together (`pattern`) and where they are: `at` sites, with `members` in turn if there are more \
     of them than sites, or one `beside` each agent of a group that stays. Only members beside agents tell them something (`tells`).\n\n\
     ```ron\ncoordination: {\"council\": (pattern: Raft(), at: [\"a\", \"b\", \"c\"], members: 5)}\n```";
    BadWork = 702, "work that can't be done",
    "`work` is a graph of tasks. Each is done `by` the agents of a group that stays, in a handler for the task's name (or for what `on` says), once \
     the tasks that it `needs` are done: these make no circle. A task that `checks` another one needs it.\n\n```ron\nwork: {\"feature\": (tasks: {\
     \"code\": (by: \"coders\"), \"review\": (by: \"reviewers\", needs: \"code\", checks: \"code\")})}\n```";
    BadGossip = 710, "gossip that can't be",
    "A member contacts others: not more at a time (`fan_out`), and not by more links (`neighbours`), than there are. Items come into the world at \
     members that exist, which are numbered from 0. A `jitter` is at least 0 and less than 1.\n\n```ron\n(pattern: Gossip(fan_out: 3, items: \
     [(member: 0)]), at: \"here\", members: 1000)\n```";
    UnreachableItem = 711, "an item that nobody can reach",
    "What comes into the world at a member is to reach the others: there must be some, they must tell each other something or compare what they have \
     (`anti_entropy`), and the links between them should hold together, which takes two that each opens, or better three.\n\n```ron\n\
     (pattern: Gossip(neighbours: 3, items: [()]), at: \"here\", members: 1000)\n```";
    NothingToGossip = 712, "nothing to gossip about",
    "Items come into the world by agents that submit them to the group, or by themselves. In a group without either, members talk about nothing.\n\n\
     ```ron\n(pattern: Gossip(items: [(member: 0, at: \"10s\")]), at: \"here\", members: 100)\n```";
    BadSwim = 713, "a failure detector that can't be",
    "A direct probe times out before its period is over, so that others can be asked for help; these are other members. Those who are there from the \
     beginning (`initial`) are no more than all, and `join_every` is about the others.\n\n```ron\n(pattern: Swim(period: \"1s\", timeout: \
     \"200ms\", helpers: 3, initial: 10, join_every: \"5s\"), at: \"here\", members: 30)\n```";
    TooManyFaulty = 730, "too many Byzantine replicas for their number",
    "PBFT bears `faulty` Byzantine replicas among at least three times as many and one. Without `faulty` it is as many as there may be: 1 of 4, 2 of \
     7, 3 of 10.\n\n```ron\ncoordination: {\"council\": (pattern: Pbft(faulty: 1), at: [\"a\", \"b\", \"c\", \"d\"])}\n```";
    NoSuchReplica = 731, "a Byzantine replica that isn't one of the group, or stands twice",
    "`byzantine` names replicas by their numbers, from 0, each once.\n\n```ron\npattern: Pbft(byzantine: [(member: 0, does: Silent), (member: 3, does: \
     Forge)])\n```";
    BeyondFaulty = 732, "more Byzantine replicas than are borne",
    "A warning: with more than `faulty` Byzantine replicas nothing is promised any more. Correct replicas may execute different requests at one \
     place, and agents may be answered wrongly or never. That may be what the scenario is to show.";
    BadWindow = 733, "checkpoints and a window that don't go together",
    "The log of a replica reaches `window` sequence numbers beyond its last stable checkpoint. It is a multiple of `checkpoint_every`, at least twice \
     that, so that ordering goes on while the next checkpoint becomes stable; `in_flight` isn't more.\n\n```ron\npattern: Pbft(checkpoint_every: 100, \
     window: 200, in_flight: 50)\n```";
    BadPbftTimes = 734, "timeouts that can't work",
    "A replica that waits for something says every `status_every` what it has, so that the others send again what was lost. That has to happen before \
     it gives its primary up, after `view_timeout`.\n\n```ron\npattern: Pbft(status_every: \"250ms\", view_timeout: \"2s\")\n```";
    BadShares = 735, "shares of the work that don't add up",
    "A ledger has a share of all work for each of its members, from 0 to 1, which add up to 1.\n\n```ron\npattern: Ledger(shares: [0.5, 0.3, 0.2])\n```";
    BadAttacker = 736, "an attacker that can't be one",
    "The `attacker` of a ledger is one of its members, by number from 0, with a share of the work. With half of it or more it always wins in the \
     end, which is a warning.\n\n```ron\npattern: Ledger(shares: [0.3, 0.7], attacker: (member: 0, gives_up: 20))\n```";
    BadPeers = 737, "more peers than there are members",
    "A member of a ledger connects to `peers` others. Without it all are connected.\n\n```ron\npattern: Ledger(peers: 8)\n```";
    BadTeam = 740, "a team that can't do its work",
    "The members of a team take tasks for the agents that they stand `beside`: all groups whose agents do tasks of the `work` are named there. They \
     compare what they know with others, of whom there are at least `fan_out`. A claim lives (`timeout`) longer than it `settle`s.\n\n```ron\n\
     coordination: {\"team\": (pattern: Team(work: \"feature\"), beside: [\"coders\", \"reviewers\"])}\n```";
    EndlessHabit = 741, "an agent that never comes to an end",
    "An agent that does steps again (`repeats`), or doesn't notice that it is through (`unaware`), does so with a probability below 1.\n\n```ron\n\
     errs: (repeats: 0.15, unaware: 0.1)\n```";
    OrphanCoordinator = 750, "a coordinator that stands under nobody",
    "A hierarchy has one root; each of the other coordinators stands `under` one that is there. Several roots are several systems, joined at their roots, \
     if `abroad` says how much of what is submitted is another system's matter.\n\n```ron\npattern: Hierarchy(nodes: {\"hq\": (at: \"a\"), \
     \"north\": (at: \"b\", under: \"hq\")})\n```";
    UnknownSuperior = 751, "a coordinator under one that isn't there",
    "`under` names another coordinator among the `nodes` of the hierarchy.\n\n```ron\npattern: Hierarchy(nodes: {\"hq\": (at: \"a\"), \
     \"north\": (at: \"b\", under: \"hq\")})\n```";
    CoordinatorCircle = 752, "coordinators that stand under each other",
    "From each coordinator one comes upwards to a root, which has no `under`.\n\n```ron\npattern: Hierarchy(nodes: {\"hq\": (at: \"a\"), \
     \"north\": (at: \"b\", under: \"hq\")})\n```";
    BadHierarchy = 753, "a hierarchy that can't be",
    "A hierarchy is written in `tiers` from the root down, or in `nodes` one by one. A tier has one coordinator for each site of `at`, or `count` of them, or \
     `fan_out` under each one of the tier above. The group's own `at`, `members` and `beside` have nothing to say.\n\n```ron\npattern: \
     Hierarchy(tiers: [(at: \"hq\"), (at: [\"a\", \"b\"], limit: 100), (fan_out: 8, limit: 10)])\n```";
    BadQuota = 754, "a quota that can't be handed out",
    "A quota has a `total`, of which coordinators are given a `lease` at a time, which isn't more than that.\n\n```ron\npattern: Hierarchy(tiers: [(at: \
     \"hq\"), (at: [\"a\", \"b\"])], quota: (total: 1000, lease: 50))\n```";
    NothingAbroad = 755, "another system's matters without another system",
    "`abroad` is the part of the submissions that is the matter of another system: a hierarchy with several roots has several.\n\n```ron\npattern: \
     Hierarchy(tiers: [(at: [\"here\", \"there\"]), (fan_out: 4)], abroad: 0.1)\n```";
    FewSizes = 756, "an exponent from too few sizes",
    "A warning: `scaling` fits a power law to what several variants measure, and through two points goes any line. With three different numbers or more one \
     sees whether they lie on one.\n\n```ron\nvariants: {\"80\": [Set(path: \"agents.worker.count\", to: 80)], \"800\": [Set(path: \"agents.worker.count\", \
     to: 800)]},\nscaling: [(measure: \"messages.sent\", with: \"agents.worker.count\")],\n```";
    NotANumber = 757, "a scaling with something that is no number",
    "`with` of a `scaling` leads to a positive number, or a quantity, in each of the variants that are compared. `variants` leaves others out.\n\n```ron\nscaling: \
     [(measure: \"messages.sent\", with: \"agents.worker.count\", variants: [\"base\", \"80\", \"800\"])]\n```";
    NoSuchServer = 760, "a planned change of a server that isn't there",
    "`changes` of a Raft group name servers by their sites: one of the sites in `at`, at which the group has one server. Servers that join later stand \
     in `at` as all others do.\n\n```ron\n(pattern: Raft(changes: [Add(server: \"d\", at: \"10s\")]), at: [\"a\", \"b\", \"c\", \"d\"])\n```";
    BadServerChange = 761, "a planned change that can't be made",
    "In the order of their times, `changes` add servers that aren't of the group yet, remove such as are, and hand over to such as are. Whoever has \
     left doesn't come back.\n\n```ron\npattern: Raft(changes: [Add(server: \"d\", at: \"10s\"), Remove(server: \"a\", at: \"20s\"), Transfer(to: \"d\", \
     at: \"30s\")])\n```";
    MajorityLost = 762, "a planned change without a majority",
    "A group has servers from its beginning to its end: its last one can't be removed. A warning says of a change that it falls into a time when so many \
     servers have crashed that nothing can be decided: it is made when more are back.\n\n```ron\npattern: Raft(changes: [Remove(server: \"c\", at: \
     \"20s\")])\n```";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_ordered_and_found_by_name() {
        assert!(Code::ALL.windows(2).all(|w| w[0].number() < w[1].number()));
        for &code in Code::ALL {
            assert_eq!(Code::find(&code.to_string()), Some(code));
            assert!(code.explanation().len() > 60, "{code} explains itself");
        }
        assert_eq!(Code::find("e101"), Some(Code::UnknownField));
        assert_eq!(Code::find("E0999"), None);
        assert_eq!(Code::find("Ex"), None);
    }
    #[test]
    fn the_examples_of_syntax_errors_are_such() {
        use super::super::{Diagnostics, Limits, SourceMap, parse_bytes};
        let mut examples = 0;
        for &code in Code::ALL.iter().filter(|c| c.number() < 100) {
            let Some(example) = code
                .explanation()
                .split("```ron\n")
                .nth(1)
                .and_then(|e| e.split("\n```").next())
            else {
                continue;
            };
            examples += 1;
            let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
            let _ = parse_bytes("s", example.as_bytes(), &mut map, &Limits::default(), &mut out);
            assert!(out.iter().any(|d| d.code == code), "{code}: {example}");
        }
        assert!(examples > 10);
    }
}
