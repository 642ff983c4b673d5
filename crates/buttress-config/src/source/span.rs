use std::fmt;

/// Which bytes of a file something stands in.
///
/// Files are at most [4 MiB](super::LONGEST_FILE) long, so 32 bits are plenty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to, and without, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        let short = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            start: short(start),
            end: short(end.max(start)),
        }
    }

    /// The first byte.
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// The byte after the last.
    pub const fn end(self) -> usize {
        self.end as usize
    }
}

/// A value, and where in the file it stands.
///
/// Two of them are equal if their values are: a setting that has only moved is the same setting,
/// and the state of its policy survives.
#[derive(Clone, Copy, Default)]
pub struct At<T> {
    value: T,
    span: Span,
}

#[expect(
    clippy::self_named_constructors,
    reason = "`At::at(value, span)` reads as it is meant"
)]
impl<T> At<T> {
    /// A value that stands in no file: a default, or one that a program made.
    pub fn new(value: T) -> Self {
        Self::at(value, Span::default())
    }

    /// A value that stands there.
    pub const fn at(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Where it stands. All zeros if it is in no file.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// Whether it stands in a file.
    pub const fn is_written(&self) -> bool {
        self.span.end > 0
    }

    pub(crate) const fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> From<T> for At<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
