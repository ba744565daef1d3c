//! Passwords in addresses: `scheme://user:password@host` (RFC 3986, section 3.2.1).

use super::placeholder;
use crate::{
    found::{Class, Hit},
    text::{byte, part, run, run_back},
};

/// Schemes of databases and queues: the address is a connection string.
const STORES: [&str; 32] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "mssql",
    "sqlserver",
    "oracle",
    "clickhouse",
    "cassandra",
    "couchdb",
    "couchbase",
    "neo4j",
    "bolt",
    "kafka",
    "nats",
    "cockroachdb",
    "snowflake",
    "db2",
    "elasticsearch",
    "memcached",
    "rabbitmq",
    "influxdb",
    "cloudinary",
    "mysql2",
    "postgis",
    "ldap",
];

/// Words in place of a user's password.
const NONE: [&str; 26] = [
    "password",
    "pass",
    "passwd",
    "pwd",
    "user",
    "username",
    "secret",
    "token",
    "foo",
    "bar",
    "baz",
    "test",
    "x",
    "xxx",
    "pw",
    "example",
    "changeme",
    "postgres",
    "root",
    "admin",
    "guest",
    "xxxx",
    "mypassword",
    "yourpassword",
    "p",
    "hunter2x",
];

/// The password in the address whose `://` is at `at`.
pub(crate) fn at(text: &[u8], at: usize) -> Option<Hit> {
    let scheme = run_back(text, at, 24, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
    });
    if scheme == at {
        return None;
    }
    let start = at + 3;
    let end = run(text, start, 512, |byte| {
        byte > b' '
            && !matches!(
                byte,
                b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|' | b'?' | b'#' | b',' | b')'
            )
            || byte == b'#'
            || byte == b'?'
    });
    // A password may hold an `@`, or even a `/`: the last `@` of the authority divides.
    let authority = part(text, start..end);
    let sign = start + memchr::memrchr(b'@', authority)?;
    let colon = start + memchr::memchr(b':', part(text, start..sign))?;
    let (user, password) = (part(text, start..colon), part(text, colon + 1..sign));
    let host = part(text, sign + 1..end);
    if password.is_empty() || placeholder::is_template(password) || host.is_empty() {
        return None;
    }
    let formatted = [&b"${"[..], b"{{", b"%s", b"%v", b"<", b"{"]
        .iter()
        .any(|mark| memchr::memmem::find(password, mark).is_some());
    let is = |word: &&str| password.eq_ignore_ascii_case(word.as_bytes());
    let masked = password.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-'));
    if formatted
        || masked
        || NONE.iter().any(is)
        || password.len() > 5 && placeholder::is_example(password)
    {
        return None;
    }
    let words = (placeholder::is_words(password)
        || password.eq_ignore_ascii_case(user) && password.len() < 6)
        && password
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'_' || byte.is_ascii_digit());
    let digits = password.iter().filter(|byte| byte.is_ascii_digit()).count();
    if words
        && (password.eq_ignore_ascii_case(user)
            || digits < 2 && password.len() < 12
            || host.starts_with(b"example"))
    {
        return None;
    }
    if password.iter().all(u8::is_ascii_digit) && password.len() < 5 {
        return None;
    }
    let scheme = part(text, scheme..at).to_ascii_lowercase();
    let store = STORES.iter().any(|store| {
        store.as_bytes() == scheme
            || scheme.starts_with(store.as_bytes()) && byte(&scheme, store.len()) == b'+'
    });
    let class = if store { Class::ConnectionString } else { Class::Password };
    Some(Hit::new(colon + 1..sign, class, 92, "url"))
}
