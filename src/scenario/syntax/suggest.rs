//! "Did you mean": the nearest of a list of names.

/// The name that somebody who wrote `wrong` most likely meant, if any is near: the same but for case and separators, the
/// only one that starts with it, or one within a third of its letters by Damerau-Levenshtein distance.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name of the language is short; a hostile one must not cost quadratic time.
    if wrong.is_empty() || wrong.len() > 200 {
        return None;
    }
    let folded = fold(wrong);
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(same) = names.iter().find(|n| fold(n) == folded) {
        return Some(same);
    }
    let near = names
        .iter()
        .map(|n| (strsim::damerau_levenshtein(&folded, &fold(n)), *n))
        .filter(|(distance, n)| *distance <= ((folded.chars().count().max(n.chars().count()) + 1) / 3).max(1))
        .filter(|(distance, n)| *distance < n.chars().count().min(folded.chars().count()))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, name)) = near {
        return Some(name);
    }
    if folded.len() < 2 {
        return None;
    }
    let mut starts = names.iter().filter(|n| {
        let name = fold(n);
        !name.is_empty() && (name.starts_with(&folded) || (name.len() > 2 && folded.starts_with(&name)))
    });
    match (starts.next(), starts.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The possible names in words: `` `a`, `b` and `c` ``; cut after twenty.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let names: Vec<String> = names
        .into_iter()
        .map(|n| format!("`{}`", super::tree::shortened(n)))
        .collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= MOST => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..MOST].join(", "), names.len() - MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_every_kind_find_the_name() {
        let names = ["service", "servers", "queue", "full_jitter", "at", "until", "warm_up"];
        for (wrong, right) in [
            ("Service", Some("service")),
            ("sevrice", Some("service")),
            ("server", Some("servers")),
            ("fullJitter", Some("full_jitter")),
            ("full-jitter", Some("full_jitter")),
            ("full", Some("full_jitter")),
            ("warmup_time", Some("warm_up")),
            ("qeueu", Some("queue")),
            ("xyz", None),
            ("", None),
            ("a", None),
            ("s", None),
        ] {
            assert_eq!(nearest(wrong, names), right, "{wrong}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), names), None);
    }
}
