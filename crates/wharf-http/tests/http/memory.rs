//! What a storm leaves in memory.

use std::alloc::System;

use stats_alloc::StatsAlloc;

use crate::storm::{Report, Storm};

/// A storm in a runtime of its own, and the bytes that were not given back after it.
pub(crate) fn kept_by(allocator: &StatsAlloc<System>, storm: Storm) -> (Report, i64) {
    let held = || {
        let stats = allocator.stats();
        let grown = i64::try_from(stats.bytes_allocated).unwrap();
        grown - i64::try_from(stats.bytes_deallocated).unwrap()
    };
    let before = held();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(storm.run());
    drop(runtime);
    let of_report = report.wrong.capacity() * size_of::<String>();
    (report, held() - before - i64::try_from(of_report).unwrap())
}
