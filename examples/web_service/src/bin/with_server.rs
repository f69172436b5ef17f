//! The web service of `main.rs`, with a PostgreSQL server of its own, which is stopped at the end.
//!
//! ```text
//! cargo run -p example-web-service
//! curl http://127.0.0.1:8080/double/21 # and http://127.0.0.1:9090/pool in a browser
//! ```
//!
//! PostgreSQL's programs must be there, or be installable by `apt-get`. It runs until SIGTERM or Ctrl-C.

use servers::Server;
use tokio::net::TcpListener;
use web_service::{Failure, GRACE, serve};

#[path = "../main.rs"]
#[allow(dead_code)] // Its `main`.
mod web_service;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().init();
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let operators = TcpListener::bind("127.0.0.1:9090").await?;
    let database = Server::start(&[]);
    tracing::info!("http://127.0.0.1:8080/double/21, /slow/5 and /ready");
    tracing::info!("for operators: http://127.0.0.1:9090/pool and /metrics");
    let report = serve(listener, operators, &database.url(), GRACE).await?;
    if report.complete { Ok(()) } else { Err("connections were still out at the end".into()) }
}
