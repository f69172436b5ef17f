//! An HTTP/1.1 connection: one exchange after the other.

use std::future::Future;
use std::mem;

use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::request_body::RequestBody;
use super::wire::Written;

pub(super) type Sender = http1::SendRequest<RequestBody>;

/// The side that exchanges are begun from.
pub(super) struct Http1 {
    seat: Mutex<Seat>,
    written: Written,
    /// Closed when the driver has ended.
    driver: watch::Receiver<()>,
}

/// Where the only sender is.
enum Seat {
    /// Here, and ready for an exchange.
    Free(Sender),
    /// With the borrower.
    Taken,
    /// It went down with an exchange that did not end well, or the connection is being closed.
    Lost,
}

impl Http1 {
    /// How many bytes were written to the connection.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Waits until the driver has ended.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut driver = self.driver.clone();
        async move { while driver.changed().await.is_ok() {} }
    }

    pub(super) fn is_open(&self) -> bool {
        match &*self.seat.lock() {
            Seat::Free(sender) => !sender.is_closed(),
            Seat::Taken => true,
            Seat::Lost => false,
        }
    }

    /// Takes the sender, for one exchange.
    pub(super) fn take(&self) -> Option<Sender> {
        let mut seat = self.seat.lock();
        match mem::replace(&mut *seat, Seat::Taken) {
            Seat::Free(sender) => Some(sender),
            other => {
                *seat = other;
                None
            }
        }
    }

    /// Gives the sender back, ready for the next exchange.
    pub(super) fn put_back(&self, sender: Sender) {
        *self.seat.lock() = Seat::Free(sender);
    }

    /// There will be no more exchanges: without a sender the connection ends.
    pub(super) fn lose(&self) {
        let seat = mem::replace(&mut *self.seat.lock(), Seat::Lost);
        drop(seat);
    }
}

/// Makes a connection, and the future that drives it.
pub(super) async fn handshake<T>(
    io: T,
    written: Written,
) -> hyper::Result<(Http1, impl Future<Output = ()> + Send + 'static)>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(io).await?;
    let (ends, ended) = watch::channel(());
    let driver = async move {
        // Dropped after the connection, also when this is.
        let _ends = ends;
        // What the driver fails of, the exchange under way is told.
        drop(connection.with_upgrades().await);
    };
    Ok((Http1 { seat: Mutex::new(Seat::Free(sender)), written, driver: ended }, driver))
}
