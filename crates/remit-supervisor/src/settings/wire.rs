//! The file's shape. What is wrong is found while it is read, so that its position is known.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use remit_core::{Host, HostPattern};
use remit_egress::{Bypass, CredentialsError, ProxyCredentials, Secret, TargetBy};
use serde::Deserialize;

use crate::RunError;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Settings {
    #[serde(default)]
    pub(super) upstream_proxy: Option<Upstream>,
    #[serde(default)]
    pub(super) root_cas: Vec<PathBuf>,
}

impl Settings {
    /// Whether a secret stands in the file itself.
    pub(super) fn holds_secret(&self) -> bool {
        let auth = self.upstream_proxy.as_ref().and_then(|proxy| proxy.auth.as_ref());
        auth.is_some_and(|auth| auth.file().is_none())
    }
}

/// `upstreamProxy`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Upstream {
    pub(super) url: ProxyUrl,
    #[serde(default)]
    pub(super) auth: Option<Auth>,
    #[serde(default)]
    pub(super) ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) bypass: Vec<BypassEntry>,
    #[serde(default)]
    pub(super) target_by: Target,
}

/// `targetBy`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Target {
    #[default]
    Address,
    Name,
}

impl From<Target> for TargetBy {
    fn from(target: Target) -> Self {
        match target {
            Target::Address => Self::Address,
            Target::Name => Self::Name,
        }
    }
}

/// `http://host:port` or `https://host:port`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ProxyUrl {
    pub(super) tls: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

impl TryFrom<String> for ProxyUrl {
    type Error = &'static str;

    /// The text is not repeated: people put passwords where they do not belong.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("the URL of a proxy begins with http:// or https://"),
        };
        if rest.contains('@') {
            return Err("credentials do not belong in the URL: write them under `auth`");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or("the URL of a proxy ends with its port")?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if host.contains(':') && bare.is_none() {
            return Err("an IPv6 address in a URL stands in brackets");
        }
        let host = Host::parse(host).map_err(|_| "the URL names no host")?;
        let plain = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| plain && *port != 0);
        Ok(Self { tls, host, port: port.ok_or("the URL of a proxy ends with its port")? })
    }
}

/// `host`, `*.suffix`, an address or a network.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BypassEntry(pub(super) Bypass);

impl TryFrom<String> for BypassEntry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(Bypass::Network(address.into())));
        }
        if text.contains('/') {
            let network = text.parse().map_err(|_| format!("`{text}` is no network"))?;
            return Ok(Self(Bypass::Network(network)));
        }
        let pattern = HostPattern::parse(&text)
            .map_err(|_| format!("`{text}` is no host, `*.suffix` or network"))?;
        Ok(Self(Bypass::Host(pattern)))
    }
}

/// `auth`: exactly one of its forms.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AnyAuth")]
pub(super) enum Auth {
    Basic { user: String, password: Source },
    Bearer(Source),
    Header { name: String, value: Source },
}

/// Where a secret is.
#[derive(Debug)]
pub(super) enum Source {
    Here(Secret),
    File(PathBuf),
}

impl Auth {
    /// The file that the secret is in.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Basic { password: source, .. }
            | Self::Bearer(source)
            | Self::Header { value: source, .. } => match source {
                Source::Here(_) => None,
                Source::File(path) => Some(path),
            },
        }
    }

    /// What is sent.
    pub(super) fn credentials(
        self,
        read: impl Fn(&Path) -> Result<Secret, RunError>,
    ) -> Result<Result<ProxyCredentials, CredentialsError>, RunError> {
        let secret = |source| match source {
            Source::Here(secret) => Ok(secret),
            Source::File(path) => read(&path),
        };
        Ok(match self {
            Self::Basic { user, password } => ProxyCredentials::basic(&user, &secret(password)?),
            Self::Bearer(token) => ProxyCredentials::bearer(&secret(token)?),
            Self::Header { name, value } => ProxyCredentials::header(&name, &secret(value)?),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnyAuth {
    #[serde(default)]
    basic: Option<AnyBasic>,
    #[serde(default)]
    bearer: Option<Text>,
    #[serde(default)]
    bearer_file: Option<PathBuf>,
    #[serde(default)]
    header: Option<AnyHeader>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnyBasic {
    user: String,
    #[serde(default)]
    password: Option<Text>,
    #[serde(default)]
    password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AnyHeader {
    name: String,
    #[serde(default)]
    value: Option<Text>,
    #[serde(default)]
    value_file: Option<PathBuf>,
}

/// A secret in the file.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Text(Secret);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl TryFrom<AnyAuth> for Auth {
    type Error = &'static str;

    fn try_from(any: AnyAuth) -> Result<Self, Self::Error> {
        let AnyAuth { basic, bearer, bearer_file, header } = any;
        match (basic, bearer.or_file(bearer_file), header) {
            (Some(AnyBasic { user, password, password_file }), None, None) => {
                let password = password.or_file(password_file);
                let password = password.ok_or("`basic` has no password")?;
                Ok(Self::Basic { user, password: password? })
            }
            (None, Some(token), None) => Ok(Self::Bearer(token?)),
            (None, None, Some(AnyHeader { name, value, value_file })) => {
                let value = value.or_file(value_file).ok_or("`header` has no value")?;
                Ok(Self::Header { name, value: value? })
            }
            _ => Err("`auth` is one of `basic`, `bearer`, `bearerFile` and `header`"),
        }
    }
}

trait OrFile {
    fn or_file(self, file: Option<PathBuf>) -> Option<Result<Source, &'static str>>;
}

impl OrFile for Option<Text> {
    /// `None` where there is neither.
    fn or_file(self, file: Option<PathBuf>) -> Option<Result<Source, &'static str>> {
        match (self, file) {
            (None, None) => None,
            (Some(text), None) => Some(Ok(Source::Here(text.0))),
            (None, Some(file)) => Some(Ok(Source::File(file))),
            (Some(_), Some(_)) => Some(Err("a secret stands here or in a file, not in both")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_read_in_one_spelling() {
        let read = |text: &str| ProxyUrl::try_from(text.to_owned());
        for (text, tls, host, port) in [
            ("http://proxy.corp:3128", false, "proxy.corp", 3128),
            ("https://proxy.corp:443/", true, "proxy.corp", 443),
            ("http://10.0.0.1:8080", false, "10.0.0.1", 8080),
            ("http://[fd12::1]:8080", false, "fd12::1", 8080),
        ] {
            let url = read(text).unwrap();
            assert_eq!((url.tls, url.host.to_string().as_str(), url.port), (tls, host, port));
        }
        for wrong in [
            "proxy.corp:3128",
            "socks5://proxy.corp:1080",
            "http://proxy.corp",
            "http://proxy.corp:",
            "http://proxy.corp:0",
            "http://proxy.corp:+80",
            "http://proxy.corp:65536",
            "http://proxy.corp:80/path",
            "http://fd12::1:8080",
            "http://user:word@proxy.corp:80",
            "http://:80",
            "http://proxy corp:80",
            "HTTP://proxy.corp:80",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(!error.contains("word"), "{error}");
        }
    }
}
