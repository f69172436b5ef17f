//! URIs that name a Unix socket: `http://unix:/run/docker.sock:/v1/info`.
//!
//! nginx (`proxy_pass`) and Node's `got` use this form. The path of the request follows the
//! socket's path and a colon. A form without a scheme is not supported, because the crate `http`
//! would not parse it.

/// Splits the parts of a URI that names a Unix socket, `http://unix:/run/docker.sock:/v1/info`, into
/// the path of the socket and the path of the request. `None` if the authority is that of a host.
///
/// nginx (`proxy_pass`) and Node's `got` write it so.
///
/// # Examples
///
/// ```
/// use wharf::transport::unix_socket;
///
/// let split = unix_socket("unix:", "/run/docker.sock:/v1/info");
/// assert_eq!(split, Some(("/run/docker.sock", "/v1/info")));
/// assert_eq!(unix_socket("example.com:80", "/"), None);
/// ```
pub fn unix_socket<'a>(authority: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    if authority != "unix:" {
        return None;
    }
    Some(path.split_once(':').unwrap_or((path, "/")))
}
