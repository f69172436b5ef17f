//! Bytes of 100,000 idle connections, 10 a host and 1 a host, and of a million waiters.
//!
//! As the allocator is asked for them, not with what it adds. It counts in this program only: counting costs time.
//!
//! Run: `cargo bench -p wharf-benches --bench memory`.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wharf_benches::memory;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is allocated now. What grows is counted with what is allocated anew.
fn allocated() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn main() {
    wharf_benches::show(|form| memory::run(form, allocated));
}
