//! PostgreSQL, and managers of bb8 and deadpool: a password in the configuration.

use bb8_postgres::PostgresConnectionManager;
use bb8_redis::RedisConnectionManager;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::{Connector, Pool};
use wharf_bb8::Bb8;
use wharf_deadpool::Deadpool;
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::{Config, NoTls};

use crate::told::Told;
use crate::{SECRET, refusing, server};

async fn ask<C: Connector<Key = ()>>(mut told: Told, connector: C) {
    tracing::info!(target: "wharf", "the test");
    let pool = told.talkative(Pool::builder()).build(connector).unwrap();
    told.acquire(&pool, &()).await;
    told.holds_no_secret("", &[]);
}

/// One that refuses, and one that asks for the password and says that it is wrong.
async fn databases() -> [Config; 2] {
    let (held, refused) = refusing();
    // It refuses until the process ends.
    std::mem::forget(held);
    let denies = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(b"R\0\0\0\x08\0\0\0\x03").await?;
        let _ = stream.read(&mut [0; 4096]).await?;
        let fields = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        stream.write_all(&[b"E", &length[..], fields].concat()).await
    })
    .await;
    [refused, denies].map(|address| {
        format!("postgres://app:{SECRET}@{address}/shop?sslmode=disable").parse().unwrap()
    })
}

#[tokio::test]
async fn a_password_of_postgres() {
    for config in databases().await {
        let mut told = Told::listen();
        let connector = PostgresConnector::new(config.clone());
        told.debug(&connector);
        ask(told, connector).await;

        let mut told = Told::listen();
        let connector = Bb8::new(PostgresConnectionManager::new(config.clone(), NoTls));
        told.debug(&connector);
        ask(told, connector).await;

        let mut told = Told::listen();
        let connector = Deadpool::new(deadpool_postgres::Manager::new(config, NoTls));
        told.debug(&connector);
        ask(told, connector).await;
    }
}

#[tokio::test]
async fn a_configuration_that_is_none() {
    for wrong in [
        format!("postgres://app:{SECRET}@db.example:port/shop"),
        format!("postgres://app:{SECRET}@db.example/shop?unknown=1"),
        format!("postgres://app:{SECRET}@db.example/shop?connect_timeout=soon"),
        format!("host=db.example password={SECRET} port=none"),
        format!("host=db.example password='{SECRET}"),
    ] {
        let mut told = Told::listen();
        tracing::info!(target: "wharf", "the test");
        told.error(&wrong.parse::<PostgresConnector>().unwrap_err());
        told.holds_no_secret("", &[]);
    }
}

#[tokio::test]
async fn a_password_of_redis() {
    let (_held, refused) = refusing();
    let url = format!("redis://app:{SECRET}@{refused}/0");
    let mut told = Told::listen();
    let connector = Bb8::new(RedisConnectionManager::new(url.clone()).unwrap());
    told.debug(&connector);
    ask(told, connector).await;

    let mut told = Told::listen();
    let connector = Deadpool::new(deadpool_redis::Manager::new(url).unwrap());
    told.debug(&connector);
    ask(told, connector).await;
}

#[tokio::test]
async fn a_manager_that_shows_its_password_is_not_shown() {
    #[derive(Debug)]
    struct Manager(#[allow(dead_code)] String);

    impl bb8::ManageConnection for Manager {
        type Connection = ();
        type Error = std::io::Error;

        async fn connect(&self) -> Result<(), std::io::Error> {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        }
        async fn is_valid(&self, (): &mut ()) -> Result<(), std::io::Error> {
            Ok(())
        }
        fn has_broken(&self, (): &mut ()) -> bool {
            false
        }
    }

    impl deadpool::managed::Manager for Manager {
        type Type = ();
        type Error = std::io::Error;

        async fn create(&self) -> Result<(), std::io::Error> {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        }
        async fn recycle(
            &self,
            (): &mut (),
            _: &deadpool::managed::Metrics,
        ) -> deadpool::managed::RecycleResult<std::io::Error> {
            Ok(())
        }
    }

    let mut told = Told::listen();
    let connector = Bb8::new(Manager(SECRET.to_owned()));
    told.debug(&connector);
    ask(told, connector).await;
    let mut told = Told::listen();
    let connector = Deadpool::new(Manager(SECRET.to_owned()));
    told.debug(&connector);
    ask(told, connector).await;
}
