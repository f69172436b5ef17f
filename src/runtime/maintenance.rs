//! Maintenance: the pool's only background task. It sleeps until the next deadline, or, if there is
//! none, until it is woken. It holds the pool weakly, and ends with the pool's last handle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::handle::Runtime;
use super::parts::AnyPool;
use crate::engine::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::engine::sync::{Mutex, Notify};
use crate::policy::time::Time;

/// The link between the pool and its maintenance task.
#[derive(Debug)]
pub(crate) struct Maintenance {
    changed: Notify,
    /// There is, or was, something to maintain.
    wanted: AtomicBool,
    running: AtomicBool,
    /// The runtime in which it runs.
    runtime: Mutex<Option<Runtime>>,
    /// The number of that runtime once it is known to have timers, or else zero. All threads read
    /// it at each wait.
    timers_in: AtomicU64,
    /// The number of the runtime where a timer was last made, even if maintenance has ended there.
    timers_seen: AtomicU64,
}

/// Hosts processed before other tasks get a turn.
const BATCH: usize = 64;

impl Maintenance {
    pub(super) fn new() -> Self {
        Maintenance {
            changed: Notify::new(),
            wanted: AtomicBool::new(false),
            running: AtomicBool::new(false),
            runtime: Mutex::new(None),
            timers_in: AtomicU64::new(0),
            timers_seen: AtomicU64::new(0),
        }
    }

    /// Maintenance has to run, if it does not yet.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    /// The next deadline has become earlier, or the end has come: look again.
    pub(super) fn wake(&self) {
        self.want();
        self.changed.notify_one();
    }

    /// Returns whether it runs in this runtime and has timers there. It then wakes the waiters in
    /// this runtime at their deadlines: if the runtime were not driven, they could not be polled
    /// either.
    pub(crate) fn runs_in(&self, runtime: &Runtime) -> bool {
        // The models advance the time of timers, not that of maintenance.
        cfg!(not(wharf_loom)) && self.timers_in.load(Ordering::Relaxed) == runtime.number()
    }

    /// Returns the runtime in which it runs, if it does.
    pub(super) fn runtime(&self) -> Option<Runtime> {
        self.runtime.lock().clone()
    }

    /// Returns whether a timer was made in this runtime, so that another one can be.
    pub(crate) fn knows_timers_of(&self, runtime: &Runtime) -> bool {
        self.timers_seen.load(Ordering::Relaxed) == runtime.number()
    }

    /// Records that a timer was made in this runtime. A runtime cannot be asked whether it has
    /// timers.
    pub(crate) fn has_timers(&self, runtime: &Runtime) {
        self.timers_seen.store(runtime.number(), Ordering::Relaxed);
        if self.runs_in(runtime) {
            return;
        }
        let own = self.runtime.lock();
        if own.as_ref().is_some_and(|own| own.is(runtime)) {
            self.timers_in.store(runtime.number(), Ordering::Relaxed);
        }
    }

    /// The thread that has woken maintenance may block before it runs: the callers whose time-outs
    /// it watches must not wait for that.
    pub(super) fn share_woken(&self) {
        if let Some(current) = Runtime::current().filter(|current| self.runs_in(current)) {
            current.share_woken();
        }
    }

    fn moves_to(&self, runtime: Option<Runtime>) {
        let mut own = self.runtime.lock();
        self.timers_in.store(0, Ordering::Relaxed);
        let old = std::mem::replace(&mut *own, runtime);
        drop(own);
        drop(old);
    }

    /// Returns whether it has to run and does not.
    #[inline]
    pub(super) fn is_missing(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && !self.running.load(Ordering::Relaxed)
    }
}

/// Starts the task, unless it runs already.
pub(super) fn start(pool: &Arc<dyn AnyPool>, runtime: &Runtime) {
    let maintenance = pool.base().maintenance.clone();
    if !maintenance.running.swap(true, Ordering::SeqCst) {
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
        self.maintenance.running.store(false, Ordering::SeqCst);
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
        let changed = running.maintenance.changed.notified();
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
