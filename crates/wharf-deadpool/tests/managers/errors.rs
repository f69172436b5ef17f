//! What the managers' errors become.

use std::convert::Infallible;
use std::fmt;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use wharf::{AcquireError, Pool};
use wharf_deadpool::{Deadpool, Error};

/// A manager whose errors are plain words, which are no `Error`.
struct Wordy;

impl Manager for Wordy {
    type Type = ();
    type Error = &'static str;

    async fn create(&self) -> Result<(), &'static str> {
        Err("no way")
    }

    async fn recycle(&self, (): &mut (), _: &Metrics) -> RecycleResult<&'static str> {
        Err(RecycleError::Backend("not valid"))
    }
}

#[derive(Debug)]
struct Words(&'static str);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Words {}

fn cause<E: std::error::Error + Send + Sync + 'static>(error: &AcquireError<E>) -> String {
    std::error::Error::source(error).expect("a source").to_string()
}

#[tokio::test]
async fn an_error_that_is_none_can_be_made_one() {
    let deadpool = Deadpool::new(Wordy).map_err(Words);
    assert_eq!(cause(&Pool::new(deadpool).acquire(&()).await.unwrap_err()), "no way");
}

/// An error with a cause.
#[derive(Debug)]
struct Caused(Words);

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed")
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn the_managers_error_is_shown_as_if_it_stood_alone() {
    use std::error::Error as _;

    let error = Error::Manager(Caused(Words("the network is down")));
    assert_eq!(error.to_string(), "it failed");
    assert_eq!(error.source().unwrap().to_string(), "the network is down");
    let error: Error<Infallible> = Error::NotRecycled("too old".into());
    assert_eq!(error.to_string(), "it was not recycled: too old");
    assert!(error.source().is_none());
}

/// As in a function that returned the other pool's error.
#[test]
fn the_managers_own_error_becomes_the_pools_by_a_question_mark() {
    fn ask(query: Result<(), Words>) -> Result<(), AcquireError<Error<Words>>> {
        query.map_err(Error::from)?;
        Ok(())
    }
    let error = ask(Err(Words("no such table"))).unwrap_err();
    assert!(
        matches!(&error, AcquireError::Borrower(error) if matches!(**error, Error::Manager(_)))
    );
    assert_eq!(
        (error.to_string(), cause(&error)),
        ("no such table".into(), "no such table".into())
    );
}

/// In a function that borrows nothing, such as one that a borrower calls.
#[test]
fn the_managers_own_error_becomes_the_connectors_by_a_question_mark() {
    fn ask(query: Result<(), Words>) -> Result<(), Error<Words>> {
        Ok(query?)
    }
    let error = ask(Err(Words("no such table"))).unwrap_err();
    assert!(matches!(error, Error::Manager(Words("no such table"))), "{error:?}");
}
