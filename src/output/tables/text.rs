//! Text on a terminal: its width, cleaning, wrapping and padding.
//!
//! Widths follow Unicode Standard Annex 11 in its main ranges: wide characters take two columns, combining marks none.

/// The columns that a character takes.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfeff => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The columns that a text takes.
pub(in crate::output) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A text without what could drive a terminal: control characters and changes of direction.
pub(in crate::output) fn clean(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| {
            if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
                ' '
            } else {
                c
            }
        })
        .collect();
    text.trim().to_string()
}

/// The blanks before and after `text` in a column of this width.
pub(super) fn pad(text: &str, column: usize, right: bool) -> (usize, usize) {
    let blank = column.saturating_sub(width(text));
    if right { (blank, 0) } else { (0, blank) }
}

/// The longest beginning of `text` that takes at most `most` columns, and the rest.
fn split(text: &str, most: usize) -> (&str, &str) {
    let mut used = 0;
    let at = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > most
    });
    text.split_at(at.map_or(text.len(), |(at, _)| at))
}

/// `text` in lines of at most `most` columns, broken at blanks and after hyphens and slashes where possible, else after the points of a name; beyond
/// `lines` lines it ends in an ellipsis.
pub(super) fn wrap(text: &str, most: usize, lines: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while width(rest) > most {
        if out.len() + 1 == lines {
            let (kept, _) = split(rest, most.saturating_sub(1));
            out.push(if most == 0 {
                String::new()
            } else {
                format!("{}…", kept.trim_end())
            });
            return out;
        }
        let (fits, beyond) = split(rest, most);
        if fits.is_empty() {
            // A wide character in a column of one: nothing of it can be shown.
            out.push("…".into());
            return out;
        }
        let space = if beyond.starts_with(' ') {
            Some(fits.len())
        } else {
            fits.rfind(' ')
        };
        let hyphen = fits.rfind(['-', '/', '_']).map(|at| at + 1);
        // The parts of a name: a point between letters, and not that of a number.
        let point = fits
            .char_indices()
            .filter(|(at, c)| *c == '.' && rest[at + 1..].starts_with(char::is_alphabetic))
            .last()
            .map(|(at, _)| at + 1);
        let at = space.max(hyphen).or(point).filter(|at| *at > 0).unwrap_or(fits.len());
        out.push(rest[..at].trim_end().to_string());
        rest = rest[at..].trim_start();
    }
    out.push(rest.to_string());
    out
}
