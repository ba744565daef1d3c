//! System calls as an agent makes them, with errors as numbers.

use std::{ffi::CString, io};

pub type Result = std::result::Result<i64, i32>;

pub fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub fn done(result: libc::c_long) -> Result {
    if result == -1 { Err(io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(result) }
}

macro_rules! sys {
    ($name:ident $(, $arg:expr)*) => {
        // SAFETY: arguments match the system call.
        {
            #[allow(unused_unsafe)]
            let result = unsafe { libc::syscall(libc::$name $(, $arg)*) };
            $crate::calls::done(result)
        }
    };
}
pub(crate) use sys;

pub const CWD: i32 = libc::AT_FDCWD;

pub fn open(path: &str, flags: i32) -> Result {
    openat(CWD, path, flags, 0o666)
}

pub fn openat(dir: i32, path: &str, flags: i32, mode: u32) -> Result {
    sys!(SYS_openat, dir, c(path).as_ptr(), flags, mode)
}

pub fn openat2(dir: i32, path: &str, flags: u64, mode: u64, resolve: u64) -> Result {
    let how = [flags, mode, resolve];
    sys!(SYS_openat2, dir, c(path).as_ptr(), how.as_ptr(), 24usize)
}

pub fn close(fd: i64) {
    let _ = sys!(SYS_close, fd);
}

pub fn mkdir(path: &str) -> Result {
    sys!(SYS_mkdirat, CWD, c(path).as_ptr(), 0o777)
}

pub fn symlink(target: &str, path: &str) -> Result {
    sys!(SYS_symlinkat, c(target).as_ptr(), CWD, c(path).as_ptr())
}

pub fn link(old: &str, new: &str) -> Result {
    sys!(SYS_linkat, CWD, c(old).as_ptr(), CWD, c(new).as_ptr(), 0)
}

pub fn rename(old: &str, new: &str, flags: u32) -> Result {
    sys!(SYS_renameat2, CWD, c(old).as_ptr(), CWD, c(new).as_ptr(), flags)
}

pub fn unlink(path: &str) -> Result {
    sys!(SYS_unlinkat, CWD, c(path).as_ptr(), 0)
}

pub fn write(fd: i64, bytes: &[u8]) -> Result {
    sys!(SYS_write, fd, bytes.as_ptr(), bytes.len())
}

pub fn read(fd: i64) -> std::result::Result<Vec<u8>, i32> {
    let mut buffer = vec![0; 4096];
    let count = sys!(SYS_read, fd, buffer.as_mut_ptr(), buffer.len())?;
    buffer.truncate(count as usize);
    Ok(buffer)
}

/// Creates a file with contents.
pub fn put(path: &str, text: &str) -> Result {
    let fd = open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)?;
    let result = write(fd, text.as_bytes());
    close(fd);
    result
}

/// A file's contents.
pub fn get(path: &str) -> std::result::Result<String, i32> {
    let fd = open(path, libc::O_RDONLY)?;
    let bytes = read(fd);
    close(fd);
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Follows links.
pub fn stat(path: &str) -> std::result::Result<libc::stat, i32> {
    // SAFETY: zero is a valid stat; the path is a C string.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        match libc::stat(c(path).as_ptr(), &mut stat) {
            0 => Ok(stat),
            _ => Err(io::Error::last_os_error().raw_os_error().unwrap()),
        }
    }
}
