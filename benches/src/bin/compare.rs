//! Compares ours with the rivals: one line of JSON for each subject and rival.
//!
//! ```text
//! compare [--only SUBJECT] [--table] [--update FILE]
//! ```
//!
//! `--only` measures one subject (with and without `_2t`), `--table` prints a Markdown table
//! afterwards, and `--update` writes it into a file, between the lines `<!-- compare:begin -->`
//! and `<!-- compare:end -->`.
#![allow(clippy::print_stdout, reason = "it is what it is for")]

use buttress_benches::report::{Line, table};
use buttress_benches::subjects::SUBJECTS;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let wishes = Wishes::read(std::env::args().skip(1))?;
    let runtime = buttress_benches::runtime();
    let _inside = runtime.enter();
    let mut lines = Vec::new();
    for two_threads in [false, true] {
        for subject in SUBJECTS {
            let name = if two_threads {
                format!("{}_2t", subject.name)
            } else {
                subject.name.to_owned()
            };
            let wanted = wishes.only.as_ref().is_none_or(|only| *only == name);
            let possible = !two_threads || subject.shared;
            if wanted && possible {
                let line = Line::measure(subject, two_threads);
                println!("{}", line.json());
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        let mut names: Vec<String> = Vec::new();
        for subject in SUBJECTS {
            names.push(subject.name.to_owned());
            if subject.shared {
                names.push(format!("{}_2t", subject.name));
            }
        }
        names.dedup();
        names.sort();
        names.dedup();
        return Err(format!("--only must be one of {}", names.join(", ")).into());
    }
    let table = table(&lines);
    if wishes.table {
        println!("\n{table}");
    }
    if let Some(file) = wishes.update {
        let text = std::fs::read_to_string(&file)?;
        let (start, end) = ("<!-- compare:begin -->", "<!-- compare:end -->");
        let (Some(from), Some(to)) = (text.find(start), text.find(end)) else {
            return Err(format!("{file} has no lines {start} and {end}").into());
        };
        let (before, after) = (&text[..from + start.len()], &text[to..]);
        std::fs::write(&file, format!("{before}\n{table}{after}"))?;
    }
    Ok(())
}

#[derive(Default)]
struct Wishes {
    only: Option<String>,
    table: bool,
    update: Option<String>,
}

impl Wishes {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wishes = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--only" => wishes.only = Some(value()?),
                "--table" => wishes.table = true,
                "--update" => wishes.update = Some(value()?),
                _ => {
                    return Err(format!(
                        "unknown argument {argument}: use --only SUBJECT, --table, --update FILE"
                    ));
                }
            }
        }
        Ok(wishes)
    }
}
