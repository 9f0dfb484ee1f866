//! Loading a scenario with its includes, and patching it before it is decoded.
//!
//! `include: ["base.ron", "faults.ron"]` at the top of a file names files, relative to the file that includes. Included
//! files are merged in their order, each over those before it, and the including file over all of them. Structs and maps
//! merge key by key; everything else (lists, numbers, variants of another name) is replaced as a whole. Overrides
//! (`path=value`) come last and win over everything. A file that can't be read is reported, and the others are read on: then
//! nobody knows what the scenario leaves out, but what it says can be checked.
//!
//! The library reads no file itself: a [`Sources`] does. Cycles, missing files and excess are reported where the include
//! stands, with the chain that led there.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parser::{Limits, read_bytes};
use super::patch::{self, Override};
use super::source::{SourceMap, Span};
use super::suggest;
use super::tree::{Field, Node, Value};
use super::write::quoted;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// What files are read from.
pub trait Sources {
    /// The bytes of a file. At most `limit + 1` bytes need to be read: longer files are refused.
    ///
    /// # Errors
    /// The file can't be read.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Which file a path leads to: two paths to one file have one identity.
    fn identity(&self, path: &Path) -> PathBuf {
        normalized(path)
    }

    /// The bytes of a file that a scenario names: an include, or a data set. Where files may be pipes or devices, which may never
    /// end, these are refused.
    ///
    /// # Errors
    /// The file can't be read.
    fn read_named(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.read(path, limit)
    }
}

/// Files in memory: for tests, and for texts from standard input.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(normalized(&path.into()), bytes.into());
        self
    }
}

impl Sources for Memory {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self
            .files
            .get(&normalized(path))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        Ok(bytes[..bytes.len().min(limit + 1)].to_vec())
    }
}

/// How deep includes nest at most.
pub const INCLUDE_DEPTH: usize = 16;
/// How many files a scenario has at most.
pub const INCLUDE_FILES: usize = 256;

/// A scenario with its includes merged, as far as they could be read, and the overrides that are to be applied to it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The whole tree, without `include`.
    pub root: Node,
    /// Whether everything that is included is in it. Otherwise a file that can't be read was reported, and what isn't in the
    /// tree may stand there.
    pub complete: bool,
    /// Every file that was read, by the path it was read from, in order: the scenario itself first.
    pub files: Vec<PathBuf>,
    /// The overrides that haven't been applied yet, in their order.
    pub overrides: Vec<Override>,
}

impl Loaded {
    /// Applies the overrides whose path leads somewhere; the others stay.
    pub fn apply(&mut self, limits: &Limits) {
        let root = &mut self.root;
        self.overrides.retain(|change| change.apply(root, limits).is_err());
    }

    /// Applies the overrides that are left, and reports those whose path leads nowhere. What `open` values lack isn't known.
    /// Whether any could be applied.
    pub fn apply_or_report(&mut self, limits: &Limits, open: &BTreeSet<Span>, out: &mut Diagnostics) -> bool {
        let mut changed = false;
        for change in std::mem::take(&mut self.overrides) {
            match change.apply(&mut self.root, limits) {
                Ok(()) => changed = true,
                Err(error) if self.complete && !open.contains(&error.inside) => {
                    let place = change.place(error.step);
                    out.push(error.diagnostic(place));
                }
                Err(_) => {}
            }
        }
        changed
    }
}

/// Reads the scenario at `path`, merges what it includes, and reads `overrides` (`path=value`).
///
/// `None`: the scenario's own text can't be read. All problems of all files and overrides are reported.
pub fn load(
    path: &Path,
    overrides: &[String],
    sources: &dyn Sources,
    limits: &Limits,
    map: &mut SourceMap,
    out: &mut Diagnostics,
) -> Option<Loaded> {
    let mut loader = Loader {
        sources,
        limits,
        map,
        out,
        chain: Vec::new(),
        files: Vec::new(),
        complained: BTreeSet::new(),
        left: limits.bytes,
        complete: true,
    };
    let root = loader.file(path, None);
    let (files, complete) = (loader.files, loader.complete);
    let read = |text: &String| patch::read_override(text, limits, map, out);
    let overrides = overrides.iter().filter_map(read).collect();
    Some(Loaded {
        root: root?,
        complete,
        files,
        overrides,
    })
}

struct Loader<'a> {
    sources: &'a dyn Sources,
    limits: &'a Limits,
    map: &'a mut SourceMap,
    out: &'a mut Diagnostics,
    /// The files that are being read, the outermost first: as they were named, and which they are.
    chain: Vec<(PathBuf, PathBuf)>,
    files: Vec<PathBuf>,
    /// The files whose text was refused: once is enough, however often they are included.
    complained: BTreeSet<PathBuf>,
    /// The bytes that may still be read.
    left: usize,
    /// Whether everything that is included could be read.
    complete: bool,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, named: Option<Span>) -> Option<Node> {
        let problem = |code, message: String| match named {
            Some(span) => Diagnostic::error(code, span, message),
            None => Diagnostic::unplaced(code, message),
        };
        let shown = path.display().to_string();
        let identity = self.sources.identity(path);
        if let Some(at) = self.chain.iter().position(|(_, of)| *of == identity) {
            let chain: Vec<String> = self.chain[at..].iter().map(|(p, _)| p.display().to_string()).collect();
            let message = format!("{shown} includes itself");
            self.out.push(
                problem(Code::IncludeCycle, message).note(format!("the chain: {} -> {shown}", chain.join(" -> "))),
            );
            return None;
        }
        if self.chain.len() >= INCLUDE_DEPTH || self.files.len() >= INCLUDE_FILES {
            let message = format!("too many includes: at most {INCLUDE_DEPTH} deep and {INCLUDE_FILES} files in all");
            self.out.push(problem(Code::IncludeDepth, message));
            return None;
        }
        let read = match named {
            Some(_) => self.sources.read_named(path, self.left),
            None => self.sources.read(path, self.left),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.out
                    .push(problem(Code::CannotRead, format!("can't read {shown}: {error}")));
                return None;
            }
        };
        if bytes.len() > self.left {
            let message = format!(
                "{shown} is too large: a scenario has at most {} bytes in all",
                self.limits.bytes
            );
            self.out.push(problem(Code::TooLarge, message));
            return None;
        }
        self.left -= bytes.len();
        self.files.push(path.to_path_buf());
        let mut own = Diagnostics::new();
        let root = read_bytes(&shown, &bytes, self.map, self.limits, &mut own);
        let root = root.filter(|root| root.value != Value::Unread);
        let include = root.map(|mut root| (take_include(&mut root, &mut own), root));
        if !own.has_errors() || self.complained.insert(identity.clone()) {
            self.out.append(own);
        }
        let ((include, complete), mut root) = include?;
        self.complete &= complete;
        self.chain.push((path.to_path_buf(), identity));
        let mut base: Option<Node> = None;
        for (name, span) in &include {
            let inner = path.parent().unwrap_or(Path::new("")).join(name);
            let Some(node) = self.file(&inner, Some(*span)) else {
                self.complete = false;
                // One message about too much is enough.
                if self.files.len() >= INCLUDE_FILES {
                    break;
                }
                continue;
            };
            if !matches!(&node.value, Value::Struct(None, _) | Value::Tuple(None, _)) {
                let message = format!("{} holds {}, not a struct `(name: ...)`", inner.display(), node.found());
                self.out.push(Diagnostic::error(Code::BadInclude, *span, message));
                self.complete = false;
                continue;
            }
            match &mut base {
                Some(base) => merge(base, node),
                None => base = Some(node),
            }
        }
        self.chain.pop();
        if let Some(mut base) = base {
            // Whether the file names its type says nothing about what it includes.
            if let (Value::Struct(of_base, _), Value::Struct(name, _)) = (&mut base.value, &root.value) {
                of_base.clone_from(name);
            }
            merge(&mut base, root);
            root = base;
        }
        Some(root)
    }
}

/// The path without `.` and, where that is safe, without `..`: to see that two paths are one.
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// The field that was meant to be `include`, which is reported.
fn misspelt(fields: &[Field], out: &mut Diagnostics) -> Option<usize> {
    let is_text = |node: &Node| matches!(node.value, Value::Text(_));
    let names_files = |node: &Node| match &node.value {
        Value::List(items) => items.iter().all(is_text),
        _ => is_text(node),
    };
    let meant = |f: &Field| suggest::nearest(&f.name.text, ["include"]).is_some() && names_files(&f.value);
    let at = fields.iter().position(meant)?;
    let name = &fields[at].name;
    let message = format!("a file has no field `{}`", super::tree::shortened(&name.text));
    let problem = Diagnostic::error(Code::UnknownField, name.span, message).here("unknown field");
    out.push(problem.replace("did you mean `include`?", name.span, "include"));
    Some(at)
}

/// Takes the field `include` out of a file, and gives back the paths in it, and whether they are all.
fn take_include(root: &mut Node, out: &mut Diagnostics) -> (Vec<(String, Span)>, bool) {
    let Value::Struct(_, fields) = &mut root.value else {
        return (Vec::new(), true);
    };
    let exact = fields.iter().position(|f| f.name.text == "include");
    let Some(at) = exact.or_else(|| misspelt(fields, out)) else {
        return (Vec::new(), true);
    };
    let field = fields.remove(at);
    let mut complete = true;
    fields.retain(|other| {
        let again = other.name.text == "include";
        complete &= !again;
        if again {
            let problem = Diagnostic::error(Code::DuplicateField, other.name.span, "`include` stands twice");
            out.push(problem.label(field.name.span, "it stood here first"));
        }
        !again
    });
    if fields.is_empty() {
        root.value = Value::Tuple(None, Vec::new());
    }
    let items = match field.value.value {
        Value::List(items) => items,
        Value::Text(_) => vec![field.value],
        Value::Unread => return (Vec::new(), false),
        _ => {
            let message = format!("expected a list of paths, found {}", field.value.found());
            let problem = Diagnostic::error(Code::BadInclude, field.value.head(), message);
            out.push(problem.help("write `include: [\"base.ron\"]`"));
            return (Vec::new(), false);
        }
    };
    let mut paths = Vec::new();
    for item in items {
        match item.value {
            Value::Text(text) if !text.is_empty() => paths.push((text, item.span)),
            Value::Unread => complete = false,
            _ => {
                complete = false;
                let message = format!("expected a path, found {}", item.found());
                let mut problem = Diagnostic::error(Code::BadInclude, item.head(), message);
                if let Value::Word(word) = &item.value {
                    problem = problem.replace("a path stands in quotes", item.span, quoted(word));
                }
                out.push(problem);
            }
        }
    }
    (paths, complete)
}

/// Lays `over` over `base`: structs of one name and maps merge key by key, in the order of `base` and then what is new;
/// everything else is replaced.
pub fn merge(base: &mut Node, over: Node) {
    let same_name = |a: &Option<Box<super::Name>>, b: &Option<Box<super::Name>>| match (a, b) {
        (Some(a), Some(b)) => a.text == b.text,
        (None, None) => true,
        _ => false,
    };
    let span = over.span;
    match (&mut base.value, over.value) {
        (Value::Struct(a, fields), Value::Struct(b, news)) if same_name(a, &b) => {
            merge_fields(fields, news);
            base.span = span;
        }
        // `()` is a struct without fields.
        (Value::Struct(None, _), Value::Tuple(None, items)) if items.is_empty() => {}
        (Value::Map(entries), Value::Map(news)) => {
            merge_entries(entries, news);
            base.span = span;
        }
        (_, value) => *base = Node { span, value },
    }
}

fn merge_fields(fields: &mut Vec<Field>, news: Vec<Field>) {
    // What stands twice in one file stays there twice, for decoding to report both places: only the first is merged.
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for (i, field) in fields.iter().enumerate() {
        at.entry(field.name.text.clone()).or_insert(i);
    }
    for new in news {
        match at.remove(&new.name.text) {
            Some(i) => {
                fields[i].name.span = new.name.span;
                merge(&mut fields[i].value, new.value);
            }
            None => fields.push(new),
        }
    }
}

fn merge_entries(entries: &mut Vec<(Node, Node)>, news: Vec<(Node, Node)>) {
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for (i, (key, _)) in entries.iter().enumerate() {
        at.entry(super::write::canonical(key)).or_insert(i);
    }
    for (key, value) in news {
        match at.remove(&super::write::canonical(&key)) {
            Some(i) => {
                entries[i].0.span = key.span;
                merge(&mut entries[i].1, value);
            }
            None => entries.push((key, value)),
        }
    }
}
