//! qorb, with one backend. Every claim is answered by a task of the pool, and every return handled
//! by another. It has all its connections from the start.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use qorb::backend::{Backend, Connector, Error, Name};
use qorb::claim::Handle;
use qorb::policy::{Policy, SetConfig};
use qorb::pool::{Pool, RegistrationError};
use qorb::resolver::{AllBackends, Resolver};
use tokio::sync::watch;
use wharf::async_trait;

use super::{Contestant, Made, PATIENCE, Setup};

struct Numbers(Made);

#[async_trait]
impl Connector for Numbers {
    type Connection = u64;

    async fn connect(&self, _: &Backend) -> Result<u64, Error> {
        Ok(self.0.make())
    }
}

struct OneBackend(watch::Sender<AllBackends>);

impl Resolver for OneBackend {
    fn monitor(&mut self) -> watch::Receiver<AllBackends> {
        self.0.subscribe()
    }
}

#[derive(Clone)]
pub(crate) struct Qorb(Arc<Pool<u64>>);

impl Qorb {
    fn unclaimed(&self) -> usize {
        let sets = self.0.stats().rx.borrow().clone();
        sets.values().map(|set| set.get().unclaimed_slots).sum()
    }
}

impl Contestant for Qorb {
    type Loan<'a> = Handle<u64>;

    async fn build(setup: Setup) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let backends = BTreeMap::from([(Name::new("one"), Backend::new(address))]);
        let resolver = Box::new(OneBackend(watch::channel(Arc::new(backends)).0));
        let set_config = SetConfig { max_count: setup.max, ..SetConfig::default() };
        let policy = Policy {
            spares_wanted: setup.max,
            max_slots: setup.max,
            claim_timeout: PATIENCE,
            set_config,
            ..Policy::default()
        };
        let connector = Arc::new(Numbers(setup.made));
        let pool = Pool::new("one".to_owned(), resolver, connector, policy);
        let pool = Qorb(Arc::new(pool.unwrap_or_else(RegistrationError::into_inner)));
        while pool.unclaimed() < setup.max {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        pool
    }

    async fn acquire(&self) -> Handle<u64> {
        self.0.claim().await.expect("a connection")
    }

    async fn idle(&self) -> Option<usize> {
        Some(self.unclaimed())
    }
}
