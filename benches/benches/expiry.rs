//! Expiry of 10,000 of 100,000 idle connections: its price, and what other callers notice.
//!
//! The price is the processor's time of the only thread, from before the first expires until all that should have expired,
//! less that of the same time in which nothing expires.
//!
//! Run: `cargo bench -p wharf-benches --bench expiry`, with `-- --long` for more runs.

fn main() {
    wharf_benches::show(wharf_benches::expiry::run);
}
