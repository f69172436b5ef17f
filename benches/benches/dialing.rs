//! A pool against dialing each time: TCP, TLS, HTTP/1.1, gRPC and PostgreSQL (if its programs are
//! installed), over the loopback with 0, 1 and 10 ms added in each direction.
//!
//! 16 tasks send small requests, one after the other, for a fixed time; each dials, or takes one of
//! the pool's connections, of which there may be 16. In the figure: getting the connection, the
//! request, its answer, letting go (dialing each time: the drop; for HTTP and PostgreSQL the end of
//! the connection's driver), and the server, which is in the same process and shares its cores;
//! PostgreSQL has processes of its own. gRPC's tasks share one connection as long as the server
//! lets them.
//!
//! Delays are made in the process, by a timer whose precision is a millisecond. However much is on
//! its way, all of it is only late; what a new connection sends first waits for a round trip more,
//! which stands for TCP's handshake. Those who dial over TLS resume sessions.
//!
//! Run: `cargo bench -p wharf-benches --bench dialing`, with `-- --long` for longer rounds.

use wharf_benches::form::Form;
use wharf_benches::{dialing, machine};

fn main() {
    print!("{}", machine::describe());
    for part in dialing::run(Form::from_arguments()).0 {
        print!("{}", part.print());
    }
}
