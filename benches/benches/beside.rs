//! What the pool adds to a round trip over TCP, WebSocket and PostgreSQL: one connection that is kept and used without a
//! pool, beside a pool from which each round trip takes a connection and to which it returns it.
//!
//! In the figure: the request of some 64 bytes (PostgreSQL: a prepared query of one number), the server's work, the answer,
//! and for the pool the acquire and the return. Contestants take turns in bursts of 200 round trips, and the clocks are read
//! at their ends. Client and server are pinned to one core. The shortest burst counts.
//!
//! Run: `cargo bench -p wharf-benches --bench beside`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::beside::run);
}
