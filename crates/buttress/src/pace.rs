use crate::clock;
use crate::guard::policy_layer;
use crate::keyed::{Keyed, KeyedBuilder};
use buttress_core::{Blind, Now, Pacer, SettingError};
use std::time::Duration;

/// Calls one by one, at a steady pace: a leaky bucket.
///
/// Some callees must not see bursts: a mail provider, a legacy system, a device. A
/// [`RateLimit`](crate::RateLimit) keeps to a rate on average, and lets through at once what was
/// saved up; this saves nothing up. What comes faster than the pace waits in a bounded room and
/// drains at it, first come, first served.
///
/// A call whose turn would come too late is refused at once, with the time until the room is short
/// enough (503 with `Retry-After`); it does not wait in order to find out. If a waiting call's caller
/// goes away, those behind move up. A call whose caller's deadline has passed when its turn comes is
/// not run.
///
/// # How it fails when misused
///
/// A pace levels bursts and cannot help against a lasting excess: then the room is full, and all calls
/// wait as long as they may. And it paces the *start* of calls: how many are under way is bounded by
/// a [`Bulkhead`](crate::Bulkhead). In a guard of several policies it belongs last, since a call that
/// a later one refuses has used up its turn. Timers are exact to a millisecond or two, so above some hundred
/// calls a second those go together that are due within it.
///
/// ```
/// use buttress::Pace;
/// use std::time::Duration;
///
/// // Five mails a second, and never two at once; a minute's worth may wait.
/// let pace = Pace::per_second(5).waiting_room(300, Duration::from_secs(60)).build()?;
/// # let _ = pace;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pace<L = Blind> {
    pacer: Pacer<L>,
}

impl Pace {
    /// `calls` in each second, evenly: from 1 to 1 000 000 000.
    pub fn per_second(calls: u32) -> PaceBuilder {
        Self::per(calls, Duration::from_secs(1))
    }

    /// `calls` in each minute, evenly: from 1 to 2³² − 1.
    pub fn per_minute(calls: u32) -> PaceBuilder {
        Self::per(calls, Duration::from_secs(60))
    }

    /// `calls` (1 to 2³² − 1) in each `period` (up to a year), evenly, and not more than one in a
    /// nanosecond.
    pub fn per(calls: u32, period: Duration) -> PaceBuilder {
        PaceBuilder {
            calls,
            period,
            room: None,
            name: "pace",
            look: Blind,
        }
    }
}

impl<L> Pace<L> {
    /// How many calls wait for their turn.
    pub fn waiting(&self) -> usize {
        self.pacer.waiting()
    }

    /// Goes by the settings of another one from now on, while calls run: its pace, its waiting room and
    /// its name. Those that wait stay in line; see [`Pacer::follow`].
    pub fn follow<M>(&self, other: &Pace<M>) {
        let now = Now::lazy(clock::now);
        self.pacer.follow(&other.pacer, &now);
    }
}

impl<K, L: Clone + Send + Sync + 'static> Keyed<K, Pacer<L>> {
    /// Goes by another one's settings of the pace for each key from now on, while calls run, also for
    /// keys that are new. How many keys are remembered and what becomes of calls without one stays.
    pub fn follow<J>(&self, other: &Keyed<J, Pacer<L>>) {
        let now = Now::lazy(clock::now);
        let pacer = other.for_a_new_key();
        let template = pacer.clone();
        self.change(move || template.fresh(), |each| each.follow(&pacer, &now));
    }
}

policy_layer!([L] Pace<L>, pacer: Pacer<L>, where L: Clone);

/// The settings of a [`Pace`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct PaceBuilder<L = Blind> {
    calls: u32,
    period: Duration,
    room: Option<(u32, Duration)>,
    name: &'static str,
    look: L,
}

impl<L> PaceBuilder<L> {
    /// Lets at most `places` calls (1 to 1 000 000) wait for their turn, each for `longest_wait` at
    /// most (up to a year). By default nobody waits, and what comes too early is refused.
    pub fn waiting_room(mut self, places: u32, longest_wait: Duration) -> Self {
        self.room = Some((places, longest_wait));
        self
    }

    /// What is seen in a call that has to wait: its caller's deadline. `Carried` sees that of a
    /// request's extensions. By default, nothing.
    pub fn looking<M>(self, look: M) -> PaceBuilder<M> {
        PaceBuilder {
            calls: self.calls,
            period: self.period,
            room: self.room,
            name: self.name,
            look,
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"pace"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// One pace with these settings for each key. What follows is set on the keyed builder.
    pub fn by<K>(self, key: K) -> KeyedBuilder<K, Pacer<L>>
    where
        L: Clone + Send + Sync + 'static,
    {
        let name = self.name;
        KeyedBuilder::from_template(key, name, self.pacer(), Pacer::fresh)
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Pace<L>, SettingError> {
        let pacer = self.pacer()?;
        Ok(Pace { pacer })
    }

    fn pacer(self) -> Result<Pacer<L>, SettingError> {
        let mut pacer = Pacer::new(self.calls, self.period)?.named(self.name)?;
        if let Some((places, longest_wait)) = self.room {
            pacer = pacer.waiting_room(places, longest_wait)?;
        }
        Ok(pacer.looking(self.look))
    }
}
