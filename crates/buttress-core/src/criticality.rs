use std::fmt;

/// How bad it is if a call is refused. The lowest are refused first.
///
/// The four and their meanings are those of Google (*Site Reliability Engineering*, chapter 21).
/// More of them would invite quarrels about which one is right, and four are enough to shed load by.
///
/// A criticality belongs to what the user asked for, not to a service: whoever works for a call
/// hands its criticality on to those it calls in turn, so that all of them refuse the same calls,
/// and none does work that another one wastes.
///
/// # How it fails when misused
///
/// Where everything is critical, nothing is. And whoever may choose its own criticality chooses the
/// highest: take it from a header only when you know who wrote it.
///
/// ```
/// use buttress_core::Criticality;
///
/// assert!(Criticality::Sheddable < Criticality::CriticalPlus);
/// assert_eq!(Criticality::parse(b"SHEDDABLE_PLUS"), Some(Criticality::SheddablePlus));
/// assert_eq!(Criticality::parse(b"very"), None);
/// assert_eq!(Criticality::default(), Criticality::Critical);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Criticality {
    /// Nobody minds much: it is tried again later, or left out. Expect it to be refused often, and
    /// at times altogether.
    Sheddable,
    /// It may fail for a while: batch work that is repeated within the hour.
    SheddablePlus,
    /// Users see it if it fails. It is what a call is by default.
    #[default]
    Critical,
    /// Users suffer if it fails. Keep it for what a service would be useless without.
    CriticalPlus,
}

impl Criticality {
    /// All four, the lowest first.
    pub const ALL: [Self; 4] = [
        Self::Sheddable,
        Self::SheddablePlus,
        Self::Critical,
        Self::CriticalPlus,
    ];

    /// Reads a header's value: one of the four names, in capitals or small letters. Anything else
    /// is `None`, which counts as if nothing had been sent.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let same = |criticality: &Self| value.eq_ignore_ascii_case(criticality.name().as_bytes());
        Self::ALL.into_iter().find(same)
    }

    /// The name that headers carry: `CRITICAL_PLUS`, `CRITICAL`, `SHEDDABLE_PLUS` or `SHEDDABLE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "SHEDDABLE",
            Self::SheddablePlus => "SHEDDABLE_PLUS",
            Self::Critical => "CRITICAL",
            Self::CriticalPlus => "CRITICAL_PLUS",
        }
    }

    /// 0 for the lowest, 3 for the highest.
    #[inline]
    pub(crate) const fn rank(self) -> usize {
        self as usize
    }
}

#[cfg(feature = "http")]
impl Criticality {
    /// The criticality of the request with these extensions: the default one, unless another was
    /// [put](Self::put) there.
    pub fn of(extensions: &http::Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// Gives the request with these extensions this criticality. What is the default already is not
    /// stored, which would allocate.
    pub fn put(self, extensions: &mut http::Extensions) {
        match extensions.get_mut::<Self>() {
            Some(known) => *known = self,
            None if self != Self::default() => _ = extensions.insert(self),
            None => {}
        }
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        for criticality in Criticality::ALL {
            let name = criticality.name();
            assert_eq!(Criticality::parse(name.as_bytes()), Some(criticality));
            let small = name.to_ascii_lowercase();
            assert_eq!(Criticality::parse(small.as_bytes()), Some(criticality));
        }
        for unknown in ["", "CRITICAL ", "CRITICAL-PLUS", "4", "CRITICAL_PLUS_PLUS"] {
            assert_eq!(Criticality::parse(unknown.as_bytes()), None, "{unknown:?}");
        }
        assert!(Criticality::ALL.is_sorted());
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_was_put_is_found_and_the_default_takes_no_room() {
        let mut extensions = http::Extensions::new();
        Criticality::Critical.put(&mut extensions);
        assert!(extensions.is_empty());
        for criticality in Criticality::ALL {
            criticality.put(&mut extensions);
            assert_eq!(Criticality::of(&extensions), criticality);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = Criticality::parse(&value);
        }
    }
}
