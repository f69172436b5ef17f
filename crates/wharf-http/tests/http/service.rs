//! The client as a service of tower's.

use std::future::poll_fn;

use tower_http::follow_redirect::FollowRedirect;
use tower_service::Service;
use wharf_http::Error;

use crate::support::*;

#[tokio::test]
async fn a_client_is_a_service_by_value_and_by_reference() {
    let server = Server::start(HTTP1).await;
    let client = plain(1);
    let (mut owned, mut shared) = (client.clone(), &client);
    poll_fn(|cx| Service::<hyper::Request<String>>::poll_ready(&mut owned, cx)).await.unwrap();
    let response = owned.call(get(&server.url("/a"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body, "GET /a");
    let response = shared.call(get(&server.url("/b"))).await.unwrap();
    // Where it was called.
    assert!(client.pool().loans()[0].place.file().ends_with("service.rs"));
    assert_eq!(read(response).await.unwrap().body, "GET /b");
    assert!(matches!(shared.call(get("/no/host")).await, Err(Error::Request(_))));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_layer_follows_redirects_and_each_step_gives_its_connection_back() {
    let server = Server::raw(|_, mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            let is_last = buffer[..n].starts_with(b"GET /3");
            let next = buffer[5] + 1;
            let answer = if is_last {
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere".to_owned()
            } else {
                let head = "HTTP/1.1 302 Found\r\nContent-Length: 5\r\nLocation: /";
                format!("{head}{}\r\n\r\nthere", char::from(next))
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = plain(1);
    let mut layered = FollowRedirect::new(client.clone());
    // With a cap of one, an answer that kept its connection would keep the next one waiting.
    let response = layered.call(get(&server.url("/0"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body, "here");
    assert_eq!((server.connections(), settled(&client).await.idle), (1, 1));
}
