//! A browser without a window, for pages that are served on the loopback interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::package::{CHROMIUM, program};

/// What a page may take of its own time, in milliseconds. It passes as fast as the page's timers and requests allow.
const PAGE_TIME: u32 = 15_000;

/// Where the browser is.
pub(crate) fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(program)
}

/// Whether a test can start one. If not, the test is named as skipped.
pub fn is_installed_or_skip() -> bool {
    CHROMIUM.is_installed_or_skip()
}

/// Opens a page, lets it run for some seconds of its own time, and returns its document as it is then.
pub fn document(url: &str) -> String {
    run(&["--dump-dom", url])
}

/// Opens a page, lets it run, and writes a picture of it.
pub fn picture(url: &str, (width, height): (u32, u32), into: &Path) {
    run(&[
        &format!("--screenshot={}", into.display()),
        &format!("--window-size={width},{height}"),
        "--hide-scrollbars",
        url,
    ]);
}

fn run(args: &[&str]) -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    assert!(CHROMIUM.is_installed(), "{}", CHROMIUM.is_missing());
    let nth = STARTED.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("wharf-browser-{}-{nth}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // One that hangs ends after two minutes.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", "120"]).arg(chromium().unwrap());
    command.arg(format!("--user-data-dir={}", folder.display()));
    command.arg(format!("--virtual-time-budget={PAGE_TIME}"));
    // It sees pages of these tests only, and as root there is no sandbox.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-quic"]);
    command.args(["--disable-component-update", "--disable-sync"]);
    let output = command.args(args).env("HOME", &folder).output().unwrap();
    let _ = fs::remove_dir_all(&folder);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
