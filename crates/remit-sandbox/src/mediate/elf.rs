//! Telling a program from a shared library, so that a library can be opened and a program that is
//! not listed cannot be handed to the dynamic loader.
//!
//! A file counts as a program if the loader could start it: `ET_EXEC`, or `ET_DYN` with
//! `DF_1_PIE`, or with an interpreter and no library name (`DT_SONAME`). In doubt it is one.

use std::os::fd::OwnedFd;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_SONAME: u64 = 14;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;
/// Program headers that are looked at; real files have about a dozen.
const MAX_HEADERS: usize = 256;
/// Bytes of the dynamic section that are looked at.
const MAX_DYNAMIC: u64 = 64 * 1024;

/// The size of the header alone, in bytes.
pub(super) const SMALLEST: i64 = 64;

/// Whether the file is an ELF program. Not ELF, or not readable: no.
pub(super) fn is_program(file: &OwnedFd) -> bool {
    let mut head = [0; 64];
    match rustix::io::pread(file, &mut head[..], 0) {
        Ok(64) if head.starts_with(b"\x7fELF") => examine(&head, file).unwrap_or(true),
        _ => false,
    }
}

/// `None`: malformed or unusual.
fn examine(head: &[u8], file: &OwnedFd) -> Option<bool> {
    // Only 64-bit little-endian files run here natively; others are treated as programs.
    if head.get(4..6)? != [2, 1] {
        return None;
    }
    match u16_at(head, 16)? {
        ET_EXEC => return Some(true),
        ET_DYN => {}
        _ => return Some(false),
    }
    let (offset, size, count) = (u64_at(head, 32)?, u16_at(head, 54)?, u16_at(head, 56)?);
    if size != 56 || usize::from(count) > MAX_HEADERS {
        return None;
    }
    let mut table = vec![0; usize::from(count).checked_mul(56)?];
    exactly(file, &mut table, offset)?;
    let (mut interpreter, mut dynamic) = (false, None);
    for header in table.chunks_exact(56) {
        match u32_at(header, 0)? {
            PT_INTERP => interpreter = true,
            PT_DYNAMIC => dynamic = Some((u64_at(header, 8)?, u64_at(header, 32)?)),
            _ => {}
        }
    }
    let (mut pie, mut named) = (false, false);
    if let Some((offset, length)) = dynamic {
        if length > MAX_DYNAMIC {
            return None;
        }
        let mut entries = vec![0; usize::try_from(length).ok()?];
        exactly(file, &mut entries, offset)?;
        for entry in entries.chunks_exact(16) {
            match u64_at(entry, 0)? {
                DT_NULL => break,
                DT_SONAME => named = true,
                DT_FLAGS_1 => pie = u64_at(entry, 8)? & DF_1_PIE != 0,
                _ => {}
            }
        }
    }
    Some(pie || (interpreter && !named))
}

fn exactly(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Option<()> {
    let wanted = buffer.len();
    (rustix::io::pread(file, buffer, offset).ok()? == wanted).then_some(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn program(path: &str) -> bool {
        is_program(&OwnedFd::from(std::fs::File::open(path).unwrap()))
    }

    #[test]
    fn programs_and_libraries() {
        assert!(program("/bin/ls"));
        assert!(program("/proc/self/exe"));
        assert!(!program("/etc/passwd"));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc =
            maps.lines().find_map(|l| l.split(' ').next_back().filter(|p| p.contains("/libc.so")));
        assert!(!program(libc.unwrap()));
    }
}
