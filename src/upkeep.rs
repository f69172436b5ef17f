//! The pool's one background task: it sleeps until the next deadline, and for ever when there is
//! none. It holds the pool weakly, and ends with the pool's last handle.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Core;
use crate::runtime::Runtime;
use crate::sync::Notify;
use crate::sync::atomic::{AtomicBool, Ordering};

/// How the pool talks to its upkeep task.
#[derive(Debug)]
pub(crate) struct Upkeep {
    changed: Notify,
    /// There is something to look at, or has been.
    wanted: AtomicBool,
    running: AtomicBool,
}

impl Upkeep {
    pub(crate) fn new() -> Self {
        Upkeep {
            changed: Notify::new(),
            wanted: AtomicBool::new(false),
            running: AtomicBool::new(false),
        }
    }

    /// The next deadline has moved forward, or the end has come: look again.
    pub(crate) fn wake(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.changed.notify_one();
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
        runtime.spawn(run(Running { upkeep, core, ended: false }));
    }
}

/// Whoever starts it next may do so when this is dropped. Where its runtime has ended, it starts
/// itself in the one last seen.
struct Running<C: Connector> {
    upkeep: Arc<Upkeep>,
    core: Weak<Core<C>>,
    /// It has come to its own end.
    ended: bool,
}

impl<C: Connector> Drop for Running<C> {
    fn drop(&mut self) {
        self.upkeep.running.store(false, Ordering::SeqCst);
        // A panic is for want of timers in its runtime: it would be the same again.
        if self.ended || std::thread::panicking() {
            return;
        }
        let Some(core) = self.core.upgrade() else { return };
        if let Some(runtime) = core.last_runtime() {
            start(&core, &runtime);
        }
    }
}

async fn run<C: Connector>(mut running: Running<C>) {
    while let Some(nap) = look(&running.core) {
        let changed = running.upkeep.changed.notified();
        match nap {
            Nap::For(time) => drop(tokio::time::timeout(time, changed).await),
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
