//! The end of a closed pool: nothing is open or under way, no host is listed, and the observer is told last.
//!
//! What keeps the pool from its end is counted: connections, dials and closes; a call of `close` that visits the hosts;
//! and what is still to be told to the observer. Each that goes looks whether it was the last. The last one has all
//! hosts forgotten, tells the observer that the pool is closed, and wakes those who wait for that.

use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::any_host::AnyHost;
use super::any_pool::AnyPool;
use super::panics;
use crate::policy::observer::Observer;

impl dyn AnyPool {
    /// This many of those that keep the pool from its end have gone.
    pub(super) fn let_end(self: &Arc<Self>, gone: usize) {
        if self.base().note_gone(gone) {
            self.end();
        }
    }

    /// The pool is closed, and nothing keeps it from its end any more.
    #[cold]
    pub(super) fn end(self: &Arc<Self>) {
        let base = self.base();
        // Nobody else ends it while this one tells of the hosts.
        base.hold_up(1);
        self.each_host(&mut |cell| {
            cell.forget_at_end();
            panics::let_go(cell);
        });
        if base.note_gone(1) && base.begin_end() {
            base.may_block(LevelFilter::WARN);
            base.observer.tell(Observer::pool_closed);
            base.end();
        }
    }
}

/// Something is still to be told to the observer. The pool does not end before this is dropped.
pub(super) struct Untold(Arc<dyn AnyPool>);

impl Untold {
    /// Without an observer nothing is told.
    pub(super) fn of(host: &dyn AnyHost) -> Option<Self> {
        let is_told = host.pool().observer.is_there();
        is_told.then(|| {
            host.pool().hold_up(1);
            Untold(host.pool_ref())
        })
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        self.0.let_end(1);
    }
}
