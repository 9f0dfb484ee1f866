//! A scenario as it was run, in a form that can be run elsewhere with the same results.
//!
//! What the command line chose (seed, replicates, variants) stands in the text, and data files are named by where their copies
//! lie beside it. Its hash doesn't depend on where data files lie, but on what is in them.

use super::syntax::patch::OVERRIDE;
use super::syntax::{Field, Node, SourceId, SourceMap, Value, patch};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is run, where that isn't what the scenario says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The seed.
    pub seed: Option<u64>,
    /// How many times each variant runs.
    pub replicates: Option<u32>,
    /// The variants beside the base. Empty: all.
    pub variants: &'a [String],
    /// Changes (`path=value`) that come after those of every variant: a parameter that is looked through.
    pub last: &'a [String],
}

/// A data file that a scenario reads, with all that it held.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Where its copy lies beside the written scenario: `data/rtt.csv`.
    pub copy: String,
    /// What it held.
    pub bytes: Arc<[u8]>,
    /// The hash of that.
    pub hash: blake3::Hash,
}

/// The files that were read, by the path that they were read from.
pub(super) type Read = BTreeMap<PathBuf, (Arc<[u8]>, blake3::Hash)>;

/// Writes a number into a field of the scenario.
pub(super) fn put(root: &mut Node, name: &str, number: u64) {
    let value = Node::made(Value::Integer(number.into()));
    let Value::Struct(_, fields) = &mut root.value else {
        return;
    };
    match fields.iter_mut().find(|field| field.name.text == name) {
        Some(field) => field.value = value,
        None => fields.push(Field {
            name: super::syntax::Name::made(name),
            value,
        }),
    }
}

/// Takes out the variants that aren't in `kept`, and what is expected of them: alone, or of all together.
pub(super) fn keep_variants(root: &mut Node, kept: &BTreeSet<&str>) {
    let Value::Struct(_, fields) = &mut root.value else {
        return;
    };
    // `Some("near")` is another way to write `"near"`.
    let runs = |node: Option<&Node>| match node.map(|node| &arguments(node).value) {
        Some(Value::Text(name)) => name == "base" || kept.contains(name.as_str()),
        _ => true,
    };
    let all_run = fields
        .iter()
        .all(|field| match (field.name.text.as_str(), &field.value.value) {
            ("variants", Value::Map(entries)) => entries.iter().all(|(name, _)| runs(Some(name))),
            _ => true,
        });
    for field in fields.iter_mut() {
        match (field.name.text.as_str(), &mut field.value.value) {
            ("variants", Value::Map(entries)) => entries.retain(|(name, _)| runs(Some(name))),
            ("expect", Value::List(items)) => {
                items.retain(|item| {
                    let is_of_all = is_named(item, "Sometimes") && !names_a_variant(arguments(item));
                    let item = arguments(item);
                    (all_run || !is_of_all) && runs(item.field("variant")) && runs(item.field("over"))
                });
            }
            ("scaling", Value::List(items)) => items.retain(|item| match item.field("variants") {
                None => all_run,
                Some(Node {
                    value: Value::List(names),
                    ..
                }) => names.iter().all(|name| runs(Some(name))),
                one => runs(one),
            }),
            _ => {}
        }
    }
}

fn is_named(node: &Node, wanted: &str) -> bool {
    match &node.value {
        Value::Tuple(Some(name), _) | Value::Struct(Some(name), _) => name.text == wanted,
        _ => false,
    }
}

fn names_a_variant(item: &Node) -> bool {
    let variant = item.field("variant").map(|node| &arguments(node).value);
    matches!(variant, Some(Value::Text(_)))
}

/// The arguments of a variant: `What((a: 1))` is another way to write `What(a: 1)`.
fn arguments(node: &Node) -> &Node {
    match &node.value {
        Value::Tuple(Some(_), items) if items.len() == 1 => &items[0],
        _ => node,
    }
}

/// Lets the scenario name the copies of the data files that were read, and gives those. `root` is the scenario's own path.
pub(super) fn gather(tree: &mut Node, read: &Read, map: &SourceMap, root: &Path) -> Vec<DataFile> {
    let mut copies: BTreeMap<PathBuf, DataFile> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    each_file(tree, &mut |node| {
        let Value::Text(text) = &node.value else { return };
        let path = place(map, root, node, text);
        let Some((bytes, hash)) = read.get(&path) else { return };
        let copy = copies.entry(path).or_insert_with_key(|path| DataFile {
            copy: copy_name(path, &mut taken),
            bytes: Arc::clone(bytes),
            hash: *hash,
        });
        *node = Node::text(copy.copy.clone());
    });
    copies.into_values().collect()
}

/// The scenario with the hashes of its data files in place of their paths.
pub(super) fn by_content(tree: &Node, data: &[DataFile]) -> Node {
    let mut tree = tree.clone();
    each_file(&mut tree, &mut |node| {
        let of = data
            .iter()
            .find(|file| matches!(&node.value, Value::Text(text) if *text == file.copy));
        if let Some(file) = of {
            *node = Node::text(file.hash.to_hex().as_str());
        }
    });
    tree
}

/// Where a data file lies: relative to the file of the language that names it, or else to the scenario's folder.
pub(super) fn place(map: &SourceMap, root: &Path, node: &Node, text: &str) -> PathBuf {
    base(map, root, node.span.source).join(text)
}

/// The folder that paths in this source are relative to.
pub(super) fn base<'a>(map: &'a SourceMap, root: &'a Path, source: SourceId) -> &'a Path {
    // An override's source is no file: its paths count as the scenario's.
    let source = map.get(source).map_or("", super::syntax::source::Source::name);
    let file = if source == OVERRIDE { root } else { Path::new(source) };
    file.parent().unwrap_or(Path::new(""))
}

/// A name for the copy of a file, in `data/`; no two copies share one, wherever names are case-insensitive.
fn copy_name(path: &Path, taken: &mut BTreeSet<String>) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
        _ => '_',
    };
    let name: String = name.chars().take(80).map(safe).collect();
    let name = name.trim_start_matches('.');
    let mut candidate = name.to_string();
    let mut n = 1;
    while candidate.is_empty() || !taken.insert(candidate.to_ascii_lowercase()) {
        n += 1;
        candidate = format!("{n}-{name}");
    }
    format!("data/{candidate}")
}

/// Visits every path of a data file: in the declarations, and in what variants put in their place.
fn each_file(root: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    let Value::Struct(_, fields) = &mut root.value else {
        return;
    };
    for field in fields {
        match field.name.text.as_str() {
            "data" => in_data(&mut field.value, visit),
            "variants" => {
                let Value::Map(entries) = &mut field.value.value else {
                    continue;
                };
                for (_, changes) in entries {
                    if let Value::List(changes) = &mut changes.value {
                        changes.iter_mut().for_each(|change| in_change(change, visit));
                    }
                }
            }
            _ => {}
        }
    }
}

fn in_data(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    if let Value::Map(entries) = &mut node.value {
        entries.iter_mut().for_each(|(_, set)| in_set(set, visit));
    }
}

fn in_set(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    if let Value::Struct(_, fields) = &mut node.value {
        fields
            .iter_mut()
            .filter(|field| field.name.text == "file")
            .for_each(|field| visit(&mut field.value));
    }
}

fn in_change(change: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    let inner = match &mut change.value {
        Value::Tuple(Some(_), items) if items.len() == 1 => &mut items[0],
        _ => change,
    };
    let path = match inner.field("path").map(|path| &path.value) {
        Some(Value::Text(path)) => path.parse::<patch::Path>().ok(),
        _ => None,
    };
    let Value::Struct(_, fields) = &mut inner.value else {
        return;
    };
    let to = fields.iter_mut().find(|field| field.name.text == "to");
    let (Some(path), Some(to)) = (path, to) else { return };
    let is = |step: &patch::Step, name: &str| matches!(step, patch::Step::Name(text) if text == name);
    match path.steps() {
        [top] if is(top, "data") => in_data(&mut to.value, visit),
        [top, _] if is(top, "data") => in_set(&mut to.value, visit),
        [top, _, last] if is(top, "data") && is(last, "file") => visit(&mut to.value),
        _ => {}
    }
}
