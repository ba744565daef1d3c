//! Reading a call's arguments from the agent's memory. Each is read once, into our own.

use std::ffi::CString;

use rustix::io::Errno;

use super::{
    sys,
    turn::{Stop, Turn},
};

/// The kernel's limit for a path with its final NUL.
const PATH_MAX: usize = 4096;
/// Nearly every path fits the first read.
const FIRST: usize = 512;

impl Turn<'_> {
    /// A path argument, faithful to `getname(9)`: `EFAULT`, `ENAMETOOLONG`, `ENOENT` when empty.
    pub(super) fn path(&self, address: u64) -> Result<CString, Stop> {
        let path = self.string(address, PATH_MAX, Errno::NAMETOOLONG)?;
        if path.is_empty() { Err(Errno::NOENT.into()) } else { Ok(path) }
    }

    /// A string of at most `limit` bytes with its NUL; `too_long` otherwise.
    pub(super) fn string(
        &self,
        address: u64,
        limit: usize,
        too_long: Errno,
    ) -> Result<CString, Stop> {
        let mut buffer = [0u8; FIRST];
        let first = buffer.get_mut(..FIRST.min(limit)).unwrap_or_default();
        let count = self.memory(address, first)?;
        let read = first.get(..count).unwrap_or_default();
        if let Some(text) = until_nul(read) {
            return Ok(text);
        }
        let mut all = read.to_vec();
        while all.len() < limit {
            let at = address.checked_add(all.len() as u64).ok_or(Errno::FAULT)?;
            let room = limit.saturating_sub(all.len()).min(buffer.len());
            let next = buffer.get_mut(..room).unwrap_or_default();
            let count = self.memory(at, next)?;
            all.extend_from_slice(next.get(..count).unwrap_or_default());
            if let Some(text) = until_nul(&all) {
                return Ok(text);
            }
        }
        Err(too_long.into())
    }

    /// Exactly `length` bytes.
    pub(super) fn bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, Stop> {
        let mut all = vec![0; length];
        let mut done = 0;
        while let Some(rest) = all.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = address.checked_add(done as u64).ok_or(Errno::FAULT)?;
            done = done.saturating_add(self.memory(at, rest)?);
        }
        Ok(all)
    }

    fn memory(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Stop> {
        match sys::read_memory(self.call.tid, address, buffer) {
            Ok(0) | Err(Errno::FAULT) => Err(Errno::FAULT.into()),
            Ok(count) => Ok(count),
            // A process that runs a program which it may not read is closed to us. The kernel
            // may serve it natively, where Landlock leaves it the system folders.
            Err(Errno::PERM | Errno::ACCESS) => Err(Stop::Opaque),
            Err(_) => Err(Stop::Gone),
        }
    }
}

fn until_nul(bytes: &[u8]) -> Option<CString> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    CString::new(bytes.get(..end)?).ok()
}
