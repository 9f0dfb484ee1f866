//! The pages of the presets: what each stands for, and where its defaults are from.

use super::{Origin, Preset};

/// A default that a source says.
const fn cited(
    option: &'static str,
    instead: &'static str,
    why: &'static str,
    sources: &'static [(&'static str, &'static str)],
) -> Origin {
    Origin {
        option,
        instead,
        why,
        sources,
    }
}

/// A default that is a choice of ours.
const fn choice(option: &'static str, instead: &'static str, why: &'static str) -> Origin {
    cited(option, instead, why, &[])
}

const MONGO_SET: (&str, &str) = (
    "MongoDB Manual, Self-Managed Replica Set Configuration",
    "https://www.mongodb.com/docs/manual/reference/replica-configuration/",
);
const MONGO_DEFAULTS: (&str, &str) = (
    "MongoDB Manual, Default MongoDB Read Concerns/Write Concerns",
    "https://www.mongodb.com/docs/manual/reference/mongodb-defaults/",
);
const MONGO_READS: (&str, &str) = (
    "MongoDB Manual, Read Preference",
    "https://www.mongodb.com/docs/manual/core/read-preference/",
);
const MONGO_URI: (&str, &str) = (
    "MongoDB Specifications, Server Selection",
    "https://github.com/mongodb/specifications/blob/master/source/server-selection/server-selection.md",
);
const CASSANDRA_YAML: (&str, &str) = (
    "apache/cassandra, conf/cassandra.yaml",
    "https://github.com/apache/cassandra/blob/trunk/conf/cassandra.yaml",
);
const CASSANDRA_HINTS: (&str, &str) = (
    "DataStax, Hinted Handoff: repair during write path",
    "https://docs.datastax.com/en/cassandra/3.0/cassandra/operations/opsRepairNodesHintedHandoff.html",
);
const CASSANDRA_LEVELS: (&str, &str) = (
    "DataStax, How is the consistency level configured?",
    "https://docs.datastax.com/en/dse/5.1/architecture/database-internals/configure-consistency.html",
);
const CASSANDRA_CQLSH: (&str, &str) = (
    "DataStax, CQL for Cassandra 3.x, CONSISTENCY",
    "https://docs.datastax.com/en/cql-oss/3.x/cql/cql_reference/cqlshConsistency.html",
);
const CASSANDRA_DYNAMO: (&str, &str) = (
    "Apache Cassandra Documentation, Dynamo",
    "https://cassandra.apache.org/doc/latest/cassandra/architecture/dynamo.html",
);
const CASSANDRA_REPAIR: (&str, &str) = (
    "Apache Cassandra Documentation, Read repair",
    "https://cassandra.apache.org/doc/latest/operating/read_repair.html",
);
const CASSANDRA_REPAIR_ONE: (&str, &str) = (
    "DataStax, Read Repair: repair during read path",
    "https://docs.datastax.com/en/cassandra/3.0/cassandra/operations/opsRepairNodesReadRepair.html",
);
const COCKROACH_CONFIG: (&str, &str) = (
    "cockroachdb/cockroach, pkg/base/config.go at 000e3782",
    "https://github.com/cockroachdb/cockroach/blob/000e3782b6432d3d30135ebc90584e644e23dc08/pkg/base/config.go",
);
const COCKROACH_REPLICATION: (&str, &str) = (
    "CockroachDB Docs, Replication Layer",
    "https://www.cockroachlabs.com/docs/stable/architecture/replication-layer",
);
const COCKROACH_DISTRIBUTION: (&str, &str) = (
    "CockroachDB Docs, Distribution Layer",
    "https://www.cockroachlabs.com/docs/stable/architecture/distribution-layer",
);
const INFLUX_WRITE: (&str, &str) = (
    "InfluxDB Enterprise v1, Write (Enterprise write consistency)",
    "https://docs.influxdata.com/enterprise_influxdb/v1/api/write/",
);
const INFLUX_CONFIG: (&str, &str) = (
    "Configure InfluxDB Enterprise v1 data nodes",
    "https://docs.influxdata.com/enterprise_influxdb/v1/administration/configure/config-data-nodes/",
);
const INFLUX_CLUSTER: (&str, &str) = (
    "Clustering in InfluxDB Enterprise v1",
    "https://docs.influxdata.com/enterprise_influxdb/v1/concepts/clustering",
);
const NEO4J_SETTINGS: (&str, &str) = (
    "Neo4j Operations Manual, Configuration settings",
    "https://neo4j.com/docs/operations-manual/current/configuration/configuration-settings/",
);
const NEO4J_RAFT: (&str, &str) = (
    "Neo4j Operations Manual, Leadership, routing, and load balancing",
    "https://neo4j.com/docs/operations-manual/current/clustering/internals",
);
const NEO4J_BOOKMARKS: (&str, &str) = (
    "Neo4j Query API, Coordinate transactions and enforce causal consistency",
    "https://neo4j.com/docs/query-api/current/bookmarks",
);

/// Every preset, in the order of the reference.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "DocumentStore",
        title: "Document store with a single leader",
        doc: "\
One replica takes all updates and acknowledges them at once; the others follow its log. When it isn't heard another one is voted for, and
what only the old leader had is undone: MongoDB calls that a rollback. A leader that no majority confirms steps down after the election
timeout; until then both sides of a partition may have one.

Followers here are sent the log, and those of MongoDB fetch it. Elections are by the promises of a majority (see `primary`), not by
MongoDB's protocol, and the next leader is the first in the order of names that is up, with the best log among those who promised.
",
        origins: &[
            choice(
                "primary",
                "the first by name",
                "which member leads at first is nobody's default",
            ),
            cited(
                "copies",
                "",
                "asynchronous followers, `w: 1`: the implicit write concern before MongoDB 5.0; from 5.0 on it is `majority`, which is \
                 `copies: Majority`",
                &[MONGO_DEFAULTS],
            ),
            cited("reads", "", "the read preference `primary`", &[MONGO_READS]),
            cited("failover", "", "`electionTimeoutMillis`; a majority votes", &[MONGO_SET]),
            cited("heartbeat", "", "`heartbeatIntervalMillis`", &[MONGO_SET]),
            cited(
                "timeout",
                "",
                "`serverSelectionTimeoutMS`: how long a client waits for a leader",
                &[MONGO_URI],
            ),
        ],
    },
    Preset {
        name: "WideColumn",
        title: "Wide-column store after Dynamo",
        doc: "\
Each key is kept by `n` replicas on a ring; any replica coordinates; the latest stamp wins. As it comes, one answer is enough for a read
and for a write, and reads may be stale for as long as a write takes to the others. `WideColumn(r: 2, w: 2)` is what Cassandra calls
`QUORUM` for both.

A read here asks all `n` replicas and takes the first `r` answers, and Cassandra asks as many as it needs, and another one if they are slow.
Stamps are the coordinators', and Cassandra's drivers may bring the clients'. Anti-entropy is `anti_entropy` of the store, and off as in
Cassandra, where somebody has to run a repair. A set or a map here is one value under one stamp, as a frozen collection is there;
Cassandra's other collections have a stamp for each element. There are no lightweight transactions.
",
        origins: &[
            choice(
                "n",
                "3, or all replicas if they are fewer",
                "the customary replication factor; in Cassandra each keyspace has to say it",
            ),
            cited(
                "r",
                "",
                "the consistency level `ONE`, the default of the shell and of most clients",
                &[CASSANDRA_CQLSH, CASSANDRA_LEVELS],
            ),
            cited("w", "", "the same", &[CASSANDRA_CQLSH, CASSANDRA_LEVELS]),
            cited("resolve", "", "the latest timestamp wins", &[CASSANDRA_DYNAMO]),
            cited(
                "read_repair",
                "`true` if `r` is above 1",
                "read repair is `BLOCKING` by default, and compares the replicas that were asked: at `ONE` there is one",
                &[CASSANDRA_REPAIR, CASSANDRA_REPAIR_ONE],
            ),
            cited(
                "hinted_handoff",
                "",
                "hints are kept for replicas that haven't answered within `write_request_timeout`, 2 s, for `max_hint_window`, 3 h; \
                 when they are offered again is a choice",
                &[CASSANDRA_YAML, CASSANDRA_HINTS],
            ),
            cited(
                "timeout",
                "",
                "`read_request_timeout`; that of writes is 2 s, and here there is one for both",
                &[CASSANDRA_YAML],
            ),
        ],
    },
    Preset {
        name: "NewSql",
        title: "Relational store on Raft groups (NewSQL)",
        doc: "\
Keys are divided among Raft groups, whose leaders are spread over the sites. An operation goes through the group of its key: updates need a
majority of its members, and the leader answers reads by its lease. Every operation is linearizable, each key's and so all together
(Herlihy and Wing 1990).

Operations are about one key: there are no transactions, and so nothing of two-phase commit between groups. Every group has a member at each
replica: a store at three sites has the customary three copies. Groups neither split nor merge, and don't share heartbeats. A range's lease
here is its leader's, counted from the heartbeats that a majority has answered. Reads at the nearest replica that may be old, as follower reads are, are
`NewSql(reads: Local)`.
",
        origins: &[
            choice(
                "shards",
                "one for each replica, or for each key if there are fewer keys",
                "CockroachDB and TiKV split by size, and keys here have none",
            ),
            cited("split", "", "keys are divided into ranges of their order", &[COCKROACH_DISTRIBUTION]),
            cited(
                "leaders",
                "",
                "leases are moved so that nodes have about as many as each other; that they also follow the load isn't here",
                &[COCKROACH_REPLICATION],
            ),
            cited(
                "reads",
                "",
                "the leaseholder answers reads by itself; the bound on clocks is that of `Lease()`, a choice",
                &[COCKROACH_REPLICATION],
            ),
            cited(
                "election_min",
                "",
                "15 ticks of 200 ms",
                &[COCKROACH_CONFIG],
            ),
            cited(
                "election_max",
                "",
                "twice as much: the timeout is multiplied by a random factor of 1 to 2",
                &[COCKROACH_REPLICATION],
            ),
            cited("heartbeat", "", "5 ticks of 200 ms", &[COCKROACH_CONFIG]),
            choice("timeout", "", "that of `Raft`"),
        ],
    },
    Preset {
        name: "TimeSeries",
        title: "Append-only time-series store",
        doc: "\
Points are added to series and never changed: a series is a grow-only set, a point its element, added with `Insert`. Keys of other types
are refused, and so are removals. Added points need no order and no clocks, so none is ever lost to another; what is lost or late is
what a write couldn't bring to all replicas that keep the series, until hints do.

Old points aren't dropped (retention), and a point that is written twice is one.
",
        origins: &[
            choice(
                "n",
                "3, or all replicas if they are fewer",
                "each retention policy of InfluxDB Enterprise says its replication factor",
            ),
            choice("r", "", "one of the data nodes that have a shard answers a query"),
            cited("w", "", "the write consistency `one`", &[INFLUX_WRITE]),
            cited(
                "hinted_handoff",
                "",
                "on; `retry-interval`, 1 s, which grows there with each failure and doesn't here; `max-age`, 168 h; after how long a hint is kept is a \
                 choice",
                &[INFLUX_CONFIG, INFLUX_CLUSTER],
            ),
            cited("timeout", "", "`write-timeout`", &[INFLUX_CONFIG]),
        ],
    },
    Preset {
        name: "GraphStore",
        title: "Graph store with a single writer",
        doc: "\
One Raft group, whose leader takes all updates; any member answers reads from what it has applied. A session brings a bookmark, the place in
the log that it has seen, and a member that hasn't applied so much waits until it has: agents read their own writes, and never older states
than before. Other agents' writes may be missing. Nodes with their properties are maps or registers, and edges elements of sets.

The writer is where it should be, at the site `writer`: it stands for election at the start, and is handed the lead again when it comes
back. All replicas are voters: there are no read replicas beyond them. Clients ask the nearest replica for everything, which passes
updates on, and Neo4j's drivers send them to the leader. Operations are about one key: there are no transactions.
",
        origins: &[
            choice("writer", "the first by name", "which server leads at first is nobody's default"),
            cited(
                "reads",
                "",
                "followers answer reads, once they have caught up with the bookmark; the preset says `sessions` where the store \
                 doesn't, with a `wait` of 30 s, a choice",
                &[NEO4J_RAFT, NEO4J_BOOKMARKS],
            ),
            cited(
                "election_min",
                "",
                "the lower end of `dbms.cluster.raft.leader_failure_detection_window`",
                &[NEO4J_SETTINGS],
            ),
            cited("election_max", "", "its upper end", &[NEO4J_SETTINGS]),
            choice("heartbeat", "", "what was lost on the way is sent again after a heartbeat"),
            choice("timeout", "", "some more than an election takes"),
        ],
    },
];
