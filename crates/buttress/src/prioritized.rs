use crate::guard::policy_layer;
use buttress_core::{Admission, Look, Now, Prioritized as Core, SettingError};
use std::sync::Arc;
use std::time::Duration;

/// Lets any policy that sheds load refuse the least critical calls first.
///
/// A bulkhead or a concurrency limit that is full refuses whatever comes next, a checkout as soon as
/// a report. This stands in front of one. While the policy refuses nothing, neither does it. Once it
/// does, because it is full, because calls waited too long or because the service is overloaded, a
/// bar is set such that only as many calls reach it as the policy takes, and the least critical
/// don't. The bar moves smoothly, also within one criticality, and it is gone as soon as fewer calls
/// come than the policy takes. So at several times of what a service can do nearly all critical
/// calls succeed, as long as those alone are not too many.
///
/// It needs no settings. How it works is told at [`Threshold`](buttress_core::Threshold).
///
/// At three times what a service can do, over 99 % of the critical calls succeed, if they are not
/// more than it can do themselves; also if they are one in a hundred, if the mix changes, or if calls
/// come in bursts shorter than a window. Where bursts are as long as one or longer, each begins as a
/// surprise, and critical calls are lost in it: up to 5 % of them if the service does a thousand calls
/// a second, and more if it does fewer.
///
/// # How it fails when misused
///
/// It learns from refusals, so it needs some hundred calls a second to learn from: for a service that
/// does fewer than five hundred, set a [window](PrioritizedBuilder::window) of 200 ms, and for one
/// that does fewer than a hundred, one of half a second or more.
/// The room of the policy behind it should hold the calls of 20 ms or so: where it holds only a few,
/// chance fills it long before the service is busy, and the bar rises without need.
///
/// Clones share the bar: make one and clone it for each route, rather than one for each route around
/// the same policy. The policy must be shared by calls of several criticalities; in front of a limit for each client
/// it would learn from one client's excess to refuse the others. Policies that refuse for other
/// reasons (a used-up quota, an open circuit) teach it nothing. And what is critical must be
/// [known](crate::criticality): if all calls are the same, they are refused evenly.
///
/// ```
/// use buttress::{Bulkhead, Criticality, Plain, Prioritized};
///
/// struct Job { report: bool }
///
/// let slots = Bulkhead::new(64)?;
/// let policy = Prioritized::by(slots, |job: &Job| match job.report {
///     true => Criticality::Sheddable,
///     false => Criticality::Critical,
/// });
/// let layer = policy.protocol(Plain::new());
/// # let _ = layer;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Prioritized<P, L = crate::DefaultLook> {
    policy: Arc<Core<P, L>>,
}

#[cfg(feature = "http")]
impl<P> Prioritized<P> {
    /// In front of `policy`, by the criticality that the request carries in its extensions.
    pub fn new(policy: P) -> Self {
        Self::by(policy, crate::criticality::Carried)
    }
}

impl<P, L> Prioritized<P, L> {
    /// In front of `policy`, by what `look` sees in a call: a closure from the call to its
    /// [`Criticality`](crate::Criticality) for instance.
    pub fn by(policy: P, look: L) -> Self {
        let policy = Arc::new(Core::new(policy, look));
        Self { policy }
    }

    /// The same with settings.
    pub fn builder(policy: P, look: L) -> PrioritizedBuilder<P, L> {
        PrioritizedBuilder {
            policy,
            look,
            window: None,
            name: "priority",
        }
    }

    /// The policy behind the bar.
    pub fn policy(&self) -> &P {
        self.policy.policy()
    }

    /// Decides as [`Policy::admit`](crate::Policy::admit) does, and asks the policy by `ask`, which may
    /// keep the permit where it stays. It must ask that very policy, once: the bar learns from what it
    /// says.
    #[inline]
    pub fn admit_by<C: ?Sized, K, W>(
        &self,
        call: &C,
        now: &Now,
        ask: impl FnOnce(&P) -> Admission<K, W>,
    ) -> Admission<K, W>
    where
        L: Look<C>,
    {
        self.policy.admit_by(call, now, ask)
    }

    /// Where the bar is: 0.0 when nothing is refused, 1.0 when all of `SHEDDABLE` is, 1.5 when half
    /// of `SHEDDABLE_PLUS` is too, and so on up to 4.0.
    pub fn height(&self) -> f64 {
        self.policy.threshold().height()
    }
}

impl<P, L> Clone for Prioritized<P, L> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
        }
    }
}

policy_layer!([P, L] Prioritized<P, L>, policy: Arc<Core<P, L>>);

/// The settings of a [`Prioritized`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct PrioritizedBuilder<P, L> {
    policy: P,
    look: L,
    window: Option<Duration>,
    name: &'static str,
}

impl<P, L> PrioritizedBuilder<P, L> {
    /// How long calls are counted before the bar is moved: 100 ms by default, up to a year. It lasts
    /// longer if there are few calls, and ends early when a sudden overload shows.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// The name that refusals below the bar carry: 1 to 64 printable ASCII characters, `"priority"`
    /// by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Prioritized<P, L>, SettingError> {
        let mut policy = Core::new(self.policy, self.look).named(self.name)?;
        if let Some(window) = self.window {
            policy = policy.window(window)?;
        }
        let policy = Arc::new(policy);
        Ok(Prioritized { policy })
    }
}
