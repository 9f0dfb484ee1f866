//! Recorded editing sessions, in the format of github.com/josephg/editing-traces: JSON, gzip or not.

use super::{DataSets, Failure, Read, report};
use crate::agents::edits::{Session, Transaction};
use crate::scenario::syntax::{Code, Diagnostics, Spanned};
use serde::Deserialize;
use std::sync::Arc;

/// A session as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    end_content: String,
    num_agents: usize,
    txns: Vec<WrittenTransaction>,
}

#[derive(Deserialize)]
struct WrittenTransaction {
    parents: Vec<usize>,
    agent: usize,
    /// Position, characters deleted, characters inserted.
    patches: Vec<(u32, u32, String)>,
}

/// More authors than this are a mistake in the file.
const MOST_AUTHORS: usize = 10_000;

impl DataSets<'_> {
    /// A recorded editing session.
    pub fn session(&mut self, data: &Spanned<String>, out: &mut Diagnostics) -> Option<Arc<Session>> {
        if !self.sessions.contains_key(&data.value) {
            let bytes = self.bytes(data, out)?;
            self.sessions.insert(data.value.clone(), read(&bytes).map(Arc::new));
        }
        report(&self.sessions[&data.value], self.declared_at(data), (data, data), out)
    }
}

fn read(bytes: &[u8]) -> Read<Session> {
    let bad = |message: String| Failure {
        code: Code::BadData,
        message,
        suggestion: None,
    };
    let written: Written = serde_json::from_slice(bytes)
        .map_err(|error| bad(format!("it is no editing session of several authors: {error}")))?;
    if written.num_agents > MOST_AUTHORS {
        return Err(bad(format!(
            "it has {} authors; at most {MOST_AUTHORS} fit",
            written.num_agents
        )));
    }
    let transactions = written.txns.into_iter().map(|transaction| Transaction {
        parents: transaction.parents,
        author: transaction.agent,
        patches: transaction.patches,
    });
    let transactions: Vec<Transaction> = transactions.collect();
    Session::new(written.num_agents, &transactions, written.end_content).map_err(|error| bad(error.to_string()))
}
