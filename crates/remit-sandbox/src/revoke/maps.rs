//! `/proc/PID/maps` (proc_pid_maps(5)).

use super::place::Device;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// `PROT_*`
    pub(super) protection: i32,
    pub(super) shared: bool,
    pub(super) device: Device,
    /// 0 without a file.
    pub(super) inode: u64,
    /// As printed: newlines are `\012`.
    pub(super) path: Vec<u8>,
}

impl Mapping {
    pub(super) const fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// All mappings, in order.
pub(super) fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|byte| *byte == b'\n').filter_map(mapping).collect()
}

fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut next = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let (start, end) = next()?.split_once('-')?;
    let flags = next()?.as_bytes();
    let _offset = next()?;
    let (major, minor) = next()?.split_once(':')?;
    let inode = next()?.parse().ok()?;
    let path = fields.next().unwrap_or_default();
    let padding = path.iter().take_while(|byte| **byte == b' ').count();
    let bit = |at: usize, letter: u8, bit: i32| {
        if flags.get(at) == Some(&letter) { bit } else { 0 }
    };
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        protection: bit(0, b'r', libc::PROT_READ)
            | bit(1, b'w', libc::PROT_WRITE)
            | bit(2, b'x', libc::PROT_EXEC),
        shared: flags.get(3) == Some(&b's'),
        device: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?),
        inode,
        path: path.get(padding..).unwrap_or_default().to_vec(),
    })
}

/// Starts of the mappings that may be made writable (`mw` in `VmFlags`), from `/proc/PID/smaps`.
pub(super) fn may_write(smaps: &[u8]) -> Vec<u64> {
    let mut out = Vec::new();
    let mut start = None;
    for line in smaps.split(|byte| *byte == b'\n') {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            if flags.split(|byte| *byte == b' ').any(|flag| flag == b"mw") {
                out.extend(start);
            }
        } else if let Some(mapping) = mapping(line) {
            start = Some(mapping.start);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"7f00-8000 rw-s 00001000 fe:00 123                        /a b/c\n\
        9000-a000 r-xp 00000000 00:00 0                    [vdso]\n\
        b000-c000 ---p 00000000 00:00 0 \n";

    #[test]
    fn lines() {
        let all = parse(TEXT);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].start, all[0].end, all[0].shared), (0x7f00, 0x8000, true));
        assert_eq!((all[0].device, all[0].inode), ((0xfe, 0), 123));
        assert_eq!(all[0].path, b"/a b/c");
        assert_eq!(all[1].path, b"[vdso]");
        assert_eq!(all[1].protection, libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!((all[2].protection, all[2].path.len()), (0, 0));
    }

    #[test]
    fn flags() {
        let text = b"1000-2000 r--s 00000000 fe:00 1 /a\nRss: 0 kB\nVmFlags: rd sh mr me ms \n\
            3000-4000 r--s 00000000 fe:00 1 /a\nVmFlags: rd sh mr mw me ms \n";
        assert_eq!(may_write(text), [0x3000]);
    }
}
