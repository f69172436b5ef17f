//! The connector of the guide's page `redis`, against a real server.

use std::future::poll_fn;
use std::task::Poll;

use connector::{Redis, transfer, visits};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client};
use servers::RedisServer;
use tokio::task::{JoinSet, yield_now};
use wharf::{AcquireError, Backoff, CloseReason, Pool, SharedPool};

#[path = "../../examples/redis/src/connector.rs"]
mod connector;

/// A server, and a connection that no pool knows of.
async fn start() -> (RedisServer, MultiplexedConnection) {
    let server = RedisServer::start();
    let admin = Client::open(server.url()).unwrap();
    (server, admin.get_multiplexed_async_connection().await.unwrap())
}

async fn end_sessions(admin: &mut MultiplexedConnection) {
    let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).to_owned();
    let killed: usize = kill.query_async(admin).await.unwrap();
    assert!(killed > 0);
}

#[tokio::test]
async fn many_callers_share_connections_and_each_gets_its_own_answer() {
    if !RedisServer::is_installed_or_skip() {
        return;
    }
    let (server, _) = start().await;
    let pool = SharedPool::builder().max_per_host(2).build(Redis::new(&server.url()).unwrap());
    let host = pool.unwrap().host(&());
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let host = host.clone();
        callers.spawn(async move {
            let page = format!("page {}", caller % 8);
            visits(&host, &page).await.unwrap()
        });
    }
    let mut answers = callers.join_all().await;
    answers.sort_unstable();
    let expected: Vec<_> = (1..=8).flat_map(|visits| [visits; 8]).collect();
    assert_eq!(answers, expected);
    assert!(host.status().dials <= 2, "{} dials", host.status().dials);
}

#[tokio::test]
async fn sessions_that_the_server_ended_fail_no_caller() {
    if !RedisServer::is_installed_or_skip() {
        return;
    }
    let (server, mut admin) = start().await;
    let shared = SharedPool::new(Redis::new(&server.url()).unwrap()).host(&());
    let own = Pool::new(Redis::new(&server.url()).unwrap()).host(&());
    let () = admin.set("a", 10).await.unwrap();
    for visit in 1..=3 {
        assert_eq!(visits(&shared, "page").await.unwrap(), visit);
        assert!(transfer(&own, "a", "b", 1).await.unwrap());
        end_sessions(&mut admin).await;
    }
    assert_eq!((shared.status().dials, own.status().dials), (3, 3));
}

#[tokio::test]
async fn a_transfer_moves_what_is_there_or_nothing() {
    if !RedisServer::is_installed_or_skip() {
        return;
    }
    let (server, mut admin) = start().await;
    let own = Pool::new(Redis::new(&server.url()).unwrap()).host(&());
    let () = admin.mset(&[("a", 10), ("b", 0)]).await.unwrap();
    assert!(transfer(&own, "a", "b", 7).await.unwrap());
    assert!(!transfer(&own, "a", "b", 7).await.unwrap(), "there is too little");
    let balances: (i64, i64) = admin.mget(&["a", "b"]).await.unwrap();
    assert_eq!((balances, own.status().dials), ((3, 7), 1));
}

#[tokio::test]
async fn a_transfer_that_is_dropped_leaves_no_watch_to_the_next() {
    if !RedisServer::is_installed_or_skip() {
        return;
    }
    let (server, mut admin) = start().await;
    let pool = Pool::builder().max_per_host(1).build(Redis::new(&server.url()).unwrap()).unwrap();
    let own = pool.host(&());
    let () = admin.mset(&[("a", 10), ("b", 0)]).await.unwrap();

    let mut moving = Box::pin(transfer(&own, "a", "b", 1));
    loop {
        let is_lent = own.status().in_use == 1;
        assert!(poll_fn(|cx| Poll::Ready(moving.as_mut().poll(cx).is_pending())).await);
        if is_lent {
            break; // `WATCH` is on its way.
        }
        yield_now().await;
    }
    drop(moving);

    assert!(transfer(&own, "a", "b", 1).await.unwrap());
    let status = own.status();
    assert_eq!((status.dials, status.closes.of(CloseReason::Discarded)), (2, 1));
}

#[tokio::test]
async fn errors_name_the_server_and_not_its_password() {
    if !RedisServer::is_installed_or_skip() {
        return;
    }
    let (mut server, mut admin) = start().await;
    let set = redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).to_owned();
    let () = set.query_async(&mut admin).await.unwrap();
    let place = server.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();

    // It is not asked again, with any `retry`.
    let connector = Redis::new(&format!("redis://:wrong@{place}/")).unwrap();
    let pool = Pool::builder().retry(Backoff::default()).build(connector).unwrap();
    let error = pool.acquire(&()).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(&format!("no connection to redis at {place}: ")), "{said}");
    assert!(!said.contains("wrong") && pool.status().dials == 1, "{said}");

    server.stop();
    let pool = Pool::new(Redis::new(&format!("redis://:secret@{place}/")).unwrap());
    let error = pool.acquire(&()).await.unwrap_err();
    assert!(matches!(&error, AcquireError::Connect(refused) if refused.is_connection_refusal()));
    let said = error.to_string();
    assert!(
        said.starts_with(&format!("no connection to redis at {place}: Connection refused")),
        "{said}"
    );
}
