//! Hosts: what we accept is exactly what `url` and `idna` say it is.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use remit_core::{Host, HostPattern};

use crate::{
    connection::server_name,
    explicit::socks::named,
    http::{Authority, Target, read_head},
    names::answer::{Asked, Question},
};

/// What came of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Both say the same host.
    Same,
    /// Neither takes it.
    Refused,
    /// We refuse what the others read; more so where they read another spelling of an address.
    Stricter,
}

/// Any text, through every place that takes a host.
pub fn host(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        agreement(text);
    }
}

/// Checks a text everywhere.
///
/// # Panics
/// Where we take a text that `url` does not, or for another host.
pub(crate) fn agreement(text: &str) -> Agreement {
    let ours = Host::parse(text).ok();
    let theirs = reference(text);
    if let Some(host) = &ours {
        assert_eq!(theirs.as_ref(), Some(host), "{text:?}");
        // One form: what is printed is read again as the same.
        assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(host), "{text:?}");
        assert_eq!(Host::parse(&host.for_authority()).as_ref(), Ok(host), "{text:?}");
    }
    everywhere(text, ours.as_ref());
    pattern(text, ours.as_ref());
    match (ours, theirs) {
        (Some(_), _) => Agreement::Same,
        (None, None) => Agreement::Refused,
        (None, Some(_)) => Agreement::Stricter,
    }
}

/// What the WHATWG URL parser makes of a host.
fn reference(text: &str) -> Option<Host> {
    let bare = text.contains(':') && !text.starts_with('[');
    let bracketed = if bare { format!("[{text}]") } else { text.to_owned() };
    match url::Host::parse(&bracketed).ok()? {
        url::Host::Ipv4(address) => Some(Host::Address(IpAddr::V4(address))),
        url::Host::Ipv6(address) => Some(Host::Address(IpAddr::V6(address))),
        url::Host::Domain(name) => Some(Host::Name(name.strip_suffix('.').unwrap_or(&name).into())),
    }
}

/// Every place that takes a host takes it as that host or not at all.
fn everywhere(text: &str, ours: Option<&Host>) {
    let same = |place: &str, found: Option<Host>| {
        assert!(found.is_none() || found.as_ref() == ours, "{place}: {text:?} became {found:?}");
    };
    let parsed = |text: &str| Authority::parse(text).ok();
    if let Some(found) = parsed(&format!("{text}:443")) {
        assert_eq!(found.port, Some(443), "{text:?}");
        same("authority", Some(found.host));
    }
    let connect = format!("CONNECT {text}:443 HTTP/1.1\r\nHost: x\r\n\r\n");
    if let Ok(head) = read_head(connect.as_bytes())
        && let Target::Tunnel(target) = head.target
    {
        same("CONNECT", parsed(&target).map(|found| found.host));
    }
    let absolute = format!("http://{text}/");
    let uri = absolute.parse::<http::Uri>().ok().filter(|uri| uri.path() == "/");
    if let Some(found) = uri.and_then(|uri| parsed(uri.authority()?.as_str())) {
        // A port may have come with it; `url` says which host then is meant.
        let url = url::Url::parse(&absolute).expect("what we take is a URL");
        let theirs = url.host_str().and_then(reference);
        assert_eq!(Some(&found.host), theirs.as_ref(), "{absolute:?}");
        assert_eq!(found.port.unwrap_or(80), url.port_or_known_default().unwrap_or(0));
    }
    if let Ok(length) = u8::try_from(text.len()) {
        same("SOCKS", named(3, &[&[length], text.as_bytes()].concat()));
    }
    same("server name", server_name(text.as_bytes()));
    same("question", question(text));
}

/// The host that a question for these labels asks for.
fn question(text: &str) -> Option<Host> {
    let labels = text.strip_suffix('.').unwrap_or(text).split('.').map(str::as_bytes);
    let name = Name::from_labels(labels).ok()?;
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, RecordType::A));
    match Asked::read(&message.to_vec().ok()?)?.question {
        Question::Address(host) => Some(host),
        _ => None,
    }
}

/// A rule for a text means that host alone, and no other spelling of an address.
fn pattern(text: &str, ours: Option<&Host>) {
    if let Ok(HostPattern::Exact(host)) = HostPattern::parse(text) {
        assert_eq!(Some(&host), ours, "{text:?}");
    }
    if let Ok(pattern) = HostPattern::parse(&format!("*.{text}")) {
        let Some(Host::Name(name)) = ours else { panic!("{text:?} is no name") };
        assert!(!pattern.matches(&Host::Name(name.clone())), "{text:?}");
        let below = Host::parse(&format!("a.{name}"));
        assert!(below.map_or(true, |below| pattern.matches(&below)), "{text:?}");
        let beside = Host::parse(&format!("a{name}"));
        assert!(beside.map_or(true, |beside| !pattern.matches(&beside)), "{text:?}");
    }
}
