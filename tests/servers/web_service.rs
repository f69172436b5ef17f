//! The program of the guide's page `web_service`, from its start to a SIGTERM that finds a query stuck.

// Only Unix has SIGTERM.
#![cfg(unix)]

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use servers::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

#[path = "../../examples/web_service/src/main.rs"]
#[allow(dead_code)] // Its `main`.
mod web_service;

/// The status line and the body.
async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

const OK: &str = "HTTP/1.1 200 OK";

#[tokio::test]
async fn a_web_service_serves_and_ends_and_names_what_is_stuck() {
    if !Server::is_installed_or_skip() {
        return;
    }
    let mut database = Server::start(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operators = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, inside) = (listener.local_addr().unwrap(), operators.local_addr().unwrap());
    let (url, grace) = (database.url(), Duration::from_millis(200));
    let service =
        tokio::spawn(async move { web_service::serve(listener, operators, &url, grace).await });

    assert_eq!(get(address, "/double/21").await, (OK.to_owned(), "42".to_owned()));
    assert_eq!(get(address, "/ready").await.0, OK);
    let metrics = get(inside, "/metrics").await.1;
    assert!(metrics.contains("db_client_connection_wait_time_seconds_bucket{"), "{metrics}");

    assert!(get(inside, "/pool").await.1.contains("0 of 10 in use, 1 idle"));
    assert!(get(inside, "/pool.json").await.1.starts_with("{\"taken_at\":"));
    for path in ["/metrics", "/pool", "/pool.json"] {
        assert_eq!(get(address, path).await.0, "HTTP/1.1 404 Not Found", "{path} is public");
    }

    // Without its database it is not ready, and says so.
    database.stop();
    assert_eq!(get(address, "/ready").await.0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(get(address, "/double/21").await.0, "HTTP/1.1 503 Service Unavailable");
    database.start_again();
    while get(address, "/ready").await.0 != OK {
        sleep(Duration::from_millis(20)).await;
    }

    let stuck = tokio::spawn(get(address, "/slow/600.0"));
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep($1)'";
    let (client, connection) =
        tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    while client.query_one(sleeps, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    // The shell's own: a small system has no program of that name.
    let kill = format!("kill -TERM {}", std::process::id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let ended = timeout(Duration::from_secs(60), service).await.expect("it ends");
    let report = ended.unwrap().unwrap();
    assert!(!report.complete);
    let places: Vec<_> = report.loans.iter().map(|loan| loan.place.file()).collect();
    assert!(
        places.len() == 1 && places[0].ends_with("examples/web_service/src/main.rs"),
        "{places:?}"
    );
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
    stuck.abort();
    connection.abort();
}
