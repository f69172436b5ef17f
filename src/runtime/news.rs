//! What a section has to tell that no task of its own tells: leaks, hosts that are forgotten, dials that nothing runs.
//!
//! Told last, when all else is carried out: an observer or a subscriber may block. Maintenance has it told in a task of
//! its own, since the time-outs of all callers depend on it.

use std::mem;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::cell::HostCell;
use super::dial::Dialing;
use super::handle::Runtime;
use super::panics;
use super::pool_core::PoolCore;
use crate::engine::Leak;
use crate::policy::connector::Connector;
use crate::policy::observer::Leaked;

/// Told when it is dropped: also where the task that was to tell it is dropped with its runtime.
pub(super) struct News<C: Connector>(Vec<Item<C>>);

pub(super) enum Item<C: Connector> {
    Leak(Arc<HostCell<C>>, Leak),
    Forgotten(Arc<HostCell<C>>),
    LostDial(Dialing<C>),
}

impl<C: Connector> News<C> {
    pub(super) fn new() -> Self {
        News(Vec::new())
    }

    /// Something to tell, if anybody listens.
    pub(super) fn note(&mut self, item: Item<C>) {
        if item.is_heard() {
            self.0.push(item);
        } else {
            let _ = panics::catch("the drop of a key", || drop(item));
        }
    }

    /// Tells it in a task of its own.
    pub(super) fn tell_aside(self, pool: &PoolCore<C>) {
        if !self.0.is_empty()
            && let Some(runtime) = pool.any_runtime()
        {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl<C: Connector> Drop for News<C> {
    fn drop(&mut self) {
        let items = mem::take(&mut self.0);
        if let Some(first) = items.first() {
            first.cell().pool.may_block(LevelFilter::WARN);
        }
        for item in items {
            let _ = panics::catch("the drop of a key", || item.tell());
        }
    }
}

impl<C: Connector> Item<C> {
    fn cell(&self) -> &HostCell<C> {
        match self {
            Item::Leak(cell, _) | Item::Forgotten(cell) => cell,
            Item::LostDial(dialing) => dialing.cell(),
        }
    }

    fn is_heard(&self) -> bool {
        let pool = &self.cell().pool;
        match self {
            Item::Leak(..) => pool.is_heard(LevelFilter::WARN),
            Item::LostDial(_) => pool.is_heard(LevelFilter::INFO),
            Item::Forgotten(_) => pool.settings.observer.is_there(),
        }
    }

    #[cold]
    fn tell(self) {
        match self {
            Item::Leak(cell, leak) => tell_leak(&cell, leak),
            Item::Forgotten(cell) => {
                cell.pool.settings.observer.tell(|observer| observer.host_forgotten(&cell));
            }
            Item::LostDial(dialing) => dialing.tell_loss(),
        }
    }
}

fn tell_leak<C: Connector>(cell: &HostCell<C>, leak: Leak) {
    let (words, is_back, id, lease) = match leak {
        Leak::StillOut { id, lease } => ("held for long", false, id, lease),
        Leak::Back { id, lease } => ("back at last", true, id, lease),
    };
    let (key, pool) = (cell, &cell.pool);
    let (held, place) = (pool.clock.precise().since(lease.since), lease.call_site);
    let event = Leaked { host: &key, id, held, place, is_back };
    pool.settings.observer.tell(|observer| observer.leaked(&event));
    panics::log(|| tracing::warn!(target: "wharf::loan", ?key, id, ?held, %place, "{words}"));
}

/// # Who listens
impl<C: Connector> PoolCore<C> {
    /// Whether an observer is there, or a subscriber that may want to know what is told at this level.
    pub(super) fn is_heard(&self, level: LevelFilter) -> bool {
        self.settings.observer.is_there() || LevelFilter::current() >= level
    }

    /// What is told next at this level may block this thread: neither what it has woken nor the timers of its runtime
    /// are to wait for that.
    pub(super) fn may_block(&self, level: LevelFilter) {
        if self.is_heard(level)
            && let Some(runtime) = Runtime::current()
        {
            runtime.wake_another();
        }
    }
}
