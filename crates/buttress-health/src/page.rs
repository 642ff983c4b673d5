//! What one endpoint shows, rendered when something changes, so that a probe only copies a handle.

mod json;
mod text;

use crate::check::Fault;
use crate::model::{Endpoint, Status};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One line of a page.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: Arc<str>,
    pub(crate) mark: Mark,
    pub(crate) fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Ok,
    Degraded,
    Failed,
}

impl Line {
    pub(crate) fn new(name: &str, mark: Mark) -> Self {
        let name = name.into();
        let fault = None;
        Self { name, mark, fault }
    }

    pub(crate) fn failed(name: &str, fault: Fault) -> Self {
        Self {
            name: name.into(),
            mark: Mark::Failed,
            fault: Some(fault),
        }
    }
}

/// How a probe wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// Text with a line for each check.
    Verbose,
    Json,
}

#[derive(Debug)]
pub(crate) struct Page {
    endpoint: Endpoint,
    lines: Vec<Line>,
    status: Status,
    withheld: Rendered,
    shown: Rendered,
}

/// The page in each format.
#[derive(Debug)]
struct Rendered {
    text: Bytes,
    verbose: Bytes,
    json: Bytes,
}

/// An answer to a probe.
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) body: Bytes,
}

impl Page {
    pub(crate) fn new(endpoint: Endpoint, lines: Vec<Line>) -> Self {
        let status = status(&lines, &Excluded::default());
        let render = |reasons| {
            let view = View {
                endpoint,
                lines: &lines,
                status,
                excluded: &Excluded::default(),
                reasons,
            };
            Rendered {
                text: view.render(Format::Text),
                verbose: view.render(Format::Verbose),
                json: view.render(Format::Json),
            }
        };
        let (withheld, shown) = (render(false), render(true));
        Self {
            endpoint,
            lines,
            status,
            withheld,
            shown,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn answer(&self, format: Format, reasons: bool) -> Answer {
        let rendered = if reasons { &self.shown } else { &self.withheld };
        let body = match format {
            Format::Text => &rendered.text,
            Format::Verbose => &rendered.verbose,
            Format::Json => &rendered.json,
        };
        Answer {
            status: self.status,
            body: body.clone(),
        }
    }

    /// The same as if some checks had passed.
    pub(crate) fn answer_without(
        &self,
        names: BTreeSet<String>,
        format: Format,
        reasons: bool,
    ) -> Answer {
        let excluded = Excluded::new(names, &self.lines);
        let view = View {
            endpoint: self.endpoint,
            lines: &self.lines,
            status: status(&self.lines, &excluded),
            excluded: &excluded,
            reasons,
        };
        Answer {
            status: view.status,
            body: view.render(format),
        }
    }
}

/// What a probe excludes.
#[derive(Debug, Default)]
struct Excluded {
    known: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Excluded {
    fn new(names: BTreeSet<String>, lines: &[Line]) -> Self {
        let is_known = |name: &String| lines.iter().any(|line| *line.name == **name);
        let (known, unknown) = names.into_iter().partition(is_known);
        Self { known, unknown }
    }

    fn holds(&self, line: &Line) -> bool {
        self.known.contains(&*line.name)
    }
}

fn status(lines: &[Line], excluded: &Excluded) -> Status {
    let included = lines.iter().filter(|line| !excluded.holds(line));
    let statuses = included.map(|line| match line.mark {
        Mark::Ok => Status::Pass,
        Mark::Degraded => Status::Warn,
        Mark::Failed => Status::Fail,
    });
    statuses.max().unwrap_or(Status::Pass)
}

/// All that rendering needs.
struct View<'a> {
    endpoint: Endpoint,
    lines: &'a [Line],
    status: Status,
    excluded: &'a Excluded,
    reasons: bool,
}

impl View<'_> {
    fn render(&self, format: Format) -> Bytes {
        match format {
            // Kubernetes, too, says more when something is wrong.
            Format::Text if self.status.is_ok() => Bytes::from_static(b"ok"),
            Format::Text | Format::Verbose => text::render(self).into(),
            Format::Json => json::render(self).into(),
        }
    }

    fn reason<'l>(&self, line: &'l Line) -> Option<&'l str> {
        line.fault
            .as_ref()
            .filter(|_| self.reasons)
            .map(Fault::reason)
    }
}

#[cfg(test)]
mod tests;
