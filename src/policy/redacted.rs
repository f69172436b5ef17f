//! URLs as errors and logs show them.

use std::fmt;

/// Shows a URL (or a string that was meant to be one) without its secrets: user and password, query
/// and fragment are replaced by three asterisks. Its `Debug` is that of the string.
///
/// For [`fmt_key`](crate::Connector::fmt_key) and the errors of a connector whose keys are URLs.
///
/// # Examples
///
/// ```
/// use wharf::connector::Redacted;
///
/// let url = "amqp://app:secret@queue.example/orders?token=abc";
/// assert_eq!(Redacted(url).to_string(), "amqp://***@queue.example/orders?***");
/// ```
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { scheme, has_user, rest, query } = Parts::of(self.0);
        write!(f, "{scheme}{}{rest}", if has_user { "***@" } else { "" })?;
        if let Some(sign) = query { write!(f, "{sign}***") } else { Ok(()) }
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

struct Parts<'a> {
    /// The scheme with its `://`.
    scheme: &'a str,
    has_user: bool,
    /// Host, port and path.
    rest: &'a str,
    /// The character that starts the query or the fragment.
    query: Option<char>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
        let user = end_of_user(rest);
        let rest = &rest[user.map_or(0, |at| at + 1)..];
        let end = rest.find(['?', '#']);
        let query = end.and_then(|at| rest[at..].chars().next());
        Parts { scheme, has_user: user.is_some(), rest: &rest[..end.unwrap_or(rest.len())], query }
    }
}

/// Finds the last `@` of the authority. A password that contains a slash makes the authority
/// invalid: its first half then shows up as a port that is not a number. In that case everything up
/// to the last `@` of the URL is taken for credentials.
fn end_of_user(rest: &str) -> Option<usize> {
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']'));
    let is_port = port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    authority.rfind('@').or_else(|| rest.rfind('@').filter(|_| !is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_redacted_and_nothing_else() {
        for (url, shown) in [
            ("ws://example.com", "ws://example.com"),
            ("wss://example.com:8080/a/b", "wss://example.com:8080/a/b"),
            ("wss://[::1]:8443/", "wss://[::1]:8443/"),
            ("wss://example.com/@alice", "wss://example.com/@alice"),
            ("wss://[::1]/@alice", "wss://[::1]/@alice"),
            ("wss://example.com/a?token=secret", "wss://example.com/a?***"),
            ("wss://example.com?token=secret#part", "wss://example.com?***"),
            ("wss://example.com/a#secret", "wss://example.com/a#***"),
            ("ws://me:secret@example.com/a", "ws://***@example.com/a"),
            ("ws://secret@example.com:80", "ws://***@example.com:80"),
            ("ws://me:se@cret@example.com", "ws://***@example.com"),
            ("ws://me:se/cret@example.com", "ws://***@example.com"),
            ("ws://me:se?cret@example.com/?a", "ws://***@example.com/?***"),
            ("ws://me:se#cret@example.com", "ws://***@example.com"),
            ("me:secret@example.com:80", "***@example.com:80"),
            ("cache.example:6379", "cache.example:6379"),
            ("no url", "no url"),
            ("/path?token=secret", "/path?***"),
            ("", ""),
        ] {
            assert_eq!(Redacted(url).to_string(), shown);
            assert_eq!(format!("{:?}", Redacted(url)), format!("{shown:?}"));
        }
    }
}
