//! PostgreSQL through pools of eight connections, with 1, 8 and 64 tasks, on a server of our own: a cheap query, and a
//! transaction of one INSERT.
//!
//! In the figure: getting a connection, the requests and their answers, letting go, and the server. The contestants take
//! turns in short bursts and keep their connections. The client's thread and the server's processes are pinned to one
//! core, so that a rate tells what all of it costs; they wait for each other, so no burst is dropped for waiting. Medians
//! are compared; "most / least" is the jobs of the task that had most in a burst, to one of the task that had least. What
//! each checks or undoes between two borrowers:
//!
//! - `by hand`, `deadpool-postgres, Fast` and `bb8-postgres, no ping`: nothing;
//! - `wharf`: a transaction that may have been left open is rolled back;
//! - `wharf, Reset::Discard` and `deadpool-postgres, Clean`: the session's state, too;
//! - `deadpool-postgres, Verified` and `bb8-postgres`: an empty query before each loan.
//!
//! Run: `cargo bench -p wharf-benches --bench postgres`, with `-- --long` for longer rounds.

fn main() {
    wharf_benches::show(wharf_benches::postgres::run);
}
