//! The one lock of the crate, and the atomics that decide anything, so that the models under loom
//! see them.

#[cfg(not(wharf_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(wharf_loom))]
pub(crate) use std::sync::atomic;

#[cfg(wharf_loom)]
pub(crate) use self::model::{Mutex, MutexGuard};
#[cfg(wharf_loom)]
pub(crate) use loom::sync::atomic;

#[cfg(wharf_loom)]
mod model {
    pub(crate) use loom::sync::MutexGuard;

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
}
