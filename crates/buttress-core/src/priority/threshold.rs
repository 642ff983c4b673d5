//! The bar that calls must reach while there is too much to do.

use crate::criticality::Criticality;
use crate::now::Now;
use crate::setting::{SettingError, check_duration};
use parking_lot::Mutex;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Learns from the refusals of a shedder which calls to refuse before it is asked: the least
/// critical.
///
/// A shedder refuses what is too much, whatever it is. This stands in front of one, of any kind. It
/// counts how many calls the shedder took and how many it refused, and which criticalities they
/// were of, and sets a bar such that only as many reach it as the shedder can take. Since the least
/// critical don't reach it, the shedder refuses hardly anything any more, and so hardly anything
/// critical.
///
/// The bar moves smoothly. Within one criticality each call is dealt a fraction, evenly, so a bar in
/// the middle of `SHEDDABLE_PLUS` refuses all of `SHEDDABLE` and half of those.
///
/// The rule is that of `WeChat`'s overload control (DAGOR, Zhou et al., `SoCC` 2018): in each window
/// in which the shedder refused too much, the number of calls to let through becomes 5 % less than
/// what it took; in each other one, a little more than before, until the bar is gone. Once the shedder
/// takes clearly more than when it last refused, the steps double, up to 3 %, so that it doesn't
/// take long to notice that there is more room.
///
/// No call takes a lock, but the one that ends a window.
pub struct Threshold {
    settings: Settings,
    /// Criticality and fraction, as [`level`] makes them: what is below is refused.
    bar: AtomicU32,
    /// How many calls to let through in a window while there is a bar, in thousandths of a call.
    quota: AtomicU64,
    /// Numbers the calls.
    calls: AtomicU32,
    arrived: [AtomicU32; 4],
    passed: AtomicU32,
    refused: AtomicU32,
    /// More refusals than this end the window early.
    many: AtomicU32,
    /// When the window began, in nanoseconds from the anchor.
    since: AtomicU64,
    anchor: OnceLock<Instant>,
    course: Mutex<Course>,
}

#[derive(Clone, Copy)]
struct Settings {
    window: Duration,
}

/// What is remembered from window to window.
struct Course {
    /// How many calls a second to let through, while there is a bar.
    target: Option<f64>,
    /// How many it took when all was well. Without end as long as nobody knows, as in a service that
    /// starts into an overload: what it takes is then found by doubling.
    healthy: f64,
    /// How many it took when it last refused too much.
    known_limit: f64,
    /// Whether the last window ended early. Calls that it let in to wait are refused in this one.
    cut_short: bool,
    /// By how much the target grows if this window goes well.
    step: f64,
    /// How many calls of each criticality come in a second.
    arriving: [f64; 4],
}

impl Threshold {
    /// A bar that starts at the bottom, with windows of 100 ms.
    pub fn new() -> Self {
        Self {
            settings: Settings { window: WINDOW },
            bar: AtomicU32::new(0),
            quota: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            arrived: Default::default(),
            passed: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            many: AtomicU32::new(MANY_AT_FIRST),
            since: AtomicU64::new(0),
            anchor: OnceLock::new(),
            course: Mutex::new(Course::default()),
        }
    }

    /// How long to count before the bar is moved, 100 ms by default. A window lasts longer if there
    /// are few calls in it, and ends early when a sudden overload shows.
    ///
    /// # Errors
    ///
    /// `window` is 0 or longer than a year.
    pub fn window(mut self, window: Duration) -> Result<Self, SettingError> {
        self.settings.window = check_duration("window", window)?;
        Ok(self)
    }

    /// Whether a call reaches the bar. If so, ask the shedder, and tell
    /// [`refused`](Self::refused) if it refuses.
    pub fn lets_through(&self, criticality: Criticality, now: &Now) -> bool {
        let age = self.end_window_if_due(now.instant());
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.arrived[criticality.rank()].fetch_add(1, Ordering::Relaxed);
        let passes = level(criticality, number) >= self.bar_at(age);
        if passes {
            self.passed.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }

    /// The shedder refused a call that was let through.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Where the bar is: 0.0 when nothing is refused, 1.0 when all of `SHEDDABLE` is, 1.5 when half
    /// of `SHEDDABLE_PLUS` is too, and so on up to 4.0.
    pub fn height(&self) -> f64 {
        f64::from(self.bar.load(Ordering::Relaxed)) / f64::from(ONE)
    }

    /// The bar at this point of the window. Calls come irregularly, and a shedder that has just been
    /// filled by some would refuse the next, whatever they are; so the bar is higher while more were
    /// let through than the time allows for, or some were refused, and lower while fewer were.
    #[inline]
    fn bar_at(&self, age: Duration) -> u32 {
        let bar = self.bar.load(Ordering::Relaxed);
        if bar == 0 {
            return 0;
        }
        let quota = self.quota.load(Ordering::Relaxed) as f64 / 1_000.0;
        let due = quota * (age.as_secs_f64() / self.settings.window.as_secs_f64());
        let passed = f64::from(self.passed.load(Ordering::Relaxed));
        let refused = f64::from(self.refused.load(Ordering::Relaxed));
        let ahead = (passed + EACH_REFUSAL * refused - due) / quota.max(1.0);
        let shift = (STIFFNESS * ahead).clamp(-MOST_SHIFT, MOST_SHIFT);
        // Negative numbers become 0. It does not rise into a criticality of which all should pass: what
        // the bar refuses is lost, and the shedder may still have room.
        ((f64::from(bar) + f64::from(ONE) * shift) as u32).min(bar.next_multiple_of(ONE))
    }

    /// Ends the window if it is time, and returns how old the one is that the call falls in.
    #[inline]
    fn end_window_if_due(&self, now: Instant) -> Duration {
        let anchor = *self.anchor.get_or_init(|| now);
        // A `u64` of nanoseconds holds 584 years.
        let at = now.saturating_duration_since(anchor).as_nanos() as u64;
        let age = Duration::from_nanos(at.saturating_sub(self.since.load(Ordering::Relaxed)));
        let window = self.settings.window;
        if age >= window || (age >= window / 20 && self.is_suddenly_overloaded()) {
            self.end_window(at);
            return Duration::from_nanos(at.saturating_sub(self.since.load(Ordering::Relaxed)));
        }
        age
    }

    /// Whether so much is refused that the end of the window is not waited for.
    #[inline]
    fn is_suddenly_overloaded(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > self.many.load(Ordering::Relaxed)
    }

    #[cold]
    fn end_window(&self, at: u64) {
        // Whoever finds it locked finds it being done.
        let Some(mut course) = self.course.try_lock() else {
            return;
        };
        let since = self.since.load(Ordering::Relaxed);
        let age = Duration::from_nanos(at.saturating_sub(since));
        let arrived = || self.arrived.iter().map(|n| n.load(Ordering::Relaxed));
        let few = arrived().sum::<u32>() < ENOUGH_TO_JUDGE && !self.is_suddenly_overloaded();
        if age.is_zero() || (few && age < 10 * self.settings.window) {
            return;
        }
        let arrived = self
            .arrived
            .each_ref()
            .map(|n| n.swap(0, Ordering::Relaxed));
        let passed = self.passed.swap(0, Ordering::Relaxed);
        let refused = self.refused.swap(0, Ordering::Relaxed);
        self.since.store(at, Ordering::Relaxed);
        let bar = course.next_bar(&Window {
            seconds: age.as_secs_f64(),
            lengths: age.as_secs_f64() / self.settings.window.as_secs_f64(),
            whole: age >= self.settings.window,
            stale: age >= 20 * self.settings.window,
            arrived: arrived.map(f64::from),
            passed: f64::from(passed),
            // Calls that waited may be refused in a later window than they came in.
            refused: f64::from(refused.min(passed)),
            had_bar: self.bar.load(Ordering::Relaxed) > 0,
        });
        let many = if course.known_limit > 0.0 {
            MANY
        } else {
            MANY_AT_FIRST
        };
        self.many.store(many, Ordering::Relaxed);
        let quota = course.target.unwrap_or(0.0) * self.settings.window.as_secs_f64();
        self.quota
            .store((1_000.0 * quota) as u64, Ordering::Relaxed);
        // At most four times `ONE`.
        self.bar
            .store((bar * f64::from(ONE)) as u32, Ordering::Relaxed);
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threshold")
            .field("height", &self.height())
            .finish_non_exhaustive()
    }
}

/// What was counted.
struct Window {
    seconds: f64,
    /// How many times the usual it lasted.
    lengths: f64,
    /// It was not ended early.
    whole: bool,
    /// It lasted so long that what was known before is worth nothing.
    stale: bool,
    arrived: [f64; 4],
    passed: f64,
    refused: f64,
    had_bar: bool,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            target: None,
            healthy: f64::INFINITY,
            known_limit: 0.0,
            cut_short: false,
            step: 0.0,
            arriving: [0.0; 4],
        }
    }
}

impl Course {
    /// How high the bar is to be.
    fn next_bar(&mut self, window: &Window) -> f64 {
        if window.stale {
            *self = Self::default();
        }
        for (known, arrived) in self.arriving.iter_mut().zip(window.arrived) {
            let counted = arrived / window.seconds;
            // A sudden end is believed at once, noise is not.
            let believed = counted < *known / 2.0 || *known <= 0.0;
            *known = if believed {
                counted
            } else {
                f64::midpoint(*known, counted)
            };
        }
        if window.refused > TOLERANCE * window.passed {
            self.offer_less(window);
        } else if window.had_bar {
            self.offer_more(window);
        } else {
            self.target = None;
            self.known_limit = 0.0;
            self.healthy = window.passed / window.seconds;
        }
        self.cut_short = !window.whole;
        self.target.map_or(0.0, |target| self.bar_for(target))
    }

    fn offer_less(&mut self, window: &Window) {
        let refused = window.refused / window.passed;
        let taken = (window.passed - window.refused) / window.seconds;
        // What it would have taken of all that was to be let through: once some are refused, the bar
        // holds others back.
        let bearable = self.target.map_or(taken, |target| {
            let meant = window.passed.max(target * window.seconds);
            target * (1.0 - window.refused / meant)
        });
        let target = match self.target {
            // A window's count is noisy, so what is known already is better, unless the shedder
            // takes much less than that.
            Some(target) if refused < BADLY => target * (1.0 - refused),
            Some(target) => taken.max(target / 2.0),
            None => taken,
        };
        if self.target.is_some() && !self.cut_short && window.passed - window.refused > FEW {
            // It works, and still that was too much.
            self.healthy = self.healthy.min(bearable);
        }
        // A short window's count may be far off, so what follows must be free to find out.
        self.known_limit = if window.whole { target } else { 0.0 };
        // One that takes nothing at all must be offered something, or it would never be seen to take
        // it again.
        let least = FEW_PER_CENT / 100.0 * self.arriving.iter().sum::<f64>();
        self.target = Some((target * (1.0 - MARGIN)).max(least));
        self.step = STEP;
    }

    fn offer_more(&mut self, window: &Window) {
        let Some(target) = &mut self.target else {
            return;
        };
        if *target < self.healthy * (1.0 - 2.0 * MARGIN) {
            // It had come to a halt, and works again.
            *target = (window.lengths.exp2() * *target).min(self.healthy);
            return;
        }
        *target *= 1.0 + self.step;
        if *target > self.known_limit * (1.0 + MARGIN) {
            // The shedder takes more than it did: the sooner that is used the better.
            self.step = (2.0 * self.step).min(LARGEST_STEP);
        }
    }

    /// The bar that so many calls a second reach, counted from the most critical down.
    fn bar_for(&self, target: f64) -> f64 {
        let mut left = target;
        for (rank, arriving) in self.arriving.iter().enumerate().rev() {
            if *arriving > left {
                return rank as f64 + 1.0 - left / arriving;
            }
            left -= arriving;
        }
        0.0
    }
}

/// A call's place on the scale: its criticality, and a fraction that the golden ratio deals out so
/// evenly that of any few calls in a row, as many as should reach a bar.
#[inline]
fn level(criticality: Criticality, number: u32) -> u32 {
    let fraction = number.wrapping_mul(0x9E37_79B9) >> 16;
    criticality.rank() as u32 * ONE + fraction
}

/// One criticality's part of the scale.
const ONE: u32 = 1 << 16;

const WINDOW: Duration = Duration::from_millis(100);

/// More refusals than this don't wait for the end of the window; fewer while nobody knows how much
/// the shedder takes.
const MANY: u32 = 20;
const MANY_AT_FIRST: u32 = 5;

/// Fewer calls than this say little, so the window goes on, unless more than enough were refused.
const ENOUGH_TO_JUDGE: u32 = 80;

/// What part of its calls a shedder may refuse before it counts as too many. Its refusals meet all
/// criticalities alike, so it is half of what the highest may lose if 99 % of them are to succeed.
const TOLERANCE: f64 = 0.005;

/// How far the bar moves for calls that come irregularly: by 0.04 for each hundredth of a window's
/// calls, which of the part that is let through of one criticality is about as much again.
const STIFFNESS: f64 = 4.0;
const MOST_SHIFT: f64 = 0.5;

/// As how many calls that came too early one counts that the shedder refused.
const EACH_REFUSAL: f64 = 8.0;

/// How much less than it took a shedder that refused too much is offered: DAGOR's α.
const MARGIN: f64 = 0.05;

/// A shedder that refuses this part of its calls takes much less than it did.
const BADLY: f64 = 0.2;

/// A shedder that takes no more calls than this in a window has come to a halt, and is offered this
/// part of what comes all the same.
const FEW: f64 = 10.0;
const FEW_PER_CENT: f64 = 1.0;

/// How much more it is offered when it goes well: DAGOR's β is 1 %.
const STEP: f64 = 0.015;
const LARGEST_STEP: f64 = 0.03;
