//! The picture: goodput and latency by load, with the layers and without.

use super::{CAPACITY, LOADS, PATIENCE, Run, unloaded};
use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

/// An SVG of what the runs were like, as text.
pub fn chart(runs: &[Run]) -> String {
    let goodput = |run: &Run| Some(run.went.goodput());
    let slowest = |run: &Run| run.went.p99.map(millis);
    let left = Panel {
        left: 70.0,
        title: "Answers a second that somebody waited for",
        top_value: 1.25 * CAPACITY,
        step: CAPACITY / 4.0,
        mark: Some(("what the service can do", CAPACITY)),
        lines: [false, true].map(|protected| line(runs, protected, goodput)),
    };
    let three_times = unloaded(runs).map(|unloaded| 3.0 * millis(unloaded));
    let right = Panel {
        left: 530.0,
        title: "Milliseconds until 99 of 100 of those were there",
        top_value: 1.1 * millis(PATIENCE),
        step: 40.0,
        mark: three_times.map(|times| ("three times what it is at 0.5 ×, without", times)),
        lines: [false, true].map(|protected| line(runs, protected, slowest)),
    };
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 420" font-family="sans-serif" font-size="13" fill="#333">
<title>A service under overload, with the layers and without</title>
<rect width="960" height="420" fill="white"/>
{left}{right}<g stroke-width="2.5"><path d="M330 400h30" stroke="{WITH}"/><path d="M520 400h30" stroke="{WITHOUT}" stroke-dasharray="7 4"/></g>
<text x="368" y="404">with the layers</text><text x="558" y="404">without</text>
</svg>
"##
    )
}

const WITH: &str = "#0b6e4f";
const WITHOUT: &str = "#c8553d";

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

type Points = Vec<(f64, f64)>;

fn line(runs: &[Run], protected: bool, value: impl Fn(&Run) -> Option<f64>) -> Points {
    let runs = runs.iter().filter(|run| run.protected == protected);
    runs.filter_map(|run| Some((run.load, value(run)?)))
        .collect()
}

/// One of the two diagrams.
struct Panel {
    left: f64,
    title: &'static str,
    /// The value at the upper end of the axis.
    top_value: f64,
    /// Between two lines of the grid.
    step: f64,
    /// A value that is worth a line, and what it is.
    mark: Option<(&'static str, f64)>,
    /// Without the layers, and with them.
    lines: [Points; 2],
}

const WIDTH: f64 = 390.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 330.0;

impl Panel {
    /// Loads are spread by their logarithms.
    fn x(&self, load: f64) -> f64 {
        let (first, last) = (LOADS[0], LOADS[LOADS.len() - 1]);
        let part = (load / first).log2() / (last / first).log2();
        self.left + 15.0 + (WIDTH - 30.0) * part
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value / self.top_value).clamp(0.0, 1.0)
    }

    fn axes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (left, right) = (self.left, self.left + WIDTH);
        let title_at = TOP - 20.0;
        let title = self.title;
        writeln!(
            f,
            r#"<text x="{left}" y="{title_at}" font-weight="bold">{title}</text>"#
        )?;
        let mut value = 0.0;
        while value <= self.top_value {
            let y = self.y(value);
            writeln!(
                f,
                r##"<path d="M{left} {y:.1}H{right}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end">{value:.0}</text>"##,
                left - 8.0,
                y + 4.0,
            )?;
            value += self.step;
        }
        for load in LOADS {
            let x = self.x(load);
            writeln!(
                f,
                r##"<path d="M{x:.1} {BOTTOM}v5" stroke="#333"/><text x="{x:.1}" y="{}" text-anchor="middle">{load} ×</text>"##,
                BOTTOM + 20.0,
            )?;
        }
        let (middle, label_at) = (left + WIDTH / 2.0, BOTTOM + 42.0);
        writeln!(
            f,
            r##"<path d="M{left} {TOP}V{BOTTOM}H{right}" fill="none" stroke="#333"/><text x="{middle}" y="{label_at}" text-anchor="middle">calls that come, in multiples of what the service can do</text>"##
        )
    }

    fn mark(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some((what, value)) = self.mark else {
            return Ok(());
        };
        let (left, right, y) = (self.left, self.left + WIDTH, self.y(value));
        writeln!(
            f,
            r##"<path d="M{left} {y:.1}H{right}" stroke="#888" stroke-dasharray="2 3"/><text x="{right}" y="{:.1}" text-anchor="end" fill="#666" font-size="11">{what}</text>"##,
            y - 5.0,
        )
    }
}

impl Panel {
    /// Why a line ends.
    fn note(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [without, _] = &self.lines;
        let Some(missing) = LOADS.get(without.len()) else {
            return Ok(());
        };
        let (right, y) = (self.left + WIDTH, TOP + 14.0);
        writeln!(
            f,
            r#"<text x="{right}" y="{y}" text-anchor="end" fill="{WITHOUT}">without: no answer in time from {missing} × on</text>"#
        )
    }
}

impl Display for Panel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.axes(f)?;
        self.mark(f)?;
        self.note(f)?;
        let styles = [(WITHOUT, r#" stroke-dasharray="7 4""#), (WITH, "")];
        for (points, (color, style)) in self.lines.iter().zip(styles) {
            let (mut path, mut dots) = (String::new(), String::new());
            for (load, value) in points {
                let (x, y) = (self.x(*load), self.y(*value));
                let to = if path.is_empty() { 'M' } else { 'L' };
                write!(path, "{to}{x:.1} {y:.1}")?;
                write!(dots, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4"/>"#)?;
            }
            writeln!(
                f,
                r#"<path d="{path}" fill="none" stroke="{color}" stroke-width="2.5"{style}/><g fill="{color}">{dots}</g>"#
            )?;
        }
        Ok(())
    }
}
