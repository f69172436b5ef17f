//! An HTTP/1.1 connection: one exchange after the other.

use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper::rt::{Read, Write};
use parking_lot::Mutex;

use super::interim::Interim;
use super::request_body::RequestBody;
use super::upload::Upload;
use super::wire::Written;

type Sender = http1::SendRequest<RequestBody>;
pub(crate) type Answer = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// The side that exchanges are begun from.
pub(super) struct Http1 {
    slot: Arc<Mutex<Slot>>,
    written: Written,
    interim: Interim,
}

/// Where the connection's only sender is, and what it is doing.
enum Slot {
    /// Ready for an exchange.
    Free(Sender),
    /// An exchange is under way.
    Busy(Sender),
    /// The answer was read, and [`Http1::settle`] waits for the sender to be ready.
    Settling,
    /// It went down with an exchange that did not end well, or the connection is being closed.
    Lost,
}

impl Http1 {
    /// How many bytes were written to the connection.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    pub(super) fn is_open(&self) -> bool {
        match &*self.slot.lock() {
            Slot::Free(sender) => !sender.is_closed(),
            Slot::Busy(_) | Slot::Settling => true,
            Slot::Lost => false,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(&*self.slot.lock(), Slot::Free(_))
    }

    /// Begins an exchange on a connection that is free. The body that is given waits for a `100 Continue`.
    pub(super) fn send(
        &self,
        mut request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.interim.begin(&mut request, upload);
        let mut slot = self.slot.lock();
        let Slot::Free(mut sender) = mem::replace(&mut *slot, Slot::Lost) else {
            unreachable!("a connection carries one exchange at a time");
        };
        let answer = sender.try_send_request(request);
        *slot = Slot::Busy(sender);
        answer
    }

    /// Ready when there were too many interim answers.
    pub(super) fn poll_interim_exceeded(&self, cx: &Context<'_>) -> Poll<()> {
        self.interim.poll_exceeded(cx)
    }

    /// Ends an exchange whose answer was read to its end. Says whether the next one can begin at once;
    /// if not, the connection is to be [settled](Http1::settle).
    pub(super) fn finish(&self) -> bool {
        let mut slot = self.slot.lock();
        match mem::replace(&mut *slot, Slot::Lost) {
            Slot::Busy(sender) if sender.is_ready() => *slot = Slot::Free(sender),
            other => *slot = other,
        }
        !matches!(&*slot, Slot::Busy(_))
    }

    /// Waits until the next exchange can begin, which it can when the request of the last one is sent.
    pub(super) async fn settle(&self) {
        let Some(mut sender) = self.take_busy() else { return };
        let is_ready = sender.ready().await.is_ok();
        *self.slot.lock() = if is_ready { Slot::Free(sender) } else { Slot::Lost };
    }

    fn take_busy(&self) -> Option<Sender> {
        let mut slot = self.slot.lock();
        match mem::replace(&mut *slot, Slot::Settling) {
            Slot::Busy(sender) => Some(sender),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// There will be no more exchanges: without a sender the connection ends.
    pub(super) fn lose(&self) {
        let slot = mem::replace(&mut *self.slot.lock(), Slot::Lost);
        drop(slot);
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
    let slot = Arc::new(Mutex::new(Slot::Free(sender)));
    let end = End(slot.clone());
    let driver = async move {
        // Dropped after the connection, also when this is.
        let _end = end;
        // What the driver fails of, the exchange under way is told.
        drop(connection.with_upgrades().await);
    };
    Ok((Http1 { slot, written, interim: Interim::new() }, driver))
}

/// The end of a connection's driver.
///
/// A request that is handed over at the very moment of that end may lie in the channel between, which
/// is cleared when its only sender is dropped. A sender that is not busy stays: it fails the next
/// request by itself.
struct End(Arc<Mutex<Slot>>);

impl Drop for End {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        if let Slot::Busy(_) = &*slot {
            let busy = mem::replace(&mut *slot, Slot::Lost);
            drop(slot);
            drop(busy);
        }
    }
}
