//! What unary gRPC calls meet where the server ends each connection at an age of 100 ms: through a pool, and on one tonic
//! channel.
//!
//! Run: `cargo bench -p wharf-benches --bench max_age`, with `-- --long` for a longer look.

fn main() {
    wharf_benches::max_age::run(wharf_benches::form::Form::from_arguments());
}
