//! A connection to nowhere.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ledger::Account;

/// A connection that a [`TestConnector`](super::TestConnector) made. It derefs to what the test lets
/// it hold.
///
/// It is alive until somebody kills it: the test, by [`kill`](TestConnection::kill) or
/// [`kill_all`](super::TestConnector::kill_all). What is not alive is not open when it is asked.
pub struct TestConnection<T = ()> {
    /// In the order in which they were made, from 0 on.
    pub number: usize,
    pulse: Arc<AtomicBool>,
    is_buried: bool,
    account: Arc<dyn Account>,
    // Last, to be dropped after this has been counted.
    held: T,
}

impl<T> TestConnection<T> {
    pub(super) fn new(
        number: usize,
        pulse: Arc<AtomicBool>,
        account: Arc<dyn Account>,
        held: T,
    ) -> Self {
        TestConnection { number, pulse, is_buried: false, account, held }
    }

    /// Whether nobody has killed it.
    pub fn is_alive(&self) -> bool {
        self.pulse.load(Ordering::SeqCst)
    }

    /// Ends it as a server does: it says that it is not open when it is asked next.
    pub fn kill(&self) {
        self.pulse.store(false, Ordering::SeqCst);
    }

    /// Counts it as no longer open, before it is dropped: the pool was told that it is dead, as by
    /// [`discard`](crate::PooledConnection::discard), and may dial another in its place.
    pub fn bury(&mut self) {
        if !std::mem::replace(&mut self.is_buried, true) {
            self.account.shut(self.number);
        }
    }
}

impl<T> Drop for TestConnection<T> {
    fn drop(&mut self) {
        self.bury();
        self.account.dropped();
    }
}

impl<T> Deref for TestConnection<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> DerefMut for TestConnection<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T> fmt::Debug for TestConnection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestConnection")
            .field("number", &self.number)
            .field("is_alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}
