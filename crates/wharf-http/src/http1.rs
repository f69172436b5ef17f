//! An HTTP/1.1 connection: one exchange after another.

use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper::rt::{Read, Write};
use parking_lot::Mutex;

use super::broken;
use super::interim::Interim;
use super::limits::HeadLimits;
use super::request_body::RequestBody;
use super::upload::Upload;
use super::wire::Written;
use wharf::connector::Signs;

type Sender = http1::SendRequest<RequestBody>;
pub(crate) type HeadResult = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// The handle from which exchanges are started.
pub(super) struct Http1 {
    slot: Arc<Mutex<Slot>>,
    written: Written,
    interim: Interim,
}

/// The connection's only sender, and its state.
enum Slot {
    /// Ready for an exchange.
    Free(Sender),
    /// An exchange is in progress.
    Busy(Sender),
    /// The response was read, and [`Http1::settle`] waits for the sender to be ready.
    Settling,
    /// Lost with an exchange that did not end well, or the connection is being closed.
    Lost,
}

impl Http1 {
    /// Returns how many bytes were written to the connection.
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

    /// Starts an exchange on a free connection. `upload` is the body that waits for a `100
    /// Continue`, if any.
    pub(super) fn send(
        &self,
        mut request: Request<RequestBody>,
        upload: Option<Arc<Upload>>,
    ) -> impl Future<Output = HeadResult> + Send + use<> {
        self.interim.begin(&mut request, upload);
        let mut slot = self.slot.lock();
        let Slot::Free(mut sender) = mem::replace(&mut *slot, Slot::Lost) else {
            unreachable!("a connection carries one exchange at a time");
        };
        let response = sender.try_send_request(request);
        *slot = Slot::Busy(sender);
        response
    }

    /// Ready after too many interim responses.
    pub(super) fn poll_interim_exceeded(&self, cx: &Context<'_>) -> Poll<()> {
        self.interim.poll_exceeded(cx)
    }

    /// Ends an exchange whose response was read to its end. Returns whether the next one can start at
    /// once; if not, [`settle`](Http1::settle) has to be called.
    pub(super) fn finish(&self) -> bool {
        let mut slot = self.slot.lock();
        match mem::replace(&mut *slot, Slot::Lost) {
            Slot::Busy(sender) if sender.is_ready() => *slot = Slot::Free(sender),
            other => *slot = other,
        }
        !matches!(&*slot, Slot::Busy(_))
    }

    /// Waits until the next exchange can start: when the last request has been sent.
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

    /// Drops the sender, so that the connection ends and takes no more exchanges.
    pub(super) fn lose(&self) {
        let slot = mem::replace(&mut *self.slot.lock(), Slot::Lost);
        drop(slot);
    }
}

/// Makes a connection and the future that drives it.
pub(super) async fn handshake<T>(
    io: T,
    written: Written,
    signs: Signs,
    head: HeadLimits,
) -> hyper::Result<(Http1, impl Future<Output = ()> + Send + 'static)>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = head.of_http1(&mut http1::Builder::new()).handshake(io).await?;
    let slot = Arc::new(Mutex::new(Slot::Free(sender)));
    let end = End(slot.clone());
    let driver = async move {
        // Dropped after the connection, even if this future is dropped.
        let _end = end;
        // An exchange in progress learns of the error, too. hyper also calls it incomplete when a
        // connection ends that was never used.
        let has_failed =
            |error: hyper::Error| !error.is_incomplete_message() && broken::is_failure(&error);
        if connection.with_upgrades().await.is_err_and(has_failed) {
            signs.fail();
        }
    };
    Ok((Http1 { slot, written, interim: Interim::new() }, driver))
}

/// The end of a connection's driver.
///
/// A request that is sent just as the driver ends may remain in the channel, which is cleared when
/// its only sender is dropped. A sender that is not busy is kept: it fails the next request by
/// itself.
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
