//! The processor's cores: which thread is on which, and what a thread has had of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins this thread to one of the cores that the process may use. Says nothing where the system does not do it.
pub(crate) fn pin(nth: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[nth % cores.len()]);
    let _ = sched_setaffinity(None, &one);
}

/// What was taken from the threads of this process, or from this one, so far: the time in which they were ready to run and
/// others had their cores.
pub(crate) fn lost_by_all() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads.map(|thread| times(thread.path().join("schedstat"))[1]).sum()
}

pub(crate) fn lost() -> Duration {
    times(OWN)[1]
}

/// The processor's time of this thread.
pub(crate) fn own_time() -> Duration {
    times(OWN)[0]
}

/// Whether a burst counts: less than a hundredth of it was lost.
pub(crate) fn is_undisturbed(before: Duration, after: Duration, burst: Duration) -> bool {
    after.saturating_sub(before) * 100 < burst
}

const OWN: &str = "/proc/thread-self/schedstat";

/// On a core, and waiting for one.
fn times(file: impl AsRef<Path>) -> [Duration; 2] {
    let about = fs::read_to_string(file).unwrap_or_default();
    let mut numbers =
        about.split(' ').map(|number| Duration::from_nanos(number.parse().unwrap_or(0)));
    [(); 2].map(|()| numbers.next().unwrap_or_default())
}
