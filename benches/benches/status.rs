//! How long `status()` keeps others waiting in a pool of 100,000 hosts.
//!
//! Run: `cargo bench -p wharf-benches --bench status`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::status::run);
}
