use crate::guard::policy_layer;
use buttress_core::SettingError;
use buttress_core::shed;
use std::sync::Arc;
use std::time::Duration;

/// Refuses a call at once that cannot be answered before its deadline.
///
/// A call that takes 200 ms these days and whose caller waits for another 50 ms is work for nobody.
/// In an overload, when everything takes longer, these are the calls that keep the service from
/// doing the others. So what a call has left is compared with how long calls take: by default with
/// the median of the last second or so.
///
/// For HTTP the deadline is the [`Deadline`](crate::Deadline) in the request's extensions; put
/// [`IncomingDeadline`](crate::IncomingDeadline) outside of this one. A call whose deadline has
/// passed is refused as such; one that would not make it is refused because of overload (503,
/// `UNAVAILABLE`). A call without a deadline is admitted. It is a handle: clones share what was
/// seen.
///
/// Whatever the latencies say, now and then a hopeless call is let through: twenty in a half-life at first,
/// twice as many with each that makes it after all, and half as many with each that does not. So it is
/// seen at once when the service is fast again.
///
/// # How it fails when misused
///
/// Where one route takes a millisecond and another one a minute, the median is that of the one that
/// is called more. Give each its own. And a service with less than ten calls in a second needs a longer
/// [half-life](DeadlineShedderBuilder::half_life), or there is never enough to judge by.
///
/// ```
/// use buttress::{DeadlineShedder, IncomingDeadline};
/// use std::time::Duration;
///
/// let layers = (
///     IncomingDeadline::at_most(Duration::from_secs(30))?,
///     DeadlineShedder::builder().quantile(0.25).build()?,
/// );
/// # let _ = layers;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct DeadlineShedder<D = DefaultDeadline> {
    policy: Arc<shed::DeadlineShedder<D>>,
}

#[cfg(feature = "http")]
type DefaultDeadline = super::FromDeadline;
#[cfg(not(feature = "http"))]
type DefaultDeadline = ();

#[cfg(feature = "http")]
impl DeadlineShedder {
    /// Judges by the median, for requests that carry a [`Deadline`](crate::Deadline).
    ///
    /// # Errors
    ///
    /// None today; it has the shape of all the others.
    pub fn new() -> Result<Self, SettingError> {
        Self::builder().build()
    }
}

impl DeadlineShedder {
    /// The same with more settings.
    pub fn builder() -> DeadlineShedderBuilder {
        DeadlineShedderBuilder {
            quantile: None,
            half_life: None,
            deadline: DefaultDeadline::default(),
            name: "deadline-shedder",
        }
    }
}

impl<D> DeadlineShedder<D> {
    /// How long a call is expected to take, if at least ten are known.
    pub fn expected(&self) -> Option<Duration> {
        self.policy.expected()
    }
}

impl<D> Clone for DeadlineShedder<D> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
        }
    }
}

policy_layer!([D] DeadlineShedder<D>, policy: Arc<shed::DeadlineShedder<D>>);

/// The settings of a [`DeadlineShedder`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct DeadlineShedderBuilder<D = DefaultDeadline> {
    quantile: Option<f64>,
    half_life: Option<Duration>,
    deadline: D,
    name: &'static str,
}

impl<D> DeadlineShedderBuilder<D> {
    /// The quantile of the latencies that is compared with what a call has left, from 0.01 to 0.99;
    /// 0.5 by default. A higher one refuses more of the calls that would have made it.
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = Some(quantile);
        self
    }

    /// With how much time what is known fades to a half, from a second to ten minutes; 1 s by
    /// default.
    pub fn half_life(mut self, half_life: Duration) -> Self {
        self.half_life = Some(half_life);
        self
    }

    /// The deadline of a call, if it has one.
    pub fn deadline<E>(self, deadline: E) -> DeadlineShedderBuilder<E> {
        DeadlineShedderBuilder {
            quantile: self.quantile,
            half_life: self.half_life,
            deadline,
            name: self.name,
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"deadline-shedder"` by
    /// default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<DeadlineShedder<D>, SettingError> {
        let mut policy = shed::DeadlineShedder::new(self.deadline)?.named(self.name)?;
        if let Some(quantile) = self.quantile {
            policy = policy.quantile(quantile)?;
        }
        if let Some(half_life) = self.half_life {
            policy = policy.half_life(half_life)?;
        }
        Ok(DeadlineShedder {
            policy: Arc::new(policy),
        })
    }
}
