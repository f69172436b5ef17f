//! Maintenance: the pool's only background task. It sleeps until the next deadline, or, if there is
//! none, until it is woken. It holds the pool weakly, and ends with the pool's last handle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::any_host::AnyHost;
use super::any_pool::AnyPool;
use super::events::Events;
use super::handle::Runtime;
use super::maintenance::Maintenance;
use super::panics;
use super::scheduled::Scheduled;
use crate::policy::time::{Span, Time};

/// Hosts processed before other tasks get a turn.
const BATCH: usize = 64;

/// Where maintenance is later than this, its runtime stands still, or its thread is blocked.
const LATE: Span = Span::from_nanos(50_000_000);

impl dyn AnyHost {
    /// Starts maintenance if it has to run and does not.
    pub(super) fn ensure_maintenance(&self) {
        if self.pool().maintenance.is_missing() {
            self.pool_ref().start_maintenance();
        }
    }

    /// A wait in this runtime has a timer of its own.
    pub(crate) fn has_timer_in(&self, runtime: &Runtime) {
        let maintenance = &self.pool().maintenance;
        maintenance.want();
        self.ensure_maintenance();
        maintenance.has_timers(runtime);
    }
}

impl dyn AnyPool {
    /// Starts maintenance if it has to run and does not.
    pub(crate) fn ensure_maintenance(self: &Arc<Self>) {
        if self.base().maintenance.is_missing() {
            self.start_maintenance();
        }
    }

    /// The next deadline has become earlier.
    #[cold]
    pub(crate) fn wake_maintenance(self: &Arc<Self>) {
        let maintenance = &self.base().maintenance;
        maintenance.wake();
        self.ensure_maintenance();
        maintenance.share_woken();
    }

    /// Does what is due, if maintenance is late: for a caller that waits in another runtime. Returns
    /// whether more is due.
    #[cold]
    pub(crate) fn look_after(self: &Arc<Self>) -> bool {
        let base = self.base();
        let now = base.clock.precise();
        if base.schedule.lock().next().after(LATE) > now {
            return false;
        }
        self.maintain(BATCH) <= now
    }

    #[cold]
    fn start_maintenance(self: &Arc<Self>) {
        if let Some(runtime) = self.base().see_runtime() {
            start(self, &runtime);
        }
    }

    /// Processes up to this many hosts that are due. Returns when to look next: at once if more are
    /// due.
    fn maintain(self: &Arc<Self>, most: usize) -> Time {
        let base = self.base();
        let (now, mut events) = (base.clock.precise(), Events::new());
        for _ in 0..most {
            let due = base.schedule.lock().pop_due(now);
            let Some(Scheduled(host)) = due else { break };
            events.hold_up_the_end(&host);
            let mut actions = host.decide(&mut |state, section| state.maintain(section));
            host.carry_out_but_tell(&mut actions, &mut events);
            panics::let_go(host);
        }
        let makes_room = base.schedule.lock().takes_room(now);
        // If its own time is later, the host says so.
        if let Some(cell) = makes_room.then(|| base.next_scan(Time::NEVER)).flatten() {
            let mut actions = cell.decide(&mut |state, section| state.visit(section));
            cell.carry_out_but_tell(&mut actions, &mut events);
            panics::let_go(cell);
        }
        events.tell_aside(base);
        base.schedule.lock().next()
    }
}

/// Starts the task, unless it runs already.
pub(super) fn start(pool: &Arc<dyn AnyPool>, runtime: &Runtime) {
    let maintenance = pool.base().maintenance.clone();
    if maintenance.begin() {
        let pool = Arc::downgrade(pool);
        maintenance.moves_to(Some(runtime.clone()));
        let running = Running { maintenance, pool, runtime: runtime.clone(), ended: false };
        runtime.spawn(run(running));
        runtime.share_woken();
    }
}

/// Allows the next start when it is dropped. If its runtime has ended, it restarts maintenance in
/// the latest runtime seen.
struct Running {
    maintenance: Arc<Maintenance>,
    pool: Weak<dyn AnyPool>,
    runtime: Runtime,
    /// The task has ended by itself.
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.maintenance.moves_to(None);
        self.maintenance.end();
        let Some(pool) = self.pool.upgrade() else { return };
        pool.change_all(&mut |state, section| state.maintenance_lost(section));
        if self.ended {
            // A caller may have started to wait after the last look, when maintenance still seemed
            // to run.
            if pool.maintain(BATCH) != Time::NEVER {
                start(&pool, &self.runtime);
            }
            return;
        }
        let Some(runtime) = pool.base().last_runtime() else { return };
        // A panic means that its runtime has no timers, and would recur there; or it is the panic
        // of the thread that drops the runtime.
        if !(std::thread::panicking() && runtime.is(&self.runtime)) {
            start(&pool, &runtime);
        }
    }
}

async fn run(mut running: Running) {
    while let Some(sleep) = look(&running.pool) {
        let changed = running.maintenance.changed();
        match sleep {
            // More hosts are due: other tasks get a turn first.
            Sleep::For(Duration::ZERO) => tokio::task::yield_now().await,
            Sleep::For(time) => {
                let sleep = tokio::time::timeout(time, changed);
                running.maintenance.has_timers(&running.runtime);
                let _ = sleep.await;
            }
            Sleep::UntilWoken => changed.await,
        }
    }
    running.ended = true;
}

enum Sleep {
    For(Duration),
    UntilWoken,
}

/// Processes what is due. `None` if the pool is gone or cannot be used any more.
fn look(pool: &Weak<dyn AnyPool>) -> Option<Sleep> {
    let pool = pool.upgrade()?;
    match pool.maintain(BATCH) {
        Time::NEVER if pool.base().has_handles() && !pool.base().is_closed() => {
            Some(Sleep::UntilWoken)
        }
        Time::NEVER => None,
        next => Some(Sleep::For(next.since(pool.base().clock.precise()))),
    }
}
