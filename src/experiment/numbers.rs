//! The numbers of a run, kept small: eight bytes each, under names that all runs with the same names share.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Numbers by name, in the order of the names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    names: Arc<Vec<String>>,
    values: Box<[f64]>,
}

impl Numbers {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<&f64> {
        let place = self.names.binary_search_by(|other| other.as_str().cmp(name)).ok()?;
        self.values.get(place)
    }

    /// The names, ascending.
    pub fn keys(&self) -> std::slice::Iter<'_, String> {
        self.names.iter()
    }

    /// Names and numbers.
    pub fn iter(&self) -> std::iter::Zip<std::slice::Iter<'_, String>, std::slice::Iter<'_, f64>> {
        self.names.iter().zip(self.values.iter())
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether both share their names: a quick no may be wrong.
    pub fn shares_names_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }
}

impl<'a> IntoIterator for &'a Numbers {
    type Item = (&'a String, &'a f64);
    type IntoIter = std::iter::Zip<std::slice::Iter<'a, String>, std::slice::Iter<'a, f64>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The lists of names that were met.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<Arc<Vec<String>>>);

impl Names {
    /// The numbers, under a list of names that is kept once.
    pub fn share(&mut self, numbers: BTreeMap<String, f64>) -> Numbers {
        let values = numbers.values().copied().collect();
        let names: Vec<String> = numbers.into_keys().collect();
        let names = match self.0.get(&names) {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(names);
                self.0.insert(Arc::clone(&new));
                new
            }
        };
        Numbers { names, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_with_the_same_names_share_them() {
        let numbers = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let mut names = Names::default();
        let first = names.share(numbers(&[("b", 2.0), ("a", 1.0)]));
        let second = names.share(numbers(&[("a", 3.0), ("b", 4.0)]));
        let third = names.share(numbers(&[("a", 5.0)]));
        assert!(first.shares_names_with(&second) && !first.shares_names_with(&third));
        assert_eq!(
            (first.get("a"), first.get("b"), first.get("c")),
            (Some(&1.0), Some(&2.0), None)
        );
        assert_eq!((third.get("a"), third.get("b"), third.len()), (Some(&5.0), None, 1));
        let listed: Vec<_> = second.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(listed, [("a", 3.0), ("b", 4.0)]);
        assert_eq!(serde_json::to_string(&second).unwrap(), r#"{"a":3.0,"b":4.0}"#);
    }
}
