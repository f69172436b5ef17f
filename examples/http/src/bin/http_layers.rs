//! Layers around the HTTP client: redirects are followed and answers decompressed, by tower-http.
//!
//! Run: `cargo run -p example-http --bin http_layers`. The server is in this process: `/old` leads to
//! `/new`, whose answer is compressed. It prints
//!
//! ```text
//! the client alone: 302 Found
//! with its layers: 200 OK, "This page has moved, and is compressed.\n"
//! connections: 1
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderValue, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_http::decompression::Decompression;
use tower_http::follow_redirect::FollowRedirect;
use tower_service::Service;
use wharf_http::Client;

/// What the server sends, as gzip has it.
const COMPRESSED: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 11, 201, 200, 44, 86, 40, 72, 76, 79, 85, 200, 72, 44, 86,
    200, 205, 47, 75, 77, 209, 81, 72, 204, 75, 81, 0, 10, 39, 231, 231, 22, 20, 165, 22, 23, 167,
    166, 232, 113, 1, 0, 157, 222, 182, 234, 40, 0, 0, 0,
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = serve().await?;
    let client = Client::builder().max_per_host(4).build()?;
    let request = || Request::get(format!("http://{server}/old")).body(Empty::<Bytes>::new());

    let response = client.request(request()?).await?;
    println!("the client alone: {}", response.status());
    drop(response);

    // The outermost first. A client is a service, and a clone of it the same client.
    let mut layered = FollowRedirect::new(Decompression::new(client.clone()));
    let response = layered.call(request()?).await?;
    let status = response.status();
    let page = response.into_body().collect().await?.to_bytes();
    println!("with its layers: {status}, {:?}", std::str::from_utf8(&page)?);
    println!("connections: {}", client.pool().status().dials);
    Ok(())
}

async fn serve() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let http1 = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http1.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if request.uri().path() == "/old" {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/new"));
        return Ok(response);
    }
    // tower-http says that it takes gzip.
    assert_eq!(request.headers()["accept-encoding"], "gzip");
    *response.body_mut() = Full::from(COMPRESSED);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(response)
}
