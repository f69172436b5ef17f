//! The pool's one background task: it sleeps until the next deadline, and for ever when there is
//! none. It holds the pool weakly, and ends with the pool's last handle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Core;
use crate::runtime::Runtime;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Notify};

/// How the pool talks to its upkeep task.
#[derive(Debug)]
pub(crate) struct Upkeep {
    changed: Notify,
    /// There is something to look at, or has been.
    wanted: AtomicBool,
    running: AtomicBool,
    /// Where it runs, and has timers.
    runtime: Mutex<Option<Runtime>>,
}

impl Upkeep {
    pub(crate) fn new() -> Self {
        Upkeep {
            changed: Notify::new(),
            wanted: AtomicBool::new(false),
            running: AtomicBool::new(false),
            runtime: Mutex::new(None),
        }
    }

    /// The next deadline has moved forward, or the end has come: look again.
    pub(crate) fn wake(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Whether it runs in this runtime: then it wakes those in it whose time is over. Where their
    /// runtime stands still, they would not be polled either.
    pub(crate) fn runs_in(&self, runtime: &Runtime) -> bool {
        // The models let the time of timers pass, not upkeep's.
        cfg!(not(wharf_loom)) && self.runtime.lock().as_ref().is_some_and(|own| own.is(runtime))
    }

    /// Where it runs, if it does.
    pub(crate) fn runtime(&self) -> Option<Runtime> {
        self.runtime.lock().clone()
    }

    fn moves_to(&self, runtime: Option<Runtime>) {
        let mut place = self.runtime.lock();
        let is_there = place.as_ref().zip(runtime.as_ref()).is_some_and(|(old, new)| old.is(new));
        let old = if is_there { runtime } else { std::mem::replace(&mut *place, runtime) };
        drop(place);
        drop(old);
    }

    /// It is wanted, and does not run.
    #[inline]
    pub(crate) fn is_missing(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && !self.running.load(Ordering::Relaxed)
    }
}

/// Starts the task, unless it runs.
pub(crate) fn start<C: Connector>(core: &Arc<Core<C>>, runtime: &Runtime) {
    let upkeep = core.upkeep.clone();
    if !upkeep.running.swap(true, Ordering::SeqCst) {
        let core = Arc::downgrade(core);
        let running = Running { upkeep, core, runtime: runtime.clone(), ended: false };
        runtime.spawn(run(running));
    }
}

/// Whoever starts it next may do so when this is dropped. Where its runtime has ended, it starts
/// itself in the one last seen.
struct Running<C: Connector> {
    upkeep: Arc<Upkeep>,
    core: Weak<Core<C>>,
    runtime: Runtime,
    /// It has come to its own end.
    ended: bool,
}

impl<C: Connector> Drop for Running<C> {
    fn drop(&mut self) {
        self.upkeep.moves_to(None);
        self.upkeep.running.store(false, Ordering::SeqCst);
        let Some(core) = self.core.upgrade() else { return };
        core.change_all(|engine, _, fx| engine.upkeep_lost(fx));
        if self.ended {
            // Somebody may have begun to wait after the last look, when it still seemed to run.
            if core.look().is_some() {
                start(&core, &self.runtime);
            }
            return;
        }
        // A panic is for want of timers in its runtime: it would be the same again.
        if std::thread::panicking() {
            return;
        }
        if let Some(runtime) = core.last_runtime() {
            start(&core, &runtime);
        }
    }
}

async fn run<C: Connector>(mut running: Running<C>) {
    while let Some(nap) = look(&running.core) {
        let changed = running.upkeep.changed.notified();
        match nap {
            Nap::For(time) => {
                let nap = tokio::time::timeout(time, changed);
                // It has timers, or it would have panicked.
                running.upkeep.moves_to(Some(running.runtime.clone()));
                let _ = nap.await;
            }
            Nap::UntilWoken => changed.await,
        }
    }
    running.ended = true;
}

enum Nap {
    For(Duration),
    UntilWoken,
}

/// Looks at all that is due. `None` when the pool has gone, or nobody can use it any more.
fn look<C: Connector>(core: &Weak<Core<C>>) -> Option<Nap> {
    let core = core.upgrade()?;
    match core.look() {
        Some(next) => {
            let now = core.clock.precise();
            Some(Nap::For(next.since(now)))
        }
        None if core.has_handles() && !core.is_closed() => Some(Nap::UntilWoken),
        None => None,
    }
}
