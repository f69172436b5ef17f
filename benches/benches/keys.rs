//! A hit by key, when there are 1, 1,000 and 100,000 hosts.
//!
//! As for one host, and what the processor's caches make of them: one of all is chosen at random each time, in the same
//! order for everybody. The floor is a sharded map with the same hash function as the pool's, used once for a loan; the
//! second floor uses a cheaper one without a key.
//!
//! Run: `cargo bench -p wharf-benches --bench keys`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::keys::run);
}
