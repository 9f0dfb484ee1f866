//! Finds a smallest part of a history that is still violated: delta debugging (Zeller and Hildebrandt 2002).

/// Removes items while the rest is still violated, until none can be removed or the trials are used up. `still` gives the part
/// that it kept of what it was offered, if that part is violated. Returns the part, and whether no item can be removed.
pub(in crate::check) fn shrink(
    all: Vec<usize>,
    mut trials: usize,
    mut still: impl FnMut(&[usize]) -> Option<Vec<usize>>,
) -> (Vec<usize>, bool) {
    let mut part = all;
    let mut chunk = part.len().div_ceil(2).max(1);
    loop {
        let mut removed = false;
        let mut at = 0;
        while at < part.len() {
            if trials == 0 {
                return (part, false);
            }
            trials -= 1;
            let end = (at + chunk).min(part.len());
            let rest: Vec<usize> = part[..at].iter().chain(&part[end..]).copied().collect();
            match still(&rest) {
                // What can't be left out comes back with what is kept.
                Some(kept) if kept.len() < part.len() => {
                    // What stood before this place may have been removed as well.
                    at = at.min(kept.len());
                    part = kept;
                    removed = true;
                }
                _ => at = end,
            }
        }
        if chunk == 1 && !removed {
            return (part, true);
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_remains() {
        let needed = [3, 17, 40];
        let (part, minimal) = shrink((0..100).collect(), 1000, |rest| {
            needed.iter().all(|of| rest.contains(of)).then(|| rest.to_vec())
        });
        assert_eq!((part.as_slice(), minimal), (&needed[..], true));
        let (part, minimal) = shrink((0..100).collect(), 5, |rest| rest.contains(&99).then(|| rest.to_vec()));
        assert!(part.contains(&99) && !minimal);
    }
}
