//! Draws a scene into a PNG with plotters' bitmap backend, at twice the size and then averaged down, so that slanted lines
//! and letters have smooth edges though plotters places them on whole pixels.
//!
//! The same scene gives the same bytes on one platform (plotters rounds with the platform's floats).

use super::PlotError;
use super::font::{BOLD, FAMILY, Metrics, REGULAR, width};
use super::scene::{Anchor, Ink, Scene, Shape};
use flate2::{Compression, Crc, write::ZlibEncoder};
use plotters::prelude::{BitMapBackend, DrawingBackend, RGBAColor, ShapeStyle};
use plotters::style::{FontStyle, IntoFont, TextStyle, register_font};
use std::io::Write as _;
use std::sync::OnceLock;

/// How many drawn pixels one pixel of the picture is wide and high.
const FINE: i32 = 2;

/// The scene as a PNG file.
pub(super) fn write(scene: &Scene) -> Result<Vec<u8>, PlotError> {
    static FONT: OnceLock<bool> = OnceLock::new();
    let registered = FONT.get_or_init(|| {
        let add = |style, bytes| register_font(FAMILY, style, bytes).is_ok();
        add(FontStyle::Normal, REGULAR) && add(FontStyle::Bold, BOLD)
    });
    if !registered {
        return Err(PlotError::Draw("the bundled font can't be read".into()));
    }
    let (w, h) = (scene.width * FINE as u32, scene.height * FINE as u32);
    let mut pixels = vec![255u8; w as usize * h as usize * 3];
    {
        let mut canvas = BitMapBackend::with_buffer(&mut pixels, (w, h));
        for shape in &scene.shapes {
            draw(&mut canvas, shape)?;
        }
        drawn(canvas.present())?;
    }
    encode(
        &shrink(&pixels, scene.width as usize, scene.height as usize),
        scene.width,
        scene.height,
    )
    .map_err(|error| PlotError::Draw(error.to_string()))
}

type Canvas<'a> = BitMapBackend<'a>;
type Drawn = Result<(), PlotError>;

/// A drawing error in the words of its library.
fn drawn<E: std::fmt::Display>(result: Result<(), E>) -> Drawn {
    result.map_err(|error| PlotError::Draw(error.to_string()))
}

fn fine(value: f64) -> i32 {
    libm::round(value * f64::from(FINE)) as i32
}

fn style(Ink(r, g, b, alpha): Ink) -> ShapeStyle {
    ShapeStyle {
        color: RGBAColor(r, g, b, alpha),
        filled: true,
        stroke_width: 1,
    }
}

fn draw(canvas: &mut Canvas<'_>, shape: &Shape) -> Drawn {
    match shape {
        Shape::Rect { x, y, w, h, ink } => fill_rect(canvas, (*x, *y), (x + w, y + h), *ink),
        Shape::Line {
            points,
            width,
            ink,
            dash,
        } => {
            for piece in dashed(points, dash, *width) {
                stroke(canvas, &piece, *width, *ink)?;
            }
            Ok(())
        }
        Shape::Area { points, ink } => {
            let corners: Vec<(i32, i32)> = points.iter().map(|(x, y)| (fine(*x), fine(*y))).collect();
            drawn(canvas.fill_polygon(corners, &style(*ink)))
        }
        Shape::Dot { x, y, r, ink } => {
            drawn(canvas.draw_circle((fine(*x), fine(*y)), fine(*r) as u32, &style(*ink), true))
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
            let start = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => x - width(text, *size, *bold) / 2.0,
                Anchor::End => x - width(text, *size, *bold),
            };
            write_text(canvas, text, (start, *y), *size, *bold, *ink)
        }
    }
}

fn fill_rect(canvas: &mut Canvas<'_>, from: (f64, f64), to: (f64, f64), ink: Ink) -> Drawn {
    let (left, top, right, bottom) = (fine(from.0), fine(from.1), fine(to.0), fine(to.1));
    // Plotters' rectangles include their last row and column; what is there at all is at least one pixel wide.
    let corner = ((right - 1).max(left), (bottom - 1).max(top));
    drawn(canvas.draw_rect((left, top), corner, &style(ink), true))
}

/// A line as one rectangle or quadrangle a segment and a disc at each bend: plotters' own thick lines have gaps and spikes
/// at sharp bends.
fn stroke(canvas: &mut Canvas<'_>, points: &[(f64, f64)], width: f64, ink: Ink) -> Drawn {
    let half = width / 2.0;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if y0 == y1 {
            fill_rect(canvas, (x0.min(x1), y0 - half), (x0.max(x1), y0 + half), ink)?;
        } else if x0 == x1 {
            fill_rect(canvas, (x0 - half, y0.min(y1)), (x0 + half, y0.max(y1)), ink)?;
        } else {
            let length = libm::hypot(x1 - x0, y1 - y0);
            let (dx, dy) = ((y1 - y0) / length * half, (x1 - x0) / length * half);
            let corners = [
                (x0 + dx, y0 - dy),
                (x1 + dx, y1 - dy),
                (x1 - dx, y1 + dy),
                (x0 - dx, y0 + dy),
            ];
            drawn(canvas.fill_polygon(corners.map(|(x, y)| (fine(x), fine(y))), &style(ink)))?;
        }
    }
    if width > 2.0 && ink.3 == 1.0 {
        // A disc of radius r is 2 r + 1 pixels wide: one that isn't wider than the line leaves no knots in it.
        let radius = ((fine(width) - 1) / 2) as u32;
        for (x, y) in points.iter().skip(1).take(points.len().saturating_sub(2)) {
            drawn(canvas.draw_circle((fine(*x), fine(*y)), radius, &style(ink), true))?;
        }
    }
    Ok(())
}

/// The pieces of a line that its dashes leave; the whole line if there are none.
fn dashed(points: &[(f64, f64)], dash: &[f64], width: f64) -> Vec<Vec<(f64, f64)>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut pieces, mut piece) = (Vec::new(), vec![points[0]]);
    let (mut part, mut left) = (0, dash[0] * width);
    for pair in points.windows(2) {
        let ((mut x, mut y), (x1, y1)) = (pair[0], pair[1]);
        let mut length = libm::hypot(x1 - x, y1 - y);
        while length > left {
            (x, y) = (x + (x1 - x) * left / length, y + (y1 - y) * left / length);
            length -= left;
            piece.push((x, y));
            if part % 2 == 0 {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.clear();
            piece.push((x, y));
            part = (part + 1) % dash.len();
            left = dash[part] * width;
        }
        left -= length;
        piece.push((x1, y1));
    }
    if part % 2 == 0 {
        pieces.push(piece);
    }
    pieces
}

/// Writes letter by letter: plotters drops each letter's left bearing, which would crowd narrow letters together.
fn write_text(canvas: &mut Canvas<'_>, text: &str, at: (f64, f64), size: f64, bold: bool, ink: Ink) -> Drawn {
    let metrics = Metrics::of(bold);
    let fine_size = size * f64::from(FINE);
    // ab_glyph scales ascent plus descent to the size, and plotters puts the baseline half a size below the given point.
    let scaled = fine_size * metrics.height;
    let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let color = RGBAColor(ink.0, ink.1, ink.2, ink.3);
    let style = TextStyle::from((FAMILY, scaled, weight).into_font()).color(&color);
    let top = fine(at.1) - (scaled / 2.0) as i32;
    let mut pen = at.0 * f64::from(FINE);
    let mut letter = [0; 4];
    for c in text.chars() {
        let glyph = metrics.glyph(c);
        if c != ' ' {
            let left = libm::floor(pen + glyph.bearing * fine_size) as i32;
            drawn(canvas.draw_text(c.encode_utf8(&mut letter), &style, (left, top)))?;
        }
        pen += glyph.advance * fine_size;
    }
    Ok(())
}

/// Averages squares of drawn pixels into one.
fn shrink(pixels: &[u8], w: usize, h: usize) -> Vec<u8> {
    let fine = FINE as usize;
    let mut out = Vec::with_capacity(w * h * 3);
    for y in 0..h {
        for x in 0..w {
            for channel in 0..3 {
                let mut sum = 0u32;
                for dy in 0..fine {
                    let row = (y * fine + dy) * w * fine;
                    for dx in 0..fine {
                        sum += u32::from(pixels[(row + x * fine + dx) * 3 + channel]);
                    }
                }
                let squares = (fine * fine) as u32;
                out.push(((sum + squares / 2) / squares) as u8);
            }
        }
    }
    out
}

/// RGB pixels as a PNG file (W3C Portable Network Graphics, third edition), each row filtered against the one above.
/// Plotters' encoder writes to paths only, and the library writes no files.
fn encode(pixels: &[u8], w: u32, h: u32) -> std::io::Result<Vec<u8>> {
    const UP: u8 = 2;
    let row_length = w as usize * 3;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(7));
    let mut above = vec![0u8; row_length];
    for row in pixels.chunks_exact(row_length) {
        let filtered: Vec<u8> = row.iter().zip(&above).map(|(a, b)| a.wrapping_sub(*b)).collect();
        packed.write_all(&[UP])?;
        packed.write_all(&filtered)?;
        above.copy_from_slice(row);
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |tag: &[u8; 4], data: &[u8]| {
        out.extend_from_slice(&(data.len() as u32).to_be_bytes());
        out.extend_from_slice(tag);
        out.extend_from_slice(data);
        let mut crc = Crc::new();
        crc.update(tag);
        crc.update(data);
        out.extend_from_slice(&crc.sum().to_be_bytes());
    };
    // Eight bits for each of red, green and blue; deflate; no interlacing.
    let header = [w.to_be_bytes().as_slice(), &h.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    chunk(b"IHDR", &header);
    chunk(b"IDAT", &packed.finish()?);
    chunk(b"IEND", &[]);
    Ok(out)
}
