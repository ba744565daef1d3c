//! The responder on `198.18.0.1:53`, by UDP and TCP (RFC 7766).

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use hickory_proto::op::ResponseCode;
use remit_core::{AccessRequest, Action, ReasonCode, Resource};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

use super::{
    answer::{Asked, Question},
    directory::Directory,
};
use crate::config::SessionNet;

/// Where the session's `resolv.conf` points.
const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 1), 53);

/// Binds the responder and serves.
pub(crate) fn serve_names(
    directory: &Arc<Directory>,
    net: &dyn SessionNet,
) -> io::Result<Vec<JoinHandle<()>>> {
    let datagram = net.datagram(AT)?;
    datagram.set_nonblocking(true)?;
    let datagram = UdpSocket::from_std(datagram)?;
    let listener = net.listen(AT)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let questions = Arc::new(Semaphore::new(MOST_QUESTIONS));
    let udp = serve_udp(Arc::clone(directory), datagram, questions);
    let tcp = serve_tcp(Arc::clone(directory), listener);
    Ok(vec![tokio::spawn(udp), tokio::spawn(tcp)])
}

async fn serve_udp(directory: Arc<Directory>, socket: UdpSocket, questions: Arc<Semaphore>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0u8; 4096];
    loop {
        let received = timeout(QUIET, socket.recv_from(&mut buffer)).await;
        let Ok(received) = received else {
            directory.repeats.flush();
            continue;
        };
        let Ok((count, peer)) = received else { continue };
        let Some(asked) = buffer.get(..count).and_then(Asked::read) else { continue };
        // Questions that wait for a person must not hold up the others.
        let Ok(place) = Arc::clone(&questions).try_acquire_owned() else {
            let _ = socket.send_to(&asked.fail(ResponseCode::Refused, None), peer).await;
            continue;
        };
        let (directory, socket) = (Arc::clone(&directory), Arc::clone(&socket));
        tokio::spawn(async move {
            let answer = answer(&directory, &asked).await;
            let _ = socket.send_to(&answer, peer).await;
            drop(place);
        });
    }
}

async fn serve_tcp(directory: Arc<Directory>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MOST_STREAMS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let directory = Arc::clone(&directory);
        tokio::spawn(async move {
            let _ = serve_stream(&directory, stream).await;
            drop(place);
        });
    }
}

async fn serve_stream(directory: &Arc<Directory>, mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let length = timeout(STREAM_PATIENCE, stream.read_u16()).await??;
        buffer.resize(usize::from(length), 0);
        timeout(STREAM_PATIENCE, stream.read_exact(&mut buffer)).await??;
        let Some(asked) = Asked::read(&buffer) else { return Ok(()) };
        let answer = answer(directory, &asked).await;
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let mut out = length.to_be_bytes().to_vec();
        out.extend_from_slice(&answer);
        stream.write_all(&out).await?;
    }
}

async fn answer(directory: &Arc<Directory>, asked: &Asked) -> Vec<u8> {
    if !directory.repeats.admit() {
        return asked.fail(ResponseCode::Refused, Some(ReasonCode::LimitReached));
    }
    match &asked.question {
        Question::Address(host) => asked.found(&directory.look_up(host).await),
        Question::Other(host) if directory.is_listed(host) => asked.nothing(),
        // Not listed: the same denial, and the same record, as for its address.
        Question::Other(host) => asked.found(&directory.look_up(host).await),
        Question::Refused(ResponseCode::NXDomain) => {
            let resource = Resource::Other(format!("name {}", asked.name()));
            let request = AccessRequest::new(Action::ResolveName, resource);
            let reason = ReasonCode::HostNotListed;
            let _ = directory.guard().refuse(&request, reason);
            asked.fail(ResponseCode::NXDomain, Some(reason))
        }
        Question::Refused(code) => asked.fail(*code, None),
    }
}

const QUIET: Duration = Duration::from_secs(10);
const MOST_QUESTIONS: usize = 256;
const MOST_STREAMS: usize = 32;
const STREAM_PATIENCE: Duration = Duration::from_secs(10);
