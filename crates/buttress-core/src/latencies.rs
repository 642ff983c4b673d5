use crate::setting::SettingError;
use crate::sync::{AtomicU32, AtomicU64};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The latencies of late: a histogram that forgets, for quantiles in bounded time and memory.
///
/// Recording is two additions, without a lock. The buckets are a few per cent wide (32 to each
/// doubling, from a microsecond to more than an hour), so a quantile is at most 1/32 and a
/// microsecond above the true one, and never below it. With each half-life that passes, whatever
/// was recorded before weighs half. It takes 3.6 kB.
///
/// Halving small counts by themselves would round the tail away, which is what a high quantile is
/// about. So what is left over of one bucket is carried into the next: every quantile stays where
/// it was to within one sample.
///
/// ```
/// use buttress_core::Latencies;
/// use std::time::{Duration, Instant};
///
/// let latencies = Latencies::new(Duration::from_secs(10))?;
/// let now = Instant::now();
/// for milliseconds in 1..=100 {
///     latencies.record(Duration::from_millis(milliseconds), now);
/// }
/// let p95 = latencies.quantile(0.95).unwrap();
/// assert!(p95 >= Duration::from_millis(95) && p95 < Duration::from_millis(98));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct Latencies {
    /// Nanoseconds.
    half_life: u64,
    /// The point from which time is counted: the first instant that anybody tells.
    anchor: OnceLock<Instant>,
    /// How many half-lives had passed when the counts were last halved.
    halvings: AtomicU64,
    /// At least the sum of the counts.
    samples: AtomicU32,
    counts: Box<[AtomicU32]>,
}

impl Latencies {
    /// Nothing recorded yet. `half_life` is from a second to ten minutes.
    ///
    /// # Errors
    ///
    /// `half_life` is out of range.
    pub fn new(half_life: Duration) -> Result<Self, SettingError> {
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(600));
        if half_life < shortest || half_life > longest {
            let value = format_args!("{half_life:?}");
            return Err(SettingError::new(
                "half_life",
                value,
                "from 1 s to 10 minutes",
            ));
        }
        Ok(Self::with(half_life, BUCKETS))
    }

    /// Records a latency at `now`. More than 73 minutes count as that.
    #[inline]
    pub fn record(&self, latency: Duration, now: Instant) {
        self.forget(now);
        // In this order, so that nobody takes more from the sum than is in it.
        self.samples.fetch_add(1, Ordering::Relaxed);
        self.counts[bucket_of(latency)].fetch_add(1, Ordering::Release);
    }

    /// Lets what was recorded fade, as it does by itself whenever a latency is recorded.
    #[inline]
    pub fn forget(&self, now: Instant) {
        let since = now.saturating_duration_since(*self.anchor.get_or_init(|| now));
        // More than five hundred years of nanoseconds fit.
        let since = since.as_nanos() as u64;
        let halvings = self.halvings.load(Ordering::Relaxed);
        if since >= (halvings + 1).saturating_mul(self.half_life) {
            self.halve_up_to(since / self.half_life, halvings);
        }
    }

    /// The latency that a share of `quantile` (0 to 1) of the samples did not exceed, or nothing if
    /// there are none.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut counts = [0; BUCKETS];
        let mut samples = 0;
        for (count, counted) in counts.iter_mut().zip(&self.counts) {
            *count = counted.load(Ordering::Relaxed);
            samples += u64::from(*count);
        }
        let rank = (quantile * samples as f64).ceil().max(1.0) as u64;
        let rank = rank.min(samples);
        let mut below = 0;
        let bucket = counts.iter().position(|count| {
            below += u64::from(*count);
            below >= rank && samples > 0
        });
        bucket.map(upper_edge)
    }

    /// How much the quantiles rest on: the number of samples, in which those count less that have
    /// faded.
    #[inline]
    pub fn samples(&self) -> u32 {
        self.samples.load(Ordering::Relaxed)
    }

    fn with(half_life: Duration, buckets: usize) -> Self {
        Self {
            half_life: half_life.as_nanos() as u64,
            anchor: OnceLock::new(),
            halvings: AtomicU64::new(0),
            samples: AtomicU32::new(0),
            counts: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    #[cold]
    fn halve_up_to(&self, due: u64, done: u64) {
        let won = self
            .halvings
            .compare_exchange(done, due, Ordering::Relaxed, Ordering::Relaxed);
        if due <= done || won.is_err() {
            return;
        }
        let times = (due - done).min(u64::from(u32::BITS));
        let (mut carried, mut removed) = (0, 0);
        for count in &self.counts {
            // Others go on recording, and if this thread had been asleep for long, another may
            // be halving: so a count is replaced only by what comes of it.
            let mut count_now = count.load(Ordering::Relaxed);
            while count_now > 0 {
                let whole = carried + u64::from(count_now);
                let halved = (whole >> times) as u32;
                match count.compare_exchange_weak(
                    count_now,
                    halved,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        carried = whole - (u64::from(halved) << times);
                        removed += count_now - halved;
                        break;
                    }
                    Err(actual) => count_now = actual,
                }
            }
        }
        self.samples.fetch_sub(removed, Ordering::Relaxed);
    }
}

/// A half-life of 10 seconds.
impl Default for Latencies {
    fn default() -> Self {
        Self::with(Duration::from_secs(10), BUCKETS)
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("samples", &self.samples())
            .finish_non_exhaustive()
    }
}

/// Latencies are counted in units of 2¹⁰ ns: about a microsecond, without a division.
const UNIT_BITS: u32 = 10;
/// 2⁵ buckets to each doubling.
const FINENESS: u32 = 5;
/// Units that are told apart: 2³² of them.
const LARGEST: u64 = u32::MAX as u64;
const BUCKETS: usize = ((32 - FINENESS + 1) << FINENESS) as usize;

#[inline]
fn bucket_of(latency: Duration) -> usize {
    let units = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX) >> UNIT_BITS;
    let units = units.min(LARGEST);
    // The first 2⁵ units have a bucket each; from there on every doubling has 2⁵.
    let doubling = (u64::BITS - (units | 1).leading_zeros()).saturating_sub(FINENESS + 1);
    (u64::from(doubling << FINENESS) + (units >> doubling)) as usize
}

/// No latency in the bucket is longer.
fn upper_edge(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let doubling = (bucket >> FINENESS).saturating_sub(1);
    let units = (bucket - (doubling << FINENESS) + 1) << doubling;
    Duration::from_nanos(units << UNIT_BITS)
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn loom_what_is_recorded_while_counts_are_halved_is_neither_lost_nor_counted_twice() {
        loom::model(|| {
            let half_life = Duration::from_secs(1);
            let latencies = Arc::new(Latencies::with(half_life, 1));
            #[expect(clippy::disallowed_methods, reason = "any instant will do")]
            let begin = Instant::now();
            latencies.record(Duration::ZERO, begin);
            latencies.record(Duration::ZERO, begin);
            let other = Arc::clone(&latencies);
            let thread = thread::spawn(move || other.record(Duration::ZERO, begin));
            latencies.forget(begin + half_life);
            assert!((1..=3).contains(&latencies.samples()));
            thread.join().unwrap();
            // Two or three were halved, or two and one came later.
            let samples = latencies.samples();
            assert!((1..=2).contains(&samples));
            assert_eq!(latencies.counts[0].load(Ordering::Relaxed), samples);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALF_LIFE: Duration = Duration::from_secs(10);

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        Instant::now()
    }

    fn latency() -> impl Strategy<Value = Duration> {
        // Even on a logarithmic scale, from nanoseconds to beyond the largest.
        (0_u32..52, any::<u64>()).prop_map(|(bits, number)| {
            let number = number & ((1 << bits) - 1);
            Duration::from_nanos(number)
        })
    }

    fn prefixes(latencies: &Latencies) -> Vec<u32> {
        let mut sum = 0;
        let counts = latencies.counts.iter();
        counts
            .map(|count| {
                sum += count.load(Ordering::Relaxed);
                sum
            })
            .collect()
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 1..BUCKETS {
            let edge = upper_edge(bucket - 1);
            assert_eq!(bucket_of(edge), bucket, "{edge:?}");
            assert_eq!(
                bucket_of(edge.saturating_sub(Duration::from_nanos(1))),
                bucket - 1
            );
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(Duration::ZERO), 0);
    }

    #[test]
    fn nothing_recorded_has_no_quantile() {
        let latencies = Latencies::new(HALF_LIFE).unwrap();
        assert_eq!(latencies.quantile(0.5), None);
        latencies.record(HALF_LIFE, start());
        latencies.forget(start() + 100 * HALF_LIFE);
        assert_eq!((latencies.samples(), latencies.quantile(0.5)), (0, None));
    }

    #[test]
    fn what_is_recent_outweighs_what_was() {
        let latencies = Latencies::new(HALF_LIFE).unwrap();
        let (slow, fast) = (Duration::from_millis(100), Duration::from_millis(1));
        let begin = start();
        for _ in 0..1_000 {
            latencies.record(slow, begin);
        }
        for _ in 0..400 {
            latencies.record(fast, begin + HALF_LIFE);
        }
        assert_eq!(latencies.samples(), 900);
        assert!(latencies.quantile(0.5).unwrap() > slow);
        latencies.forget(begin + 2 * HALF_LIFE);
        for _ in 0..100 {
            latencies.record(fast, begin + 2 * HALF_LIFE);
        }
        assert_eq!(latencies.samples(), 550);
        assert!(latencies.quantile(0.5).unwrap() < 2 * fast);
        assert!(latencies.quantile(0.6).unwrap() > slow);
    }

    #[test]
    fn threads_lose_nothing() {
        let latencies = Latencies::new(HALF_LIFE).unwrap();
        let begin = start();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let latencies = &latencies;
                scope.spawn(move || {
                    for number in 0..2_000 {
                        let at = begin + number * HALF_LIFE / 500;
                        latencies.record(Duration::from_micros(u64::from(thread * number)), at);
                    }
                });
            }
        });
        assert_eq!(prefixes(&latencies).last(), Some(&latencies.samples()));
        latencies.forget(begin + 100 * HALF_LIFE);
        assert_eq!(latencies.samples(), 0);
    }

    #[test]
    fn a_half_life_without_sense_is_refused_by_name() {
        for half_life in [Duration::ZERO, Duration::from_secs(601), Duration::MAX] {
            let error = Latencies::new(half_life).unwrap_err();
            assert_eq!(error.field(), "half_life");
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_a_thirty_second_too_long_at_most_and_never_too_short(
            mut samples in prop::collection::vec(latency(), 1..400),
            quantile in 0.0_f64..=1.0,
        ) {
            let latencies = Latencies::new(HALF_LIFE).unwrap();
            let now = start();
            for sample in &samples {
                latencies.record(*sample, now);
            }
            samples.sort();
            let rank = (quantile * samples.len() as f64).ceil().max(1.0) as usize;
            let exact = samples[rank - 1];
            let told = latencies.quantile(quantile).unwrap();
            let largest = upper_edge(BUCKETS - 1);
            prop_assert!(told >= exact.min(largest));
            prop_assert!(told <= exact + exact / 32 + Duration::from_nanos(1 << UNIT_BITS));
        }

        #[test]
        fn fading_moves_no_quantile_by_more_than_a_sample(
            samples in prop::collection::vec(latency(), 0..400),
            half_lives in 1_u32..40,
        ) {
            let latencies = Latencies::new(HALF_LIFE).unwrap();
            let now = start();
            for sample in &samples {
                latencies.record(*sample, now);
            }
            let before = prefixes(&latencies);
            latencies.forget(now + half_lives * HALF_LIFE);
            let after = prefixes(&latencies);
            for (before, after) in before.iter().zip(&after) {
                prop_assert_eq!(before.checked_shr(half_lives).unwrap_or(0), *after);
            }
            prop_assert_eq!(after.last(), Some(&latencies.samples()));
        }
    }
}
