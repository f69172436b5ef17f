//! What a pool knows of its maintenance task: whether it runs, and where. The task itself is in `maintain.rs`.

use std::future::Future;

use super::handle::Runtime;
use crate::engine::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::engine::sync::{Mutex, Notify};

/// The number of runtimes of which it is remembered that they have timers: a program has fewer at a time.
const MOST_SEEN: usize = 64;

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
    /// The numbers of the runtimes where timers were made, the latest last.
    all_timers_seen: Mutex<Vec<u64>>,
}

impl Maintenance {
    pub(super) fn new() -> Self {
        Maintenance {
            changed: Notify::new(),
            wanted: AtomicBool::new(false),
            running: AtomicBool::new(false),
            runtime: Mutex::new(None),
            timers_in: AtomicU64::new(0),
            timers_seen: AtomicU64::new(0),
            all_timers_seen: Mutex::new(Vec::new()),
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
        let number = runtime.number();
        self.timers_seen.load(Ordering::Relaxed) == number
            || self.all_timers_seen.lock().contains(&number)
    }

    #[cold]
    fn see_timers_in(&self, number: u64) {
        self.timers_seen.store(number, Ordering::Relaxed);
        let mut seen = self.all_timers_seen.lock();
        seen.retain(|other| *other != number);
        if seen.len() == MOST_SEEN {
            seen.remove(0);
        }
        seen.push(number);
    }

    /// Records that a timer was made in this runtime. A runtime cannot be asked whether it has
    /// timers.
    pub(crate) fn has_timers(&self, runtime: &Runtime) {
        if self.timers_seen.load(Ordering::Relaxed) != runtime.number() {
            self.see_timers_in(runtime.number());
        }
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

    /// The task is about to start. Returns whether none runs yet.
    pub(super) fn begin(&self) -> bool {
        !self.running.swap(true, Ordering::SeqCst)
    }

    /// The models look for it: another task would multiply the orders.
    #[cfg(wharf_loom)]
    pub(crate) fn sleeps_on(&self) {
        self.begin();
    }

    pub(super) fn end(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Waits until [`wake`](Self::wake) is called, or was since the last wait.
    pub(super) fn changed(&self) -> impl Future<Output = ()> {
        self.changed.notified()
    }

    pub(super) fn moves_to(&self, runtime: Option<Runtime>) {
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
