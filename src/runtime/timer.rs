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

    use tokio::time::Sleep;

    use crate::runtime::handle::Runtime;

    /// Bound to the runtime in which its task was last polled.
    #[derive(Debug)]
    pub(crate) struct Timer {
        sleep: Pin<Box<Sleep>>,
        runtime: Runtime,
    }

    impl Timer {
        /// Fires after `duration`.
        pub(crate) fn new(duration: Duration, runtime: &Runtime) -> Timer {
            let sleep = runtime.within(|| Box::pin(tokio::time::sleep(duration)));
            Timer { sleep, runtime: runtime.clone() }
        }

        /// Returns whether the timer has fired; if not, the task is woken when it does. If the task
        /// has moved to another runtime, the timer moves along, because the first one may have
        /// ended.
        pub(crate) fn has_run_out(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> bool {
            if !self.runtime.is(runtime) {
                let deadline = self.sleep.deadline();
                self.sleep = runtime.within(|| Box::pin(tokio::time::sleep_until(deadline)));
                self.runtime = runtime.clone();
            }
            self.poll(cx)
        }

        /// The same for a task that has not moved.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
            self.sleep.as_mut().poll(cx).is_ready()
        }
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

        pub(crate) fn has_run_out(&mut self, _: &Runtime, cx: &mut Context<'_>) -> bool {
            self.poll(cx)
        }

        pub(crate) fn poll(&mut self, _: &mut Context<'_>) -> bool {
            self.set < NOW.get()
        }

        pub(crate) fn let_time_pass() {
            NOW.set(NOW.get() + 1);
        }
    }
}
