//! What the managers' errors become.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use wharf::{AcquireError, Connector, Pool};
use wharf_bb8::Bb8;
use wharf_deadpool::{Deadpool, Error as DeadpoolError};

/// A manager whose errors are plain words, which are no `Error`.
struct Wordy;

impl bb8::ManageConnection for Wordy {
    type Connection = ();
    type Error = &'static str;

    async fn connect(&self) -> Result<(), &'static str> {
        Err("no way")
    }

    async fn is_valid(&self, (): &mut ()) -> Result<(), &'static str> {
        Err("not valid")
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        true
    }
}

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

impl Error for Words {}

fn cause<E: Error + Send + Sync + 'static>(error: &AcquireError<E>) -> String {
    error.source().expect("a source").to_string()
}

#[tokio::test]
async fn an_error_that_is_none_can_be_made_one() {
    let bb8 = Bb8::new(Wordy).map_err(Words);
    assert_eq!(bb8.ping(&mut ()).await.unwrap_err().to_string(), "not valid");
    assert!(!bb8.is_open(&mut ()));
    assert_eq!(cause(&Pool::new(bb8).acquire(&()).await.unwrap_err()), "no way");

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

impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn the_managers_error_is_shown_as_if_it_stood_alone() {
    let error = DeadpoolError::Manager(Caused(Words("the network is down")));
    assert_eq!(error.to_string(), "it failed");
    assert_eq!(error.source().unwrap().to_string(), "the network is down");
    let error: DeadpoolError<Infallible> = DeadpoolError::NotRecycled("too old".into());
    assert_eq!(error.to_string(), "it was not recycled: too old");
    assert!(error.source().is_none());
}

/// As in a function that returned the other pool's error.
#[test]
fn the_managers_own_error_becomes_the_pools_by_a_question_mark() {
    fn of_bb8(query: Result<(), Words>) -> Result<(), AcquireError<Words>> {
        Ok(query?)
    }
    fn of_deadpool(query: Result<(), Words>) -> Result<(), AcquireError<DeadpoolError<Words>>> {
        query.map_err(DeadpoolError::Manager)?;
        Ok(())
    }
    let error = of_bb8(Err(Words("no such table"))).unwrap_err();
    assert!(matches!(error, AcquireError::Borrower(_)), "{error:?}");
    assert_eq!(
        (error.to_string(), cause(&error)),
        ("no such table".into(), "no such table".into())
    );
    let error = of_deadpool(Err(Words("no such table"))).unwrap_err();
    assert!(
        matches!(&error, AcquireError::Borrower(error) if matches!(**error, DeadpoolError::Manager(_)))
    );
    assert_eq!(error.to_string(), "no such table");
}
