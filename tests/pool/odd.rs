//! A key and an error that panic where a test wants it, and a pool of them.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};

use wharf::{Builder, ConnectorFn, Pool};

use crate::dials::dials;

/// What may panic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    KeyDebug,
    KeyDrop,
    KeyEq,
    ErrorDebug,
    ErrorDisplay,
}

// A test and its pool have one thread.
thread_local! {
    static TOLD: Cell<Option<At>> = const { Cell::new(None) };
    static CLONES: Cell<usize> = const { Cell::new(0) };
}

/// Lets each call of this panic from now on; a drop only once, since a second one might end the process.
pub(crate) fn panic_at(at: At) {
    TOLD.set(Some(at));
}

/// Ends that, and returns what would panic still.
pub(crate) fn behave() -> Option<At> {
    TOLD.take()
}

fn may_panic(at: At) {
    assert!(TOLD.get() != Some(at), "told to panic");
}

/// How often this thread has cloned a key.
pub(crate) fn clones() -> usize {
    CLONES.get()
}

/// The key of a host.
pub(crate) struct OddKey(pub(crate) u32);

impl Clone for OddKey {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        OddKey(self.0)
    }
}

impl fmt::Debug for OddKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        may_panic(At::KeyDebug);
        self.0.fmt(f)
    }
}

impl Drop for OddKey {
    fn drop(&mut self) {
        if TOLD.get() == Some(At::KeyDrop) {
            behave();
            panic!("told to panic");
        }
    }
}

impl PartialEq for OddKey {
    fn eq(&self, other: &Self) -> bool {
        may_panic(At::KeyEq);
        self.0 == other.0
    }
}

impl Eq for OddKey {}

impl Hash for OddKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The error of a dial.
pub(crate) struct OddError;

impl fmt::Debug for OddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        may_panic(At::ErrorDebug);
        f.write_str("OddError")
    }
}

impl fmt::Display for OddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        may_panic(At::ErrorDisplay);
        f.write_str("odd")
    }
}

impl std::error::Error for OddError {}

/// A pool with the settings given, whose connections are numbers.
pub(crate) fn odd_pool(
    set: impl FnOnce(Builder) -> Builder,
    dial: impl Fn(&OddKey) -> Result<u32, OddError> + Send + Sync + 'static,
) -> Pool<ConnectorFn<OddKey, u32, OddError>> {
    set(Pool::builder()).build(dials(dial)).unwrap()
}
