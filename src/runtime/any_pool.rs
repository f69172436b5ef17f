//! A pool without the types of its connector: what its tasks know of it.

use std::sync::Arc;

use super::directory::SHARDS;
use super::panics;
use super::parts::{Cell, HostState, Section};
use super::pool_base::PoolBase;
use crate::engine::status::Counted;

/// A pool, without the types of its connector.
pub(crate) trait AnyPool: Send + Sync {
    fn base(&self) -> &PoolBase;

    /// Adds the hosts in this part of the directory. Returns the counts of those of it that were forgotten.
    fn hosts_of(&self, shard: usize, cells: &mut Vec<Cell>) -> Counted;
}

/// # Visiting all hosts
impl dyn AnyPool + '_ {
    /// Passes each host in the directory to `visit`, under no lock. Returns the counts of those that were forgotten.
    ///
    /// It takes a part of the directory at a time, so that a host is still in the processor's cache when it is visited.
    pub(crate) fn each_host(&self, visit: &mut dyn FnMut(Cell)) -> Counted {
        let (mut cells, mut past) = (Vec::new(), Counted::default());
        for shard in 0..SHARDS {
            past.add_past(&self.hosts_of(shard, &mut cells));
            cells.drain(..).for_each(&mut *visit);
        }
        past
    }

    /// Returns the hosts in the directory, and the counts of those that were forgotten.
    #[cfg(any(feature = "metrics", feature = "page"))]
    pub(crate) fn hosts(&self) -> (Vec<Cell>, Counted) {
        let mut cells = Vec::new();
        let past = self.each_host(&mut |cell| cells.push(cell));
        (cells, past)
    }
}

/// # Changing all hosts
impl dyn AnyPool {
    /// Every caller of `close` visits all hosts, not only the first one: when this returns, no host
    /// starts a dial any more, and an empty pool stays empty.
    pub(crate) fn close(self: &Arc<Self>) {
        let base = self.base();
        // The pool does not end before every host was told.
        base.hold_up(1);
        let is_news = base.begin_close();
        self.change_all(&mut |state, section| state.close(section));
        if is_news {
            base.maintenance.wake();
        }
        self.let_end(1);
    }

    /// The last handle is gone.
    #[cold]
    pub(super) fn orphan(&self) {
        self.change_all(&mut |state, section| state.orphan(section));
        self.base().maintenance.wake();
    }

    pub(crate) fn close_idle(&self) {
        self.change_all(&mut |state, section| state.close_idle(section));
    }

    pub(crate) fn retire_all(&self) {
        self.change_all(&mut |state, section| state.retire(section));
    }

    /// Changes every host, one after the other.
    pub(crate) fn change_all(&self, f: &mut dyn FnMut(&mut HostState, &mut Section<'_>)) {
        self.each_host(&mut |cell| {
            cell.change(&mut *f);
            panics::let_go(cell);
        });
    }
}
