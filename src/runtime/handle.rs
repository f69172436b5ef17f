//! Where tasks are spawned.

#[cfg(not(wharf_loom))]
pub(crate) use self::tokio_runtime::Runtime;

#[cfg(wharf_loom)]
pub(crate) use self::model::Runtime;

#[cfg(not(wharf_loom))]
mod tokio_runtime {
    use std::future::Future;

    use std::hash::{Hash, Hasher};

    use tokio::runtime::Handle;

    /// Takes the number of an id, which tokio shows to hashers only.
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

    /// A tokio runtime, which may have ended: then what is spawned on it is dropped at once.
    #[derive(Clone, Debug)]
    pub(crate) struct Runtime(Handle);

    impl Runtime {
        /// The one that this thread is in.
        pub(crate) fn current() -> Option<Runtime> {
            Handle::try_current().ok().map(Runtime)
        }

        pub(crate) fn is(&self, other: &Runtime) -> bool {
            self.0.id() == other.0.id()
        }

        /// No other runtime of the process has this number, and none has zero.
        pub(crate) fn number(&self) -> u64 {
            let mut number = Number(0);
            self.0.id().hash(&mut number);
            number.0
        }

        /// Whether it still runs tasks. For a thread in no runtime: costs a spawn.
        pub(crate) fn is_alive(&self) -> bool {
            let probe = self.0.spawn(std::future::pending::<()>());
            let alive = !probe.is_finished();
            probe.abort();
            alive
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            self.0.spawn(task);
        }

        /// Lets any thread of the runtime run what this one has just woken. A worker keeps the last task that it wakes to
        /// itself, where no other looks: another task takes that place.
        pub(crate) fn share_woken(&self) {
            self.0.spawn(std::future::ready(()));
        }

        /// Runs `f` as if this thread was in the runtime.
        pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
            let _guard = self.0.enter();
            f()
        }
    }
}

/// For the models: tasks are kept until the model runs them.
#[cfg(wharf_loom)]
mod model {
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

    // All threads of a model run on one thread of the system.
    thread_local!(static TASKS: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) });

    #[derive(Clone, Debug)]
    pub(crate) struct Runtime;

    impl Runtime {
        /// Never, when it is asked: what it has not finished it drops.
        pub(crate) fn is_alive(&self) -> bool {
            false
        }

        pub(crate) fn current() -> Option<Runtime> {
            Some(Runtime)
        }

        /// There is one.
        pub(crate) fn is(&self, _: &Runtime) -> bool {
            true
        }

        pub(crate) fn number(&self) -> u64 {
            1
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            TASKS.with_borrow_mut(|tasks| tasks.push(Box::pin(task)));
        }

        /// The model has one thread.
        pub(crate) fn share_woken(&self) {}

        /// Polls every task once, those that appear meanwhile too. What is not ready is dropped,
        /// as by a runtime that ends.
        pub(crate) fn run() {
            while let Some(mut task) = TASKS.with_borrow_mut(Vec::pop) {
                let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        }

        /// The task spawned first of those that are left, to be run by hand.
        pub(crate) fn take() -> Task {
            TASKS.with_borrow_mut(|tasks| tasks.remove(0))
        }

        /// Leaks every task: after a model that failed, whose objects may not be touched any more.
        pub(crate) fn forget() {
            TASKS.take().into_iter().for_each(std::mem::forget);
        }
    }
}
