//! One connector and the usual uses of its pool. `measure` compiles a copy for each connector.

use std::fmt;
use std::time::Duration;

use wharf::{Connector, Pool, PooledConnection, async_trait};

pub struct Connection {
    id: u64,
    open: bool,
}

impl Connection {
    fn query(&mut self, n: u64) -> u64 {
        self.id += n;
        self.id
    }
}

#[derive(Debug)]
pub struct Refused(u64);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

pub struct Manager;

#[async_trait]
impl Connector for Manager {
    type Key = u64;
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self, key: &u64) -> Result<Connection, Refused> {
        tokio::task::yield_now().await;
        if *key == u64::MAX { Err(Refused(*key)) } else { Ok(Connection { id: *key, open: true }) }
    }

    async fn ping(&self, conn: &mut Connection) -> Result<(), Refused> {
        tokio::task::yield_now().await;
        if conn.open { Ok(()) } else { Err(Refused(conn.id)) }
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn is_open(&self, conn: &mut Connection) -> bool {
        conn.open
    }
}

pub async fn run() {
    let builder = Pool::builder().max_per_host(4).acquire_timeout(Duration::from_secs(1));
    let pool = builder.build(Manager).expect("valid settings");
    for n in 0..8 {
        let pool = pool.clone();
        tokio::spawn(async move {
            match pool.acquire(&1).await {
                Ok(mut connection) => println!("{}", connection.query(n)),
                Err(error) => eprintln!("{error}"),
            }
        });
    }
    match pool.acquire(&1).await {
        Ok(connection) => PooledConnection::discard(connection),
        Err(error) => eprintln!("{error} {error:?}"),
    }
    println!("{:?}", pool.status().idle);
}
