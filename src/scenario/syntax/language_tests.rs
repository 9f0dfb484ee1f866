//! Types declared with `language!`: read, refused, written and described.

use super::*;

crate::language! {
    /// How many requests are served at once.
    pub enum Servers {
        /// Any number.
        Unlimited,
        /// So many.
        Count(u32) as bare,
    }

    /// The wait between attempts.
    pub enum Backoff {
        /// No wait.
        Never,
        /// Always the same.
        Fixed(String),
        /// Between two.
        Range(u32, u32),
        /// Doubling.
        Doubling {
            /// The first wait.
            base: u32,
            /// The longest wait.
            cap: u32 = 100,
        },
    }

    /// Either kind of limit.
    pub enum Limit {
        /// Through a wait.
        Of(Backoff) as bare,
        /// By a whole service.
        Service(Box<Service>),
    }

    /// Something to call.
    pub struct Service {
        /// Where it runs.
        at: Spanned<String>,
        /// How many requests
        /// are served at once.
        servers: Servers = Servers::Count(1),
        /// The longest queue.
        queue: Option<u64>,
        /// What to be called.
        r#type: String,
        /// The parts.
        parts: Vec<Service> = Vec::new(),
    }

    /// Nothing.
    pub struct Empty {}

    /// All.
    pub struct World {
        /// By name.
        services: Named<Service> = Named::default(),
        /// A limit.
        limit: Option<Limit>,
        /// A pair.
        pair: (String, f64) = ("x".to_string(), 0.5),
    }
}

#[test]
fn every_form_is_read_and_written_back() {
    for (text, written) in [
        ("()", r#"(services:{},limit:None,pair:("x",0.5))"#),
        (
            r#"World(limit: Never)"#,
            r#"(services:{},limit:Of(Never),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Some(Doubling(base: 3)))"#,
            r#"(services:{},limit:Of(Doubling(base:3,cap:100)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Of(Range(1, 2)))"#,
            r#"(services:{},limit:Of(Range(1,2)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Doubling((base: 3, cap: 4)))"#,
            r#"(services:{},limit:Of(Doubling(base:3,cap:4)),pair:("x",0.5))"#,
        ),
        (
            r#"(limit: Service(at: "a", type: "t", servers: 7))"#,
            r#"(services:{},limit:Service((at:"a",servers:Count(7),queue:None,type:"t",parts:[])),pair:("x",0.5))"#,
        ),
        (
            r#"(pair: ("y", 1), services: {"b": (at: "a", type: "t", queue: 9, servers: Unlimited)})"#,
            r#"(services:{"b":(at:"a",servers:Unlimited,queue:9,type:"t",parts:[])},limit:None,pair:("y",1.0))"#,
        ),
    ] {
        let world: World = from_text(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(to_text(&world), written);
        assert_eq!(from_text::<World>(written).unwrap(), world);
    }
    assert_eq!(from_text::<Empty>("()").unwrap(), Empty {});
}
