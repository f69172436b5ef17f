//! What threads have used of the processor, as Linux counts it.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

/// What the threads of one name have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) processor: Duration,
    /// How often one of them went to sleep, to be woken up later.
    pub(crate) switches: u64,
}

impl Sub for Spent {
    type Output = Spent;

    fn sub(self, before: Spent) -> Spent {
        Spent {
            processor: self.processor.saturating_sub(before.processor),
            switches: self.switches - before.switches,
        }
    }
}

/// What the threads of this process have used whose names begin so.
pub(crate) fn spent(name: &str) -> Spent {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut all = Spent::default();
    for thread in threads.filter(|thread| is_named(&thread.path(), name)) {
        let (processor, switches) = of(&thread.path()).expect("Linux counts for each thread");
        all.processor += processor;
        all.switches += switches;
    }
    all
}

fn is_named(thread: &Path, name: &str) -> bool {
    fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.starts_with(name))
}

fn of(thread: &Path) -> Option<(Duration, u64)> {
    let schedule = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds = schedule.split(' ').next()?.parse().ok()?;
    let status = fs::read_to_string(thread.join("status")).ok()?;
    let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    Some((Duration::from_nanos(nanoseconds), switches.trim().parse().ok()?))
}
