//! What the managers' errors become.

use std::error::Error;
use std::fmt;

use wharf::{AcquireError, Connector, Pool};
use wharf_bb8::Bb8;

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
}

/// As in a function that returned the other pool's error.
#[test]
fn the_managers_own_error_becomes_the_pools_by_a_question_mark() {
    fn ask(query: Result<(), Words>) -> Result<(), AcquireError<Words>> {
        Ok(query?)
    }
    let error = ask(Err(Words("no such table"))).unwrap_err();
    assert!(matches!(error, AcquireError::Borrower(_)), "{error:?}");
    assert_eq!(
        (error.to_string(), cause(&error)),
        ("no such table".into(), "no such table".into())
    );
}
