//! Tracks which parts of a task are due to be polled.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;

/// Tells apart the parts that one task polls. A part that is due wakes the task, unless the task is
/// running or has been woken already.
///
/// hyper's parts of an HTTP/2 connection wake each other for each request. A task that polled all
/// of them whenever it runs would poll most of them in vain.
pub(super) struct Due {
    /// A bit for each part that is due, and one for the task while it runs.
    bits: AtomicUsize,
    task: Mutex<Waker>,
}

/// A part, by its bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part(usize);

impl Part {
    pub(super) const fn nth(n: u32) -> Part {
        Part(1 << (n + 1))
    }
}

const RUNNING: usize = 1;

impl Due {
    /// Makes this many parts, all of them due.
    pub(super) fn new(parts: u32) -> Arc<Due> {
        let bits = (1 << (parts + 1)) - 1 - RUNNING;
        Arc::new(Due { bits: AtomicUsize::new(bits), task: Mutex::new(Waker::noop().clone()) })
    }

    /// Returns the waker with which to poll the part.
    pub(super) fn waker(self: &Arc<Due>, part: Part) -> Waker {
        Waker::from(Arc::new(Bell { due: self.clone(), part }))
    }

    /// The task starts to run and need not be woken.
    pub(super) fn begin(&self, cx: &Context<'_>) {
        let mut task = self.task.lock();
        if !task.will_wake(cx.waker()) {
            task.clone_from(cx.waker());
        }
        drop(task);
        self.bits.fetch_or(RUNNING, AcqRel);
    }

    /// Returns whether this part is the only one that is due while the task runs.
    pub(super) fn is_only(&self, part: Part) -> bool {
        self.bits.load(Acquire) == part.0 | RUNNING
    }

    /// Returns whether the part is due, and clears it.
    pub(super) fn take(&self, part: Part) -> bool {
        self.bits.fetch_and(!part.0, AcqRel) & part.0 != 0
    }

    /// The task stops. It is woken again if a part has become due meanwhile.
    pub(super) fn end(&self, cx: &Context<'_>) {
        if self.bits.fetch_and(!RUNNING, AcqRel) & !RUNNING != 0 {
            cx.waker().wake_by_ref();
        }
    }

    fn is_due(&self, part: Part) {
        if self.bits.fetch_or(part.0, AcqRel) == 0 {
            self.task.lock().wake_by_ref();
        }
    }
}

struct Bell {
    due: Arc<Due>,
    part: Part,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.due.is_due(self.part);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.is_due(self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Part = Part::nth(0);
    const OTHER: Part = Part::nth(1);

    /// Counts how often the task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, AcqRel);
        }
    }

    impl Task {
        fn woken(&self) -> usize {
            self.0.load(Acquire)
        }
    }

    /// Makes a task that has run and has nothing to do.
    fn asleep() -> (Arc<Due>, Arc<Task>, Waker) {
        let (due, task) = (Due::new(2), Arc::new(Task::default()));
        let waker = Waker::from(task.clone());
        run(&due, &waker, || assert!(due.take(ONE) && due.take(OTHER)));
        (due, task, waker)
    }

    fn run(due: &Due, waker: &Waker, work: impl FnOnce()) {
        let cx = Context::from_waker(waker);
        due.begin(&cx);
        work();
        due.end(&cx);
    }

    #[test]
    fn a_part_wakes_the_task_once_and_is_due_once() {
        let (due, task, waker) = asleep();
        due.waker(ONE).wake();
        due.waker(ONE).wake();
        due.waker(OTHER).wake();
        assert_eq!(task.woken(), 1);
        run(&due, &waker, || {
            assert!(due.take(ONE));
            assert!(!due.take(ONE));
            assert!(due.is_only(OTHER));
            assert!(due.take(OTHER));
        });
        assert_eq!(task.woken(), 1);
    }

    #[test]
    fn a_part_that_comes_due_while_the_task_runs_makes_it_run_again() {
        let (due, task, waker) = asleep();
        run(&due, &waker, || due.waker(ONE).wake());
        assert_eq!(task.woken(), 1);
        run(&due, &waker, || assert!(due.take(ONE)));
        assert_eq!(task.woken(), 1);
        due.waker(ONE).wake();
        assert_eq!(task.woken(), 2);
    }
}
