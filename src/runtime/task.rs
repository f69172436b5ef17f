//! Which task runs.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::engine::Task;

static NEXT_THREAD: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static THREAD: u32 = NEXT_THREAD.fetch_add(1, Relaxed);
}

/// The task that runs, or the thread where none does, as in `block_on`: a thread runs one future at a time there.
#[inline]
pub(crate) fn current() -> Task {
    // Tasks are odd, threads are even.
    let number = match tokio::task::try_id() {
        Some(id) => number_of(id).wrapping_mul(2) + 1,
        None => 2 * u64::from(THREAD.with(|number| *number)) + 2,
    };
    Task::new(number)
}

/// The number of a task: tokio shows it to hashers only.
#[inline]
fn number_of(id: tokio::task::Id) -> u64 {
    let mut number = Number(0);
    id.hash(&mut number);
    number.finish()
}

/// The number that was hashed last.
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        // Not called for a number: any other hash tells tasks apart as well.
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
