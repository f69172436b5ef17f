//! Proxies for a test: they lead to real servers, and note what they were asked.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A server that has each of its connections handled so.
pub(crate) async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// Reads the head of a request, up to its empty line.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn pass_on(mut from: TcpStream, to: SocketAddr) {
    let mut to = TcpStream::connect(to).await.unwrap();
    let _ = copy_bidirectional(&mut from, &mut to).await;
}

/// A proxy that leads all tunnels to one server.
pub(crate) struct TestProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    /// An HTTP proxy that answers the first requests with these, and then permits tunnels.
    pub(crate) async fn http(to: SocketAddr, answers: impl Into<Vec<&'static str>>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (notes, answers) = (asked.clone(), Arc::new(Mutex::new(answers.into().into_iter())));
        let address = serve(move |mut stream| {
            let (notes, answers) = (notes.clone(), answers.clone());
            async move {
                let head = read_head(&mut stream).await;
                notes.lock().unwrap().push(head);
                let answer = answers.lock().unwrap().next();
                let is_open = answer.is_none_or(|answer| answer.split(' ').nth(1) == Some("200"));
                let answer = answer.unwrap_or("HTTP/1.1 200 Connection established\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                if is_open {
                    pass_on(stream, to).await;
                } else {
                    let _ = stream.read_u8().await;
                }
            }
        });
        TestProxy { address: address.await, asked }
    }

    /// A SOCKS5 proxy that wants this user and password, if any, and gives this reply.
    pub(crate) async fn socks5(
        to: SocketAddr,
        user: Option<(&'static str, &'static str)>,
        reply: u8,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        let address = serve(move |mut stream| {
            let notes = notes.clone();
            async move {
                if greet(&mut stream, user).await.is_none() {
                    return;
                }
                let Some(wanted) = read_socks_request(&mut stream).await else { return };
                notes.lock().unwrap().push(wanted);
                let answer = [5, reply, 0, 1, 127, 0, 0, 1, 0, 80];
                let _ = stream.write_all(&answer).await;
                if reply == 0 {
                    pass_on(stream, to).await;
                }
            }
        });
        TestProxy { address: address.await, asked }
    }

    /// What it was asked: heads of requests, or destinations.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Agrees on the method, and checks user and password. `None` if the client is refused.
async fn greet(stream: &mut TcpStream, user: Option<(&str, &str)>) -> Option<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.ok()?;
    let mut methods = vec![0; head[1].into()];
    stream.read_exact(&mut methods).await.ok()?;
    let wanted = if user.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        let _ = stream.write_all(&[5, 255]).await;
        return None;
    }
    stream.write_all(&[5, wanted]).await.ok()?;
    let Some((user, password)) = user else { return Some(()) };
    stream.read_u8().await.ok()?;
    let is_right = read_text(stream).await? == user && read_text(stream).await? == password;
    stream.write_all(&[1, u8::from(!is_right)]).await.ok()?;
    is_right.then_some(())
}

async fn read_text(stream: &mut TcpStream) -> Option<String> {
    let mut text = vec![0; stream.read_u8().await.ok()?.into()];
    stream.read_exact(&mut text).await.ok()?;
    String::from_utf8(text).ok()
}

/// The destination, as `name:port`, or as `<address>:port`.
async fn read_socks_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let name = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await.ok()?;
            format!("<{}>", std::net::Ipv4Addr::from(ip))
        }
        3 => read_text(stream).await?,
        _ => {
            let mut ip = [0; 16];
            stream.read_exact(&mut ip).await.ok()?;
            format!("<{}>", std::net::Ipv6Addr::from(ip))
        }
    };
    Some(format!("{name}:{}", stream.read_u16().await.ok()?))
}
