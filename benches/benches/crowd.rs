//! Many more tasks than connections: 1,024 on 16 and 1,000 on 50, on two pinned threads.
//!
//! Throughput and "most / least" come from bursts in which no clock is read but at the ends. The waits come from bursts of
//! their own. Those who are waiting when the time is over are served as the others stop, and their waits count: "max" of a
//! pool that starves a task is the length of the burst.
//!
//! WRONG is said of a pool in one of whose bursts a task got nothing, or is not served within 20 seconds of the end, or
//! whose count of idle connections is not what was made.
//!
//! Run: `cargo bench -p wharf-benches --bench crowd`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::crowd::run);
}
