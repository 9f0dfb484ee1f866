//! Loading a scenario: from a path to plans, or to all that is wrong with it.
//!
//! The library reads no file itself: a [`Sources`] does. Included files, overrides and data are all part of the scenario's
//! hash; how it is laid out, and in which order things are declared, is not.

use super::data::DataSets;
use super::language;
use super::language::presets::Expanded;
use super::plan::Plan;
use super::resolve::{self, Expectation, KneeSpec, Measures, ScalingSpec};
use super::syntax::{
    Code, Cx, Decode, Diagnostic, Diagnostics, Limits, Node, Part, Severity, SourceMap, Sources, Span, Value,
    load as read, patch, suggest, write,
};
use super::written::{self, Asked, DataFile};
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
    /// The measures that answer the question, by name, and what they are called: in the order of the file.
    pub answers: Vec<(String, String)>,
    /// What must hold, in the order of the file.
    pub expectations: Vec<Expectation>,
    /// What `quorate knee` looks for, if the file says so.
    pub knee: Option<KneeSpec>,
    /// How measures grow from variant to variant, in the order of the file.
    pub scaling: Vec<ScalingSpec>,
    /// The hash of everything that it says, includes, overrides and data in it: hexadecimal.
    pub hash: String,
    /// The scenario as it is run, as one text: with its includes, its overrides, and what was asked for, in the
    /// order of the language.
    pub resolved: String,
    /// The data files that it reads; `resolved` names them by their copies.
    pub data: Vec<DataFile>,
    /// Every file of the language that was read, the scenario itself first.
    pub files: Vec<PathBuf>,
}

impl Scenario {
    /// What the variants are called in tables and plots, the base first.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        let others = self.variants.iter().skip(1).map(|plan| plan.variant.as_str());
        std::iter::once(self.base_title.as_str()).chain(others)
    }
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
    load_as(path, overrides, Asked::default(), sources, known)
}

/// As [`load`]; what is `asked` for takes the place of what the scenario says. All variants are checked, those asked for are
/// kept.
pub fn load_as(
    path: &Path,
    overrides: &[String],
    asked: Asked<'_>,
    sources: &dyn Sources,
    known: &dyn Measures,
) -> Outcome {
    let limits = Limits::default();
    let (mut map, mut out) = (SourceMap::new(), Diagnostics::new());
    let loaded = read::load(path, overrides, sources, &limits, &mut map, &mut out);
    let last = asked.last.iter();
    let last: Vec<_> = last
        .filter_map(|text| patch::read_override(text, &limits, &mut map, &mut out))
        .collect();
    let scenario = loaded.and_then(|mut loaded| {
        loaded.overrides.extend(last.iter().cloned());
        Loading {
            path,
            asked,
            last: &last,
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
    asked: Asked<'a>,
    /// Changes that come after those of the variants that are run.
    last: &'a [patch::Override],
    sources: &'a dyn Sources,
    known: &'a dyn Measures,
    map: &'a SourceMap,
    out: &'a mut Diagnostics,
}

impl Loading<'_> {
    fn scenario(&mut self, mut loaded: read::Loaded, limits: &Limits) -> Option<Scenario> {
        loaded.apply(limits);
        let mut base = decode(&mut loaded.root, loaded.complete, self.out)?;
        // Names that were misspelt have been put right in the tree, so that paths lead to what they name.
        if loaded.apply_or_report(limits, &base.open, self.out) {
            base = decode(&mut loaded.root, loaded.complete, self.out)?;
        }
        let file = &base.scenario;
        let mut data = DataSets::new(self.sources);
        data.declare(&file.data, self.map, self.path);
        let plan = resolve::plan(base.file(), "base", &mut data, self.out);
        let presets = base.presets.clone();
        let plan = plan.map(|plan| Plan { presets, ..plan });
        let expectations = resolve::expectations(file, self.known, self.map, self.out);
        let answers = resolve::answers(file, self.known, self.out);
        let knee = resolve::knee(file, &loaded.root, self.known, limits, self.out);
        if let (Some(spec), Some(written)) = (&knee, file.knee.given()) {
            self.check_ends(spec, written.span, &loaded.root, limits);
        }
        let changed = |changes: &[Part<language::Change>]| {
            let mut root = loaded.root.clone();
            for change in changes.iter().filter_map(Part::get) {
                let language::Change::Set { path, to } = change;
                // That it leads nowhere is said with the variant.
                let _ = patch::set(&mut root, path, to.clone(), path.span, limits);
            }
            root
        };
        let scaling = resolve::scaling(file, &changed, self.known, self.map, self.out);
        // What changes nothing here may change something in a variant, which is why it is written.
        let mut idle = idle_in(self.out);
        let mut variants = Vec::from_iter(plan);
        let plain = without_comparisons(&loaded.root);
        let kept = self.kept(file.variants.0.names());
        let is_kept = |name: &str| kept.contains(name);
        let all_run = file.variants.0.names().all(is_kept);
        // Those that aren't run come last: what they alone read is no part of the scenario.
        let (run, others): (Vec<_>, Vec<_>) = file.variants.0.iter().partition(|(name, _)| is_kept(name));
        for (name, changes) in run.into_iter().chain(others) {
            if !is_kept(name) {
                data.keep_no_more();
            }
            if name.value == "base" {
                let message = "the scenario as it stands is the variant `base`; another one needs another name";
                self.out.push(Diagnostic::error(Code::NamedTwice, name.span, message));
            }
            let Some(changes) = changes.get() else { continue };
            // What is wrong with the base is wrong with its variants, and said once.
            let mut own = Diagnostics::new();
            let last = if is_kept(name) { self.last } else { &[] };
            let plan = self.variant((&plain, &base), (name, changes, last), limits, &mut data, &mut own);
            variants.extend(plan.filter(|_| is_kept(name)));
            let idle_here = idle_in(&own);
            idle.retain(|one| idle_here.contains(one));
            own.retain_warnings(|problem| !problem.code.is_of_no_effect() || is_within(problem, changes));
            let note = format!("in the variant {}", write::quoted(&name.value));
            // A doubt about what isn't run would only be in the way.
            for problem in own.iter().filter(|of| of.severity == Severity::Error || is_kept(name)) {
                self.out.push(problem.clone().note(&note));
            }
        }
        let of_variant = |problem: &Diagnostic| file.variants.0.known().any(|(_, changes)| is_within(problem, changes));
        self.out.retain_warnings(|problem| {
            let told = !problem.code.is_of_no_effect() || of_variant(problem);
            told || idle.contains(&(problem.span(), problem.code))
        });
        if self.out.has_errors() {
            return None;
        }
        let (seed, replicates) = (*file.seed.get()?, *file.replicates.get()?.value);
        let (asked_seed, asked_replicates) = (
            self.asked.seed.unwrap_or(seed),
            self.asked.replicates.unwrap_or(replicates),
        );
        let mut root = loaded.root;
        if asked_seed != seed {
            written::put(&mut root, "seed", asked_seed);
        }
        if asked_replicates != replicates {
            written::put(&mut root, "replicates", asked_replicates.into());
        }
        written::keep_variants(&mut root, &kept);
        let changes = file.variants.0.known().filter(|(name, _)| is_kept(name));
        let mut root = in_order(root, changes.map(|(_, changes)| changes.as_slice()));
        // In this order, so that copies are called the same, whatever the order of the file.
        let files = written::gather(&mut root, data.read(), self.map, self.path);
        let mut hasher = blake3::Hasher::new();
        hasher.update(addressed(&root, &files).as_bytes());
        for (name, hash) in data.hashes() {
            hasher.update(b"\0");
            hasher.update(name.as_bytes());
            hasher.update(hash.as_bytes());
        }
        Some(Scenario {
            name: file.name.get()?.value.clone(),
            question: file.question.get()?.clone(),
            base_title: file.base.get()?.clone(),
            seed: asked_seed,
            replicates: asked_replicates,
            variants,
            answers,
            knee,
            scaling: scaling
                .into_iter()
                .filter(|spec| {
                    let mut names = spec.points.iter().map(|point| point.variant.as_str());
                    names.all(|name| name == "base" || kept.contains(name))
                })
                .collect(),
            expectations: expectations
                .into_iter()
                .filter(|expectation| {
                    let mut about = expectation.expected.variants();
                    let is_run = about.all(|name| name == "base" || kept.contains(name));
                    is_run && (all_run || !expectation.expected.is_of_all())
                })
                .collect(),
            hash: hasher.finalize().to_hex().to_string(),
            resolved: write::pretty(&root),
            data: files,
            files: loaded.files,
        })
    }

    /// Reports the ends of a range that the scenario can't be read with.
    fn check_ends(&mut self, knee: &KneeSpec, place: Span, root: &Node, limits: &Limits) {
        for end in [knee.from, knee.to] {
            let (mut changed, mut own) = (root.clone(), Diagnostics::new());
            let set = patch::set(&mut changed, &knee.path, end.node(), place, limits);
            decode(&mut changed, true, &mut own);
            let problem = own.iter().find(|problem| problem.severity == Severity::Error);
            // Where the path itself leads nowhere, that was said.
            if let (Ok(()), Some(problem)) = (set, problem) {
                let message = format!(
                    "the scenario can't be read with {} at {end}: {}",
                    knee.path, problem.message
                );
                self.out.push(Diagnostic::error(Code::BadKnee, place, message));
                return;
            }
        }
    }

    /// The names of the variants that are run beside the base. One that doesn't exist is reported.
    fn kept<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> BTreeSet<&'n str> {
        let names: Vec<&str> = names.collect();
        for asked in self.asked.variants {
            if asked != "base" && !names.contains(&asked.as_str()) {
                let all = || std::iter::once("base").chain(names.iter().copied());
                let message = format!("there is no variant {}", write::quoted(asked));
                let mut problem = Diagnostic::unplaced(Code::UnknownVariantName, message);
                if let Some(near) = suggest::nearest(asked, all()) {
                    problem = problem.help(format!("did you mean {}?", write::quoted(near)));
                }
                self.out
                    .push(problem.note(format!("the scenario has {}", suggest::listed(all()))));
            }
        }
        let is_asked = |name: &&str| self.asked.variants.is_empty() || self.asked.variants.iter().any(|of| of == name);
        names.into_iter().filter(is_asked).collect()
    }

    /// The plan of the scenario with these changes.
    fn variant(
        &mut self,
        (plain, base): (&Node, &Decoded),
        (name, changes, last): (&str, &[Part<language::Change>], &[patch::Override]),
        limits: &Limits,
        data: &mut DataSets<'_>,
        own: &mut Diagnostics,
    ) -> Option<Plan> {
        let mut root = plain.clone();
        let mut good = true;
        for change in changes {
            let Some(language::Change::Set { path, to }) = change.get() else {
                good = false;
                continue;
            };
            let top = path.steps().first();
            if let Some(patch::Step::Name(noun)) = top
                && matches!(
                    noun.as_str(),
                    "variants"
                        | "expect"
                        | "answer"
                        | "scaling"
                        | "knee"
                        | "quorate"
                        | "name"
                        | "seed"
                        | "replicates"
                        | "include"
                )
            {
                let message = format!("a variant can't change `{noun}`");
                own.push(Diagnostic::error(Code::BadOverride, path.span, message));
                good = false;
                continue;
            }
            if let Err(error) = patch::set(&mut root, path, to.clone(), path.span, limits) {
                // What isn't there may stand in a file, or in a value, that can't be read.
                if base.complete && !base.open.contains(&error.inside) {
                    own.push(error.diagnostic(path.span));
                }
                good = false;
            }
        }
        for change in last {
            if let Err(error) = change.apply(&mut root, limits) {
                let place = change.place(error.step);
                own.push(error.diagnostic(place));
                good = false;
            }
        }
        // What the other changes do is looked at even so: all problems are said at once.
        let file = decode(&mut root, base.complete, own)?;
        data.declare(&file.scenario.data, self.map, self.path);
        let plan = resolve::plan(file.file(), name, data, own).filter(|_| good);
        let presets = file.presets;
        plan.map(|plan| Plan { presets, ..plan })
    }
}

/// What has no effect, by place.
fn idle_in(problems: &Diagnostics) -> BTreeSet<(Option<Span>, Code)> {
    let idle = problems.iter().filter(|problem| problem.code.is_of_no_effect());
    idle.map(|problem| (problem.span(), problem.code)).collect()
}

/// Whether a problem lies in what a variant puts in place of something.
fn is_within(problem: &Diagnostic, changes: &[Part<language::Change>]) -> bool {
    let Some(span) = problem.span() else { return false };
    changes.iter().filter_map(Part::get).any(|change| {
        let language::Change::Set { to, .. } = change;
        to.span.source == span.source && to.span.start <= span.start && span.end <= to.span.end
    })
}

/// The tree without what compares variants, which no variant changes: each is as long as the scenario alone.
fn without_comparisons(root: &Node) -> Node {
    let mut root = root.clone();
    if let Value::Struct(_, fields) = &mut root.value {
        fields.retain(|field| {
            !matches!(
                field.name.text.as_str(),
                "variants" | "expect" | "answer" | "scaling" | "knee"
            )
        });
    }
    root
}

/// A tree as a scenario.
struct Decoded {
    scenario: language::Scenario,
    /// What became of its presets.
    presets: Vec<Expanded>,
    /// Whether the tree says everything that the scenario says.
    complete: bool,
    /// Whether it has no holes.
    whole: bool,
    /// The places of values of which a part isn't known.
    open: BTreeSet<Span>,
}

impl Decoded {
    fn file(&self) -> resolve::File<'_> {
        resolve::File {
            scenario: &self.scenario,
            whole: self.whole,
        }
    }
}

/// Reads a tree, and puts the names in it right that are misspelt. `None`: it is no scenario at all.
fn decode(root: &mut Node, complete: bool, out: &mut Diagnostics) -> Option<Decoded> {
    let mut cx = Cx::new();
    cx.incomplete = !complete;
    let scenario = language::Scenario::decode(root, &mut cx);
    cx.correct(root);
    let whole = complete && cx.open.is_empty() && !cx.diagnostics.has_errors();
    out.append(cx.diagnostics);
    let mut scenario = scenario?;
    scenario.expand_meshes(out);
    let stores = scenario.state.known_mut();
    let presets = stores.filter_map(|(name, store)| store.expand(&name.value, out));
    Some(Decoded {
        presets: presets.collect(),
        scenario,
        complete,
        whole,
        open: cx.open,
    })
}

/// The tree in the order that the language gives it, whatever the order of the file: fields as they are declared, entries by
/// their names, and lists whose order says nothing by what stands in them.
///
/// The order of `variants`, of `expect` and of `answer` says something: it is that of tables and plots. So does the order of any list that
/// one of the variants' `changes` counts the items of.
fn in_order<'c>(mut root: Node, changes: impl Iterator<Item = &'c [Part<language::Change>]>) -> Node {
    language::Scenario::arrange(&mut root);
    let changes: Vec<&language::Change> = changes.flatten().filter_map(Part::get).collect();
    for list in [&["sites"][..], &["network", "links"]] {
        if !is_counted(list, &changes) {
            sort(&mut root, list);
        }
    }
    root
}

/// Whether a change names an item of the list at this path by its number.
fn is_counted(list: &[&str], changes: &[&language::Change]) -> bool {
    changes.iter().any(|change| {
        let language::Change::Set { path, .. } = change;
        let mut steps = path.steps().iter();
        let is_name =
            |step: Option<&patch::Step>, name: &str| matches!(step, Some(patch::Step::Name(of)) if of == name);
        list.iter().all(|name| is_name(steps.next(), name)) && matches!(steps.next(), Some(patch::Step::Index(_)))
    })
}

/// Sorts the items of the list at this path, if there is one.
fn sort(root: &mut Node, path: &[&str]) {
    let list = path.iter().try_fold(root, |node, name| match &mut node.value {
        Value::Struct(_, fields) => {
            let field = fields.iter_mut().find(|field| field.name.text == *name)?;
            Some(&mut field.value)
        }
        _ => None,
    });
    if let Some(Node {
        value: Value::List(items),
        ..
    }) = list
    {
        items.sort_by_cached_key(write::canonical);
    }
}

/// The text whose hash addresses the scenario: its results are the same, whatever the order of what it expects and shows, and wherever its
/// data files lie.
fn addressed(root: &Node, data: &[DataFile]) -> String {
    let mut root = written::by_content(root, data);
    for list in ["expect", "answer"] {
        sort(&mut root, &[list]);
    }
    write::canonical(&root)
}
