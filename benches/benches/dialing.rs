//! A pool against dialing each time: TCP, TLS, HTTP/1.1, HTTP/2, gRPC, WebSocket and PostgreSQL (if it is installed), over
//! the loopback with 0, 1 and 10 ms added in each direction.
//!
//! In the figure: getting the connection, the request, its answer, letting go (dialing each time: the drop; for HTTP and
//! PostgreSQL the end of the connection's driver), and the server, which is in the same process and shares its cores;
//! PostgreSQL has processes of its own. Over HTTP/2 and gRPC the pool's tasks share a connection.
//!
//! Delays are made in the process, by a timer whose precision is a millisecond. What a new connection sends first waits for
//! a round trip more, which stands for TCP's handshake. Those who dial over TLS resume sessions.
//!
//! Run: `cargo bench -p wharf-benches --bench dialing`, with `-- --long` for more bursts.

fn main() {
    wharf_benches::show(wharf_benches::dialing::run);
}
