//! Responses that nobody reads.

use http_body_util::BodyExt;
use wharf_http::Protocol;

use crate::support::*;

const LARGE: &str = "/bytes/8000000";

#[tokio::test]
async fn responses_that_nobody_reads_hold_up_no_other_request() {
    let server = Server::start(HTTP2).await;
    let client = client(1, |b| b.protocol(Protocol::Http2));
    let mut unread = Vec::new();
    for _ in 0..20 {
        let large = client.request(get(&server.url(LARGE)));
        unread.push(within_a_minute(large).await.unwrap());
    }
    for _ in 0..10 {
        let fetched = within_a_minute(fetch(&client, &server.url("/small"))).await.unwrap();
        assert_eq!(fetched.body, "GET /small");
    }
    for response in unread {
        let body = within_a_minute(response.into_body().collect()).await.unwrap();
        assert_eq!(body.to_bytes().len(), 8_000_000);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_window_that_cannot_be_set_is_told_with_its_name() {
    for window in [0, 16 * 1024 - 1, 1 << 31] {
        let refused = wharf_http::Client::builder().http2_stream_window(window).build();
        let says =
            format!("http2_stream_window is {window}: it must be from 16384 to 2147483647 bytes");
        assert_eq!(refused.unwrap_err().to_string(), says);
    }
}
