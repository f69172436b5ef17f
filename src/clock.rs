//! The time it is: cheap where it is read at every hit, tokio's where a test has paused it.
//!
//! [`Clock::now`] reads the system's coarse monotonic clock (5 ns, a few milliseconds late; the
//! standard clock costs 25 ns and would be half of a hit). [`Clock::precise`] reads the exact one;
//! whatever is rarer than a hit uses it.
//!
//! [`Clock::exact`] is the exact one too, for what happens at every wait; it does not look whether
//! time is paused.
//!
//! Under tokio's paused time all three follow tokio's clock. There is no asking tokio whether time is
//! paused, but it shows: a running clock read between two others lies between them. Looking costs
//! three more reads, so only `precise` looks. Since every connection begins with a dial, the pool
//! notices before it has anything to time.
//!
//! # Race window
//!
//! Time that is paused after connections were made is noticed at the next dial or deadline. A hit or
//! a wait before that still reads the real clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::engine::time::Time;

#[derive(Debug)]
pub(crate) struct Clock {
    /// The system clock's reading when the pool was made.
    origin: u64,
    /// Tokio's at the same moment: the same, unless time was paused.
    start: tokio::time::Instant,
    follows_tokio: AtomicBool,
    /// The latest time read from tokio's clock. A thread outside the paused runtime reads the real
    /// one, which must not go back behind it.
    latest: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Clock {
            origin: system::precise(),
            start: tokio::time::Instant::now(),
            follows_tokio: AtomicBool::new(false),
            latest: AtomicU64::new(0),
        };
        clock.notices_paused_time();
        clock
    }

    /// The time, up to a few milliseconds late.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        if self.follows_tokio.load(Relaxed) {
            return self.tokio_time();
        }
        Time::from_nanos(system::coarse().saturating_sub(self.origin))
    }

    /// The time, exactly, as far as is known of time that is paused.
    pub(crate) fn exact(&self) -> Time {
        if self.follows_tokio.load(Relaxed) {
            return self.tokio_time();
        }
        Time::from_nanos(system::precise().saturating_sub(self.origin))
    }

    /// The time, exactly.
    pub(crate) fn precise(&self) -> Time {
        if !self.follows_tokio.load(Relaxed) {
            self.notices_paused_time();
        }
        self.exact()
    }

    fn notices_paused_time(&self) {
        let before = tokio::time::Instant::now().into_std();
        let real = Instant::now();
        let after = tokio::time::Instant::now().into_std();
        if real < before || after < real {
            self.follows_tokio.store(true, Relaxed);
        }
    }

    #[cold]
    fn tokio_time(&self) -> Time {
        let now = tokio::time::Instant::now().saturating_duration_since(self.start);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Time::from_nanos(self.latest.fetch_max(now, Relaxed).max(now))
    }
}

#[cfg(all(not(wharf_loom), any(target_os = "linux", target_os = "android")))]
mod system {
    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn coarse() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    pub(super) fn precise() -> u64 {
        read(ClockId::Monotonic)
    }

    #[inline]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // The monotonic clock counts from the start of the machine: neither part is negative.
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
    }
}

#[cfg(all(not(wharf_loom), not(any(target_os = "linux", target_os = "android"))))]
mod system {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();

    pub(super) use precise as coarse;

    pub(super) fn precise() -> u64 {
        let elapsed = START.get_or_init(Instant::now).elapsed();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// For the models: time stands still, so that every run of a model is the same.
#[cfg(wharf_loom)]
mod system {
    pub(super) use precise as coarse;

    pub(super) fn precise() -> u64 {
        0
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_coarse_clock_never_runs_ahead() {
        let clock = Clock::new();
        for _ in 0..1000 {
            let coarse = clock.now();
            assert!(coarse <= clock.precise());
        }
    }

    #[tokio::test]
    async fn a_running_clock_is_never_taken_for_a_paused_one() {
        let clock = Clock::new();
        for _ in 0..10_000 {
            clock.precise();
        }
        assert!(!clock.follows_tokio.load(Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_is_noticed_at_once() {
        let clock = Clock::new();
        let before = clock.precise();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(before), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn time_that_is_paused_later_is_noticed_too() {
        let clock = Clock::new();
        clock.precise();
        tokio::time::pause();
        let before = clock.precise();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.precise().since(before), Duration::from_secs(60));
    }
}
