//! The client: asks the proxy for everything, and prints what came back.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wharf_http::{Client, PooledBody};

use crate::Failure;
use crate::forward::MAX_STALL;
use crate::upstreams::{OWN, names};

pub(crate) async fn ask_for_everything(proxy: SocketAddr) -> Result<(), Failure> {
    let client = Client::new();
    hello(&client, proxy).await?;
    echo(proxy).await?;
    for path in ["/dead/", "/reset/", "/silent/", "/coded/"] {
        println!("GET {path} -> {}", said(get(&client, proxy, path).await?).await?);
    }
    coded(proxy).await?;
    crowd(&client, proxy).await?;
    for path in ["/cut/", "/stuck/"] {
        broken(&client, proxy, path).await?;
    }
    stall(&client, proxy).await
}

async fn get(
    client: &Client,
    proxy: SocketAddr,
    path: &str,
) -> Result<Response<PooledBody>, Failure> {
    let request = Request::get(format!("http://{proxy}{path}")).body(Empty::<Bytes>::new())?;
    Ok(client.request(request).await?)
}

/// The status, and the text if there is one.
async fn said(response: Response<PooledBody>) -> Result<String, Failure> {
    let status = response.status().as_u16();
    let after = match response.headers().get(RETRY_AFTER) {
        Some(after) => format!(" (retry-after: {})", after.to_str()?),
        None => String::new(),
    };
    let body = response.into_body().collect().await?.to_bytes();
    let text = std::str::from_utf8(&body)?.trim_end();
    let comma = if text.is_empty() { "" } else { ", " };
    Ok(format!("{status}{after}{comma}{text}"))
}

/// Sends and prints headers that concern one connection only, and one that does not.
async fn hello(client: &Client, proxy: SocketAddr) -> Result<(), Failure> {
    let request = Request::get(format!("http://{proxy}/good/hello"))
        .header("connection", "keep-alive, x-hop")
        .header("keep-alive", "timeout=5")
        .header("proxy-authorization", "Basic c2VjcmV0")
        .header("te", "trailers")
        .header("x-hop", "1")
        .header("x-real-ip", "192.0.2.1")
        .header("x-request-id", "42")
        .header("x_forwarded_for", "192.0.2.1")
        .body(Empty::<Bytes>::new())?;
    let sent = names(request.headers());
    let response = client.request(request).await?;
    let (status, returned) = (response.status().as_u16(), names(response.headers()));
    let arrived = response.into_body().collect().await?.to_bytes();
    println!("GET /good/hello -> {status}");
    println!("  sent:     {sent}");
    println!("  arrived:  {}", std::str::from_utf8(&arrived)?);
    println!("  answered: {}", OWN.map(|(name, _)| name).join(", "));
    println!("  returned: {returned}");
    Ok(())
}

/// Sends a body in two pieces, the second after the first has come back.
async fn echo(proxy: SocketAddr) -> Result<(), Failure> {
    let head =
        "POST /good/echo HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = begin(proxy, head).await?;
    let mut answer = Vec::new();
    for piece in ["one", "two"] {
        stream.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await?;
        while !answer.windows(3).any(|bytes| bytes == piece.as_bytes()) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the proxy ended the connection".into());
            }
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    let status = std::str::from_utf8(&answer[9..12])?;
    println!("POST /good/echo -> {status}, and each piece came back before the next was sent");
    Ok(())
}

/// Sends a body in a coding that the proxy cannot pass on.
async fn coded(proxy: SocketAddr) -> Result<(), Failure> {
    let head = "POST /good/hello HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: gzip, chunked\r\n\r\n";
    let mut stream = begin(proxy, head).await?;
    println!("POST /good/hello, gzip and chunked -> {}", status(&mut stream).await?);
    Ok(())
}

async fn status(stream: &mut TcpStream) -> Result<String, Failure> {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(std::str::from_utf8(&answer[9..])?.to_owned())
}

/// Connects, and sends this.
async fn begin(proxy: SocketAddr, head: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Has clients stall: one sends only the head of a large request, one of a short one, one does not read its large response.
async fn stall(client: &Client, proxy: SocketAddr) -> Result<(), Failure> {
    let upload = "POST /good/save HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100000\r\n\r\n";
    let short = "POST /good/save HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1\r\n\r\n";
    let download = "GET /good/large HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let (mut upload, mut short) = (begin(proxy, upload).await?, begin(proxy, short).await?);
    let _download = begin(proxy, download).await?;
    sleep(Duration::from_millis(200)).await;
    let meanwhile = said(get(client, proxy, "/good/slow").await?).await?;
    println!("3 clients stall, GET /good/slow -> {meanwhile}");
    sleep(2 * MAX_STALL).await;
    let later = said(get(client, proxy, "/good/slow").await?).await?;
    println!("{:?} later, GET /good/slow -> {later}", 2 * MAX_STALL);
    let (upload, short) = (status(&mut upload).await?, status(&mut short).await?);
    println!("  the stalled uploads, 100000 bytes and 1 -> {upload}, {short}");
    Ok(())
}

/// Sends more requests at once than the proxy may have connections.
async fn crowd(client: &Client, proxy: SocketAddr) -> Result<(), Failure> {
    let mut requests = JoinSet::new();
    for _ in 0..3 {
        let client = client.clone();
        requests.spawn(async move { said(get(&client, proxy, "/good/slow").await?).await });
    }
    let mut all = requests.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    println!("3 x GET /good/slow -> {}", all.join(", "));
    Ok(())
}

/// Asks for a body that does not come whole.
async fn broken(client: &Client, proxy: SocketAddr, path: &str) -> Result<(), Failure> {
    let response = get(client, proxy, path).await?;
    let status = response.status().as_u16();
    let what = match response.into_body().collect().await {
        Ok(_) => "is whole",
        Err(_) => "broke off",
    };
    println!("GET {path} -> {status}, and the answer {what}");
    Ok(())
}
