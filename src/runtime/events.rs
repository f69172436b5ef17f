//! The events of a section that no task of its own reports: leaks, deadlocks, overload, advice, forgotten
//! hosts, dials that no runtime runs.
//!
//! They are reported last, after all actions are carried out, because an observer or a subscriber
//! may block. Maintenance has them reported in a separate task, because the time-outs of all
//! callers depend on it.

use std::mem;

use tracing::level_filters::LevelFilter;

use super::deadlocks;
use super::dial::Dialing;
use super::end::Untold;
use super::panics;
use super::parts::Cell;
use super::pool_base::PoolBase;
use crate::engine::{Leak, Overload, SelfWait};
use crate::policy::advice::Advice;
use crate::policy::observer::{Leaked, Overloaded};

/// Reported when it is dropped, even if the task that should report it is dropped with its runtime.
pub(crate) struct Events {
    items: Vec<Item>,
    /// Dropped when all is told.
    untold: Option<Untold>,
}

pub(super) enum Item {
    Leak(Cell, Leak),
    SelfWait(Cell, Box<SelfWait>),
    Overload(Cell, Overload),
    Advice(Cell, Advice),
    Forgotten(Cell),
    LostDial(Dialing),
}

impl Events {
    pub(super) fn new() -> Self {
        Events { items: Vec::new(), untold: None }
    }

    /// There may be events of this host, which come before the end of the pool.
    pub(super) fn hold_up_the_end(&mut self, cell: &Cell) {
        if self.untold.is_none() {
            self.untold = Untold::of(&**cell);
        }
    }

    /// Adds an event, if an observer or a subscriber receives it.
    pub(super) fn note(&mut self, item: Item) {
        if item.is_heard() {
            self.items.push(item);
        } else {
            let _ = panics::catch("the drop of a key", || drop(item));
        }
    }

    /// Reports the events in a separate task.
    pub(super) fn tell_aside(self, pool: &PoolBase) {
        if self.items.is_empty() {
            return;
        }
        if let Some(runtime) = pool.any_runtime() {
            runtime.spawn(async move { drop(self) });
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let items = mem::take(&mut self.items);
        if let Some(first) = items.first() {
            first.cell().pool().may_block(LevelFilter::WARN);
        }
        for item in items {
            let _ = panics::catch("the drop of a key", || item.tell());
        }
    }
}

impl Item {
    fn cell(&self) -> &Cell {
        match self {
            Item::Leak(cell, _)
            | Item::SelfWait(cell, _)
            | Item::Overload(cell, _)
            | Item::Advice(cell, _)
            | Item::Forgotten(cell) => cell,
            Item::LostDial(dialing) => dialing.cell(),
        }
    }

    fn is_heard(&self) -> bool {
        let pool = self.cell().pool();
        match self {
            Item::Leak(..) | Item::SelfWait(..) => pool.is_heard(LevelFilter::WARN),
            Item::LostDial(_) | Item::Overload(..) | Item::Advice(..) => {
                pool.is_heard(LevelFilter::INFO)
            }
            Item::Forgotten(_) => pool.observer.is_there(),
        }
    }

    #[cold]
    fn tell(self) {
        match self {
            Item::Leak(cell, leak) => tell_leak(&cell, leak),
            Item::SelfWait(cell, self_wait) => deadlocks::tell(&cell, &self_wait),
            Item::Overload(cell, overload) => tell_overload(&cell, overload),
            Item::Advice(cell, advice) => {
                panics::log(|| tracing::info!(target: "wharf::advice", key = ?cell, "{advice}"));
            }
            Item::Forgotten(cell) => {
                cell.pool().observer.tell(|observer| observer.host_forgotten(&cell));
            }
            Item::LostDial(dialing) => dialing.tell_loss(),
        }
    }
}

fn tell_leak(cell: &Cell, leak: Leak) {
    let (words, is_back, id, lease) = match leak {
        Leak::StillOut { id, lease } => ("connection held too long", false, id, lease),
        Leak::Back { id, lease } => ("connection returned", true, id, lease),
    };
    let (key, pool) = (cell, cell.pool());
    let (held, place) = (pool.clock.precise().since(lease.since), lease.call_site());
    let event = Leaked { host: &key, id, held, place, is_back };
    pool.observer.tell(|observer| observer.leaked(&event));
    panics::log(|| tracing::warn!(target: "wharf::loan", ?key, id, ?held, %place, "{words}"));
}

fn tell_overload(cell: &Cell, overload: Overload) {
    let Overload { is_over, lost_after, waiting } = overload;
    let event = Overloaded { host: cell, lost_after, waiting, is_over };
    cell.pool().observer.tell(|observer| observer.overloaded(&event));
    panics::log(|| {
        if is_over {
            tracing::info!(
                target: "wharf::overload", key = ?cell, waiting, "callers are served in order again"
            );
        } else {
            tracing::warn!(
                target: "wharf::overload", key = ?cell, ?lost_after, waiting,
                "callers give up before they are served: the newest are served first"
            );
        }
    });
}
