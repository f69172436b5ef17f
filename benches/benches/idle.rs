//! What 100,000 idle connections on 10,000 hosts cost: bytes for each beside the connection itself,
//! as the allocator is asked for them, and the time of those that expire.
//!
//! In the bytes: everything that is there once the pool is full and was not before, the hosts' own
//! included; not what an allocator adds. The allocator counts, so that nothing else is measured by
//! this program but the time of expiry, which costs it little.
//!
//! In the time: that of the processor, on one thread, from before the first expires until all that
//! should have expired, divided by their number. Those that stay are ten to a hundred times as
//! many: a cost that grew with them would show as more for each where fewer expire.
//!
//! Run: `cargo bench -p wharf-benches --bench idle`, with `-- --long` for more sizes.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wharf_benches::form::Form;
use wharf_benches::idle::Meter;
use wharf_benches::{idle, machine};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is allocated now. What grows is counted with what is allocated anew.
fn allocated() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn main() {
    print!("{}", machine::describe());
    for part in idle::run(Form::from_arguments(), Meter::Allocated(allocated)) {
        print!("{}", part.print());
    }
}
