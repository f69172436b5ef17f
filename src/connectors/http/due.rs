//! Which parts of a task have something to do.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;

/// Tells the parts of a task apart that are polled by it: a part that has something to do wakes the
/// task, unless that is running or woken already.
///
/// hyper's parts of an HTTP/2 connection wake each other for each request. In a task that polled both
/// whenever it runs, each such wake would be another run of it, and a poll of both.
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
    /// So many parts, all of them due.
    pub(super) fn new(parts: u32) -> Arc<Due> {
        let bits = (1 << (parts + 1)) - 1 - RUNNING;
        Arc::new(Due { bits: AtomicUsize::new(bits), task: Mutex::new(Waker::noop().clone()) })
    }

    /// What the part is polled with.
    pub(super) fn waker(self: &Arc<Due>, part: Part) -> Waker {
        Waker::from(Arc::new(Bell { due: self.clone(), part }))
    }

    /// The task runs from now on: it need not be woken.
    pub(super) fn begin(&self, cx: &Context<'_>) {
        let mut task = self.task.lock();
        if !task.will_wake(cx.waker()) {
            task.clone_from(cx.waker());
        }
        drop(task);
        self.bits.fetch_or(RUNNING, AcqRel);
    }

    /// Whether that part, and no other, has something to do, while the task runs.
    pub(super) fn is_only(&self, part: Part) -> bool {
        self.bits.load(Acquire) == part.0 | RUNNING
    }

    /// Whether the part has something to do; it has not any more once it was asked.
    pub(super) fn take(&self, part: Part) -> bool {
        self.bits.fetch_and(!part.0, AcqRel) & part.0 != 0
    }

    /// The task stops. It runs again if a part is due by now.
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
