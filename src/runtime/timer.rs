//! The timer of one wait. It exists only as long as the wait.

#[cfg(not(wharf_loom))]
pub(crate) use self::tokio_timer::Timer;

#[cfg(wharf_loom)]
pub(crate) use self::model::Timer;

#[cfg(not(wharf_loom))]
mod tokio_timer {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Context;
    use std::time::Duration;

    use tokio::time::{Instant, Sleep};

    use crate::runtime::handle::Runtime;

    /// Bound to the runtime in which its task was last polled.
    #[derive(Debug)]
    pub(crate) struct Timer {
        sleep: Pin<Box<Sleep>>,
        /// `None` if it never runs out, or so late that this does not matter.
        end: Option<Instant>,
        runtime: Runtime,
    }

    impl Timer {
        /// Runs out after `duration`.
        pub(crate) fn new(duration: Duration, runtime: &Runtime) -> Timer {
            Timer::ringing(Some(duration), None, runtime)
        }

        /// Runs out after `limit`, if there is one, and rings before that after `ring`.
        pub(crate) fn ringing(
            limit: Option<Duration>,
            ring: Option<Duration>,
            runtime: &Runtime,
        ) -> Timer {
            runtime.within(|| {
                let end = limit.and_then(|limit| Instant::now().checked_add(limit));
                let sleep = Box::pin(tokio::time::sleep_until(next(end, ring)));
                Timer { sleep, end, runtime: runtime.clone() }
            })
        }

        /// Returns whether the timer has run out; if not, the task is woken when it does. If the
        /// task has moved to another runtime, the timer moves along, because the first one may have
        /// ended.
        pub(crate) fn has_run_out(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> bool {
            self.rings(runtime, cx) && self.is_at_its_end()
        }

        /// The same for a timer that may ring before.
        pub(crate) fn rings(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> bool {
            if !self.is_of(runtime) {
                let next = self.sleep.deadline();
                self.sleep = runtime.within(|| Box::pin(tokio::time::sleep_until(next)));
                self.runtime = runtime.clone();
            }
            self.sleep.as_mut().poll(cx).is_ready()
        }

        /// Returns whether it runs out when it rings.
        pub(crate) fn is_at_its_end(&self) -> bool {
            self.end.is_some_and(|end| end <= self.sleep.deadline())
        }

        /// Has it ring again after this time, if it does not run out before.
        pub(crate) fn ring_again(&mut self, ring: Option<Duration>) {
            let next = self.runtime.within(|| next(self.end, ring));
            self.sleep.as_mut().reset(next);
        }

        pub(crate) fn is_of(&self, runtime: &Runtime) -> bool {
            self.runtime.is(runtime)
        }
    }

    /// Later than anything that happens.
    const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

    fn next(end: Option<Instant>, ring: Option<Duration>) -> Instant {
        let ring = Instant::now() + ring.unwrap_or(FAR).min(FAR);
        end.map_or(ring, |end| end.min(ring))
    }
}

/// For the models: time advances when the model says so, for every timer that is set.
#[cfg(wharf_loom)]
mod model {
    use std::cell::Cell;
    use std::task::Context;
    use std::time::Duration;

    use crate::runtime::handle::Runtime;

    // All threads of a model run on one system thread.
    thread_local!(static NOW: Cell<u64> = const { Cell::new(0) });

    #[derive(Debug)]
    pub(crate) struct Timer {
        set: u64,
    }

    impl Timer {
        pub(crate) fn new(_: Duration, _: &Runtime) -> Timer {
            Timer { set: NOW.get() }
        }

        /// It does not ring before its end.
        pub(crate) fn ringing(_: Option<Duration>, _: Option<Duration>, _: &Runtime) -> Timer {
            Timer { set: NOW.get() }
        }

        pub(crate) fn has_run_out(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> bool {
            self.rings(runtime, cx)
        }

        pub(crate) fn rings(&mut self, _: &Runtime, _: &mut Context<'_>) -> bool {
            self.set < NOW.get()
        }

        pub(crate) fn is_at_its_end(&self) -> bool {
            true
        }

        pub(crate) fn ring_again(&mut self, _: Option<Duration>) {}

        pub(crate) fn is_of(&self, _: &Runtime) -> bool {
            true
        }

        pub(crate) fn let_time_pass() {
            NOW.set(NOW.get() + 1);
        }
    }
}
