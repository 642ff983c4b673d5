//! Whatever a file holds, reading it ends, and says what is wrong.

use buttress_config::{Document, Format};
use proptest::prelude::*;

const FORMATS: [Format; 3] = [Format::Toml, Format::Yaml, Format::Json];

const SAMPLE: &str = include_str!("../../../docs/resilience.toml");

fn parse(text: &str) {
    for format in FORMATS {
        if let Err(problems) = Document::parse("test", text, format) {
            assert!(problems.has_errors());
            assert!(!problems.to_string().is_empty());
        }
    }
}

proptest! {
    #[test]
    fn of_any_text(text in ".*") {
        parse(&text);
    }

    #[test]
    fn of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn of_what_looks_like_a_file(text in "([a-z]{1,6}|[\\[\\]{}:,=\"'#&*|>!%@.\\-? \n\t]|[0-9]{1,3}|true|null|[[:any:]]){0,80}") {
        parse(&text);
    }

    /// A file in which a piece was lost, was moved, or is something else.
    #[test]
    fn of_a_file_that_was_damaged(
        from in 0..SAMPLE.len(),
        length in 0_usize..60,
        other in "[ -~\n]{0,12}",
    ) {
        let from = (from..SAMPLE.len()).find(|at| SAMPLE.is_char_boundary(*at));
        let from = from.unwrap_or(SAMPLE.len());
        let to = (from + length.min(SAMPLE.len() - from)..=SAMPLE.len())
            .find(|at| SAMPLE.is_char_boundary(*at))
            .unwrap_or(SAMPLE.len());
        parse(&format!("{}{other}{}", &SAMPLE[..from], &SAMPLE[to..]));
    }
}
