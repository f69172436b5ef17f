//! When clients are answered again after all connections to their server have frozen, compared with hyper-util's legacy
//! client and with Go's, and for gRPC with a tonic channel.
//!
//! Run: `cargo bench -p wharf-benches --bench vanishing`, with `-- --long` for a longer look.

fn main() {
    wharf_benches::vanishing::run(wharf_benches::form::Form::from_arguments());
}
