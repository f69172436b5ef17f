//! What the pool writes to the log.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Subscriber};
use tracing_subscriber::fmt::format::FmtSpan;

/// What was written to the log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// With a line at the end of each span.
    pub(crate) fn subscriber(&self, level: Level) -> impl Subscriber + Send + Sync + use<> {
        self.written(level, FmtSpan::CLOSE)
    }

    pub(crate) fn without_spans(&self, level: Level) -> impl Subscriber + Send + Sync + use<> {
        self.written(level, FmtSpan::NONE)
    }

    fn written(&self, level: Level, spans: FmtSpan) -> impl Subscriber + Send + Sync + use<> {
        // While there is one subscriber only, a line that another test's thread comes to first is off for
        // all: there it asks that thread, which has none.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .without_time()
            .with_ansi(false)
            .with_span_events(spans)
            .with_max_level(level)
            .finish()
    }

    /// The lines written since it was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }
}
