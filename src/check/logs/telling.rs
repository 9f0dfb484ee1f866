//! Lists in words.

use crate::check::history::{History, Val};
use crate::check::linearizable::objects::shown_elements;

/// A list, its end rather than its beginning if it is long: that is where lists differ.
pub(super) fn shown(history: &History, list: &[Val]) -> String {
    if list.len() <= 12 {
        return shown_elements(history, list);
    }
    let last: Vec<String> = list[list.len() - 10..]
        .iter()
        .map(|value| history.value(*value).to_string())
        .collect();
    format!("[{} more … {}]", list.len() - 10, last.join(" "))
}
