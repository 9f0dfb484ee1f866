//! The bundled font: its measures, and wrapping and shortening of text by them.
//!
//! Widths come from the font's own tables, so that a plot's layout is the same on every machine and for both renderers.
//! Formats: OpenType 1.9, `cmap` format 4, `hhea`, `hmtx` (big-endian).

use std::sync::OnceLock;

/// The family's name, under which it is registered with plotters and named in SVG.
pub(super) const FAMILY: &str = "Inter";
pub(super) const REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.otf");
pub(super) const BOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-Bold.otf");

/// Horizontal measures of one character, in ems.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub advance: f64,
    /// From the pen to the left edge of the ink.
    pub bearing: f64,
    /// Whether the font has the character at all.
    pub known: bool,
}

/// The measures of one weight of the font.
pub(super) struct Metrics {
    table: Vec<Glyph>,
    /// What isn't in `table`.
    missing: Glyph,
    /// Ascent plus descent, in ems: what ab_glyph scales to the asked size.
    pub height: f64,
}

/// Characters beyond this are measured as missing: the subset has nothing there.
const LAST: u32 = 0x2800;

impl Metrics {
    pub(super) fn of(bold: bool) -> &'static Self {
        static WEIGHTS: OnceLock<[Metrics; 2]> = OnceLock::new();
        let weights = WEIGHTS.get_or_init(|| {
            [REGULAR, BOLD]
                .map(|data| Metrics::read(data).expect("the bundled font has the tables that it was chosen for"))
        });
        &weights[usize::from(bold)]
    }

    fn read(data: &[u8]) -> Option<Self> {
        let u16_at = |at: usize| Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?));
        let i16_at = |at: usize| Some(i16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?) as usize);
        let tables = usize::from(u16_at(4)?);
        let table = |tag: &[u8; 4]| {
            (0..tables)
                .map(|i| 12 + 16 * i)
                .find(|at| data.get(*at..at + 4) == Some(tag))
                .and_then(|at| u32_at(at + 8))
        };
        let (head, hhea, hmtx, cmap) = (table(b"head")?, table(b"hhea")?, table(b"hmtx")?, table(b"cmap")?);
        let em = f64::from(u16_at(head + 18)?);
        let height = f64::from(i16_at(hhea + 4)?) - f64::from(i16_at(hhea + 6)?);
        let long = usize::from(u16_at(hhea + 34)?);
        let glyph = |id: usize| {
            let (advance, bearing) = if id < long {
                (id, 4 * id + 2)
            } else {
                (long - 1, 4 * long + 2 * (id - long))
            };
            Some(Glyph {
                advance: f64::from(u16_at(hmtx + 4 * advance)?) / em,
                bearing: f64::from(i16_at(hmtx + bearing)?) / em,
                known: id != 0,
            })
        };
        let encodings = usize::from(u16_at(cmap + 2)?);
        let map = (0..encodings)
            .filter_map(|i| Some(cmap + u32_at(cmap + 8 + 8 * i)?))
            .find(|at| u16_at(*at) == Some(4))?;
        let segments = usize::from(u16_at(map + 6)?);
        let id = |c: u32| -> Option<usize> {
            for s in (0..segments).step_by(2) {
                let end = u32::from(u16_at(map + 14 + s)?);
                if c > end {
                    continue;
                }
                let start = u32::from(u16_at(map + 16 + segments + s)?);
                if c < start {
                    return Some(0);
                }
                let delta = u16_at(map + 16 + 2 * segments + s)?;
                let at = map + 16 + 3 * segments + s;
                let offset = usize::from(u16_at(at)?);
                let id = match offset {
                    0 => (c as u16).wrapping_add(delta),
                    _ => match u16_at(at + offset + 2 * (c - start) as usize)? {
                        0 => 0,
                        id => id.wrapping_add(delta),
                    },
                };
                return Some(usize::from(id));
            }
            Some(0)
        };
        let table = (0..LAST).map(|c| glyph(id(c)?)).collect::<Option<Vec<_>>>()?;
        Some(Self {
            table,
            missing: glyph(0)?,
            height: height / em,
        })
    }

    pub(super) fn glyph(&self, c: char) -> Glyph {
        self.table.get(c as usize).copied().unwrap_or(self.missing)
    }
}

/// The width of `text` in pixels.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let metrics = Metrics::of(bold);
    text.chars().map(|c| metrics.glyph(c).advance).sum::<f64>() * size
}

/// Whether the font has every character of `text`, so that [`width`] is what any renderer must use.
pub(super) fn covers(text: &str, bold: bool) -> bool {
    let metrics = Metrics::of(bold);
    text.chars().all(|c| metrics.glyph(c).known)
}

/// `text` without what has no place on a line: control characters become spaces, and what XML forbids is dropped.
pub(super) fn clean(text: &str) -> String {
    let forbidden = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .filter(|c| !forbidden(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `text`, with its end replaced by an ellipsis if it is wider than `most` pixels.
pub(super) fn shorten(text: &str, size: f64, bold: bool, most: f64) -> String {
    let text = clean(text);
    if width(&text, size, bold) <= most {
        return text;
    }
    let room = most - width("…", size, bold);
    let mut used = 0.0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += Metrics::of(bold).glyph(*c).advance * size;
            used <= room
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// `text` broken into at most `lines` lines of `most` pixels, at spaces and after hyphens, slashes and underscores; what
/// doesn't fit ends in an ellipsis.
pub(super) fn wrap(text: &str, size: f64, bold: bool, most: f64, lines: usize) -> Vec<String> {
    let text = clean(text);
    let mut out = Vec::new();
    let mut rest = text.trim();
    while out.len() + 1 < lines && width(rest, size, bold) > most {
        let (mut used, mut fits, mut breaks) = (0.0, 0, 0);
        for (at, c) in rest.char_indices() {
            used += Metrics::of(bold).glyph(c).advance * size;
            if c == ' ' {
                breaks = at;
            }
            if used > most {
                break;
            }
            fits = at + c.len_utf8();
            if matches!(c, '-' | '/' | '_' | ',' | '·') {
                breaks = fits;
            }
        }
        // A word that is wider than the line is cut where it must be; a single character wider than the line stands alone.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let at = if breaks > 0 { breaks } else { fits.max(first) };
        out.push(rest[..at].trim_end().to_string());
        rest = rest[at..].trim_start();
    }
    out.push(shorten(rest, size, bold, most));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_the_font() {
        // From the font's hmtx by fontTools, in units of 2816 to the em.
        let m = Metrics::of(false);
        assert!((m.height - 3408.0 / 2816.0).abs() < 1e-9);
        assert!(m.glyph('i').advance < m.glyph('m').advance && m.glyph('l').bearing > 0.0);
        assert!(covers("Größe µσ → ± × 5.25 s…", false) && covers("“x” ≤ 3", true) && !covers("漢", false));
        assert!(width("漢", 20.0, false) > 0.0);
    }

    #[test]
    fn overlong_text_is_wrapped_then_shortened() {
        assert_eq!(shorten("short", 20.0, false, 400.0), "short");
        let s = shorten("a very long name of a variant", 20.0, false, 100.0);
        assert!(s.ends_with('…') && width(&s, 20.0, false) <= 100.0, "{s}");
        assert_eq!(
            wrap("full-jitter with-budget", 20.0, false, 120.0, 2),
            ["full-jitter", "with-budget"]
        );
        for line in wrap(&"x".repeat(300), 20.0, false, 100.0, 3) {
            assert!(width(&line, 20.0, false) <= 100.0);
        }
        assert_eq!(wrap("", 20.0, false, 100.0, 2), [""]);
        assert_eq!(shorten("a\nb\u{0}c\u{ffff}", 20.0, false, 400.0), "a b c");
    }
}
