//! What a chart consists of before it is SVG or PNG: shapes in drawing order, in pixels of one canvas.
//!
//! Both renderers draw the same scene, which is why the two pictures can't differ in content. Needs finite coordinates.

use super::font;

/// A colour with opacity (1 is opaque).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink(pub u8, pub u8, pub u8, pub f64);

impl Ink {
    pub(super) const fn rgb(hex: u32) -> Self {
        Self((hex >> 16) as u8, (hex >> 8) as u8, hex as u8, 1.0)
    }

    pub(super) const fn alpha(self, alpha: f64) -> Self {
        Self(self.0, self.1, self.2, alpha)
    }

    /// Dark or white, whichever is read better on this colour (relative luminance, WCAG 2.1, without its gamma).
    pub(super) fn text_on(self) -> Self {
        let luminance = 0.2126 * f64::from(self.0) + 0.7152 * f64::from(self.1) + 0.0722 * f64::from(self.2);
        if luminance > 125.0 { TEXT } else { WHITE }
    }
}

pub(super) const WHITE: Ink = Ink::rgb(0xffffff);
pub(super) const TEXT: Ink = Ink::rgb(0x1f2328);
pub(super) const MUTED: Ink = Ink::rgb(0x57606a);
pub(super) const GRID: Ink = Ink::rgb(0xe1e4e8);
pub(super) const AXIS: Ink = Ink::rgb(0x8c959f);

/// The palette of Okabe and Ito ("Color Universal Design", 2008), which readers with any colour vision tell apart; without
/// its yellow, too pale for lines on white.
pub(super) const SERIES: [Ink; 7] = [
    Ink::rgb(0x0072b2),
    Ink::rgb(0xd55e00),
    Ink::rgb(0x009e73),
    Ink::rgb(0xcc79a7),
    Ink::rgb(0xe69f00),
    Ink::rgb(0x56b4e9),
    Ink::rgb(0x333333),
];

/// The same colours for parts of a whole, in an order that keeps neighbours apart.
pub(super) const PARTS: [Ink; 8] = [
    Ink::rgb(0x56b4e9),
    Ink::rgb(0x0072b2),
    Ink::rgb(0xe69f00),
    Ink::rgb(0xd55e00),
    Ink::rgb(0xcc79a7),
    Ink::rgb(0x009e73),
    Ink::rgb(0x6e7781),
    Ink::rgb(0xf0e442),
];

/// Pale grounds for bands behind the data, darkest need first.
pub(super) const SHADES: [Ink; 4] = [
    Ink::rgb(0xe3e5e8),
    Ink::rgb(0xf8e3b0),
    Ink::rgb(0xcfe4f5),
    Ink::rgb(0xf2d8e7),
];

/// Dashes (on, off) that tell lines of one colour apart, in line widths; the first is solid.
pub(super) const DASHES: [&[f64]; 6] = [
    &[],
    &[5.0, 3.0],
    &[1.5, 2.5],
    &[7.0, 2.5, 1.5, 2.5],
    &[10.0, 4.0],
    &[3.0, 1.5, 1.5, 1.5],
];

/// Where a text's given point lies along its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Rect {
        x: f64,
        y: f64,
        w: f64,
        h: f64,
        ink: Ink,
    },
    Line {
        points: Vec<(f64, f64)>,
        width: f64,
        ink: Ink,
        dash: &'static [f64],
    },
    Area {
        points: Vec<(f64, f64)>,
        ink: Ink,
    },
    Dot {
        x: f64,
        y: f64,
        r: f64,
        ink: Ink,
    },
    /// `y` is the baseline.
    Text {
        x: f64,
        y: f64,
        size: f64,
        bold: bool,
        ink: Ink,
        anchor: Anchor,
        text: String,
    },
}

/// A canvas with shapes on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    pub width: u32,
    pub height: u32,
    /// The chart in words, for readers who don't see it.
    pub about: String,
    pub shapes: Vec<Shape>,
}

/// The look of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub bold: bool,
    pub ink: Ink,
}

impl Type {
    pub(super) const fn new(size: f64, bold: bool, ink: Ink) -> Self {
        Self { size, bold, ink }
    }

    pub(super) fn width(&self, text: &str) -> f64 {
        font::width(text, self.size, self.bold)
    }

    pub(super) fn shorten(&self, text: &str, most: f64) -> String {
        font::shorten(text, self.size, self.bold, most)
    }

    pub(super) fn wrap(&self, text: &str, most: f64, lines: usize) -> Vec<String> {
        font::wrap(text, self.size, self.bold, most, lines)
    }

    /// How far below the middle of a line of capitals its baseline lies.
    pub(super) fn drop(&self) -> f64 {
        self.size * 0.36
    }
}

impl Scene {
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), ink: Ink) {
        if w > 0.0 && h > 0.0 {
            self.shapes.push(Shape::Rect { x, y, w, h, ink });
        }
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, width: f64, ink: Ink, dash: &'static [f64]) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line {
                points,
                width,
                ink,
                dash,
            });
        }
    }

    pub(super) fn area(&mut self, points: Vec<(f64, f64)>, ink: Ink) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, ink });
        }
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), r: f64, ink: Ink) {
        self.shapes.push(Shape::Dot { x, y, r, ink });
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), look: Type, anchor: Anchor, text: &str) {
        let text = font::clean(text);
        if !text.trim().is_empty() {
            let Type { size, bold, ink } = look;
            self.shapes.push(Shape::Text {
                x,
                y,
                size,
                bold,
                ink,
                anchor,
                text,
            });
        }
    }

    /// White diagonal hatching over a rectangle: the mark of the reference.
    pub(super) fn hatch(&mut self, (x, y): (f64, f64), (w, h): (f64, f64)) {
        const APART: f64 = 16.0;
        let mut start = x - h;
        // Lines lie on a grid of the canvas, so that neighbouring rectangles continue each other's hatching.
        start -= start.rem_euclid(APART);
        while start < x + w {
            // From (start, y + h) up to (start + h, y), cut to the rectangle.
            let (from, to) = (start.max(x), (start + h).min(x + w));
            if to > from {
                let at = |px: f64| (px, y + h - (px - start));
                self.line(vec![at(from), at(to)], 3.0, WHITE.alpha(0.55), &[]);
            }
            start += APART;
        }
    }
}
