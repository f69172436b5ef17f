//! Exchanges with random faults leave no memory and no task behind; a hundred thousand of them are in
//! the benchmark `http_faults`.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wharf_http::Protocol;

use memory::kept_by;
use storm::Storm;

#[path = "http/cutter.rs"]
mod cutter;
#[path = "http/memory.rs"]
mod memory;
#[path = "http/storm.rs"]
mod storm;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// The only test of its program: another's allocations would count.
#[test]
fn memory_and_tasks_are_back_to_the_start_after_random_faults() {
    let seed = std::env::var("WHARF_SEED").map_or(7, |seed| seed.parse().unwrap());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let storm = Storm { seed, exchanges: 400, protocol };
        // What is made once for all is there after the first one.
        kept_by(GLOBAL, storm).0.check(storm);
        let (report, kept) = kept_by(GLOBAL, storm);
        println!("{storm:?}: {report}; {kept} bytes kept");
        report.check(storm);
        // Less than one of the smallest things for each exchange.
        assert!(kept < 16 * i64::try_from(storm.exchanges).unwrap(), "{storm:?}: {kept} bytes");
    }
}
