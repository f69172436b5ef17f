//! One wait when 100 and when 10,000 hosts wait for the few connections that `max_total` allows.
//!
//! Run: `cargo bench -p wharf-benches --bench starving`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::starving::run);
}
