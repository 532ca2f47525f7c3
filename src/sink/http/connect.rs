//! Connections for the HTTP client: through the seam of the network, with TLS
//! on top.
//!
//! A name is resolved anew for every connection. HTTP/2 is spoken where ALPN
//! agrees on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection as Described};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::seam::{Address, Connection, Network};

/// A far end that does not answer by then, TLS included, is down.
const CONNECT_DURATION_MAX: Duration = Duration::from_secs(10);

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    network: Arc<dyn Network>,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(super) fn new(network: Arc<dyn Network>, tls: Option<rustls::ClientConfig>) -> Connector {
        Connector {
            network,
            tls: tls.map(|config| Arc::new(config).into()),
        }
    }

    async fn connect(self, uri: Uri) -> io::Result<Stream> {
        let host = uri.host().unwrap_or_default();
        let default_port = if self.tls.is_some() { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let address = Address::Tcp(format!("{host}:{port}"));
        let plain = self.network.connect(&address).await?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::new(plain, false));
        };
        let name = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = tls.connect(name, plain).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::new(Box::new(stream), http2))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.clone().connect(uri);
        Box::pin(async {
            tokio::time::timeout(CONNECT_DURATION_MAX, connecting)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        })
    }
}

/// An open connection, encrypted or not.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Connection>>,
    http2: bool,
}

impl Stream {
    fn new(connection: Box<dyn Connection>, http2: bool) -> Stream {
        Stream {
            io: TokioIo::new(connection),
            http2,
        }
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut TokioIo<Box<dyn Connection>>> {
        Pin::new(&mut self.get_mut().io)
    }
}

impl Described for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(context, slices)
    }
}
