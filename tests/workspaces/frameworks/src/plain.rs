//! hyper alone: a plain `service_fn`, and a connection for each version of HTTP.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_http::{Error, SessionExt, SessionLayer};
use tokio::net::TcpListener;

async fn visits(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Error> {
    let session = request.session().await?;
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    Ok(Response::new(format!("visit {visits}").into()))
}

/// Serves HTTP/1 until the listener fails.
pub async fn serve_http1(listener: TcpListener, sessions: SessionLayer) -> io::Result<Infallible> {
    let service = sessions.layer(service_fn(visits));
    loop {
        let (stream, _) = listener.accept().await?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection);
    }
}

/// Serves HTTP/2 until the listener fails.
pub async fn serve_http2(listener: TcpListener, sessions: SessionLayer) -> io::Result<Infallible> {
    let service = sessions.layer(service_fn(visits));
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service.clone()));
    }
}
