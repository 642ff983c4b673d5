//! Times, rates, sizes and shares, as people write them.

use super::scalar::text_schema;
use super::setting::{Definitions, Setting, replace};
use crate::problem::Reporter;
use crate::source::{At, Node};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// So many calls in so much time: `"100/s"`, `"5 per minute"`, `"10 per 30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub calls: u32,
    /// In how much time.
    pub period: Duration,
}

/// So many bytes: `"64KiB"`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A part of something: `0.2`, or `"20%"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Setting for Duration {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let time = match &**node {
            Node::Text(text) => duration(text),
            _ => None,
        };
        if time.is_none() {
            report.unfit(node, "a time such as \"250ms\", \"2s\" or \"1m30s\"");
        }
        time
    }

    fn schema(_: &mut Definitions) -> Value {
        let pattern = format!("^ *(0 *|({DECIMAL} *({TIME_UNIT}) *)+)$");
        text_schema(&pattern, &["A time, such as 250ms, 2s or 1m30s."])
    }

    fn show(&self) -> Value {
        Value::from(Time(*self).to_string())
    }

    /// Short, since most times that are wrong are too long for others.
    fn stand_in() -> Option<Self> {
        Some(Self::from_millis(10))
    }

    fn forget(&mut self, path: &str) -> bool {
        replace(self, path)
    }
}

impl Setting for Rate {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let rate = match &**node {
            Node::Text(text) => rate(text),
            _ => None,
        };
        if rate.is_none() {
            let allowed = "a rate such as \"100/s\", \"5 per minute\" or \"10 per 30s\"";
            report.unfit(node, allowed);
        }
        rate
    }

    fn schema(_: &mut Definitions) -> Value {
        let pattern =
            format!("^ *[0-9][0-9_]* *(/| +per +) *({PERIOD}|({DECIMAL} *({TIME_UNIT}) *)+) *$");
        text_schema(
            &pattern,
            &["A rate, such as 100/s, 5 per minute or 10 per 30s."],
        )
    }

    fn show(&self) -> Value {
        Value::from(self.to_string())
    }

    /// Often, since costs and bursts must fit into it.
    fn stand_in() -> Option<Self> {
        let (calls, period) = (1_000_000, Duration::from_secs(1));
        Some(Self { calls, period })
    }

    fn forget(&mut self, path: &str) -> bool {
        replace(self, path)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = PERIODS
            .iter()
            .find(|(_, seconds)| self.period == Duration::from_secs(*seconds));
        match named {
            Some((name, _)) => write!(f, "{} per {name}", self.calls),
            None => write!(f, "{} per {}", self.calls, Time(self.period)),
        }
    }
}

impl Setting for Size {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let bytes = match &**node {
            Node::Integer(bytes) => u64::try_from(*bytes).ok(),
            Node::Text(text) => size(text),
            _ => None,
        };
        if bytes.is_none() {
            report.unfit(
                node,
                "a number of bytes, or a size such as \"64KiB\" or \"2MB\"",
            );
        }
        bytes.map(Self)
    }

    fn schema(_: &mut Definitions) -> Value {
        let pattern = format!("^ *[0-9][0-9_]* *({SIZE_UNIT}) *$");
        let text = text_schema(&pattern, &["A size, such as 64KiB or 2MB."]);
        json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, text] })
    }

    fn show(&self) -> Value {
        let unit = SIZES
            .iter()
            .find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match unit {
            Some((name, bytes)) => Value::from(format!("{}{name}", self.0 / bytes)),
            None => Value::from(self.0),
        }
    }
}

impl Setting for Share {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let share = match &**node {
            Node::Integer(number) => Some(*number as f64),
            Node::Float(number) => Some(*number),
            Node::Text(text) => text.trim().strip_suffix('%').and_then(percent),
            _ => None,
        };
        let share = share.filter(|share| share.is_finite());
        if share.is_none() {
            report.unfit(node, "a number such as 0.2, or a part such as \"20%\"");
        }
        share.map(Self)
    }

    fn schema(_: &mut Definitions) -> Value {
        let pattern = "^ *[0-9]+(\\.[0-9]+)? *% *$";
        let text = text_schema(pattern, &["A part, such as 20%."]);
        json!({ "anyOf": [{ "type": "number", "minimum": 0 }, text] })
    }

    fn show(&self) -> Value {
        Value::from(self.0)
    }
}

/// A time as files have it: `1m30s`.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_nanos();
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, nanoseconds) in TIMES {
            let count = left / nanoseconds;
            left %= nanoseconds;
            if count > 0 {
                write!(f, "{count}{name}")?;
            }
        }
        Ok(())
    }
}

/// By which times are shown, the longest first.
const TIMES: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const PERIODS: [(&str, u64); 4] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
];

/// By which sizes are shown, the largest first.
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

const DECIMAL: &str = "[0-9][0-9_]*(\\.[0-9]+)?";
const TIME_UNIT: &str =
    "ns|us|µs|μs|ms|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hour|hours|d|day|days";
/// A rate is per one of them: they have no plural.
const PERIOD: &str = "us|ms|s|sec|second|m|min|minute|h|hour|d|day";
const SIZE_UNIT: &str = "B|kB|KB|MB|GB|KiB|MiB|GiB|k|K|M|G|Ki|Mi|Gi";

/// Longer texts are no times; it also keeps every sum below from overflowing.
const LONGEST_TEXT: usize = 64;

/// Reads a time: numbers and units, one after the other.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > LONGEST_TEXT {
        return None;
    }
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))?;
        let (number, after) = rest.split_at(number_ends);
        let after = after.trim_start();
        let unit_ends = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        nanoseconds = nanoseconds.checked_add(parts(number, unit_of_time(unit)?)?)?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanoseconds % 1_000_000_000) as u32))
}

fn unit_of_time(name: &str) -> Option<u128> {
    let nanoseconds = match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    Some(nanoseconds)
}

/// A decimal number of units, in the parts that the unit has. What is finer is dropped.
fn parts(number: &str, unit: u128) -> Option<u128> {
    let number = number.replace('_', "");
    let (whole, decimals) = number.split_once('.').unwrap_or((&number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 18 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let part: u128 = decimals.parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part * unit / scale)
}

fn rate(text: &str) -> Option<Rate> {
    let text = text.trim();
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let (calls, period) = text.split_once('/').or_else(|| text.split_once(" per "))?;
    let calls = calls.trim();
    if !calls
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    let calls = calls.replace('_', "").parse().ok()?;
    let period = period.trim();
    let named = PERIOD.split('|').any(|named| named == period);
    let period = match unit_of_time(period).filter(|_| named) {
        Some(nanoseconds) => Duration::from_nanos(u64::try_from(nanoseconds).ok()?),
        None => duration(period).filter(|period| !period.is_zero())?,
    };
    Some(Rate { calls, period })
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.find(|c: char| !(c.is_ascii_digit() || c == '_'))?;
    let (number, unit) = text.split_at(unit);
    let bytes: u64 = match unit.trim() {
        "B" => 1,
        "kB" | "KB" | "k" | "K" => 1_000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return None,
    };
    let number: u64 = number.replace('_', "").parse().ok()?;
    number.checked_mul(bytes)
}

fn percent(text: &str) -> Option<f64> {
    let percent: f64 = text.trim().parse().ok()?;
    Some(percent / 100.0)
}
