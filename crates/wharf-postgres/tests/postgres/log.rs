//! What is logged in the thread of one test, by `log` and by `tracing`.

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use tracing_subscriber::fmt::MakeWriter;

/// Only threads that asked are in it.
static LINES: Mutex<Option<HashMap<ThreadId, String>>> = Mutex::new(None);

pub(crate) struct Log(ThreadId);

impl Log {
    /// From now on, what this thread logs is kept. A test's runtime of one thread has all its tasks there.
    pub(crate) fn begin() -> Self {
        static SET: Once = Once::new();
        SET.call_once(|| {
            log::set_logger(&Lines).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
            let subscriber =
                tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            let subscriber = subscriber.with_writer(Lines);
            tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        });
        let thread = thread::current().id();
        with_lines(|lines| lines.insert(thread, String::new()));
        Log(thread)
    }

    pub(crate) fn text(&self) -> String {
        with_lines(|lines| lines[&self.0].clone())
    }
}

fn with_lines<T>(change: impl FnOnce(&mut HashMap<ThreadId, String>) -> T) -> T {
    change(LINES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn add(line: &str) {
    with_lines(|lines| {
        if let Some(text) = lines.get_mut(&thread::current().id()) {
            text.push_str(line);
        }
    });
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        add(&format!("{} {}\n", record.target(), record.args()));
    }

    fn flush(&self) {}
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Lines
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
