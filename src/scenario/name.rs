//! Names of scenarios: each is also the name of the folder of its results, on any system.
//!
//! What would have to be changed to be a folder's name is refused, so that no two scenarios share a folder.

/// The longest name in bytes: with what is put around it, it still is a file's name anywhere.
pub const LONGEST: usize = 100;

/// Names that some systems keep for devices, whatever stands behind a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// What is wrong with a name; `None`: nothing.
pub fn problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        let shown = if wrong.is_control() || wrong.is_whitespace() {
            wrong.escape_debug().to_string().replace(' ', "a blank")
        } else {
            format!("`{wrong}`")
        };
        return Some(format!(
            "it has {shown} in it, and holds only letters (a to z), digits, `-` and `_`"
        ));
    }
    if name.len() > LONGEST {
        return Some(format!("it has {} characters, and may have {LONGEST}", name.len()));
    }
    is_device(name).then(|| "some systems keep it for a device".into())
}

fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let numbered = name.strip_prefix("com").or(name.strip_prefix("lpt"));
    DEVICES.contains(&name.as_str()) || numbered.is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A name like this one that can be used.
pub fn suggestion(name: &str) -> String {
    let mut text = String::new();
    for c in name.trim().chars().take(4 * LONGEST) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => text.push(c),
            'ä' => text.push_str("ae"),
            'ö' => text.push_str("oe"),
            'ü' => text.push_str("ue"),
            'Ä' => text.push_str("Ae"),
            'Ö' => text.push_str("Oe"),
            'Ü' => text.push_str("Ue"),
            'ß' => text.push_str("ss"),
            _ if text.ends_with('_') => {}
            _ => text.push('_'),
        }
    }
    text.truncate(LONGEST);
    let text = text.trim_matches('_');
    match text {
        "" => "my_scenario".to_string(),
        device if is_device(device) => format!("{device}_scenario"),
        fine => fine.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_a_folder_cannot_have_are_refused() {
        for fine in [
            "latency_trap",
            "two-sites",
            "Q1",
            "con_",
            "com10",
            "com",
            &"x".repeat(100),
        ] {
            assert_eq!(problem(fine), None, "{fine}");
        }
        let long = "x".repeat(101);
        for (wrong, near) in [
            ("", "my_scenario"),
            ("übung", "uebung"),
            ("äbung", "aebung"),
            ("a/b", "a_b"),
            ("..", "my_scenario"),
            (".hidden", "hidden"),
            ("two sites?", "two_sites"),
            ("a.b", "a_b"),
            ("日本", "my_scenario"),
            ("CON", "CON_scenario"),
            ("lpt1", "lpt1_scenario"),
            ("a\nb", "a_b"),
            (long.as_str(), &long[..100]),
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
            assert_eq!(suggestion(wrong), near);
        }
    }

    proptest! {
        #[test]
        fn a_suggestion_can_be_used(name in ".{0,150}") {
            prop_assert_eq!(problem(&suggestion(&name)), None);
        }
    }
}
