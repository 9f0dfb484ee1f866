//! Writes a scene as SVG: text stays text, coordinates have one decimal, and the bytes depend on the scene alone.
//!
//! The font is named first and sans-serif last; where the font isn't installed, `textLength` keeps another one to the
//! measured width, so that nothing is clipped or collides.

use super::font::{FAMILY, covers, width};
use super::scene::{Anchor, Ink, Scene, Shape};
use std::fmt::Write as _;

/// The scene as an SVG document.
pub(super) fn write(scene: &Scene) -> String {
    let mut out = String::new();
    let (w, h) = (scene.width, scene.height);
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
         font-family=\"{FAMILY}, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif\">\n<title>{}</title>\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n",
        escape(&super::font::clean(&scene.about))
    );
    for shape in &scene.shapes {
        write_shape(&mut out, shape);
    }
    out.push_str("</svg>\n");
    out
}

fn write_shape(out: &mut String, shape: &Shape) {
    // Writing to a string never fails.
    let _ = match shape {
        Shape::Rect { x, y, w, h, ink } => {
            writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {}/>",
                n(*x),
                n(*y),
                n(*w),
                n(*h),
                paint("fill", *ink)
            )
        }
        Shape::Line {
            points,
            width,
            ink,
            dash,
        } => {
            let dashes = match dash {
                [] => String::new(),
                d => {
                    let lengths: Vec<String> = d.iter().map(|part| n(part * width)).collect();
                    format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
                }
            };
            let (width, stroke) = (n(*width), paint("stroke", *ink));
            writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" {stroke} stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>",
                list(points)
            )
        }
        Shape::Area { points, ink } => {
            writeln!(out, "<polygon points=\"{}\" {}/>", list(points), paint("fill", *ink))
        }
        Shape::Dot { x, y, r, ink } => {
            writeln!(
                out,
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {}/>",
                n(*x),
                n(*y),
                n(*r),
                paint("fill", *ink)
            )
        }
        Shape::Text {
            x,
            y,
            size,
            bold,
            ink,
            anchor,
            text,
        } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let weight = if *bold { " font-weight=\"700\"" } else { "" };
            // One character has no spacing to adjust, and unknown characters have no width to adjust to.
            let length = if covers(text, *bold) && text.chars().count() > 1 {
                format!(
                    " textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"",
                    n(width(text, *size, *bold))
                )
            } else {
                String::new()
            };
            writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{weight}{anchor}{length} {}>{}</text>",
                n(*x),
                n(*y),
                n(*size),
                paint("fill", *ink),
                escape(text)
            )
        }
    };
}

/// A coordinate with at most one decimal.
fn n(value: f64) -> String {
    let tenths = libm::round(value * 10.0) as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    match (tenths.abs() / 10, tenths.abs() % 10) {
        (whole, 0) => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{whole}.{part}"),
    }
}

fn list(points: &[(f64, f64)]) -> String {
    points
        .iter()
        .map(|(x, y)| format!("{},{}", n(*x), n(*y)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn paint(what: &str, Ink(r, g, b, alpha): Ink) -> String {
    let opacity = if alpha < 1.0 {
        format!(" {what}-opacity=\"{alpha:.2}\"")
    } else {
        String::new()
    };
    format!("{what}=\"#{r:02x}{g:02x}{b:02x}\"{opacity}")
}

/// Text as XML character data, safe in attributes too.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
