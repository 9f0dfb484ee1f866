//! Which lines lie over one another: the later one hides the earlier one, unless it has gaps.

use super::scene::{DASHES, SERIES};

/// A line's height in pixels at evenly spaced columns of the plot, and if it only rises, its place at evenly spaced rows, so that
/// steep lines count by their height. None where the line isn't, or lies at an edge of the plot, where all lines come together.
pub(super) type Profile = Vec<Option<f64>>;

/// The columns of a profile.
const COLUMNS: usize = 400;
/// The rows of a profile.
const ROWS: usize = 200;
/// Lines this near to each other, in pixels, can't be told apart.
const NEAR: f64 = 3.5;
/// From this part of their length on, a line hides another.
const HIDES: f64 = 0.2;
/// So much of a plot's height is its edge.
const EDGE: f64 = 0.03;
/// From this part of their length on, two lines are one.
const COINCIDE: f64 = 0.98;

/// The profile of a path in pixels between two columns and two edges.
pub(super) fn profile(path: &[(f64, f64)], (left, right): (f64, f64), (top, bottom): (f64, f64)) -> Profile {
    let edge = 1.0 + EDGE * (bottom - top).abs();
    let (high, low) = (top.min(bottom) + edge, top.max(bottom) - edge);
    let inside = |y: &f64| *y > high && *y < low;
    let column = |i: usize| left + (right - left) * (i as f64 + 0.5) / COLUMNS as f64;
    let columns = crossings(path, (0..COLUMNS).map(column));
    let mut profile: Profile = columns.into_iter().map(|y| y.filter(inside)).collect();
    // Upwards is towards smaller numbers.
    if path.windows(2).all(|pair| pair[0].1 >= pair[1].1) {
        let turned: Vec<(f64, f64)> = path.iter().map(|(x, y)| (-y, *x)).collect();
        let row = |i: usize| low + (high - low) * (i as f64 + 0.5) / ROWS as f64;
        profile.extend(crossings(&turned, (0..ROWS).map(|i| -row(i))));
    } else {
        profile.resize(COLUMNS + ROWS, None);
    }
    profile
}

/// The second coordinate of a path where its first is each of these, which ascend like the path's.
fn crossings(path: &[(f64, f64)], places: impl Iterator<Item = f64>) -> Vec<Option<f64>> {
    let mut at = 0;
    let crossing = |x: f64| {
        while at + 1 < path.len() && path[at + 1].0 < x {
            at += 1;
        }
        let (a, b) = (path.get(at)?, path.get(at + 1)?);
        if !(a.0 <= x && x <= b.0) {
            return None;
        }
        let share = if b.0 > a.0 { (x - a.0) / (b.0 - a.0) } else { 1.0 };
        Some(a.1 + share * (b.1 - a.1))
    };
    places.map(crossing).collect()
}

/// The part of the shorter (or of the longer) of two lines on which they can't be told apart.
fn shared(a: &Profile, b: &Profile, of_longer: bool) -> f64 {
    let length = |line: &Profile| line.iter().flatten().count();
    let near = a
        .iter()
        .zip(b)
        .filter(|(a, b)| matches!((a, b), (Some(a), Some(b)) if (*a - *b).abs() <= NEAR))
        .count();
    let length = match of_longer {
        true => length(a).max(length(b)),
        false => length(a).min(length(b)),
    };
    if length == 0 { 0.0 } else { near as f64 / length as f64 }
}

/// The dash of each line, by its place in [`DASHES`]. `pictures` holds the profiles of all lines in each picture that they appear
/// in. A line that hides earlier ones gets another dash than these, so that they are seen in its gaps; so does one whose colour
/// is used a second time.
pub(super) fn dashes(count: usize, pictures: &[Vec<Option<Profile>>]) -> Vec<usize> {
    let mut dashes: Vec<usize> = Vec::with_capacity(count);
    for line in 0..count {
        let hidden = |earlier: &usize| {
            pictures
                .iter()
                .any(|picture| match (&picture[*earlier], &picture[line]) {
                    (Some(a), Some(b)) => shared(a, b, false) >= HIDES,
                    _ => false,
                })
        };
        let taken: Vec<usize> = (0..line).filter(hidden).map(|earlier| dashes[earlier]).collect();
        let first = line / SERIES.len() % DASHES.len();
        let free = (0..DASHES.len())
            .map(|n| (first + n) % DASHES.len())
            .find(|dash| !taken.contains(dash));
        dashes.push(free.unwrap_or(first));
    }
    dashes
}

/// Groups of lines that are one: the lines' places, the groups in the order of their first lines.
pub(super) fn groups(lines: &[Option<Profile>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(line) = line else { continue };
        let same = |group: &&mut Vec<usize>| {
            lines[group[0]]
                .as_ref()
                .is_some_and(|first| shared(first, line, true) >= COINCIDE)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(height: impl Fn(f64) -> f64) -> Option<Profile> {
        let path: Vec<(f64, f64)> = (0..=100).map(|x| (f64::from(x), height(f64::from(x)))).collect();
        Some(profile(&path, (0.0, 100.0), (0.0, 1000.0)))
    }

    #[test]
    fn hidden_lines_are_seen_in_the_gaps_of_those_above() {
        let same = |x: f64| 100.0 + x;
        let lines = vec![
            line(same),
            line(|x| same(x) + 1.0),
            line(|x| 900.0 - x),
            line(same),
            line(|x| if x < 30.0 { same(x) } else { 500.0 }),
        ];
        let pictures = vec![lines.clone()];
        assert_eq!(dashes(5, &pictures), [0, 1, 0, 2, 3]);
        assert_eq!(groups(&lines), [vec![0, 1, 3]]);
        // In a second picture the third hides the first as well.
        let second = vec![line(same), None, line(same), None, None];
        assert_eq!(dashes(5, &[lines, second])[2], 1);
        // The eighth line has the first one's colour.
        assert_eq!(dashes(8, &[vec![None; 8]]), [0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn edges_and_ends_are_shared_by_anybody() {
        let flat = line(|_| 1000.0);
        assert_eq!(flat.as_ref().map(|line| line.iter().flatten().count()), Some(0));
        assert_eq!(dashes(2, &[vec![flat.clone(), flat]]), [0, 0]);
        let short = Some(profile(&[(40.0, 50.0), (60.0, 50.0)], (0.0, 100.0), (0.0, 1000.0)));
        assert_eq!(
            short.as_ref().map(|line| line.iter().flatten().count()),
            Some(COLUMNS / 5)
        );
        // Two steps straight up, at one place and at two.
        let step = |x: f64| {
            let path = [(x, 1000.0), (x, 0.0)];
            Some(profile(&path, (0.0, 1000.0), (0.0, 1000.0)))
        };
        let steps = vec![step(500.0), step(501.0), step(600.0)];
        assert_eq!(groups(&steps), [vec![0, 1]]);
        assert_eq!(dashes(3, &[steps]), [0, 1, 0]);
        assert_eq!(groups(&[short, line(|_| 50.0)]), Vec::<Vec<usize>>::new());
    }
}
