//! The system's authorities. Which these are is told to a process when it starts, so each case has a
//! process of its own: this test's program, which is started again to dial.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};
use wharf_http::Client;

use crate::support::*;

/// Where the process that was started again dials.
const URL: &str = "WHARF_TEST_URL";

/// An authority in PEM, and a server whose certificate is signed by it.
async fn company() -> (String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&issuer_key).unwrap();
    let issuer = Issuer::new(params, issuer_key);
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let signed = names.signed_by(&key, &issuer).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    (authority.pem(), url)
}

/// What a program says that trusts the authorities of this file and no others.
async fn dial_trusting(authorities: &str, url: &str) -> String {
    let file = env::temp_dir().join(format!("wharf-{}-authorities.pem", std::process::id()));
    fs::write(&file, authorities).unwrap();
    let mut program = Command::new(env::current_exe().unwrap());
    program
        .args([
            "--exact",
            "trust::a_companys_own_authority_is_trusted_and_none_is_an_error",
            "--nocapture",
        ])
        .env(URL, url)
        .env("SSL_CERT_FILE", &file)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap());
    let output = within_a_minute(output).await.unwrap();
    fs::remove_file(&file).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Dials as a program does that sets nothing, and says what came of it.
async fn dial(url: String) {
    let request = hyper::Request::get(url).body(String::new()).unwrap();
    match within_a_minute(Client::new().request(request)).await {
        Ok(response) => println!("answered: {}", response.status()),
        Err(error) => println!("failed: {}", chain(&error)),
    }
}

#[tokio::test]
async fn a_companys_own_authority_is_trusted_and_none_is_an_error() {
    if let Ok(url) = env::var(URL) {
        return dial(url).await;
    }
    let (authority, url) = company().await;
    let (stranger, _) = company().await;

    let said = dial_trusting(&authority, &url).await;
    assert!(said.contains("answered: 204"), "{said}");
    let said = dial_trusting(&stranger, &url).await;
    assert!(said.contains("invalid peer certificate: "), "{said}");
    let said = dial_trusting("", &url).await;
    assert!(said.contains("no certificate authorities were found on this system"), "{said}");
    assert!(said.contains("SSL_CERT_FILE"), "{said}");
}
