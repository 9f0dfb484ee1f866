//! The reference pages, made from the registries: what is read, what is measured, what the stores promise, what can be wrong.

use crate::check::history::Fault;
use crate::measures::{self, Better, INVARIANTS, MeasureInfo};
use crate::scenario::language::presets::PRESETS;
use crate::scenario::language::{Scenario, Store};
use crate::scenario::syntax::{Code, FieldDescription, Reference, from_text};
use crate::stores;

/// What the measures of losses say of a run that can be followed by hand.
const LOSSES: &str = include_str!("reference/losses.md");

/// The nouns and fields of a scenario.
pub fn language() -> String {
    format!(
        "# The scenario language\n\nMade by `quorate reference language` from the types that read a scenario.\n\n{}",
        Reference::of::<Scenario>().markdown()
    )
}

/// One type of the language, if there's one of that name.
pub fn noun(name: &str) -> Option<String> {
    let reference = Reference::of::<Scenario>();
    let Some(found) = reference.types().iter().find(|of| of.name.eq_ignore_ascii_case(name)) else {
        return variant(&reference, name);
    };
    let mut text = format!("{}: {}\n", found.name, found.doc);
    for field in &found.fields {
        text.push_str(&field_text(field));
    }
    for variant in &found.variants {
        text.push_str(&format!("\n  {}\n      {}\n", variant.name, variant.doc));
    }
    Some(text)
}

fn field_text(field: &FieldDescription) -> String {
    let default = match &field.default {
        Some(default) => format!(" (default: {default})"),
        None if field.required => " (required)".to_string(),
        None => String::new(),
    };
    format!(
        "\n  {}: {}{default}\n      {}\n",
        field.name, field.type_name, field.doc
    )
}

/// The forms of this name, such as a step or a law.
fn variant(reference: &Reference, name: &str) -> Option<String> {
    let mut text = String::new();
    for of in reference.types() {
        for variant in of
            .variants
            .iter()
            .filter(|variant| variant.name.eq_ignore_ascii_case(name))
        {
            text.push_str(&format!(
                "{} (one form of {}): {}\n",
                variant.name, of.name, variant.doc
            ));
            variant
                .fields
                .iter()
                .for_each(|field| text.push_str(&field_text(field)));
            if variant.name == "Always" {
                text.push_str("\nThe invariants:\n");
                for invariant in INVARIANTS {
                    text.push_str(&format!("\n  {}\n      {}\n", invariant.name, invariant.doc));
                }
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The measures whose names begin with `start` (`service.*`, `task.time`): one line each; `None` if there are none.
pub fn measures_below(start: &str) -> Option<String> {
    let start = start.trim_end_matches(['.', '*']).trim_end_matches('.');
    let below = |info: &MeasureInfo| {
        info.name
            .strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let found: Vec<MeasureInfo> = measures::infos().into_iter().filter(below).collect();
    let lines = found
        .iter()
        .map(|info| format!("{} ({}): {}\n", info.name, info.unit.name(), info.doc));
    (!start.is_empty() && !found.is_empty()).then(|| lines.collect())
}

/// Everything that has a page of its own but commands and diagnostics: types and forms of the language, measures, invariants.
pub fn topics() -> Vec<String> {
    let reference = Reference::of::<Scenario>();
    let types = reference.types().iter();
    let mut all: Vec<String> = types
        .flat_map(|of| std::iter::once(of.name).chain(of.variants.iter().map(|variant| variant.name)))
        .map(str::to_string)
        .collect();
    all.extend(INVARIANTS.iter().map(|invariant| invariant.name.to_string()));
    all.extend(measures::infos().iter().map(|info| info.name.to_string()));
    all
}

/// Every number that is measured.
pub fn measures() -> String {
    let mut text = String::from(
        "# Measures\n\nMade by `quorate reference measures` from the registry. A `*` stands for the name of a service, a task or a \
         store.\n\n| measure | unit | better | meaning |\n|---|---|---|---|\n",
    );
    for info in measures::infos() {
        let better = match info.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "",
        };
        text.push_str(&format!(
            "| `{}` | {} | {better} | {} |\n",
            info.name,
            info.unit.name(),
            info.doc
        ));
    }
    text.push_str(
        "\n## Invariants\n\nWhat `Always` can demand. Each is a measure that has to be 0 in every run.\n\n| invariant | measure | meaning \
         |\n|---|---|---|\n",
    );
    for invariant in INVARIANTS {
        text.push_str(&format!(
            "| `{}` | `{}` | {} |\n",
            invariant.name, invariant.measure, invariant.doc
        ));
    }
    text.push_str(
        "\n## Events\n\nWhat `Sometimes` can demand is the name of any measure above that is a `count` or a `yes or no`: \
         `Sometimes(event: \"state.conflicts\", at_least: 10)` holds if the runs together have at least ten conflicts.\n\n",
    );
    text.push_str(LOSSES);
    text
}

/// The consistency models.
pub fn models() -> String {
    let mut text = String::from("# Consistency models\n\nMade by `quorate reference models` from the registry.\n");
    for model in stores::models() {
        let keys: Vec<String> = model.keys.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "\n## {} (`{}`)\n\nKeys: {}.\n\n{}\n",
            model.title,
            model.name,
            keys.join(", "),
            model.doc
        ));
    }
    text.push_str(&presets());
    text
}

/// The patterns of coordination.
pub fn patterns() -> String {
    let mut text = String::from(
        "# Patterns of coordination\n\nMade by `quorate reference patterns` from the registry. A group of `coordination` works by one of them; their options \
         stand in [the language](language.md).\n",
    );
    for pattern in crate::coordination::patterns() {
        text.push_str(&format!(
            "\n## {} (`{}`)\n\n{}",
            pattern.title, pattern.name, pattern.doc
        ));
        if !pattern.kinds.is_empty() {
            let kinds: Vec<String> = pattern.kinds.iter().map(|kind| format!("`{kind}`")).collect();
            text.push_str(&format!("\nKinds of messages: {}.\n", kinds.join(", ")));
        }
    }
    text
}

/// The presets: what each stands for, from the code that puts it there, and where its defaults are from.
fn presets() -> String {
    let mut text = String::from(
        "\n# Presets\n\nStores that people choose between: each is a configuration of the models above, with the defaults of the kind of \
         store that it is named after. An option that is said wins over a default. `quorate check` says what a scenario's presets stand \
         for. Facts about other stores are those of the pages named beside them.\n",
    );
    let reference = Reference::of::<Scenario>();
    let model = reference.types().iter().find(|of| of.name == "Model");
    for preset in PRESETS {
        let written = format!(
            "(at: [\"a\", \"b\", \"c\"], keys: {{\"k\": Set(count: 9)}}, model: {})",
            preset.name
        );
        let mut store: Store = from_text(&written).expect("a preset's options have defaults");
        let expanded = store.expand_alone().expect("it is a preset");
        text.push_str(&format!(
            "\n## {} (`{}`)\n\n{}\n",
            preset.title, preset.name, preset.doc
        ));
        text.push_str(&format!(
            "At three sites, `a`, `b` and `c`, with nine keys, `model: {}` is\n\n```ron\nmodel: {}",
            preset.name, expanded.model
        ));
        if let Some(sessions) = expanded.sessions {
            text.push_str(&format!(",\nsessions: {sessions}"));
        }
        text.push_str("\n```\n\n| option | default | from |\n|---|---|---|\n");
        let variant = model.and_then(|model| model.variants.iter().find(|of| of.name == preset.name));
        for origin in preset.origins {
            let field = variant.and_then(|of| of.fields.iter().find(|field| field.name == origin.option));
            let default = match field.and_then(|field| field.default.as_deref()) {
                Some(default) => format!("`{default}`"),
                None => origin.instead.to_string(),
            };
            let sources = origin.sources.iter();
            let sources: Vec<String> = sources
                .map(|(title, address)| format!("[{title}]({address})"))
                .collect();
            let from = match sources.is_empty() {
                true => format!("a choice: {}", origin.why),
                false => format!("{} ({})", origin.why, sources.join("; ")),
            };
            text.push_str(&format!("| `{}` | {default} | {from} |\n", origin.option));
        }
    }
    text
}

/// The diagnostics.
pub fn diagnostics() -> String {
    let mut text =
        String::from("# Diagnostics\n\nMade by `quorate reference diagnostics`; `quorate help E0101` explains one.\n");
    for code in Code::ALL {
        text.push_str(&format!(
            "\n## E{:04}: {}\n\n{}\n",
            code.number(),
            code.title(),
            code.explanation()
        ));
    }
    for fault in Fault::ALL {
        text.push_str(&format!("\n## {fault}: {}\n\n{}\n", fault.title(), fault.explanation()));
    }
    text
}
