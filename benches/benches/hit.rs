//! What a hit costs: acquire an idle connection and return it, on one task.
//!
//! Not in it: the connection (a `u64`), a real `is_open`, contention, and tokio's budget of operations between two yields.
//! The clock is read around a burst of about a millisecond, never inside.
//!
//! Run: `cargo bench -p wharf-benches --bench hit`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::hit::run);
}
