//! The reference pages in `docs/` say what the code says: `bash docs/remake.sh` makes them anew.

use quorate::reference;

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"))).expect("the page is committed")
}

#[test]
fn the_pages_are_those_that_the_code_makes() {
    for (name, made) in [
        ("language", reference::language()),
        ("measures", reference::measures()),
        ("models", reference::models()),
        ("diagnostics", reference::diagnostics()),
    ] {
        assert!(
            page(name) == made,
            "docs/{name}.md is out of date: run `bash docs/remake.sh`"
        );
    }
}
