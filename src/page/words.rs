//! Numbers and times as the page shows them. `page.js` has the same functions.

use std::time::Duration;

/// `0.3 ms`, `12.5 s` or `3 min`: rounded down.
pub(super) fn time(time: Duration) -> String {
    // By way of seconds, as JSON has them, so that both round alike.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates.
    let micros = (time.as_secs_f64() * 1e6).round() as u64;
    let (millis, secs) = (micros / 1000, micros / 1_000_000);
    match micros {
        0 => "0 s".to_owned(),
        1..1000 => format!("{micros} µs"),
        1000..10_000 => format!("{millis}.{} ms", micros % 1000 / 100),
        10_000..1_000_000 => format!("{millis} ms"),
        1_000_000..60_000_000 => format!("{secs}.{} s", millis % 1000 / 100),
        _ if secs < 3600 => format!("{} min", secs / 60),
        _ if secs < 48 * 3600 => format!("{} h", secs / 3600),
        _ => format!("{} days", secs / (24 * 3600)),
    }
}

/// `12,345`.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 loan` or `2 loans`.
pub(super) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(n as u64), if n == 1 { one } else { many })
}

/// A key in its `Debug` form, without the quotes of a string.
pub(super) fn label(key: &str) -> &str {
    let bare = key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    bare.unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_down_to_a_few_digits() {
        for (micros, words) in [
            (0, "0 s"),
            (1, "1 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (9_999, "9.9 ms"),
            (10_000, "10 ms"),
            (999_999, "999 ms"),
            (1_000_000, "1.0 s"),
            (59_999_999, "59.9 s"),
            (60_000_000, "1 min"),
            (3_599_000_000, "59 min"),
            (3_600_000_000, "1 h"),
            (172_799_000_000, "47 h"),
            (172_800_000_000, "2 days"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), words);
        }
        assert_eq!(time(Duration::MAX), "213503982 days");
    }

    #[test]
    fn a_number_has_its_thousands_separated() {
        for (n, words) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (12345, "12,345"), (9_876_543, "9,876,543")]
        {
            assert_eq!(number(n), words);
        }
    }

    #[test]
    fn a_label_is_a_key_without_the_quotes_of_a_string() {
        for (key, words) in [("\"db-1\"", "db-1"), ("()", "()"), ("\"", "\""), ("7", "7")] {
            assert_eq!(label(key), words);
        }
    }
}
