//! What an upstream proxy is shown.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::upstream::Secret;

/// What the proxy is shown with every CONNECT.
#[derive(Clone, Debug)]
pub struct ProxyCredentials {
    kind: &'static str,
    pub(super) name: HeaderName,
    pub(super) value: Secret,
}

/// Why credentials cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// RFC 7617, 2: the name ends at the first colon.
    #[error("a user name cannot hold a colon or a control character")]
    User,
    /// Not fit for a header field (RFC 9110, 5.5).
    #[error("the secret is empty, or holds a character that a header cannot carry")]
    Value,
    /// Not a header that only carries a secret.
    #[error("this header cannot carry a secret")]
    Name,
}

impl ProxyCredentials {
    /// RFC 7617.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn basic(user: &str, password: &Secret) -> Result<Self, CredentialsError> {
        let bad = |c: char| c.is_control();
        if user.contains(':') || user.contains(bad) {
            return Err(CredentialsError::User);
        }
        if password.reveal().contains(bad) {
            return Err(CredentialsError::Value);
        }
        let pair = Zeroizing::new(format!("{user}:{}", password.reveal()));
        let mut value = "Basic ".to_owned();
        STANDARD.encode_string(pair.as_bytes(), &mut value);
        Self::new("basic", header::PROXY_AUTHORIZATION, value)
    }

    /// RFC 6750, 2.1, for proxies.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn bearer(token: &Secret) -> Result<Self, CredentialsError> {
        if token.reveal().is_empty() || token.reveal().contains(' ') {
            return Err(CredentialsError::Value);
        }
        let value = format!("Bearer {}", token.reveal());
        Self::new("bearer", header::PROXY_AUTHORIZATION, value)
    }

    /// A header of the proxy's own.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn header(name: &str, value: &Secret) -> Result<Self, CredentialsError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CredentialsError::Name)?;
        // These say where the tunnel goes, or where the message ends.
        let own = [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::TE,
            header::TRAILER,
            header::EXPECT,
        ];
        if own.contains(&name) {
            return Err(CredentialsError::Name);
        }
        Self::new("header", name, value.reveal().to_owned())
    }

    /// `basic`, `bearer` or `header`.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    fn new(kind: &'static str, name: HeaderName, value: String) -> Result<Self, CredentialsError> {
        let value = Secret::new(value);
        let sound = HeaderValue::from_str(value.reveal()).is_ok_and(|value| !value.is_empty());
        if sound { Ok(Self { kind, name, value }) } else { Err(CredentialsError::Value) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn credentials_cannot_write_other_headers() {
        let secret = |text: &str| Secret::new(text.into());
        for bad in ["", "a\r\nhost: b", "a\0", "a\n"] {
            assert!(ProxyCredentials::bearer(&secret(bad)).is_err(), "{bad:?}");
            assert!(ProxyCredentials::header("x-key", &secret(bad)).is_err(), "{bad:?}");
        }
        assert!(ProxyCredentials::basic("u:v", &secret("p")).is_err());
        assert!(ProxyCredentials::basic("u", &secret("p\nq")).is_err());
        for name in ["host", "Content-Length", "transfer-encoding", "bad name", "", "x\r\ny"] {
            let made = ProxyCredentials::header(name, &secret("v"));
            assert_eq!(made.unwrap_err(), CredentialsError::Name, "{name:?}");
        }
        let basic = ProxyCredentials::basic("Aladdin", &secret("open sesame")).unwrap();
        // RFC 7617, 2.
        assert_eq!(basic.value.reveal(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let shown = format!("{basic:?}");
        assert!(!shown.contains("QWxh") && !shown.contains("sesame"), "{shown}");
    }
}
