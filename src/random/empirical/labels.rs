//! Columns of texts, of which only few differ: each text once, and for each row which it is.

use super::TableError;
use std::collections::BTreeMap;

/// A named column of texts, in the order of the rows. Never empty once it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    name: String,
    /// The texts that differ, in the order of their first rows.
    names: Vec<String>,
    places: BTreeMap<String, u32>,
    of: Vec<u32>,
}

impl Labels {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            names: Vec::new(),
            places: BTreeMap::new(),
            of: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        let place = match self.places.get(text) {
            Some(place) => *place,
            None => {
                let place = self.names.len() as u32;
                self.names.push(text.to_owned());
                self.places.insert(text.to_owned(), place);
                place
            }
        };
        self.of.push(place);
    }

    pub(super) fn or_empty(self) -> Result<Self, TableError> {
        match self.of.is_empty() {
            true => Err(TableError::Empty {
                column: Some(self.name),
            }),
            false => Ok(self),
        }
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of rows.
    #[allow(clippy::len_without_is_empty)] // A column is never empty.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// The texts that differ, in the order of their first rows.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Which of these each row holds.
    pub fn of(&self) -> &[u32] {
        &self.of
    }

    /// The number of a text among [`Labels::names`].
    pub fn place(&self, text: &str) -> Option<u32> {
        self.places.get(text).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_once_and_rows_keep_their_order() {
        let table = b"id,tool\n1,read\n2,\n3, write \n4,read\n";
        let labels = Labels::from_csv(table, "tool").unwrap();
        assert_eq!((labels.name(), labels.len()), ("tool", 4));
        assert_eq!(labels.names(), ["read", "", "write"]);
        assert_eq!(labels.of(), [0, 1, 2, 0]);
        assert_eq!((labels.place("write"), labels.place("id")), (Some(2), None));
    }

    #[test]
    fn what_is_no_column_of_texts_is_refused() {
        let error = |table: &str, column| Labels::from_csv(table.as_bytes(), column).unwrap_err().to_string();
        assert_eq!(error("id,tool\n", "tool"), "the column \"tool\" has no rows");
        assert_eq!(
            error("id,tool\n1,x\n", "tol"),
            "no column \"tol\" (did you mean \"tool\"?); the table has \"id\", \"tool\""
        );
        assert_eq!(
            error("id,tool\n1\n", "tool"),
            "line 2: 1 fields, where the header has 2"
        );
    }
}
