//! The exponential and the normal distribution by the ziggurat method: one 64-bit draw, one multiplication and one
//! comparison in 98 to 99 of 100 cases.
//!
//! Marsaglia and Tsang, "The ziggurat method for generating random variables", J. Stat. Software 5(8), 2000, with 256
//! layers and with Doornik's repair ("An improved ziggurat method to generate normal random samples", 2005): the bits that
//! choose the layer (the low 8) and those that make the value (the high 53) are disjoint. The tables are constants that the
//! compiler computes in IEEE arithmetic, so they are the same everywhere.

use super::math::{exp, ln};
use crate::kernel::Stream;

const LAYERS: usize = 256;

/// Where the tail of the normal begins, and the area of each layer.
const NORMAL_TAIL: f64 = 3.654_152_885_361_009;
const NORMAL_AREA: f64 = 0.004_928_673_233_974_658;

/// Where the tail of the exponential begins, and the area of each layer.
const EXPONENTIAL_TAIL: f64 = 7.697_117_470_131_05;
const EXPONENTIAL_AREA: f64 = 0.003_949_659_822_581_572;

/// The right edges of the layers (the lowest one's is that of a box with the area of layer and tail), and the density there.
struct Table {
    x: [f64; LAYERS + 1],
    density: [f64; LAYERS + 1],
}

static NORMAL: Table = table(NORMAL_TAIL, NORMAL_AREA, true);
static EXPONENTIAL: Table = table(EXPONENTIAL_TAIL, EXPONENTIAL_AREA, false);

/// A standard normal number.
#[inline]
pub fn standard_normal(stream: &mut Stream) -> f64 {
    let bits = stream.next_u64();
    let layer = (bits & 0xff) as usize;
    // 53 bits with sign, centred so that the two signs mirror each other: (-1, 1).
    let signed = ((bits as i64 >> 11) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
    let x = signed * NORMAL.x[layer];
    if x.abs() < NORMAL.x[layer + 1] {
        return x;
    }
    normal_edge(stream, layer, x)
}

/// What the fast path couldn't decide: the edge of a layer, or the tail.
#[cold]
#[inline(never)]
fn normal_edge(stream: &mut Stream, mut layer: usize, mut x: f64) -> f64 {
    loop {
        if layer == 0 {
            // Marsaglia's tail (1964).
            loop {
                let far = -ln(stream.open_unit()) / NORMAL_TAIL;
                let height = -ln(stream.open_unit());
                if height + height >= far * far {
                    return if x < 0.0 { -NORMAL_TAIL - far } else { NORMAL_TAIL + far };
                }
            }
        }
        let (low, high) = (NORMAL.density[layer], NORMAL.density[layer + 1]);
        if low + (high - low) * stream.unit() < exp(-0.5 * x * x) {
            return x;
        }
        let bits = stream.next_u64();
        layer = (bits & 0xff) as usize;
        x = ((bits as i64 >> 11) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64) * NORMAL.x[layer];
        if x.abs() < NORMAL.x[layer + 1] {
            return x;
        }
    }
}

/// An exponential number of mean 1; above zero, always.
#[inline]
pub fn standard_exponential(stream: &mut Stream) -> f64 {
    let bits = stream.next_u64();
    let layer = (bits & 0xff) as usize;
    let x = ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64) * EXPONENTIAL.x[layer];
    if x < EXPONENTIAL.x[layer + 1] {
        return x;
    }
    exponential_edge(stream, layer, x)
}

/// What the fast path couldn't decide: the edge of a layer, or the tail.
#[cold]
#[inline(never)]
fn exponential_edge(stream: &mut Stream, mut layer: usize, mut x: f64) -> f64 {
    loop {
        if layer == 0 {
            // An exponential has no memory: its tail is itself, shifted.
            return EXPONENTIAL_TAIL - ln(stream.open_unit());
        }
        let (low, high) = (EXPONENTIAL.density[layer], EXPONENTIAL.density[layer + 1]);
        if low + (high - low) * stream.unit() < exp(-x) {
            return x;
        }
        let bits = stream.next_u64();
        layer = (bits & 0xff) as usize;
        x = ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64) * EXPONENTIAL.x[layer];
        if x < EXPONENTIAL.x[layer + 1] {
            return x;
        }
    }
}

/// An exponential number of the given mean.
#[inline]
pub fn exponential(stream: &mut Stream, mean: f64) -> f64 {
    mean * standard_exponential(stream)
}

/// A normal number of the given mean and standard deviation.
#[inline]
pub fn normal(stream: &mut Stream, mean: f64, sd: f64) -> f64 {
    mean + sd * standard_normal(stream)
}

/// The largest standard normal, in absolute value, that [`standard_normal`] can return (rounded up): its tail takes the
/// logarithm of 53 random bits.
pub(crate) const NORMAL_REACH: f64 = 14.0;
/// The largest number that [`standard_exponential`] can return, and the largest that a truncated law can ask of a quantile
/// (rounded up).
pub(crate) const EXPONENTIAL_REACH: f64 = 52.0;

/// The table of one density: exp(-x²/2) or exp(-x).
const fn table(tail: f64, area: f64, normal: bool) -> Table {
    let mut x = [0.0; LAYERS + 1];
    let mut density = [0.0; LAYERS + 1];
    let at_tail = const_exp(if normal { -0.5 * tail * tail } else { -tail });
    x[0] = area / at_tail;
    density[0] = 0.0;
    x[1] = tail;
    density[1] = at_tail;
    let mut i = 2;
    while i < LAYERS {
        let y = density[i - 1] + area / x[i - 1];
        let depth = -const_ln(y);
        x[i] = if normal { const_sqrt(2.0 * depth) } else { depth };
        density[i] = y;
        i += 1;
    }
    x[LAYERS] = 0.0;
    density[LAYERS] = 1.0;
    Table { x, density }
}

/// exp for the tables, x in [-50, 0]: as 1 / exp(-x), whose Taylor series has positive terms only. Divided by 1024 until it
/// converges fast, then squared back; (1 + e)² = 1 + (2e + e²) keeps the digits of e.
const fn const_exp(x: f64) -> f64 {
    let small = -x / 1024.0;
    let (mut e, mut term, mut n) = (0.0, 1.0, 1);
    while n < 20 {
        term *= small / n as f64;
        e += term;
        n += 1;
    }
    let mut i = 0;
    while i < 10 {
        e *= 2.0 + e;
        i += 1;
    }
    1.0 / (1.0 + e)
}

/// ln for the tables, y in (0, 1]: scaled by powers of two to near 1, then 2 artanh((y - 1)/(y + 1)).
const fn const_ln(y: f64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    let (mut y, mut twos) = (y, 0);
    while y < 0.75 {
        y *= 2.0;
        twos += 1;
    }
    let z = (y - 1.0) / (y + 1.0);
    let (mut sum, mut power, mut n) = (0.0, z, 1);
    while n < 50 {
        sum += power / n as f64;
        power *= z * z;
        n += 2;
    }
    2.0 * sum - twos as f64 * LN_2
}

/// The square root for the tables, by Newton's iteration from above.
const fn const_sqrt(y: f64) -> f64 {
    let mut x = 4.0;
    let mut i = 0;
    while i < 40 {
        x = 0.5 * (x + y / x);
        i += 1;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::math::erfc;
    use super::*;
    use std::f64::consts::{FRAC_1_SQRT_2, PI};

    #[test]
    fn the_constants_are_those_of_equal_areas() {
        let r = NORMAL_TAIL;
        let area = r * exp(-0.5 * r * r) + (PI / 2.0).sqrt() * erfc(r * FRAC_1_SQRT_2);
        assert!((area / NORMAL_AREA - 1.0).abs() < 1e-13, "{area:.18}");
        let r = EXPONENTIAL_TAIL;
        let area = (r + 1.0) * exp(-r);
        assert!((area / EXPONENTIAL_AREA - 1.0).abs() < 1e-13, "{area:.18}");
    }

    #[test]
    fn the_tables_close_at_the_mode_and_agree_with_libm() {
        for (table, normal, area) in [(&NORMAL, true, NORMAL_AREA), (&EXPONENTIAL, false, EXPONENTIAL_AREA)] {
            let density = |x: f64| exp(if normal { -0.5 * x * x } else { -x });
            for i in 1..LAYERS {
                assert!(table.x[i] < table.x[i - 1]);
                assert!(
                    (density(table.x[i]) / table.density[i] - 1.0).abs() < 1e-14,
                    "layer {i}"
                );
            }
            // The last layer reaches exactly to the mode: x[255] (1 - f(x[255])) = area.
            let last = table.x[LAYERS - 1] * (1.0 - table.density[LAYERS - 1]);
            assert!((last / area - 1.0).abs() < 1e-9, "{last}");
        }
    }

    #[test]
    fn the_tails_fit() {
        let key = crate::kernel::Key::root(5, 0);
        let n = 300_000;
        let distance = |sample: &dyn Fn(&mut Stream) -> f64, below: &dyn Fn(f64) -> f64| {
            let draw = |i| sample(&mut key.stream(crate::kernel::Purpose(1), i));
            let mut samples: Vec<f64> = (0..n).map(draw).collect();
            samples.sort_by(f64::total_cmp);
            let steps = samples
                .iter()
                .enumerate()
                .map(|(i, &x)| (below(x) - (i as f64 + 0.5) / n as f64).abs());
            steps.fold(0.0, f64::max) * (n as f64).sqrt()
        };
        let beyond = |x: f64| 1.0 - erfc(x * FRAC_1_SQRT_2) / erfc(NORMAL_TAIL * FRAC_1_SQRT_2);
        assert!(distance(&|stream| normal_edge(stream, 0, 1.0), &beyond) < 1.95);
        assert!(distance(&|stream| -normal_edge(stream, 0, -1.0), &beyond) < 1.95);
        let beyond = |x: f64| 1.0 - exp(EXPONENTIAL_TAIL - x);
        assert!(distance(&|stream| exponential_edge(stream, 0, 9.0), &beyond) < 1.95);
    }
}
