//! URIs that name a Unix socket: `http://unix:/run/docker.sock:/v1/info`.
//!
//! It is the form of nginx (`proxy_pass`) and of Node's `got`. What follows the socket's path and a
//! colon is what is asked of the server. There is no form of that kind without a scheme that the crate
//! `http` would read.

/// The path of the socket and what is asked for, from the parts of a URI. `None` where the authority is
/// that of a host.
pub(crate) fn unix_socket<'a>(authority: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    if authority != "unix:" {
        return None;
    }
    Some(path.split_once(':').unwrap_or((path, "/")))
}
