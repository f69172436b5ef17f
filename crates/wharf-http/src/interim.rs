//! The interim (1xx) responses of an HTTP/1.1 exchange.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::{Extensions, Request, StatusCode};
use parking_lot::Mutex;

use super::upload::Upload;

/// The most interim responses before the final one. A server sends a `100 Continue` and perhaps a few
/// early hints, but hyper reads on as long as they come. Go allowed five until version 1.24 and has
/// bounded their bytes since; hyper only lets us count, and eight leaves room for a few more hints.
pub(super) const MAX_INTERIM: usize = 8;

/// Counts the interim responses of a connection's current exchange.
pub(super) struct Interim {
    heard: Arc<Heard>,
    /// The extension that makes hyper report interim responses. It is made once, because one
    /// connection carries one exchange at a time.
    listening: Extensions,
}

#[derive(Default)]
struct Heard {
    count: AtomicUsize,
    caller: AtomicWaker,
    upload: Mutex<Option<Arc<Upload>>>,
}

impl Heard {
    fn note(&self, status: StatusCode) {
        if status == StatusCode::CONTINUE {
            if let Some(upload) = &*self.upload.lock() {
                upload.open();
            }
        }
        if self.count.fetch_add(1, Relaxed) >= MAX_INTERIM {
            self.caller.wake();
        }
    }
}

impl Interim {
    pub(super) fn new() -> Self {
        let heard = Arc::new(Heard::default());
        let mut request = Request::new(());
        let of_hyper = heard.clone();
        hyper::ext::on_informational(&mut request, move |response| {
            of_hyper.note(response.status());
        });
        Interim { heard, listening: request.into_parts().0.extensions }
    }

    /// Starts to count for a request. `upload` is the body that waits for a `100 Continue`, if any.
    pub(super) fn begin<B>(&self, request: &mut Request<B>, upload: Option<Arc<Upload>>) {
        self.heard.count.store(0, Relaxed);
        *self.heard.upload.lock() = upload;
        request.extensions_mut().extend(self.listening.clone());
    }

    /// Ready after too many.
    pub(super) fn poll_exceeded(&self, cx: &Context<'_>) -> Poll<()> {
        self.heard.caller.register(cx.waker());
        let is_exceeded = self.heard.count.load(Relaxed) > MAX_INTERIM;
        if is_exceeded { Poll::Ready(()) } else { Poll::Pending }
    }
}
