//! What a pool of TCP connections is for, in ten seconds: the same requests with a new connection
//! for each and through a pool, and then a server that stops under load and comes back.
//!
//! ```text
//! cargo run --release --features tcp --example tcp
//! cargo run --release --features tcp --example tcp -- --table
//! ```
//!
//! It prints bars, and then what happens as it happens:
//!
//! ```text
//! time of a request  dialing  ████████████████████████████████████████████████ 3.04 ms
//!                    pool     ██████▏ 0.39 ms
//! connections made   dialing  ████████████████████████████████████████████████ 10,000
//!                    pool     ▏ 8
//!
//!  1.5 s  the server stops: its port is closed, and its connections are cut
//!  2.5 s  the first caller times out, and its error says why:
//!         timed out after 1.0 s waiting for a connection to 127.0.0.1:40431: 0 of 8 in use, 0
//!         idle, 0 dialing, 20 waiting (11 when this caller joined); last dial error 0.1 s ago:
//!         Connection refused (os error 111); dials fail: look at the host
//!  4.0 s  the server is back
//!  4.2 s  a request is answered again, 242 ms after the server's return
//! ```
//!
//! The server echoes what it gets. It runs in this process, so all goes over loopback: with a
//! network between them, dialing costs a round trip more for each request.
//!
//! `--table` prints only the comparison: a plain table for scripts, a line for each way. While the
//! program runs it shows its progress on the standard error, if that is a terminal.

mod chart;
mod comparison;
mod outage;
mod request;
mod screen;
mod server;
mod units;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use comparison::Comparison;

/// How many callers there are.
const TASKS: usize = 20;
/// How many connections the pool may have.
const MAX_PER_HOST: usize = 8;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let has_worked = match arguments() {
        Ok(Output::Scenes) => show_scenes().await,
        Ok(Output::Table) => show_table().await,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    match has_worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What to print.
enum Output {
    /// For people: bars, and the outage.
    Scenes,
    /// For scripts.
    Table,
}

fn arguments() -> Result<Output, String> {
    let mut output = Output::Scenes;
    for argument in env::args_os().skip(1) {
        if argument != "--table" {
            return Err(format!(
                "unknown argument {argument:?}; there is only --table, a plain table for scripts"
            ));
        }
        output = Output::Table;
    }
    Ok(output)
}

async fn show_scenes() -> Result<(), Failure> {
    Comparison::run().await?.print_bars();
    println!();
    outage::show().await
}

async fn show_table() -> Result<(), Failure> {
    Comparison::run().await?.print_table();
    Ok(())
}
