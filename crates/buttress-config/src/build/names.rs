use parking_lot::Mutex;
use std::collections::HashSet;

/// Policies hold names for as long as the process lives. So that a file that is reloaded a million
/// times does not leave its names in memory a million times, each is kept once.
static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// So many different names are kept; a file has one for each policy at most.
const MOST_NAMES: usize = 1 << 20;

/// The same name, for ever. `None` if there have been too many.
pub(crate) fn interned(name: &str) -> Option<&'static str> {
    let mut names = NAMES.lock();
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= MOST_NAMES {
        return None;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let first = interned("kept-once").unwrap();
        let again = interned("kept-once").unwrap();
        assert!(std::ptr::eq(first, again));
    }
}
