//! What `/proc/TID/status` says about a caller.

use std::os::fd::{AsRawFd, OwnedFd};

use super::sys;

/// The caller's signals that wait for a handler: pending for it or its process, not blocked. Bit
/// n - 1 is signal n.
pub(super) fn caught(proc: &OwnedFd, tid: u32) -> u64 {
    let Ok(path) = std::ffi::CString::new(format!("{tid}/status")) else { return 0 };
    let Ok(status) = sys::openat(proc.as_raw_fd(), &path, libc::O_RDONLY) else { return 0 };
    let mut buffer = [0; 4096];
    let count = rustix::io::read(&status, &mut buffer[..]).unwrap_or(0);
    let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
    let set = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
    };
    (set("SigPnd:") | set("ShdPnd:")) & !set("SigBlk:") & set("SigCgt:")
}
