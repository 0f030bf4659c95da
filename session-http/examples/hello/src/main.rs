//! Counts the visits of each browser, on a plain hyper server.
//!
//! ```text
//! cargo run -p hello
//! ```

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use session_http::{Error, MemoryStore, SessionExt, SessionLayer, TypedKey};
use tokio::net::TcpListener;

/// The name of an entry and the type of its value.
const VISITS: TypedKey<u64> = TypedKey::new("visits");

async fn visit<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Error> {
    let session = request.session().await?; // loads the session once
    let visits = session
        .at(VISITS)
        .update(|visits| visits.unwrap_or(0) + 1)?;
    Ok(Response::new(format!("visit {visits}\n").into())) // the layer saves it
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let sessions = SessionLayer::new(MemoryStore::new());
    let service = sessions.layer(service_fn(visit));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection);
    }
}

#[cfg(test)]
mod tests;
