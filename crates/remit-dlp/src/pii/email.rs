//! Addresses of electronic mail (RFC 5322's dot-atom; RFC 2606's names are examples).

use crate::{
    found::{Class, Hit},
    text::{before, byte, part, run, run_back},
};

/// The address around the `@` at `at`.
pub(crate) fn at(text: &[u8], at: usize) -> Option<Hit> {
    let start = run_back(text, at, 64, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
            || byte >= 0x80
    });
    let start = run(text, start, 4, |byte| matches!(byte, b'.' | b'-' | b'\'' | b'%'));
    // `\njohn@…` in a literal.
    let start = start
        + usize::from(
            before(text, start) == b'\\'
                && matches!(byte(text, start), b'n' | b'r' | b't')
                && at > start + 2,
        );
    let mut end = run(text, at + 1, 253, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
    });
    while end > at && matches!(before(text, end), b'.' | b'-') {
        end -= 1;
    }
    let (local, domain) = (part(text, start..at), part(text, at + 1..end));
    let first = byte(text, at + 1);
    if local.is_empty() || !first.is_ascii_alphanumeric() && first < 0x80 || byte(text, end) == b'@'
    {
        return None;
    }
    // Beyond ASCII, the address ends where the sentence goes on.
    let local_start = local.iter().position(|byte| byte.is_ascii_alphanumeric())?;
    let start = if local.iter().all(|byte| *byte < 0x80) { start } else { start + local_start };
    let top = domain.rsplit(|byte| *byte == b'.').next()?;
    let known = domain.contains(&b'.')
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic)
        && has_suffix(domain);
    let lower = domain.to_ascii_lowercase();
    // Credentials of an address, a repository's remote, a decorator.
    let url = memchr::memmem::rfind(part(text, start.saturating_sub(80)..start), b"://")
        .is_some_and(|found| {
            let gap = part(text, start.saturating_sub(80)..start);
            gap.get(found..).is_some_and(|gap| {
                !gap.contains(&b' ') && !gap.contains(&b'\n') && !gap.contains(&b'?')
            })
        });
    let remote = matches!(local, b"git" | b"hg" | b"svn" | b"root")
        || byte(text, end) == b':'
            && !byte(text, end + 1).is_ascii_whitespace()
            && matches!(local, b"git" | b"ubuntu" | b"ec2-user" | b"deploy");
    let answers = [
        &b"noreply"[..],
        b"no-reply",
        b"donotreply",
        b"do-not-reply",
        b"mailer-daemon",
        b"postmaster",
    ]
    .iter()
    .any(|word| crate::text::says(local, 0, word));
    let example = is_example(&lower)
        || local.eq_ignore_ascii_case(b"user") && crate::text::mentions(&lower, b"domain.");
    (known && !url && !remote && !answers && !example)
        .then(|| Hit::new(start..end, Class::Email, 92, "email"))
}

fn has_suffix(domain: &[u8]) -> bool {
    psl::suffix(domain.to_ascii_lowercase().as_slice()).is_some_and(|suffix| suffix.is_known())
        && !matches!(domain.rsplit(|byte| *byte == b'.').next(), Some(b"py" | b"rs" | b"sh" | b"md" | b"zip" | b"mov") if domain.iter().filter(|byte| **byte == b'.').count() == 1 && domain.len() < 8)
}

fn is_example(domain: &[u8]) -> bool {
    let labels: Vec<&[u8]> = domain.split(|byte| *byte == b'.').collect();
    let reserved = labels.iter().any(|label| {
        matches!(
            *label,
            b"example"
                | b"invalid"
                | b"localhost"
                | b"yourdomain"
                | b"yourcompany"
                | b"your-domain"
        )
    });
    let top = labels
        .last()
        .is_some_and(|label| matches!(*label, b"test" | b"local" | b"internal" | b"lan"));
    reserved
        || top
        || matches!(
            domain,
            b"domain.com"
                | b"email.com"
                | b"users.noreply.github.com"
                | b"test.com"
                | b"foo.com"
                | b"bar.com"
                | b"doe.com"
        )
}
