//! The target of calls.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version, header, request};

use super::builder::Settings;

/// The server and the program that each call on a connection names.
#[derive(Debug)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    user_agent: HeaderValue,
}

/// As gRPC's protocol has it: the language, the variant and its version.
const USER_AGENT: &str = concat!("grpc-rust-wharf/", env!("CARGO_PKG_VERSION"));

impl Target {
    /// Makes the target of a URI that was checked.
    pub(super) fn of(uri: &Uri, settings: &Settings) -> Self {
        let parts = uri.clone().into_parts();
        Target {
            scheme: parts.scheme.expect("it was checked"),
            authority: parts.authority.expect("it was checked"),
            user_agent: user_agent(settings.user_agent.as_deref()),
        }
    }

    /// Returns the head of a call as it is sent.
    pub(super) fn address<B>(&self, head: &request::Parts, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri(head.uri.path_and_query());
        *request.headers_mut() = head.headers.clone();
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        request
    }

    fn uri(&self, path: Option<&PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.cloned().unwrap_or(PathAndQuery::from_static("/")));
        Uri::from_parts(parts).expect("it has all its parts")
    }
}

fn user_agent(program: Option<&str>) -> HeaderValue {
    match program {
        None => HeaderValue::from_static(USER_AGENT),
        Some(program) => {
            HeaderValue::try_from(format!("{program} {USER_AGENT}")).expect("it was checked")
        }
    }
}
