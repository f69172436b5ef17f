//! Two pinned threads that do nothing but acquire and return: the worst that threads can do to a pool's lock.
//!
//! They start together, a burst takes 2 ms, and one in which a thread waited for its core for more than a hundredth of the
//! time is dropped. The clock is read once in
//! 256 loans. Medians are compared.
//!
//! Run: `cargo bench -p wharf-benches --bench threads`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::threads::run);
}
