//! Names that are being resolved: dials that begin together ask once.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{self, Handle};
use tokio::sync::OnceCell;

/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Lookups(Arc<Mutex<UnderWay>>);

type UnderWay = HashMap<Name, Arc<Lookup>>;

/// A name and its port, as a runtime asks for it. One runtime does not wait for another, which may stand
/// still.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    host: Box<str>,
    port: u16,
    runtime: runtime::Id,
}

/// What a lookup found, once it has ended.
type Lookup = OnceCell<Result<Vec<SocketAddr>, Failure>>;

/// The error of a lookup, for all but the first that asked.
struct Failure {
    kind: io::ErrorKind,
    message: String,
}

impl Lookups {
    /// Looks a name up, or waits for whichever dial does. If that one is dropped, the next goes on.
    pub(super) async fn join<F>(
        &self,
        host: &str,
        port: u16,
        look_up: impl FnOnce() -> F,
    ) -> io::Result<Vec<SocketAddr>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
    {
        let place = Place::take(self, host, port);
        let mut own = None;
        let found = place.lookup.get_or_init(async || {
            let found = look_up().await;
            place.leave();
            found.map_err(|error| own.insert(error).into())
        });
        match found.await {
            Ok(addresses) => Ok(addresses.clone()),
            Err(failure) => {
                Err(own.unwrap_or_else(|| io::Error::new(failure.kind, failure.message.clone())))
            }
        }
    }
}

impl From<&mut io::Error> for Failure {
    fn from(error: &mut io::Error) -> Self {
        Failure { kind: error.kind(), message: error.to_string() }
    }
}

/// The place of a dial that waits for a lookup.
struct Place<'a> {
    lookups: &'a Lookups,
    name: Name,
    lookup: Arc<Lookup>,
}

impl<'a> Place<'a> {
    fn take(lookups: &'a Lookups, host: &str, port: u16) -> Self {
        let name = Name { host: host.into(), port, runtime: Handle::current().id() };
        let lookup = lookups.0.lock().entry(name.clone()).or_default().clone();
        Place { lookups, name, lookup }
    }

    /// From now on, others ask anew.
    fn leave(&self) {
        let mut under_way = self.lookups.0.lock();
        if under_way.get(&self.name).is_some_and(|other| Arc::ptr_eq(other, &self.lookup)) {
            under_way.remove(&self.name);
        }
    }
}

impl Drop for Place<'_> {
    /// Nobody stays who would end a lookup that was given up: it is this one's, and the map's.
    fn drop(&mut self) {
        if Arc::strong_count(&self.lookup) <= 2 {
            self.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::{JoinSet, yield_now};
    use tokio::time::{Duration, Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks for it from several dials at once. Each lookup takes a second.
    fn ask(lookups: &Lookups, asked: &Arc<AtomicUsize>, many: usize, fails: bool) -> Answers {
        let mut dials = JoinSet::new();
        for _ in 0..many {
            let (lookups, asked) = (lookups.clone(), asked.clone());
            dials.spawn(async move {
                let look_up = async || {
                    asked.fetch_add(1, Ordering::Relaxed);
                    sleep(SECOND).await;
                    if fails {
                        return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
                    }
                    Ok(vec![([127, 0, 0, 1], 80).into()])
                };
                lookups.join("db", 80, look_up).await
            });
        }
        dials
    }

    type Answers = JoinSet<io::Result<Vec<SocketAddr>>>;

    #[tokio::test(start_paused = true)]
    async fn lookups_at_once_share_one_and_a_later_one_asks_again() {
        let (lookups, asked) = (Lookups::default(), Arc::default());
        for round in 1..=3 {
            let found = ask(&lookups, &asked, 10, false).join_all().await;
            assert!(found.iter().all(|found| found.as_ref().is_ok_and(|found| found.len() == 1)));
            assert_eq!(asked.load(Ordering::Relaxed), round);
            assert!(lookups.0.lock().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_everybodys() {
        let (lookups, asked) = (Lookups::default(), Arc::default());
        for answer in ask(&lookups, &asked, 10, true).join_all().await {
            let error = answer.unwrap_err();
            assert_eq!(
                (error.kind(), &*error.to_string()),
                (io::ErrorKind::NotFound, "no such name")
            );
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(lookups.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_was_given_up_is_begun_again_by_the_next() {
        let (lookups, asked) = (Lookups::default(), Arc::default());
        let first = ask(&lookups, &asked, 1, false);
        yield_now().await;
        let others = ask(&lookups, &asked, 5, false);
        sleep(SECOND / 2).await;
        drop(first);
        let begun = Instant::now();
        assert!(others.join_all().await.iter().all(Result::is_ok));
        assert_eq!((asked.load(Ordering::Relaxed), begun.elapsed()), (2, SECOND));
        assert!(lookups.0.lock().is_empty());

        let given_up = ask(&lookups, &asked, 5, false);
        sleep(SECOND / 2).await;
        drop(given_up);
        sleep(SECOND).await;
        assert!(lookups.0.lock().is_empty(), "nothing stays of a name that nobody wants");
    }
}
