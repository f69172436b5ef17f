//! Spawns tasks.

#[cfg(not(wharf_loom))]
pub(crate) use self::tokio_runtime::Runtime;

#[cfg(wharf_loom)]
pub(crate) use self::model::Runtime;

#[cfg(not(wharf_loom))]
mod tokio_runtime {
    use std::future::Future;

    use std::hash::{Hash, Hasher};

    use tokio::runtime::Handle;

    /// Extracts the number of an id, which tokio shows only to hashers.
    struct Number(u64);

    impl Hasher for Number {
        fn write_u64(&mut self, number: u64) {
            self.0 = number;
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.iter().fold(self.0, |all, byte| all.rotate_left(8) ^ u64::from(*byte));
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    /// A tokio runtime. It may have ended: then tasks spawned on it are dropped at once.
    #[derive(Clone, Debug)]
    pub(crate) struct Runtime(Handle);

    impl Runtime {
        /// Returns the runtime of this thread.
        pub(crate) fn current() -> Option<Runtime> {
            Handle::try_current().ok().map(Runtime)
        }

        pub(crate) fn is(&self, other: &Runtime) -> bool {
            self.0.id() == other.0.id()
        }

        /// Returns a number that no other runtime of the process has. It is never zero.
        pub(crate) fn number(&self) -> u64 {
            let mut number = Number(0);
            self.0.id().hash(&mut number);
            number.0
        }

        /// Returns whether the runtime still runs tasks. It costs a spawn, and is for threads
        /// outside a runtime.
        pub(crate) fn is_alive(&self) -> bool {
            let probe = self.0.spawn(std::future::pending::<()>());
            let alive = !probe.is_finished();
            probe.abort();
            alive
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            self.0.spawn(task);
        }

        /// Lets any thread of the runtime run the task that this one has just woken. A worker keeps
        /// the last task that it wakes in a slot of its own, from which others do not steal:
        /// another task takes that slot.
        pub(crate) fn share_woken(&self) {
            self.0.spawn(std::future::ready(()));
        }

        /// Wakes another thread of the runtime, if one sleeps. This thread may block soon, and if
        /// it was the one that watched timers and sockets, no thread does until another one goes to
        /// sleep.
        pub(crate) fn wake_another(&self) {
            // One of two tasks is where other threads look.
            self.share_woken();
            self.share_woken();
        }

        /// Runs `f` as if this thread were in the runtime.
        pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
            let _guard = self.0.enter();
            f()
        }
    }
}

/// For the models: keeps tasks until the model runs them.
#[cfg(wharf_loom)]
mod model {
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use loom::sync::atomic::Ordering::SeqCst;
    use loom::sync::atomic::fence;

    pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

    // All threads of a model run on one system thread.
    thread_local!(static TASKS: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) });

    #[derive(Clone, Debug)]
    pub(crate) struct Runtime;

    impl Runtime {
        /// Always false when it is asked: unfinished tasks are dropped.
        pub(crate) fn is_alive(&self) -> bool {
            false
        }

        pub(crate) fn current() -> Option<Runtime> {
            Some(Runtime)
        }

        /// There is only one.
        pub(crate) fn is(&self, _: &Runtime) -> bool {
            true
        }

        pub(crate) fn number(&self) -> u64 {
            1
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            // What was done before it is spawned happens before the task runs.
            fence(SeqCst);
            TASKS.with_borrow_mut(|tasks| tasks.push(Box::pin(task)));
        }

        /// A model has only one worker.
        pub(crate) fn share_woken(&self) {}

        pub(crate) fn wake_another(&self) {}

        /// Polls every task once, including those that are spawned meanwhile. Tasks that are not
        /// ready are dropped, as by a runtime that ends.
        pub(crate) fn run() {
            while let Some(mut task) = TASKS.with_borrow_mut(Vec::pop) {
                fence(SeqCst);
                let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        }

        /// Returns the oldest remaining task, to be run by hand.
        pub(crate) fn take() -> Task {
            fence(SeqCst);
            TASKS.with_borrow_mut(|tasks| tasks.remove(0))
        }

        /// Leaks every task, after a model that failed, whose objects must not be touched any more.
        pub(crate) fn forget() {
            TASKS.take().into_iter().for_each(std::mem::forget);
        }
    }
}
