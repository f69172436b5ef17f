//! Selects the runtime for a pool's tasks.

use super::handle::Runtime;
use super::parts::WaitsIn;
use super::pool_base::PoolBase;

impl PoolBase {
    /// Returns the latest runtime seen that has not ended.
    pub(crate) fn last_runtime(&self) -> Option<Runtime> {
        let seen = self.seen.lock().clone();
        let last = seen.into_iter().rev().find(Runtime::is_alive);
        last.or_else(|| self.maintenance.runtime())
    }

    /// Returns the runtime to wait in, and whether maintenance runs there. In that case it is not
    /// stored here, because maintenance stores it.
    pub(crate) fn find_runtime(&self) -> Option<(Runtime, bool)> {
        let Some(current) = Runtime::current() else {
            return self.last_runtime().map(|last| (last, false));
        };
        let is_maintained = self.maintenance.runs_in(&current);
        if !is_maintained {
            self.remember(&current);
        }
        Some((current, is_maintained))
    }

    pub(crate) fn is_where(&self, waits_in: &WaitsIn, runtime: &Runtime) -> bool {
        match waits_in {
            WaitsIn::Maintained => self.maintenance.runs_in(runtime),
            WaitsIn::Other(other) => other.is(runtime),
        }
    }

    /// Returns the runtime of this thread, or the latest one seen.
    pub(crate) fn any_runtime(&self) -> Option<Runtime> {
        Runtime::current().or_else(|| self.last_runtime())
    }

    /// Returns the runtime of this thread unless it has ended, or the latest one seen.
    pub(crate) fn living_runtime(&self) -> Option<Runtime> {
        // The runtime of the models never ends.
        let current = Runtime::current().filter(|current| cfg!(wharf_loom) || current.is_alive());
        current.or_else(|| self.last_runtime())
    }

    /// Returns the runtime of this thread, and stores it, or the latest one seen.
    pub(crate) fn see_runtime(&self) -> Option<Runtime> {
        let Some(current) = Runtime::current() else { return self.last_runtime() };
        self.remember(&current);
        Some(current)
    }

    fn remember(&self, current: &Runtime) {
        let mut seen = self.seen.lock();
        if seen.last().is_some_and(|last| last.is(current)) {
            return;
        }
        let Some(at) = seen.iter().position(|other| other.is(current)) else {
            drop(seen);
            return self.remember_another(current);
        };
        seen[at..].rotate_left(1);
    }

    /// Removes the runtimes that have ended: a pool may outlive many.
    #[cold]
    fn remember_another(&self, current: &Runtime) {
        let known = self.seen.lock().clone();
        let (_, ended): (Vec<_>, Vec<_>) = known.into_iter().partition(Runtime::is_alive);
        let mut seen = self.seen.lock();
        let goes = |one: &Runtime| one.is(current) || ended.iter().any(|other| other.is(one));
        let (gone, mut kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *seen).into_iter().partition(goes);
        kept.push(current.clone());
        *seen = kept;
        drop(seen);
        drop(gone);
    }
}
