//! The generic part of the scenario language: text to typed values, whatever the types are.
//!
//! Text becomes a spanned tree ([`parser`]), which includes and overrides patch; a typed value is decoded from it
//! ([`Decode`]). All problems of a text are collected, each with its place, its code and a way out ([`diagnostic`]).
//! Types are declared with [`language!`](crate::language), which also gives the reference its text.

pub mod arrange;
pub mod codes;
pub mod decode;
pub mod describe;
pub mod diagnostic;
mod language;
#[cfg(test)]
mod language_tests;
mod lexer;
pub mod load;
#[cfg(test)]
mod load_tests;
pub mod named;
mod number;
#[cfg(test)]
mod oracle_tests;
pub mod parser;
#[cfg(test)]
mod parser_tests;
pub mod part;
pub mod patch;
pub mod quantity;
pub mod render;
pub mod source;
pub mod suggest;
pub mod tree;
pub mod values;
pub mod write;

pub use codes::Code;
pub use decode::{Cx, Decode, Encode, from_text, to_text};
pub use describe::{Description, FieldDescription, Reference, VariantDescription};
pub use diagnostic::{Diagnostic, Diagnostics, Help, Label, Severity};
pub use load::{Loaded, Memory, Sources, load, merge};
pub use named::{Named, unknown_name};
pub use parser::{Limits, parse, parse_bytes};
pub use part::Part;
pub use patch::Path;
pub use quantity::{Bandwidth, Bytes, Drift, Duration, Fraction, Money, Positive, Probability, Rate, SignedDuration};
pub use render::{Show, render, render_short, reports};
pub use source::{Place, SourceId, SourceMap, Span};
pub use tree::{Field, Name, Node, Value};
pub use values::{OneOrMany, Spanned};
