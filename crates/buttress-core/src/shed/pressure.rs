use crate::look::{Blind, Look};
use crate::never::Never;
use crate::now::Now;
use crate::policy::{Admission, Policy};
use crate::random::Random;
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name, check_range};
use crate::sync::{AtomicU32, AtomicU64, Mutex};
use std::fmt;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// Refuses a share of the calls while processors or memory are nearly used up.
///
/// The share rises smoothly with the use, so there is no edge at which a service flips between
/// serving all and none. What is used is [reported](Self::report) from outside, a few times a
/// second; to admit a call costs one look at one number, and a draw if that is not 0.
///
/// If it [sees](Self::looking) how critical calls are, that share is made up of the least critical of
/// those that come: as long as a part of `SHEDDABLE` suffices, nothing else is refused.
pub struct Pressure<L = Blind> {
    look: L,
    cpu: Ramp,
    memory: Ramp,
    most_refused: f64,
    name: &'static str,
    random: Random,
    /// The share that is refused, as the bits of a float.
    share: AtomicU64,
    /// The same for each criticality, from the lowest 16 bits up, in parts of [`ALL`].
    shares: AtomicU64,
    /// How many of each came since the last report, while some were refused.
    arrived: [AtomicU32; 4],
    smoothed: Mutex<Reading>,
}

/// How much is used, each from 0 to 1. What is not known counts as no pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The processors' time, as a share of what there is.
    pub cpu: Option<f64>,
    /// Memory, as a share of what there is.
    pub memory: Option<f64>,
}

/// From which use on calls are refused, and at which use all are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    from: f64,
    to: f64,
}

impl Ramp {
    /// Refuses nobody below `from`, and everybody above `to`: shares of what there is, where
    /// 0 < from < to ≤ 1.
    ///
    /// # Errors
    ///
    /// Names `field`.
    pub fn new(field: &'static str, from: f64, to: f64) -> Result<Self, SettingError> {
        check_range(field, from, 0.001..=0.999)?;
        check_range(field, to, from..=1.0)?;
        if from >= to {
            return Err(SettingError::new(field, to, "above where it begins"));
        }
        Ok(Self { from, to })
    }

    fn share(self, used: Option<f64>) -> f64 {
        used.map_or(0.0, |used| {
            ((used - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
        })
    }
}

impl Pressure {
    /// Begins to refuse at 85 % of the processors' time and at 85 % of memory, and reaches the most
    /// at 100 % and 95 %. At most 95 % are refused, so that it is seen when things are better. The
    /// name is `"pressure"`.
    pub fn new() -> Self {
        Self {
            cpu: Ramp {
                from: 0.85,
                to: 1.0,
            },
            memory: Ramp {
                from: 0.85,
                to: 0.95,
            },
            most_refused: 0.95,
            name: "pressure",
            random: Random::new(),
            share: AtomicU64::new(0),
            shares: AtomicU64::new(0),
            arrived: std::array::from_fn(|_| AtomicU32::new(0)),
            smoothed: Mutex::new(Reading::default()),
            look: Blind,
        }
    }
}

impl<L> Pressure<L> {
    /// What is seen in a call: how critical it is.
    pub fn looking<M>(self, look: M) -> Pressure<M> {
        Pressure {
            look,
            cpu: self.cpu,
            memory: self.memory,
            most_refused: self.most_refused,
            name: self.name,
            random: self.random,
            share: self.share,
            shares: self.shares,
            arrived: self.arrived,
            smoothed: self.smoothed,
        }
    }

    /// What use of the processors means.
    pub fn cpu(mut self, ramp: Ramp) -> Self {
        self.cpu = ramp;
        self
    }

    /// What use of memory means.
    pub fn memory(mut self, ramp: Ramp) -> Self {
        self.memory = ramp;
        self
    }

    /// The largest share that is refused, from 0.01 to 1.
    ///
    /// # Errors
    ///
    /// `share` is out of range.
    pub fn most_refused(mut self, share: f64) -> Result<Self, SettingError> {
        self.most_refused = check_range("most_refused", share, 0.01..=1.0)?;
        Ok(self)
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.name = check_name("named", name)?;
        Ok(self)
    }

    /// The seed of the draws, so that an experiment can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Tells what is used. It is averaged with what was told before: each new one counts 30 %.
    pub fn report(&self, reading: Reading) {
        let mut smoothed = self.smoothed.lock();
        smoothed.cpu = blend(smoothed.cpu, reading.cpu);
        smoothed.memory = blend(smoothed.memory, reading.memory);
        let share = self.cpu.share(smoothed.cpu);
        let share = share.max(self.memory.share(smoothed.memory));
        let share = share * self.most_refused;
        let arrived = self.arrived.each_ref();
        let arrived = arrived.map(|calls| f64::from(calls.swap(0, Ordering::Relaxed)));
        self.share.store(share.to_bits(), Ordering::Relaxed);
        self.shares
            .store(of_each(share, arrived), Ordering::Relaxed);
    }

    /// What is used, averaged.
    pub fn reading(&self) -> Reading {
        *self.smoothed.lock()
    }

    /// The share of the calls that is refused now, from 0 to 1.
    #[inline]
    pub fn refused_share(&self) -> f64 {
        f64::from_bits(self.share.load(Ordering::Relaxed))
    }
}

/// What part of each criticality is refused, if `share` of all is, the lowest first.
fn of_each(share: f64, arrived: [f64; 4]) -> u64 {
    let all: f64 = arrived.iter().sum();
    let mut left = share * all;
    let of_each = arrived.map(|calls| {
        if all <= 0.0 {
            // None came since the last reading.
            return share;
        }
        let refused = left.min(calls);
        left -= refused;
        // Of what did not come, nothing is known but that the higher ones are not refused.
        if calls > 0.0 {
            refused / calls
        } else {
            f64::from(u8::from(left > 0.0))
        }
    });
    let bits = |share: f64| (share * f64::from(ALL)).ceil() as u64;
    let pack = |packed, share| packed << 16 | bits(share);
    of_each.into_iter().rev().fold(0, pack)
}

/// All of a criticality's calls.
const ALL: u16 = u16::MAX;

fn blend(before: Option<f64>, new: Option<f64>) -> Option<f64> {
    let new = new.filter(|new| new.is_finite());
    match (before, new) {
        (Some(before), Some(new)) => Some(before + (new - before) * WEIGHT),
        (_, new) => new,
    }
}

const WEIGHT: f64 = 0.3;

impl Default for Pressure {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: ?Sized, L: Look<C>> Policy<C> for Pressure<L> {
    type Permit = ();
    type Waiting = Never;

    #[inline]
    fn admit(&self, call: &C, _: &Now) -> Admission<(), Never> {
        // Also while nothing is refused, so that the first pressure meets the lowest alone.
        let rank = self.look.criticality(call).rank();
        self.arrived[rank].fetch_add(1, Ordering::Relaxed);
        let shares = self.shares.load(Ordering::Relaxed);
        if shares == 0 {
            return Admission::Admitted(());
        }
        let share = (shares >> (16 * rank)) as u16;
        if share > 0 && self.random.unit() * f64::from(ALL) < f64::from(share) {
            return Admission::Refused(Rejection::new(Reason::Overloaded, self.name));
        }
        Admission::Admitted(())
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        match *waiting {}
    }
}

impl<L> fmt::Debug for Pressure<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pressure")
            .field("name", &self.name)
            .field("reading", &self.reading())
            .field("refused_share", &self.refused_share())
            .finish_non_exhaustive()
    }
}
