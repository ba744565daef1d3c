//! Why a server could not be reached or believed, in words.

use std::io;

use rustls::{AlertDescription, CertificateError, OtherError};
use webpki::Error as Chain;

/// A failure of the server's side. The words are fixed, so that an agent may read them: they name
/// no address and nothing of the operator's. The particulars are for the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) words: &'static str,
    particulars: String,
    /// Another address of the same name would fare no better.
    pub(crate) is_final: bool,
}

impl Cause {
    pub(crate) fn new(words: &'static str, particulars: impl Into<String>) -> Self {
        Self { words, particulars: particulars.into(), is_final: false }
    }

    pub(crate) fn ending(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// For the trail.
    pub(crate) fn detail(&self) -> String {
        let text = match self.particulars.as_str() {
            "" => self.words.to_owned(),
            particulars => format!("{}: {particulars}", self.words),
        };
        text.chars().filter(|c| !c.is_control()).take(300).collect()
    }

    /// A server that could not be connected to.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        use io::ErrorKind::{
            ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
            NetworkUnreachable, TimedOut,
        };
        let words = match error.kind() {
            ConnectionRefused => "the server refuses connections",
            TimedOut => "the server does not answer",
            ConnectionReset | ConnectionAborted => "the server broke the connection off",
            HostUnreachable | NetworkUnreachable => "no way leads to the server",
            _ => "the server cannot be connected to",
        };
        Self::new(words, error.to_string())
    }

    /// A TLS handshake that failed.
    pub(crate) fn handshake(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(error) => Self::tls(error),
            None if was_cut(error.kind()) => {
                Self::new("the server broke the TLS handshake off", error.to_string())
            }
            None => Self::new("the TLS handshake failed", error.to_string()),
        }
    }

    /// The same from TLS itself.
    pub(crate) fn tls(error: &rustls::Error) -> Self {
        use rustls::Error::{
            AlertReceived, DecryptError, InappropriateHandshakeMessage, InappropriateMessage,
            InvalidCertificate, InvalidMessage, NoCertificatesPresented, PeerIncompatible,
            PeerMisbehaved,
        };
        let words = match error {
            InvalidCertificate(error) => certificate(error),
            NoCertificatesPresented => "the server shows no certificate",
            PeerIncompatible(_) => NOTHING_SAFE,
            AlertReceived(alert) => match alert {
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity => NOTHING_SAFE,
                _ => "the server broke the TLS handshake off",
            },
            PeerMisbehaved(_) | DecryptError | InappropriateHandshakeMessage { .. } => {
                "the server breaks the rules of TLS"
            }
            InvalidMessage(_) | InappropriateMessage { .. } => "the server does not speak TLS",
            _ => "the TLS handshake failed",
        };
        Self::new(words, error.to_string())
    }
}

impl From<&str> for Cause {
    fn from(particulars: &str) -> Self {
        Self::new("the connection to the server failed", particulars)
    }
}

const fn was_cut(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// What is wrong with a server's certificate or its chain (RFC 5280, 6.1).
fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate comes from no authority that is trusted here"
        }
        CertificateError::BadSignature => "a signature of the server does not hold",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => WEAK,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers"
        }
        CertificateError::Revoked => "the server's certificate was revoked",
        CertificateError::Other(other) => chain(other),
        _ => UNREADABLE,
    }
}

/// The cases that TLS passes on from the verifier of chains.
fn chain(error: &OtherError) -> &'static str {
    match error.0.downcast_ref::<Chain>() {
        Some(Chain::CaUsedAsEndEntity) => "the server shows an authority's certificate as its own",
        Some(Chain::EndEntityUsedAsCa) => "the chain leads through a certificate of no authority",
        Some(Chain::PathLenConstraintViolated) => {
            "the chain is longer than one of its authorities permits"
        }
        Some(Chain::NameConstraintViolation) => {
            "the name is outside of what one of the chain's authorities may speak for"
        }
        Some(Chain::UnsupportedCertVersion) => "a certificate of the chain is of an old version",
        Some(Chain::UnsupportedCriticalExtension) => {
            "a certificate of the chain asks for something that is not understood here"
        }
        Some(
            Chain::UnsupportedSignatureAlgorithmContext(_)
            | Chain::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Chain::SignatureAlgorithmMismatch,
        ) => WEAK,
        Some(
            Chain::MaximumSignatureChecksExceeded
            | Chain::MaximumPathBuildCallsExceeded
            | Chain::MaximumPathDepthExceeded
            | Chain::MaximumNameConstraintComparisonsExceeded,
        ) => "the chain takes too much work to check",
        _ => UNREADABLE,
    }
}

const NOTHING_SAFE: &str = "the server offers no safe version or cipher of TLS";
const WEAK: &str = "a signature or key of the chain is weak or of an unknown kind";
const UNREADABLE: &str = "the server's certificate cannot be read";
