//! Bytes relayed as they are, in both directions, until either end or the permission ends.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes};

/// Relays between the program and the server; `first` was read from the program already.
///
/// # Errors
/// The first error of either leg.
pub(crate) async fn relay<A, S>(agent: &mut A, server: &mut S, first: &[u8]) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    server.write_all(first).await?;
    server.flush().await?;
    copy_bidirectional_with_sizes(agent, server, BUFFER, BUFFER).await.map(drop)
}

const BUFFER: usize = 32 << 10;
