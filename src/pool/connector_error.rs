//! An error of a connector, which many callers may share.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// An error of a connector. All callers that waited for the same dial share it.
///
/// It derefs to the connector's own type `E`, if that implements [`Error`]. Others, such as `anyhow::Error`
/// or `Box<dyn Error + Send + Sync>`, become a `dyn Error` when a dial fails, which
/// [`as_error`](Self::as_error) returns. Of an `anyhow::Error` that has its text and its sources, but `downcast_ref`
/// does not find the error that it was made from.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io;
/// use wharf::{AcquireError, Pool, connector_fn};
///
/// let refuses = |(): ()| async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
/// let error = Pool::new(connector_fn(refuses)).acquire(&()).await.unwrap_err();
/// let AcquireError::Connect(failed) = &error else { panic!("{error}") };
/// assert_eq!(failed.error().kind(), io::ErrorKind::ConnectionRefused);
/// # Ok(()) }
/// ```
pub struct ConnectorError<E> {
    error: Arc<dyn Error + Send + Sync>,
    /// What it was made from.
    of: PhantomData<fn() -> E>,
}

impl<E> ConnectorError<E> {
    pub(super) fn new(error: Arc<dyn Error + Send + Sync>) -> Self {
        ConnectorError { error, of: PhantomData }
    }

    /// Returns the error, of whichever type: for `downcast_ref`, `source` and logs.
    pub fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for ConnectorError<E> {
    fn from(error: E) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        ConnectorError::new(error.into())
    }
}

impl<E: Error + Send + Sync + 'static> Deref for ConnectorError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        // The standard library boxes an error that is `Send` and `Sync` as it is.
        self.error.downcast_ref().expect("an error keeps its type in its box")
    }
}

impl<E> Clone for ConnectorError<E> {
    fn clone(&self) -> Self {
        ConnectorError::new(self.error.clone())
    }
}

impl<E> fmt::Debug for ConnectorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E> fmt::Display for ConnectorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
