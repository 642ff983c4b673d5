//! How long to wait before trying again.
//!
//! A callee that fails is often one that has too much to do. Callers that come back at once keep it
//! there, and callers that all come back after the same time come back together. So waits grow
//! from one retry to the next, and are random.
//!
//! # How it fails when misused
//!
//! Backoff spreads callers, it does not bound them: with more callers than the callee can serve,
//! waiting only delays what is too much. That is what a [budget](crate::budget) is for. And waits
//! that are long against the caller's own patience are work for nobody.
//!
//! # Formulas
//!
//! For the n-th retry, with *t* = min(cap, base · factorⁿ⁻¹) and *U(a, b)* evenly random between
//! *a* and *b*:
//!
//! | jitter | wait |
//! | --- | --- |
//! | [`Full`](Jitter::Full) | U(0, t) |
//! | [`Equal`](Jitter::Equal) | t/2 + U(0, t/2) |
//! | [`Decorrelated`](Jitter::Decorrelated) | min(cap, U(base, 3 · the wait before)), of which the first is U(base, 3 · base) |
//! | [`Grpc`](Jitter::Grpc) | t · U(0.8, 1.2) |
//! | [`None`](Jitter::None) | t |
//!
//! The first three are Marc Brooker's, "Exponential Backoff And Jitter" on the AWS Architecture
//! Blog (2015), where full jitter needs the fewest calls; the fourth is gRFC A6's. That a callee
//! which says "too much" is left alone for longer than one that merely fails is what AWS's SDKs do
//! in their standard mode. The numbers are ours: 50 ms is a few round trips within a region, 1 s is
//! about as long as somebody in front of a screen waits without a doubt.

use crate::random::Random;
use crate::setting::{LONGEST, SettingError, check_duration, check_range};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before trying again: exponential with full jitter unless told otherwise.
///
/// ```
/// use buttress_core::backoff::{Backoff, Jitter, Waits};
/// use buttress_core::Random;
/// use std::time::Duration;
///
/// let millis = Duration::from_millis;
/// let backoff = Backoff::exponential(millis(50), millis(300))?.jitter(Jitter::None);
/// let (random, mut waits) = (Random::new(), Waits::new());
/// let three = [(); 4].map(|()| backoff.next(&mut waits, false, &random));
/// assert_eq!(three, [millis(50), millis(100), millis(200), millis(300)]);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    Exponential(Exponential),
    Constant(Duration),
    Function(Arc<dyn Fn(Retry) -> Duration + Send + Sync>),
}

#[derive(Clone, Copy, Debug)]
struct Exponential {
    base: Duration,
    base_if_overloaded: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
}

/// How much of a wait is left to chance. The module has the [formulas](self#formulas).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// All of it: callers are spread as evenly as can be.
    #[default]
    Full,
    /// Half of it: no retry comes at once.
    Equal,
    /// It depends on the wait before instead of on the number of retries.
    Decorrelated,
    /// A fifth up or down, as gRPC has it.
    Grpc,
    /// Nothing. Callers that failed together come back together: for tests.
    None,
}

/// The retry that a closure given to [`Backoff::by_fn`] finds a wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Its number, from 1. It begins again after a wait that the callee asked for.
    pub number: u32,
    /// The wait before the retry before this one; 0 for the first.
    pub previous: Duration,
    /// Whether the callee said that it has too much to do.
    pub overloaded: bool,
}

/// The waits of one call so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    number: u32,
    previous: Duration,
}

impl Waits {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            number: 0,
            previous: Duration::ZERO,
        }
    }

    /// The callee said itself how long to wait. The next wait of ours is like a first one (gRFC
    /// A6).
    pub fn start_again(&mut self) {
        *self = Self::new();
    }
}

impl Backoff {
    /// The default: from 50 ms (1 s if the callee said "too much"), doubling up to 1 s, with full
    /// jitter.
    pub const fn new() -> Self {
        Self {
            shape: Shape::Exponential(Exponential {
                base: Duration::from_millis(50),
                base_if_overloaded: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(1),
                jitter: Jitter::Full,
            }),
        }
    }

    /// From `base`, doubling up to `cap`, with full jitter.
    ///
    /// # Errors
    ///
    /// One of them is 0 or longer than a year, or `cap` is shorter than `base`.
    pub fn exponential(base: Duration, cap: Duration) -> Result<Self, SettingError> {
        let base = check_duration("base", base)?;
        let cap = check_duration("cap", cap)?;
        if cap < base {
            let allowed = format!("at least the base, {base:?}");
            return Err(SettingError::new("cap", format_args!("{cap:?}"), allowed));
        }
        Ok(Self {
            shape: Shape::Exponential(Exponential {
                base,
                // Where the base is longer than usual, so is this.
                base_if_overloaded: base.max(Duration::from_secs(1)),
                factor: 2.0,
                cap,
                jitter: Jitter::Full,
            }),
        })
    }

    /// Always `wait`, without jitter.
    ///
    /// # Errors
    ///
    /// `wait` is longer than a year. 0 is allowed: a budget bounds what that does.
    pub fn constant(wait: Duration) -> Result<Self, SettingError> {
        if wait > LONGEST {
            let value = format_args!("{wait:?}");
            return Err(SettingError::new("constant", value, "at most 365 days"));
        }
        let shape = Shape::Constant(wait);
        Ok(Self { shape })
    }

    /// What `function` says; a year at most. It must not block.
    pub fn by_fn(function: impl Fn(Retry) -> Duration + Send + Sync + 'static) -> Self {
        let shape = Shape::Function(Arc::new(function));
        Self { shape }
    }

    /// How much each wait grows: from 1 to 100, 2 by default. Of an exponential one only.
    ///
    /// # Errors
    ///
    /// `factor` is outside of that.
    pub fn factor(self, factor: f64) -> Result<Self, SettingError> {
        let factor = check_range("factor", factor, 1.0..=100.0)?;
        Ok(self.with(|shape| Exponential { factor, ..shape }))
    }

    /// The kind of jitter. Of an exponential one only.
    pub fn jitter(self, jitter: Jitter) -> Self {
        self.with(|shape| Exponential { jitter, ..shape })
    }

    /// The base if the callee said that it has too much to do, without saying for how long: the
    /// longer of 1 s and the base by default. The cap is raised to it where it is lower. Of an
    /// exponential one only.
    ///
    /// # Errors
    ///
    /// `base` is 0 or longer than a year.
    pub fn base_if_overloaded(self, base: Duration) -> Result<Self, SettingError> {
        let base_if_overloaded = check_duration("base_if_overloaded", base)?;
        Ok(self.with(|shape| Exponential {
            base_if_overloaded,
            ..shape
        }))
    }

    /// gRPC's, as a service config states it: the factor may be below 1, and an overloaded callee
    /// makes no difference unless it asks for a wait. Nothing is longer than a year.
    #[must_use]
    pub fn grpc(initial: Duration, factor: f64, cap: Duration) -> Self {
        Self {
            shape: Shape::Exponential(Exponential {
                base: initial.min(LONGEST),
                base_if_overloaded: initial.min(LONGEST),
                factor,
                cap: cap.min(LONGEST),
                jitter: Jitter::Grpc,
            }),
        }
    }

    /// The wait before the next retry of the call that waited so far as `waits` says. It is a year
    /// at most.
    pub fn next(&self, waits: &mut Waits, overloaded: bool, random: &Random) -> Duration {
        waits.number = waits.number.saturating_add(1);
        let wait = match &self.shape {
            Shape::Exponential(shape) => shape.wait(*waits, overloaded, random),
            Shape::Constant(wait) => *wait,
            Shape::Function(function) => function(Retry {
                number: waits.number,
                previous: waits.previous,
                overloaded,
            }),
        };
        waits.previous = wait.min(LONGEST);
        waits.previous
    }

    fn with(self, change: impl FnOnce(Exponential) -> Exponential) -> Self {
        let shape = match self.shape {
            Shape::Exponential(shape) => Shape::Exponential(change(shape)),
            other => other,
        };
        Self { shape }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Exponential {
    fn wait(&self, waits: Waits, overloaded: bool, random: &Random) -> Duration {
        let base = if overloaded {
            self.base_if_overloaded
        } else {
            self.base
        };
        let cap = if overloaded {
            self.cap.max(base)
        } else {
            self.cap
        };
        let steps = i32::try_from(waits.number.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = base.as_secs_f64() * self.factor.powi(steps);
        // Infinite after enough steps, and then the cap.
        let most = Duration::try_from_secs_f64(grown)
            .unwrap_or(LONGEST)
            .min(cap);
        match self.jitter {
            Jitter::Full => random.between(Duration::ZERO, most),
            Jitter::Equal => most / 2 + random.between(Duration::ZERO, most / 2),
            Jitter::Decorrelated => {
                let previous = waits.previous.max(base);
                random.between(base, previous.saturating_mul(3)).min(cap)
            }
            Jitter::Grpc => most.mul_f64(0.8 + 0.4 * random.unit()),
            Jitter::None => most,
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exponential(shape) => shape.fmt(f),
            Self::Constant(wait) => f.debug_tuple("Constant").field(wait).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

#[cfg(test)]
mod tests;
