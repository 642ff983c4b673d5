use crate::source::Span;

/// Where the lines of a text begin: finds a byte's line and column.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The byte with which each line begins.
    starts: Vec<usize>,
}

impl Lines {
    /// Those of `text`.
    pub fn of(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(after_breaks.map(|(at, _)| at + 1));
        Self {
            starts: starts.collect(),
        }
    }

    /// The line and the character in it of a byte of `text`, both from 1. What lies behind the end
    /// is at the end.
    pub fn place(&self, text: &str, byte: usize) -> (usize, usize) {
        let byte = floor(text, byte);
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = text.get(start..byte).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The line in which a span begins, and how many of its characters are the span's. None if the
    /// line is too long to be shown.
    pub(super) fn excerpt(&self, text: &str, span: Span) -> Option<(String, usize)> {
        let start = floor(text, span.start());
        let line = self.starts.partition_point(|first| *first <= start).max(1);
        let first = self.starts.get(line - 1).copied().unwrap_or_default();
        let rest = text.get(first..).unwrap_or_default();
        let shown = rest.lines().next().unwrap_or_default();
        if shown.len() > 4 * LONGEST_LINE {
            return None;
        }
        let end = floor(text, span.end()).min(first + shown.len());
        let width = text.get(start..end).unwrap_or_default().chars().count();
        if shown.chars().count() > LONGEST_LINE {
            return None;
        }
        // A terminal would obey what stands there.
        let tame = |c: char| {
            if c.is_control() && c != '\t' {
                '�'
            } else {
                c
            }
        };
        Some((shown.chars().map(tame).collect(), width))
    }
}

/// In characters.
const LONGEST_LINE: usize = 160;

/// The nearest byte at which a character begins, or the end.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}
