//! The primitives that threads share: the only lock of the crate, the atomics that decide anything,
//! and tokio's `Notify`, so that the loom models see each use of them.

#[cfg(not(wharf_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(wharf_loom))]
pub(crate) use std::sync::atomic;
#[cfg(not(wharf_loom))]
pub(crate) use tokio::sync::Notify;

#[cfg(wharf_loom)]
pub(crate) use self::model::{Mutex, Notify};
#[cfg(wharf_loom)]
pub(crate) use loom::sync::atomic;

#[cfg(wharf_loom)]
mod model {
    use std::mem::ManuallyDrop;

    use loom::sync::atomic::AtomicUsize;
    use loom::sync::atomic::Ordering::SeqCst;
    use tokio::sync::futures::Notified;

    use loom::sync::MutexGuard;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no user code runs under a lock, so nothing poisons it")
        }
    }

    /// Tokio's. Loom does not see inside it, so each use makes a step that loom does see.
    #[derive(Debug, Default)]
    pub(crate) struct Notify {
        notify: tokio::sync::Notify,
        /// Never dropped: that is a use, too, and its order comes from the count of an `Arc`, which
        /// loom does not see.
        steps: ManuallyDrop<AtomicUsize>,
    }

    impl Notify {
        pub(crate) fn new() -> Self {
            Notify {
                notify: tokio::sync::Notify::new(),
                steps: ManuallyDrop::new(AtomicUsize::new(0)),
            }
        }

        fn step(&self) -> &tokio::sync::Notify {
            self.steps.fetch_add(1, SeqCst);
            &self.notify
        }

        /// Receives calls of `notify_waiters` from here on.
        pub(crate) fn notified(&self) -> Notified<'_> {
            self.step().notified()
        }

        pub(crate) fn notify_one(&self) {
            self.step().notify_one();
        }

        pub(crate) fn notify_waiters(&self) {
            self.step().notify_waiters();
        }
    }
}
