use crate::check::{Fault, Inspect};
use buttress::{Bulkhead, SettingError};
use buttress_core::setting::check_range;
use std::fmt;

/// Whether a queue, a pool, or whatever fills up has room left.
///
/// ```
/// use buttress_health::{Check, Load, Saturation};
///
/// let (sender, _receiver) = tokio::sync::mpsc::channel::<u64>(100);
/// let full = Saturation::of(move || Load {
///     used: sender.max_capacity() - sender.capacity(),
///     capacity: sender.max_capacity(),
/// });
/// let queue = Check::readiness("queue", full.below(0.9)?).hard();
/// # let _ = queue;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub struct Saturation {
    load: Box<dyn Fn() -> Load + Send + Sync>,
    below: f64,
}

/// How full something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What is taken.
    pub used: usize,
    /// What can be taken.
    pub capacity: usize,
}

impl Saturation {
    /// Fails when all of it is taken. `load` is called by the check, and must not block.
    pub fn of(load: impl Fn() -> Load + Send + Sync + 'static) -> Self {
        Self {
            load: Box::new(load),
            below: 1.0,
        }
    }

    /// Fails when this part of it is taken: more than 0, at most 1, which is the default.
    ///
    /// # Errors
    ///
    /// `part` is something else.
    pub fn below(self, part: f64) -> Result<Self, SettingError> {
        let below = check_part(part)?;
        Ok(Self { below, ..self })
    }
}

impl Inspect for Saturation {
    async fn inspect(&self) -> Result<(), Fault> {
        (self.load)().check(self.below)
    }
}

impl fmt::Debug for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saturation").finish_non_exhaustive()
    }
}

/// Whether a bulkhead has slots left.
///
/// ```
/// use buttress::Bulkhead;
/// use buttress_health::{BulkheadSaturation, Check};
///
/// let slots = Bulkhead::new(64)?;
/// let check = Check::readiness("slots", BulkheadSaturation::of(&slots).below(0.9)?);
/// # let _ = check;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BulkheadSaturation {
    bulkhead: Bulkhead,
    below: f64,
}

impl BulkheadSaturation {
    /// Fails when all slots are taken.
    pub fn of(bulkhead: &Bulkhead) -> Self {
        Self {
            bulkhead: bulkhead.clone(),
            below: 1.0,
        }
    }

    /// Fails when this part of the slots is taken: more than 0, at most 1, which is the default.
    ///
    /// # Errors
    ///
    /// `part` is something else.
    pub fn below(self, part: f64) -> Result<Self, SettingError> {
        let below = check_part(part)?;
        Ok(Self { below, ..self })
    }
}

impl Inspect for BulkheadSaturation {
    async fn inspect(&self) -> Result<(), Fault> {
        let load = Load {
            used: self.bulkhead.in_flight(),
            capacity: self.bulkhead.limit() as usize,
        };
        load.check(self.below)
            .map_err(|fault| match self.bulkhead.waiting() {
                0 => fault,
                waiting => Fault::new(format_args!("{fault}, and {waiting} wait")),
            })
    }
}

impl Load {
    fn check(self, below: f64) -> Result<(), Fault> {
        let Self { used, capacity } = self;
        if used as f64 >= capacity as f64 * below {
            return Err(Fault::new(format_args!("{used} of {capacity} taken")));
        }
        Ok(())
    }
}

fn check_part(part: f64) -> Result<f64, SettingError> {
    let allowed = |_| SettingError::new("below", part, "more than 0 and at most 1");
    check_range("below", part, f64::MIN_POSITIVE..=1.0).map_err(allowed)
}
