//! What the reference of the language is made of: descriptions that come from the declarations themselves, so that the
//! pages can't drift from what is read.

use super::decode::Decode;
use serde::Serialize;
use std::fmt::Write;

/// A type of the language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The type's name.
    pub name: &'static str,
    /// What it is.
    pub doc: String,
    /// Its fields, if it is a struct.
    pub fields: Vec<FieldDescription>,
    /// Its variants, if it is a choice.
    pub variants: Vec<VariantDescription>,
}

/// A field of a struct or variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDescription {
    /// The field's name.
    pub name: &'static str,
    /// What it says.
    pub doc: String,
    /// What stands behind the colon.
    pub type_name: String,
    /// The text that means the same as leaving it out, if one does.
    pub default: Option<String>,
    /// Whether it has to be there.
    pub required: bool,
}

/// One form of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantDescription {
    /// The variant's name.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// The types of its unnamed arguments.
    pub items: Vec<String>,
    /// Its named arguments.
    pub fields: Vec<FieldDescription>,
    /// Whether its argument may be written without the name: `32` for `Count(32)`.
    pub bare: bool,
}

/// Descriptions of types, each once, in the order in which they were met.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reference {
    types: Vec<Description>,
    #[serde(skip)]
    begun: Vec<&'static str>,
}

impl Reference {
    /// The reference of `T` and of everything that it is made of.
    pub fn of<T: Decode>() -> Self {
        let mut reference = Self::default();
        T::describe(&mut reference);
        reference
    }

    /// The types.
    pub fn types(&self) -> &[Description] {
        &self.types
    }

    /// The type of this name.
    pub fn find(&self, name: &str) -> Option<&Description> {
        self.types.iter().find(|d| d.name == name)
    }

    /// Adds a type unless it is there; `describe` may add the types that it is made of, itself included.
    pub fn add(&mut self, name: &'static str, describe: impl FnOnce(&mut Self) -> Description) {
        if self.begun.contains(&name) {
            return;
        }
        self.begun.push(name);
        // The place is taken before the parts are described: a type stands before what it is made of.
        let at = self.types.len();
        let placeholder = Description {
            name,
            doc: String::new(),
            fields: Vec::new(),
            variants: Vec::new(),
        };
        self.types.push(placeholder);
        let description = describe(self);
        self.types[at] = description;
    }

    /// The page: a heading for each type, its fields and variants as tables.
    pub fn markdown(&self) -> String {
        let mut page = String::new();
        for described in &self.types {
            let _ = write!(page, "## {}\n\n{}\n\n", described.name, described.doc);
            fields_table(&mut page, &described.fields);
            for variant in &described.variants {
                let bare = if variant.bare {
                    " (the name may be left out)"
                } else {
                    ""
                };
                let form = match (variant.items.as_slice(), variant.fields.as_slice()) {
                    ([], []) => String::new(),
                    ([], fields) => format!(
                        "({})",
                        fields
                            .iter()
                            .map(|f| format!("{}: ...", f.name))
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                    (items, _) => format!("({})", items.join(", ")),
                };
                let _ = write!(
                    page,
                    "- `{}{form}`{bare}: {}\n\n",
                    variant.name,
                    variant.doc.replace('\n', "\n  ")
                );
                fields_table(&mut page, &variant.fields);
            }
        }
        page
    }
}

fn fields_table(page: &mut String, fields: &[FieldDescription]) {
    if fields.is_empty() {
        return;
    }
    page.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for field in fields {
        let default = match &field.default {
            Some(text) => format!("`{}`", cell(text)),
            None if field.required => "required".into(),
            None => "-".into(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} |",
            field.name,
            cell(&field.type_name),
            cell(&field.doc)
        );
    }
    page.push('\n');
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The lines of a doc comment as one text, without the blank that every line starts with.
pub fn doc_text(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|l| l.strip_prefix(' ').unwrap_or(l).trim_end())
        .collect();
    lines.join("\n").trim().to_string()
}

/// The name of a field as the language writes it: Rust's `r#type` is `type`.
pub const fn plain_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', plain @ ..] => match std::str::from_utf8(plain) {
            Ok(plain) => plain,
            Err(_) => name,
        },
        _ => name,
    }
}
