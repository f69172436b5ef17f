//! An exchange that is not finished keeps its connection out of the pool. (Behaviour 139.)

use std::io;
use std::panic::AssertUnwindSafe;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use wharf::{CloseReason, ConnectorFn, Pool, PooledConnection, connector_fn};

use crate::support::*;

type Stream = BufReader<DuplexStream>;
type Streams = Pool<ConnectorFn<(), Stream, io::Error>>;

/// A server that takes 20 ms for each line, and says the secret of the one who asked.
async fn serve(pipe: DuplexStream) -> io::Result<()> {
    let mut pipe = BufReader::new(pipe);
    let mut name = String::new();
    while pipe.read_line(&mut name).await? > 0 {
        sleep(ms(20)).await;
        pipe.write_all(format!("secret of {name}").as_bytes()).await?;
        name.clear();
    }
    Ok(())
}

fn streams() -> Streams {
    let connector = connector_fn(|(): ()| async {
        let (near, far) = duplex(256);
        tokio::spawn(serve(far));
        Ok::<_, io::Error>(BufReader::new(near))
    });
    Pool::builder().max_per_host(4).build(connector).unwrap()
}

async fn ask(stream: &mut Stream, name: &str) -> io::Result<String> {
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let mut secret = String::new();
    stream.read_line(&mut secret).await?;
    Ok(secret.trim_end().to_owned())
}

async fn exchange(pool: &Streams, name: &str) -> io::Result<String> {
    let connection = pool.acquire(&()).await.unwrap();
    connection.exchange(async |stream| ask(stream, name).await).await
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_the_response_to_an_exchange_that_was_dropped() {
    let pool = streams();
    assert!(timeout(ms(10), exchange(&pool, "alice")).await.is_err());

    assert_eq!(exchange(&pool, "bob").await.unwrap(), "secret of bob");
    let status = pool.status();
    assert_eq!((status.dials, status.closes.of(CloseReason::Discarded)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_ends_well_returns_its_connection() {
    let pool = streams();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(exchange(&pool, name).await.unwrap(), format!("secret of {name}"));
    }
    assert_eq!((pool.status().dials, pool.status().idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_fails_discards_its_connection_and_makes_others_suspect() {
    let (pool, _) = pool_of(2);
    let (one, other) = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
    drop(other);

    let failed = one.exchange(async |_| Err::<(), _>(io::Error::other("no sense"))).await;
    assert_eq!(failed.unwrap_err().to_string(), "no sense");

    drop(pool.acquire(&1).await.unwrap());
    let status = pool.status();
    assert_eq!((status.dials, status.closed, status.pings), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_is_dropped_says_nothing_of_other_connections() {
    let (pool, _) = pool_of(2);
    let (one, other) = (pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap());
    drop(other);

    let endless = one.exchange(async |_| std::future::pending::<io::Result<()>>().await);
    assert!(timeout(ms(10), endless).await.is_err());

    drop(pool.acquire(&1).await.unwrap());
    let status = pool.status();
    assert_eq!((status.dials, status.closed, status.pings), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_panics_closes_its_connection() {
    let pool = streams();
    let connection = pool.acquire(&()).await.unwrap();
    let exchange = connection.exchange(async |_| -> io::Result<()> { panic!("a test's panic") });
    assert!(tokio::spawn(exchange).await.unwrap_err().is_panic());
    assert_eq!((pool.status().idle, pool.status().in_use), (0, 0));

    // And where the panic is caught before the future is dropped.
    let connection = pool.acquire(&()).await.unwrap();
    let mut exchange = Box::pin(
        connection.exchange(async |_| -> io::Result<()> { panic!("another panic of a test") }),
    );
    let poll = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::panic::catch_unwind(AssertUnwindSafe(|| {
            exchange.as_mut().poll(cx).is_ready()
        })))
    });
    assert!(poll.await.is_err());
    drop(exchange);
    yield_now().await;
    assert_eq!((pool.status().idle, pool.status().in_use), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_was_never_polled_returns_its_connection() {
    let pool = streams();
    let connection = pool.acquire(&()).await.unwrap();
    drop(connection.exchange(async |_| io::Result::Ok(())));
    assert_eq!((pool.status().idle, pool.status().in_use), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn exchanges_run_in_tasks_of_their_own_and_borrow_what_they_like() {
    let pool = streams();
    let host = pool.host(&());
    let tasks = ["alice", "bob"].map(|name| {
        let host = host.clone();
        tokio::spawn(async move {
            let mut secrets = Vec::new();
            let connection = host.acquire().await.unwrap();
            connection
                .exchange(async |stream| {
                    secrets.push(ask(stream, name).await?);
                    io::Result::Ok(())
                })
                .await
                .unwrap();
            secrets
        })
    });
    for (task, name) in tasks.into_iter().zip(["alice", "bob"]) {
        assert_eq!(task.await.unwrap(), [format!("secret of {name}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_read_to_its_end_keeps_its_connection() {
    let pool = streams();
    let connection = pool.acquire(&()).await.unwrap();
    let id = PooledConnection::info(&connection).id;
    let refused = connection.exchange(async |_| io::Result::Ok(Err::<(), _>("no such user"))).await;
    assert_eq!(refused.unwrap(), Err("no such user"));
    assert_eq!(PooledConnection::info(&pool.acquire(&()).await.unwrap()).id, id);
}
