//! Which of a name's addresses a connection leads to, when some of them are silent, refuse or come back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, advance};
use wharf::PooledConnection;
use wharf::tcp::{AddressChoice, TcpHostConnector};

use crate::support::*;

type Loan = PooledConnection<TcpHostConnector>;

const KEY: &str = "orders:80";
const PACE: Duration = Duration::from_millis(250);

async fn acquire(pool: &TcpPool) -> Loan {
    pool.acquire(KEY).await.unwrap()
}

fn peers(loans: &[Loan]) -> Vec<SocketAddr> {
    loans.iter().map(|loan| loan.peer_addr().unwrap()).collect()
}

fn count(peers: &[SocketAddr], peer: SocketAddr) -> usize {
    peers.iter().filter(|other| **other == peer).count()
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_costs_a_dial_250_milliseconds_and_the_next_dial_nothing() {
    let hole = BlackHole::open();
    let (_listener, address) = server().await;
    let names = Names::of("orders", &[hole.address(), address]);
    let pool = pool(names.options(), |b| b);
    let start = Instant::now();

    let first = acquire(&pool).await;
    assert_eq!(start.elapsed(), PACE);
    let second = acquire(&pool).await;
    assert_eq!(start.elapsed(), PACE);

    assert_eq!(peers(&[first, second]), [address, address]);
}

#[tokio::test(start_paused = true)]
async fn each_address_has_its_share_of_a_short_connect_timeout() {
    let (one, two) = (BlackHole::open(), BlackHole::open());
    let (_listener, address) = server().await;
    let names = Names::of("orders", &[one.address(), two.address(), address]);
    for choice in [AddressChoice::SystemOrder, AddressChoice::Spread] {
        let limit = Duration::from_millis(300);
        let pool = pool(names.options().address_choice(choice), |b| b.connect_timeout(limit));
        assert_eq!(acquire(&pool).await.peer_addr().unwrap(), address);
    }
}

#[tokio::test(start_paused = true)]
async fn connect_timeout_bounds_the_whole_where_no_address_answers() {
    let (one, two) = (BlackHole::open(), BlackHole::open());
    let names = Names::of("orders", &[one.address(), two.address()]);
    let pool = pool(names.options(), |b| b.connect_timeout(2 * SECOND));
    let start = Instant::now();
    let error = pool.acquire(KEY).await.unwrap_err();
    assert!(matches!(error, wharf::AcquireError::ConnectTimeout { .. }), "{error}");
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test]
async fn connections_are_spread_over_the_addresses_also_when_they_are_dialed_at_once() {
    let servers = [server().await, server().await, server().await];
    let addresses = servers.each_ref().map(|(_, address)| *address);
    let pool = pool(Names::of("orders", &addresses).options(), |b| b.max_per_host(9));

    let mut dials = JoinSet::new();
    for _ in 0..9 {
        dials.spawn(pool.acquire(KEY));
    }
    let loans: Vec<_> =
        within_a_minute(dials.join_all()).await.into_iter().map(Result::unwrap).collect();

    let peers = peers(&loans);
    assert_eq!(addresses.map(|address| count(&peers, address)), [3, 3, 3]);
}

#[tokio::test]
async fn a_connection_that_is_closed_is_made_up_for_where_it_was() {
    let servers = [server().await, server().await];
    let addresses = servers.each_ref().map(|(_, address)| *address);
    let pool = pool(Names::of("orders", &addresses).options(), |b| b);
    let mut loans = Vec::new();
    for _ in 0..6 {
        loans.push(acquire(&pool).await);
    }
    let of_second = loans.iter().position(|loan| loan.peer_addr().unwrap() == addresses[1]);

    let gone = PooledConnection::detach(loans.remove(of_second.unwrap()));
    drop(gone.into_inner());

    assert_eq!(acquire(&pool).await.peer_addr().unwrap(), addresses[1]);
}

#[tokio::test]
async fn in_the_systems_order_all_go_to_the_first_and_to_the_next_when_that_refuses() {
    let ((held, refusing), (_listener, address), (_other, other)) =
        (refusing(), server().await, server().await);
    let names = Names::of("orders", &[refusing, address, other]);
    let pool = pool(names.options().address_choice(AddressChoice::SystemOrder), |b| b);
    let loans = [acquire(&pool).await, acquire(&pool).await];
    assert_eq!(peers(&loans), [address, address]);

    let _listener = held.listen(16).unwrap();
    assert_eq!(acquire(&pool).await.peer_addr().unwrap(), refusing);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_refused_is_tried_last_and_gets_its_share_when_it_is_back() {
    let ((held, refusing), (_listener, address)) = (refusing(), server().await);
    let names = Names::of("orders", &[refusing, address]);
    let pool = pool(names.options(), |b| b);
    let mut loans = vec![acquire(&pool).await];

    let _listener = held.listen(16).unwrap();
    loans.push(acquire(&pool).await);
    assert_eq!(peers(&loans), [address, address]);

    advance(10 * SECOND).await;
    loans.push(acquire(&pool).await);
    loans.push(acquire(&pool).await);
    assert_eq!(peers(&loans)[2..], [refusing, refusing]);
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_addresses_change_moves_over_within_max_lifetime_without_an_error() {
    let ((_old, before), (_new, after)) = (server().await, server().await);
    let names = Names::of("orders", &[before]);
    let pool = pool(names.options(), |b| b.max_lifetime(60 * SECOND).idle_timeout(None));
    let loans = [acquire(&pool).await, acquire(&pool).await];
    assert_eq!(peers(&loans), [before, before]);
    drop(loans);

    names.set("orders", &[after]);
    assert_eq!(acquire(&pool).await.peer_addr().unwrap(), before);
    for _ in 0..60 {
        advance(SECOND).await;
        drop(acquire(&pool).await);
    }

    let loans = [acquire(&pool).await, acquire(&pool).await];
    assert_eq!(peers(&loans), [after, after]);
}
