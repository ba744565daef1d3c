//! Between the two sides of an inspected socket.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use remit_core::{Denial, Direction, ReasonCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    time::timeout,
};

use super::{
    frame::{Fault, From, Opcode, put},
    reader::{Reader, Said},
};
use crate::{
    Inspection,
    body::{Exchange, Findings, Held, Message, MessageKind, MessageStage, Socket, Stop},
    http::settle,
};

/// Relays until one side closes, a message is stopped, or a side breaks the protocol: both are
/// then told why.
pub(crate) async fn relay<A, S>(watched: Watched, agent: A, server: S)
where
    A: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Watched { socket, exchange, inspection } = watched;
    let case = Case { exchange, inspection };
    let (mut from_agent, mut to_agent) = split(agent);
    let (mut from_server, mut to_server) = split(server);
    let mut up = Way::new(From::Client, Direction::Output, socket.up);
    let mut down = Way::new(From::Server, Direction::Input, socket.down);
    let ended = {
        let mut upwards = pin!(up.run(&case, &mut from_agent, &mut to_server));
        let mut downwards = pin!(down.run(&case, &mut from_server, &mut to_agent));
        let (first, upwards_first) = tokio::select! {
            ended = &mut upwards => (ended, true),
            ended = &mut downwards => (ended, false),
        };
        match first {
            // The other side has its say, and a while for it (7.1.1).
            Ok(()) => {
                let rest = async { if upwards_first { downwards.await } else { upwards.await } };
                timeout(FAREWELL, rest).await.unwrap_or(Ok(()))
            }
            fault => fault,
        }
    };
    if let Err(End::Fault(fault)) = ended {
        let told = [(From::Client, up.closed), (From::Server, down.closed)];
        for (from, _) in told.into_iter().filter(|(_, closed)| !closed) {
            let mut out = BytesMut::new();
            close(&mut out, fault.code, &fault.reason, mask(from));
            // A side that is gone, or that takes nothing, cannot be told.
            let _ = match from {
                From::Client => timeout(FAREWELL, to_server.write_all(&out)).await,
                From::Server => timeout(FAREWELL, to_agent.write_all(&out)).await,
            };
        }
    }
    let ends = async { tokio::join!(to_agent.shutdown(), to_server.shutdown()) };
    let _ = timeout(FAREWELL, ends).await;
}

/// A socket that is looked into.
pub(crate) struct Watched {
    pub(crate) socket: Socket,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) inspection: Arc<Inspection>,
}

/// What both directions need to know.
struct Case {
    exchange: Arc<Exchange>,
    inspection: Arc<Inspection>,
}

/// Why the relay ends.
enum End {
    Io,
    Fault(Fault),
}

impl std::convert::From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// One direction.
struct Way {
    reader: Reader,
    from: From,
    direction: Direction,
    stages: Vec<Box<dyn MessageStage>>,
    closed: bool,
}

impl Way {
    fn new(from: From, direction: Direction, stages: Vec<Box<dyn MessageStage>>) -> Self {
        Self { reader: Reader::new(from), from, direction, stages, closed: false }
    }

    /// Passes on what comes, up to the close or the end of the stream.
    async fn run<R, W>(&mut self, case: &Case, from: &mut R, to: &mut W) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.closed {
            self.reader.buffer.reserve(READ);
            if !matches!(from.read_buf(&mut self.reader.buffer).await, Ok(1..)) {
                return Err(End::Io);
            }
            self.step(case, to).await?;
        }
        Ok(())
    }

    /// Passes on what has come whole.
    async fn step<W: AsyncWrite + Unpin>(&mut self, case: &Case, to: &mut W) -> Result<(), End> {
        loop {
            let said = match self.reader.next() {
                Ok(Some(said)) => said,
                Ok(None) => break,
                Err(fault) => {
                    let (reason, nothing) = (ReasonCode::MalformedRequest, Findings::default());
                    let (way, exchange) = (self.direction, &case.exchange);
                    exchange.refuse(way, reason, None, &nothing, fault.to_string());
                    return Err(End::Fault(fault));
                }
            };
            // After a close nothing more is said (5.5.1).
            if self.closed {
                continue;
            }
            let out = self.judge(case, said).await.map_err(End::Fault)?;
            to.write_all(&out).await?;
        }
        Ok(to.flush().await?)
    }

    /// The frames that go on.
    async fn judge(&mut self, case: &Case, said: Said) -> Result<BytesMut, Fault> {
        let mut out = BytesMut::new();
        let control = |data| Message { kind: MessageKind::Control, data };
        match said {
            Said::Message { text, data } => {
                let kind = if text { MessageKind::Text } else { MessageKind::Binary };
                for message in self.pass(case, Message { kind, data }).await? {
                    let opcode = match message.kind {
                        MessageKind::Text => Opcode::Text,
                        _ => Opcode::Binary,
                    };
                    put(&mut out, opcode, &message.data, mask(self.from));
                }
            }
            Said::Control(opcode, data) => {
                for message in self.pass(case, control(data)).await? {
                    put(&mut out, opcode, &message.data, mask(self.from));
                }
            }
            Said::Close(code, reason) => {
                for message in self.rest() {
                    put(&mut out, Opcode::Text, &message.data, mask(self.from));
                }
                let passed = self.pass(case, control(reason)).await?;
                self.closed = true;
                let reason = passed.first().map_or_else(Bytes::new, |one| one.data.clone());
                match code {
                    None => put(&mut out, Opcode::Close, &[], mask(self.from)),
                    Some(code) => {
                        close(&mut out, code, &String::from_utf8_lossy(&reason), mask(self.from));
                    }
                }
            }
        }
        Ok(out)
    }

    /// The messages that go on in place of one. One that must wait for a person passes once they
    /// have released this very one.
    async fn pass(&mut self, case: &Case, message: Message) -> Result<Vec<Message>, Fault> {
        let Case { exchange, inspection } = case;
        let way = self.direction;
        let held = match through(&mut self.stages, message.clone()) {
            Ok(messages) => return Ok(messages),
            Err(Stop::Held(held)) if message.kind != MessageKind::Control => held,
            Err(stop) => return Err(closing(exchange, way, stop)),
        };
        let (none, body) = (HeaderMap::new(), message.data.to_vec());
        settle(inspection, exchange, way, &none, held, body)
            .await
            .map_err(|denial| Fault { code: 1008, reason: told(&denial) })?;
        let released = Arc::new(exchange.released());
        let socket = inspection.inspector.socket(&released);
        let socket = socket.map_err(|stop| closing(exchange, way, stop))?;
        let mut stages = if way == Direction::Output { socket.up } else { socket.down };
        through(&mut stages, message).map_err(|stop| closing(exchange, way, stop))
    }

    /// What stages still keep, at the end.
    fn rest(&mut self) -> Vec<Message> {
        let mut out = Vec::new();
        self.stages.iter_mut().for_each(|stage| stage.finish(&mut out));
        out
    }
}

fn through(stages: &mut [Box<dyn MessageStage>], message: Message) -> Result<Vec<Message>, Stop> {
    let mut messages = vec![message];
    for stage in stages {
        let mut out = Vec::new();
        for message in messages {
            stage.message(message, &mut out)?;
        }
        messages = out;
    }
    Ok(messages)
}

/// The close that tells why a message is stopped (1008: it violates a policy).
fn closing(exchange: &Exchange, direction: Direction, stop: Stop) -> Fault {
    let stop = match stop {
        Stop::Held(Held { found, rule }) => {
            let detail = format!("{found}; this part of a socket cannot be held");
            exchange.refuse(direction, ReasonCode::DataBlocked, rule, &found, detail)
        }
        refused @ Stop::Refused(_) => refused,
    };
    let reason = match stop {
        Stop::Refused(denial) => told(&denial),
        Stop::Held(_) => ReasonCode::DataBlocked.as_str().to_owned(),
    };
    Fault { code: 1008, reason }
}

fn told(denial: &Denial) -> String {
    let classes = denial.data.iter().flat_map(|data| &data.classes);
    let classes: Vec<&str> = classes.map(remit_core::DataClass::as_str).take(4).collect();
    let ticket = denial.data.as_ref().and_then(|data| data.ticket.clone()).unwrap_or_default();
    let parts = [denial.reason.as_str(), &ticket, &classes.join(","), &denial.event.to_string()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn close(out: &mut BytesMut, code: u16, reason: &str, mask: Option<[u8; 4]>) {
    let mut payload = code.to_be_bytes().to_vec();
    let mut end = reason.len().min(MOST_REASON);
    while !reason.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    payload.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
    put(out, Opcode::Close, &payload, mask);
}

/// A fresh key for what is sent as a client (5.3).
fn mask(from: From) -> Option<[u8; 4]> {
    (from == From::Client).then(|| {
        let mut key = [0; 4];
        // It keeps middleboxes from misreading; nothing secret rests on it.
        let _ = aws_lc_rs::rand::fill(&mut key);
        key
    })
}

const READ: usize = 16 << 10;
const FAREWELL: Duration = Duration::from_secs(10);
const MOST_REASON: usize = 123;
