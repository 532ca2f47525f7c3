//! A TCP connection that the runtime watches only while it is waited for.

use std::io;
use std::net::TcpStream as Bare;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;

use super::{Connection, fill};

/// A connection that a peer has made. A watched socket wakes a thread with every
/// packet, whether or not anybody waits for it; where the peer is ahead of the
/// reader, that was a tenth of tflog's time, and more in waking it.
pub(super) struct Accepted(Option<Socket>);

enum Socket {
    Watched(TcpStream),
    /// The last read was filled whole: there is more.
    Ahead(Bare),
}

impl Accepted {
    pub(super) fn new(stream: TcpStream) -> Accepted {
        Accepted(Some(Socket::Watched(stream)))
    }

    /// The socket, watched from now on.
    fn watched(&mut self) -> io::Result<&mut TcpStream> {
        let watched = match self.0.take() {
            Some(Socket::Watched(stream)) => stream,
            Some(Socket::Ahead(stream)) => TcpStream::from_std(stream)?,
            None => return Err(lost()),
        };
        match self.0.insert(Socket::Watched(watched)) {
            Socket::Watched(stream) => Ok(stream),
            Socket::Ahead(_) => Err(lost()),
        }
    }

    fn unwatch(&mut self) -> io::Result<()> {
        if let Some(Socket::Watched(stream)) = self.0.take() {
            self.0 = Some(Socket::Ahead(stream.into_std()?));
        }
        Ok(())
    }
}

/// Where it could not be given to the runtime, or taken from it, before.
fn lost() -> io::Error {
    io::Error::other("the socket could not be watched")
}

impl Connection for Accepted {
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        while let Some(Socket::Ahead(stream)) = &self.0 {
            // As every read of a watched socket does: others have their turn too.
            ready!(pin!(consume_budget()).poll(context));
            match recv(
                stream,
                rustix::buffer::spare_capacity(into),
                RecvFlags::empty(),
            ) {
                Ok((_, read)) => return Poll::Ready(Ok(read)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => _ = self.watched()?,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let room = into.capacity() - into.len();
        let read = ready!(fill(self.watched()?, context, into))?;
        if read == room && room > 0 {
            self.unwatch()?;
        }
        Poll::Ready(Ok(read))
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.watched()?).poll_read(context, into)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.watched()?).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.watched()?).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.watched()?).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.watched()?).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Accepted) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (
            peer.expect("open"),
            Accepted::new(accepted.expect("open").0),
        )
    }

    async fn read(connection: &mut Accepted, room: usize) -> Vec<u8> {
        let mut into = Vec::with_capacity(room);
        let read = poll_fn(|context| connection.poll_fill(context, &mut into)).await;
        assert_eq!(read.expect("open"), into.len());
        into
    }

    fn is_watched(connection: &Accepted) -> bool {
        matches!(connection.0, Some(Socket::Watched(_)))
    }

    /// It is watched whenever it is waited for, and bytes come in order whichever
    /// way they are read.
    #[tokio::test]
    async fn what_is_waited_for_is_watched() {
        let (mut peer, mut connection) = pair().await;
        assert!(is_watched(&connection));
        let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let (first, rest) = sent.split_at(300_000);
        peer.write_all(first).await.expect("open");
        let mut heard = read(&mut connection, 1000).await;
        assert!(!is_watched(&connection), "there is more");
        while heard.len() < first.len() {
            heard.extend(read(&mut connection, 70_000).await);
        }
        let write = async {
            // The other side waits by now, or will find it there.
            tokio::task::yield_now().await;
            peer.write_all(rest).await.expect("open");
        };
        let hear = async {
            while heard.len() < sent.len() {
                heard.extend(read(&mut connection, 70_000).await);
            }
        };
        tokio::join!(write, hear);
        assert!(heard == sent);
        peer.write_all(b"the end").await.expect("open");
        assert_eq!(read(&mut connection, 7).await, b"the end");
        drop(peer);
        assert_eq!(read(&mut connection, 7).await, b"");
    }

    /// Who reads and writes it otherwise finds it watched.
    #[tokio::test]
    async fn both_ways_work_after_it_was_ahead() {
        let (mut peer, mut connection) = pair().await;
        peer.write_all(b"question").await.expect("open");
        assert_eq!(read(&mut connection, 5).await, b"quest");
        assert!(!is_watched(&connection));
        connection.write_all(b"answer").await.expect("open");
        assert!(is_watched(&connection));
        let mut rest = [0; 3];
        connection.read_exact(&mut rest).await.expect("open");
        assert_eq!(&rest, b"ion");
        connection.shutdown().await.expect("open");
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.expect("open");
        assert_eq!(heard, "answer");
    }
}
