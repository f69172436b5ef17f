//! The current time: cheap where every hit reads it, and tokio's where a test has paused it.
//!
//! [`Clock::now`] reads the system's coarse monotonic clock (5 ns, but a few milliseconds late; the
//! standard clock costs 25 ns, half of a hit). [`Clock::exact`] reads the exact one, for waits and
//! everything else on the slow path. [`Clock::precise`] is exact, too, and also checks whether time
//! is paused; it is for rare events.
//!
//! Under tokio's paused time all three follow tokio's clock. tokio does not tell whether time is
//! paused, but it can be detected: a running clock that is read between two readings of another
//! lies between them. The check costs three more readings, so only `precise` does it. Since every
//! connection begins with a dial, the pool notices before it has anything to time.
//!
//! # Race window
//!
//! If time is paused after connections were made, the pool notices at the next dial or deadline. A
//! hit or a wait before that still reads the real clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::policy::time::Time;

#[derive(Debug)]
pub(crate) struct Clock {
    /// The system clock's reading when the pool was made.
    origin: u64,
    /// The reading of tokio's clock that corresponds to zero of this clock; set once paused time is
    /// detected. A paused clock may be ahead of the real one, or behind it if the pool was made
    /// outside its runtime; this clock continues from its current value.
    paused: OnceLock<tokio::time::Instant>,
    /// The latest time read from tokio's clock. A thread outside the paused runtime reads the real
    /// clock, which must not go back behind it.
    latest: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock =
            Clock { origin: system::precise(), paused: OnceLock::new(), latest: AtomicU64::new(0) };
        clock.notices_paused_time();
        clock
    }

    /// Returns the time, up to a few milliseconds late.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        match self.paused.get() {
            Some(zero) => self.tokio_time(*zero),
            None => Time::from_nanos(system::coarse().saturating_sub(self.origin)),
        }
    }

    /// Returns the exact time, or tokio's if paused time was detected.
    pub(crate) fn exact(&self) -> Time {
        match self.paused.get() {
            Some(zero) => self.tokio_time(*zero),
            None => Time::from_nanos(system::precise().saturating_sub(self.origin)),
        }
    }

    /// Returns the exact time, and checks whether time is paused.
    pub(crate) fn precise(&self) -> Time {
        if self.paused.get().is_none() {
            self.notices_paused_time();
        }
        self.exact()
    }

    #[cfg(all(test, wharf_loom))]
    pub(crate) fn set_all(nanos: u64) {
        system::set(nanos);
    }

    fn notices_paused_time(&self) {
        let before = tokio::time::Instant::now();
        let real = Instant::now();
        let after = tokio::time::Instant::now();
        if real < before.into_std() || after.into_std() < real {
            let passed = Duration::from_nanos(system::precise().saturating_sub(self.origin));
            let _ = self.paused.set(before.checked_sub(passed).unwrap_or(before));
        }
    }

    #[cold]
    fn tokio_time(&self, zero: tokio::time::Instant) -> Time {
        let now = tokio::time::Instant::now().saturating_duration_since(zero);
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
        // The monotonic clock counts from boot: neither part is negative.
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

/// For the models: time advances only when the model says so, so that every run is the same.
#[cfg(wharf_loom)]
mod system {
    use std::cell::Cell;

    // All threads of a model run on one system thread.
    thread_local!(static NOW: Cell<u64> = const { Cell::new(0) });

    pub(super) use precise as coarse;

    pub(super) fn precise() -> u64 {
        NOW.get()
    }

    pub(super) fn set(nanos: u64) {
        NOW.set(nanos);
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
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
        assert!(clock.paused.get().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_is_noticed_at_once() {
        let clock = Clock::new();
        let before = clock.precise();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(before), Duration::from_secs(3600));
    }

    #[test]
    fn a_paused_clock_that_is_behind_does_not_stop_this_one() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        // Outside the runtime, real time continues.
        std::thread::sleep(Duration::from_millis(5));
        let clock = Clock::new();
        runtime.block_on(async {
            let before = clock.precise();
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(clock.now().since(before), Duration::from_millis(1));
        });
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
