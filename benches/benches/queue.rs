//! Long queues: 10,000, 100,000 and a million acquires wait for one connection, and all are dropped in random order.
//!
//! Wake-ups are not in it, as nobody is served. The bytes of a million waiters are measured by `memory`.
//!
//! Run: `cargo bench -p wharf-benches --bench queue`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::queue::run);
}
