//! The same with bb8.

use std::fmt;
use std::time::Duration;

use bb8::{ManageConnection, Pool};

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

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self) -> Result<Connection, Refused> {
        tokio::task::yield_now().await;
        Ok(Connection { id: 1, open: true })
    }

    async fn is_valid(&self, conn: &mut Connection) -> Result<(), Refused> {
        tokio::task::yield_now().await;
        if conn.open { Ok(()) } else { Err(Refused(conn.id)) }
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        !conn.open
    }
}

pub async fn run() {
    let builder = Pool::builder().max_size(4).connection_timeout(Duration::from_secs(1));
    let pool = builder.build(Manager).await.expect("it connects");
    for n in 0..8 {
        let pool = pool.clone();
        tokio::spawn(async move {
            match pool.get().await {
                Ok(mut connection) => println!("{}", connection.query(n)),
                Err(error) => eprintln!("{error}"),
            }
        });
    }
    match pool.get().await {
        Ok(mut connection) => connection.open = false,
        Err(error) => eprintln!("{error} {error:?}"),
    }
    println!("{:?}", pool.state().idle_connections);
}
