//! DNS messages in and out (RFC 1035; RFC 6891 EDNS; RFC 8914 extended errors).

use std::net::Ipv4Addr;

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, RData, Record, RecordType,
        rdata::{A, opt::EdnsOption},
    },
};
use remit_core::{Host, ReasonCode};

use super::directory::Lookup;

/// What a message asks.
#[derive(Debug)]
pub(crate) enum Question {
    /// The IPv4 address of a name.
    Address(Host),
    /// Something else about a name.
    Other(Host),
    /// Nothing that is answered here.
    Refused(ResponseCode),
}

/// A query that can be answered.
#[derive(Debug)]
pub(crate) struct Asked {
    message: Message,
    pub(crate) question: Question,
}

impl Asked {
    /// Reads a message. `None` when there is nothing to answer to: a response, or no header.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let [id_high, id_low, flags, ..] = *bytes else { return None };
        // A response is never answered: two servers would talk for ever.
        if flags & 0x80 != 0 || bytes.len() < 12 {
            return None;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            let id = u16::from_be_bytes([id_high, id_low]);
            let message = Message::new(id, MessageType::Query, OpCode::Query);
            return Some(Self { message, question: Question::Refused(ResponseCode::FormErr) });
        };
        let question = Self::judge(&message);
        Some(Self { message, question })
    }

    fn judge(message: &Message) -> Question {
        if message.metadata.op_code != OpCode::Query {
            return Question::Refused(ResponseCode::Refused);
        }
        let [query] = message.queries.as_slice() else {
            return Question::Refused(ResponseCode::FormErr);
        };
        if query.query_class() != DNSClass::IN {
            return Question::Refused(ResponseCode::Refused);
        }
        if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Question::Refused(ResponseCode::BADVERS);
        }
        let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
        match Host::parse(&query.name().to_ascii()) {
            _ if transfer => Question::Refused(ResponseCode::Refused),
            Ok(host @ Host::Name(_)) => match query.query_type() {
                RecordType::A | RecordType::ANY => Question::Address(host),
                _ => Question::Other(host),
            },
            _ => Question::Refused(ResponseCode::NXDomain),
        }
    }

    /// The name as asked, for the trail.
    pub(super) fn name(&self) -> String {
        let text = self.message.queries.first().map(|q| q.name().to_ascii()).unwrap_or_default();
        text.chars().take(260).collect()
    }

    /// The answer to a lookup.
    pub(super) fn found(&self, lookup: &Lookup) -> Vec<u8> {
        match lookup {
            Lookup::Address(address) => self.address(*address),
            Lookup::Denied(reason) => self.fail(ResponseCode::NXDomain, Some(*reason)),
            Lookup::Failed(reason) => self.fail(ResponseCode::ServFail, Some(*reason)),
        }
    }

    /// The name exists and has nothing of the kind asked for.
    pub(crate) fn nothing(&self) -> Vec<u8> {
        self.write(ResponseCode::NoError, None, None)
    }

    pub(crate) fn fail(&self, code: ResponseCode, reason: Option<ReasonCode>) -> Vec<u8> {
        self.write(code, None, reason)
    }

    fn address(&self, address: Ipv4Addr) -> Vec<u8> {
        let record = self
            .message
            .queries
            .first()
            .map(|query| Record::from_rdata(query.name().clone(), TTL, RData::A(A(address))));
        self.write(ResponseCode::NoError, record, None)
    }

    fn write(
        &self,
        code: ResponseCode,
        record: Option<Record>,
        reason: Option<ReasonCode>,
    ) -> Vec<u8> {
        let mut answer = Message::response(self.message.metadata.id, self.message.metadata.op_code);
        answer.metadata.recursion_desired = self.message.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.response_code = code;
        let queries: Vec<Query> = self.message.queries.iter().take(1).cloned().collect();
        answer.add_queries(queries);
        answer.add_answers(record);
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(MOST_UDP).set_version(0);
            if let Some(reason) = reason {
                let text = format!("Remit: {} ({})", reason.sentence(), reason.as_str());
                let mut data = BLOCKED.to_be_bytes().to_vec();
                data.extend_from_slice(text.as_bytes());
                edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
            }
            answer.set_edns(edns);
        }
        answer.to_vec().unwrap_or_default()
    }
}

/// Seconds. Short: a permission may end soon.
const TTL: u32 = 30;
/// Every answer of ours fits.
const MOST_UDP: u16 = 1232;
const EXTENDED_ERROR: u16 = 15;
/// RFC 8914, 4.16.
const BLOCKED: u16 = 15;
