//! The processor's cores: which thread is on which, and what a thread has had of them.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Pins this thread to one of the cores that the process may use. Says nothing where the system does not do it.
pub(crate) fn pin(nth: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[nth % cores.len()]);
    let _ = sched_setaffinity(None, &one);
}

/// How many times as much two pinned threads do as one, of arithmetic that shares nothing: 2 where the second core is
/// there. The best of several bursts before a measurement and after it is what the machine had to give.
pub(crate) fn two_to_one() -> f64 {
    let alone = |_| arithmetic(1);
    let both = |_| arithmetic(2);
    let least = |times: [Duration; 5]| times.into_iter().min().unwrap_or_default().as_secs_f64();
    2.0 * least([0; 5].map(alone)) / least([0; 5].map(both))
}

/// For the reader of ratios that need two cores: whether the second one was there.
pub(crate) fn says_of_second_core(ratios: [f64; 2]) -> String {
    let [before, after] = ratios;
    let was_there =
        if before.min(after) < 1.9 { "was NOT there all the time" } else { "was there" };
    format!(
        "Two pinned threads of arithmetic did {before:.2} times as much as one before this was measured and {after:.2} times after \
         it: the second core {was_there}"
    )
}

/// What this many threads take, each pinned to a core, from the moment at which all are ready.
fn arithmetic(threads: usize) -> Duration {
    let ready = Barrier::new(threads);
    thread::scope(|scope| {
        let ready = &ready;
        let run = move |core| {
            pin(core);
            ready.wait();
            let began = Instant::now();
            let steps = (0..3_000_000_u64).fold(7_u64, |sum, step| {
                black_box(sum.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step))
            });
            black_box(steps);
            began.elapsed()
        };
        let threads: Vec<_> = (0..threads).map(|core| scope.spawn(move || run(core))).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        times.max().unwrap_or_default()
    })
}

/// Allows this process as many open files as it may allow itself: a client and its server have thousands of sockets.
pub(crate) fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
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
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
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
