//! Loading a scenario: from a path to plans, or to all that is wrong with it.
//!
//! The library reads no file itself: a [`Sources`] does. Included files, overrides and data are all part of the scenario's
//! hash; how it is laid out, and in which order things are declared, is not.

use super::data::DataSets;
use super::language;
use super::plan::Plan;
use super::resolve::{self, Expectation, Measures};
use super::syntax::{
    Code, Cx, Decode, Diagnostic, Diagnostics, Limits, Node, SourceMap, Sources, Value, load as read, patch, write,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A scenario, ready to run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The question that it answers.
    pub question: String,
    /// What the base is called in tables and plots.
    pub base_title: String,
    /// Where all randomness starts from.
    pub seed: u64,
    /// How many times each variant runs.
    pub replicates: u32,
    /// A plan for each variant: `base` first, then the others in the order of the file.
    pub variants: Vec<Plan>,
    /// What must hold, in the order of the file.
    pub expectations: Vec<Expectation>,
    /// The hash of everything that it says, includes, overrides and data in it: hexadecimal.
    pub hash: String,
    /// The scenario with its includes and overrides, as one text.
    pub resolved: String,
    /// Every file of the language that was read, the scenario itself first.
    pub files: Vec<PathBuf>,
}

/// What became of loading.
#[derive(Debug)]
pub struct Outcome {
    /// The texts that the diagnostics point into.
    pub sources: SourceMap,
    /// Everything that is wrong, or questionable.
    pub diagnostics: Diagnostics,
    /// The scenario, if there is no error.
    pub scenario: Option<Scenario>,
}

/// Reads the scenario at `path` with its includes, applies `overrides` (`path=value`), and resolves every variant.
pub fn load(path: &Path, overrides: &[String], sources: &dyn Sources, known: &dyn Measures) -> Outcome {
    let limits = Limits::default();
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    let loaded = read::load(path, overrides, sources, &limits, &mut map, &mut out);
    let scenario = loaded.and_then(|loaded| {
        Loading {
            path,
            sources,
            known,
            map: &map,
            out: &mut out,
        }
        .scenario(loaded, &limits)
    });
    Outcome {
        sources: map,
        scenario: scenario.filter(|_| !out.has_errors()),
        diagnostics: out,
    }
}

struct Loading<'a> {
    path: &'a Path,
    sources: &'a dyn Sources,
    known: &'a dyn Measures,
    map: &'a SourceMap,
    out: &'a mut Diagnostics,
}

impl Loading<'_> {
    fn scenario(&mut self, loaded: read::Loaded, limits: &Limits) -> Option<Scenario> {
        let base = decode(&loaded.root, self.out)?;
        let mut data = DataSets::new(self.sources);
        data.declare(&base.data, self.map, self.path);
        let plan = resolve::plan(&base, "base", &mut data, self.out);
        let expectations = resolve::expectations(&base, self.known, self.map, self.out);
        let mut variants = Vec::from_iter(plan);
        for (name, changes) in base.variants.iter() {
            if name.value == "base" {
                let message = "the scenario as it stands is the variant `base`; another one needs another name";
                self.out.push(Diagnostic::error(Code::NamedTwice, name.span, message));
                continue;
            }
            // What is wrong with the base is wrong with its variants, and said once.
            let mut own = Diagnostics::new();
            let plan = self.variant(&loaded.root, &name.value, changes, limits, &mut data, &mut own);
            variants.extend(plan);
            let known: BTreeSet<String> = self.out.iter().map(essence).collect();
            for problem in own.iter().filter(|problem| !known.contains(&essence(problem))) {
                let note = format!("in the variant {}", write::quoted(&name.value));
                self.out.push(problem.clone().note(note));
            }
        }
        if self.out.has_errors() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(canonical(&loaded.root).as_bytes());
        for (name, hash) in data.hashes() {
            hasher.update(b"\0");
            hasher.update(name.as_bytes());
            hasher.update(hash.as_bytes());
        }
        Some(Scenario {
            name: base.name.value,
            question: base.question,
            base_title: base.base,
            seed: base.seed,
            replicates: *base.replicates.value,
            variants,
            expectations,
            hash: hasher.finalize().to_hex().to_string(),
            resolved: write::pretty(&loaded.root),
            files: loaded.files,
        })
    }

    /// The plan of the scenario with these changes.
    fn variant(
        &mut self,
        root: &Node,
        name: &str,
        changes: &[language::Change],
        limits: &Limits,
        data: &mut DataSets<'_>,
        own: &mut Diagnostics,
    ) -> Option<Plan> {
        let mut root = root.clone();
        let mut good = true;
        for change in changes {
            let language::Change::Set { path, to } = change;
            let top = path.steps().first();
            if let Some(patch::Step::Name(noun)) = top
                && matches!(
                    noun.as_str(),
                    "variants" | "expect" | "quorate" | "name" | "seed" | "replicates" | "include"
                )
            {
                let message = format!("a variant can't change `{noun}`");
                own.push(Diagnostic::error(Code::BadOverride, path.span, message));
                good = false;
                continue;
            }
            if let Err(error) = patch::set(&mut root, path, to.clone(), path.span, limits) {
                own.push(error.diagnostic(path.span));
                good = false;
            }
        }
        // What the other changes do is looked at even so: all problems are said at once.
        let file = decode(&root, own)?;
        data.declare(&file.data, self.map, self.path);
        resolve::plan(&file, name, data, own).filter(|_| good)
    }
}

fn decode(root: &Node, out: &mut Diagnostics) -> Option<language::Scenario> {
    let mut cx = Cx::new();
    let file = language::Scenario::decode(root, &mut cx);
    out.append(cx.diagnostics);
    file
}

/// What makes two problems the same.
fn essence(problem: &Diagnostic) -> String {
    format!("{:?} {:?} {}", problem.code, problem.span(), problem.message)
}

/// The canonical text: lists whose order says nothing are sorted too.
fn canonical(root: &Node) -> String {
    let mut root = root.clone();
    if let Value::Struct(_, fields) = &mut root.value {
        for field in fields {
            match field.name.text.as_str() {
                "sites" | "expect" => sort(&mut field.value),
                "network" => {
                    if let Value::Struct(_, fields) = &mut field.value.value {
                        fields
                            .iter_mut()
                            .filter(|field| field.name.text == "links")
                            .for_each(|field| sort(&mut field.value));
                    }
                }
                _ => {}
            }
        }
    }
    write::canonical(&root)
}

fn sort(list: &mut Node) {
    if let Value::List(items) = &mut list.value {
        items.sort_by_cached_key(write::canonical);
    }
}
