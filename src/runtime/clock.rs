//! The time it is: cheap where it is read at every hit, tokio's where a test has paused it.
//!
//! [`Clock::now`] reads the system's coarse monotonic clock (5 ns, a few milliseconds late; the
//! standard clock costs 25 ns and would be half of a hit). [`Clock::exact`] reads the exact one, for a wait and for
//! all else that takes the long way. [`Clock::precise`] is the exact one too, for what is rare: it looks whether time is
//! paused.
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

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::policy::time::Time;

#[derive(Debug)]
pub(crate) struct Clock {
    /// The system clock's reading when the pool was made.
    origin: u64,
    /// What tokio's clock showed, or would have, at the zero of this one: known once time is found to be
    /// paused. A paused clock may be ahead of the real one, or behind it when the pool is made outside its
    /// runtime; this one goes on from where it is.
    paused: OnceLock<tokio::time::Instant>,
    /// The latest time read from tokio's clock. A thread outside the paused runtime reads the real
    /// one, which must not go back behind it.
    latest: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock =
            Clock { origin: system::precise(), paused: OnceLock::new(), latest: AtomicU64::new(0) };
        clock.notices_paused_time();
        clock
    }

    /// The time, up to a few milliseconds late.
    #[inline]
    pub(crate) fn now(&self) -> Time {
        match self.paused.get() {
            Some(zero) => self.tokio_time(*zero),
            None => Time::from_nanos(system::coarse().saturating_sub(self.origin)),
        }
    }

    /// The time, exactly, as far as is known of time that is paused.
    pub(crate) fn exact(&self) -> Time {
        match self.paused.get() {
            Some(zero) => self.tokio_time(*zero),
            None => Time::from_nanos(system::precise().saturating_sub(self.origin)),
        }
    }

    /// The time, exactly.
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

/// For the models: time stands still until the model says what time it is, so that every run is the same.
#[cfg(wharf_loom)]
mod system {
    use std::cell::Cell;

    // All threads of a model run on one thread of the system.
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
        // Outside of it time goes on.
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
