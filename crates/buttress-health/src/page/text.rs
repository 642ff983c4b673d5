//! Text as Kubernetes prints it.

use super::{Mark, View};
use std::fmt::{self, Write};

pub(super) fn render(view: &View<'_>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, view);
    text
}

fn write(text: &mut String, view: &View<'_>) -> fmt::Result {
    for line in view.lines {
        let name = &line.name;
        let reason = view.reason(line).unwrap_or("reason withheld");
        match line.mark {
            _ if view.excluded.holds(line) => writeln!(text, "[+]{name} excluded: ok")?,
            Mark::Ok => writeln!(text, "[+]{name} ok")?,
            // Kubernetes knows no soft checks. A plus, since that is what its status goes by.
            Mark::Degraded => writeln!(text, "[+]{name} degraded: {reason}")?,
            Mark::Failed => writeln!(text, "[-]{name} failed: {reason}")?,
        }
    }
    let unknown = &view.excluded.unknown;
    if !unknown.is_empty() {
        text.push_str("warn: some health checks cannot be excluded: no matches for ");
        for (index, name) in unknown.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(text, "{comma}{name:?}")?;
        }
        text.push('\n');
    }
    let passed = if view.status.is_ok() {
        "passed"
    } else {
        "failed"
    };
    writeln!(text, "{} check {passed}", view.endpoint.name())
}
