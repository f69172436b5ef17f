//! Figures as people read them.

use std::fmt::Display;
use std::time::Duration;

/// `12,345`.
pub(crate) fn count(number: impl Display) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// `0.45 ms`, `12.3 ms`, `1.2 s`.
pub(crate) fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..100.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

/// A bar that is `width` columns long for `most`.
pub(crate) fn bar(value: f64, most: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = eighths(value / most, width);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// A share of so many columns, in eighths of a column, rounded up.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped.
pub(crate) fn eighths(share: f64, columns: usize) -> usize {
    let all = (8 * columns) as f64;
    (share * all).ceil().clamp(0.0, all) as usize
}
