//! Plain TCP: a key is a host and a port, but a URL may be given by mistake.

use wharf::Pool;
use wharf::tcp::TcpHostConnector;

use crate::SECRET;
use crate::told::Told;

#[tokio::test]
async fn a_url_that_was_given_as_a_host() {
    for key in [
        format!("redis://app:{SECRET}@cache.invalid:6379/0"),
        format!("app:{SECRET}@cache.invalid:6379"),
        format!("http://app:a/{SECRET}@cache.invalid"),
        format!("http://cache.invalid/?token={SECRET}"),
    ] {
        let mut told = Told::listen();
        let pool = told.talkative(Pool::builder()).build(TcpHostConnector::new()).unwrap();
        told.acquire(&pool, &key).await;
        told.holds_no_secret("cache.invalid", &[]);
    }
}
