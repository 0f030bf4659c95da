//! What carries the bytes of a connection: TCP alone, or TLS over it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::refusal::BoxError;
#[cfg(feature = "bind")]
use crate::tls::Tls;

/// The bytes of one connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

#[derive(Clone)]
pub(crate) enum Transport {
    Tcp,
    #[cfg(feature = "bind")]
    Tls(Tls),
}

impl Transport {
    #[cfg(feature = "bind")]
    pub(crate) fn tls() -> Result<Self, BoxError> {
        Ok(Self::Tls(Tls::new()?))
    }

    #[cfg(not(feature = "bind"))]
    pub(crate) fn tls() -> Result<Self, BoxError> {
        Err(
            "this guestbook was built without bind; run this instead:\n\n    \
             cargo run -p guestbook --features bind -- --bind\n"
                .into(),
        )
    }

    /// What a person types into a browser to get here.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        match self {
            Self::Tcp => format!("http://{address}"),
            // The certificate is for this name.
            #[cfg(feature = "bind")]
            Self::Tls(_) => format!("https://localhost:{}", address.port()),
        }
    }

    /// Prepares a connection for its first request.
    pub(crate) async fn open(&self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp => Ok(Box::new(stream)),
            #[cfg(feature = "bind")]
            Self::Tls(tls) => Ok(Box::new(tls.accept(stream).await?)),
        }
    }
}
