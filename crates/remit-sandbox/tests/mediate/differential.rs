//! The same random operations natively and mediated, on two trees that begin alike: each result,
//! each errno, and the trees afterwards must be the same.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::{
    calls::{self, CWD, c, sys},
    harness::{Area, Setup, Test, allow_all, fork, pipe, session, wait},
};

pub const TESTS: &[Test] = &[
    ("differential_random_operations_in_granted_folder", data),
    ("differential_random_operations_in_scratch", scratch),
];

/// Operations for each seed.
const OPERATIONS: usize = 4000;

fn data(user: Option<u32>) {
    for seed in seeds() {
        compare(user, seed, |area| area.data.join("mediatedtree"));
    }
}

fn scratch(user: Option<u32>) {
    for seed in seeds() {
        compare(user, seed ^ 0x5eed, |area| area.scratch.join("mediated"));
    }
}

/// Fixed, so that a failure repeats; `REMIT_SEED` adds one.
fn seeds() -> Vec<u64> {
    let given = std::env::var("REMIT_SEED").ok().and_then(|seed| seed.parse().ok());
    given.map_or_else(|| vec![1, 2, 3], |seed| vec![seed])
}

fn compare(user: Option<u32>, seed: u64, place: fn(&Area) -> std::path::PathBuf) {
    let area = Area::new(&format!("diff{seed}"), user);
    let mediated_tree = place(&area);
    let native_tree = mediated_tree.with_file_name(
        mediated_tree.file_name().unwrap().to_str().unwrap().replace("mediated", "native--"),
    );
    let mediated = run(&area, user, true, &mediated_tree, seed);
    let native = run(&area, user, false, &native_tree, seed);
    for (number, (m, n)) in mediated.lines().zip(native.lines()).enumerate() {
        assert_eq!(m, n, "operation {number} of seed {seed}: mediated left, native right");
    }
    assert_eq!(mediated.lines().count(), native.lines().count(), "seed {seed}");
    let good = native.lines().filter(|line| line.contains("Ok(")).count();
    println!("seed {seed}: {} operations alike, {good} of them successful", native.lines().count());
    assert!(good > OPERATIONS / 8, "only {good} operations do anything");
    assert_eq!(list(&mediated_tree), list(&native_tree), "trees of seed {seed}");
}

/// One run in a process of its own; what it saw, a line for each operation.
fn run(area: &Area, user: Option<u32>, mediated: bool, tree: &Path, seed: u64) -> String {
    let (mut lines, mut out) = pipe();
    let child = fork().unwrap();
    if child == 0 {
        let mut setup = Setup::new(user, allow_all());
        setup.mediated = mediated;
        let (well, _) = session(area, setup, || {
            // Deep enough that no run of `..` reaches what the two runs share.
            let mut base = tree.to_str().unwrap().to_owned();
            calls::mkdir(&base).unwrap();
            for _ in 0..5 {
                base.push_str("/w");
                calls::mkdir(&base).unwrap();
            }
            let mut script = Script::new(&base, seed);
            for number in 0..OPERATIONS {
                if number % 100 == 0 {
                    script.refresh();
                }
                let line = script.step();
                writeln!(out, "{line}").unwrap();
            }
        });
        std::process::exit(i32::from(!well));
    }
    drop(out);
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    assert_eq!(wait(child), 0, "a run with seed {seed} failed (mediated: {mediated})");
    text
}

struct Script {
    base: String,
    state: u64,
    dirs: Vec<i64>,
    files: Vec<i64>,
}

impl Script {
    fn new(base: &str, seed: u64) -> Self {
        let base = base.to_owned();
        // SAFETY: C string.
        assert_eq!(unsafe { libc::chdir(c(&base).as_ptr()) }, 0);
        Self {
            base,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            dirs: vec![],
            files: vec![],
        }
    }

    /// Random operations close folders and remove everything; begin again from time to time.
    fn refresh(&mut self) {
        let base = c(&self.base);
        let _ = sys!(SYS_fchmodat, CWD, base.as_ptr(), 0o755);
        let _ = sys!(SYS_chdir, base.as_ptr());
        let _ = sys!(SYS_umask, 0o022);
        for name in ["a", "b", "dir", "a/b", "dir/c", "dir/d"] {
            let _ = sys!(SYS_mkdirat, CWD, c(name).as_ptr(), 0o755);
            let _ = sys!(SYS_fchmodat, CWD, c(name).as_ptr(), 0o755);
        }
        for name in ["c", "a/c", "dir/a", "e"] {
            // The name may be a FIFO by now.
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_NONBLOCK;
            if let Ok(fd) = calls::open(name, flags) {
                let _ = calls::write(fd, b"content");
                calls::close(fd);
            }
        }
        for dir in ["a", "dir"] {
            if self.dirs.len() < 6 {
                self.dirs.extend(calls::open(dir, libc::O_RDONLY | libc::O_DIRECTORY));
            }
        }
    }

    fn random(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % below
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.random(from.len());
        from[at]
    }

    /// A path with every odd spelling, mostly short and often existing.
    fn path(&mut self) -> String {
        const NAMES: &[&str] = &["a", "b", "c", "d", "e", "dir", "lnk", "x y", "ü"];
        let mut path = match self.random(8) {
            0..=4 => String::new(),
            5 | 6 => format!("{}/", self.base),
            _ => "./".to_owned(),
        };
        for depth in 0..=self.random(3) {
            if depth > 0 {
                path.push_str(self.pick(&["/", "/", "/", "//", "/./"]));
            }
            let part = match self.random(30) {
                0 => "..",
                1 => ".",
                2 => "",
                _ => self.pick(NAMES),
            };
            path.push_str(part);
        }
        path.push_str(self.pick(&["", "", "", "", "", "", "", "", "/", "/.", "//"]));
        // The two runs share what lies outside their bases.
        if path.starts_with('/') && !path.starts_with(&self.base) {
            path.insert(0, '.');
        }
        if path.contains("..") && path.starts_with('.') && self.random(3) > 0 {
            return "a/../b".to_owned();
        }
        if self.random(400) == 0 {
            return "n".repeat(self.pick(&[255, 256, 4095, 4096, 5000]));
        }
        path
    }

    fn dir(&mut self) -> i32 {
        // Of several errors about a removed folder we may report another one than the kernel.
        // SAFETY: zero is a valid stat; the descriptors are ours.
        self.dirs.retain(|fd| unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            libc::fstat(*fd as i32, &mut stat) == 0 && stat.st_nlink > 0
        });
        match self.random(10) {
            0 if self.random(3) == 0 => -1,
            1 if self.random(3) == 0 => 999,
            1..=4 if !self.dirs.is_empty() => {
                let dirs = self.dirs.clone();
                self.pick(&dirs) as i32
            }
            6 if !self.files.is_empty() => {
                let files = self.files.clone();
                self.pick(&files) as i32
            }
            _ => CWD,
        }
    }

    fn step(&mut self) -> String {
        let text = match self.random(37) {
            0..=9 => self.open(),
            10 | 11 => self.open2(),
            12..=14 => {
                let (dir, path, mode) =
                    (self.dir(), self.path(), self.pick(&[0o777, 0o755, 0o700, 0o7777]));
                let r = sys!(SYS_mkdirat, dir, c(&path).as_ptr(), mode);
                format!("mkdirat({dir}, {path}, {mode:o}) = {r:?}")
            }
            15 => {
                let (dir, path) = (self.dir(), self.path());
                let mode = self.pick(&[
                    0o644,
                    libc::S_IFREG | 0o600,
                    libc::S_IFIFO | 0o666,
                    libc::S_IFSOCK | 0o600,
                    libc::S_IFCHR | 0o600,
                    libc::S_IFDIR | 0o600,
                    0o170_000,
                ]);
                let r = sys!(SYS_mknodat, dir, c(&path).as_ptr(), mode, 0x103);
                format!("mknodat({dir}, {path}, {mode:o}) = {r:?}")
            }
            16 | 17 => {
                let (target, dir, path) = (self.path(), self.dir(), self.path());
                let r = sys!(SYS_symlinkat, c(&target).as_ptr(), dir, c(&path).as_ptr());
                format!("symlinkat({target}, {dir}, {path}) = {r:?}")
            }
            18 | 19 => {
                let (from, old, to, new) = (self.dir(), self.path(), self.dir(), self.path());
                let flags = self.pick(&[0, 0, 0, libc::AT_SYMLINK_FOLLOW, 0x100, 0x8000]);
                let r = sys!(SYS_linkat, from, c(&old).as_ptr(), to, c(&new).as_ptr(), flags);
                format!("linkat({from}, {old}, {to}, {new}, {flags:x}) = {r:?}")
            }
            20..=23 => {
                let (from, old, to, new) = (self.dir(), self.path(), self.dir(), self.path());
                let flags = self.pick(&[0, 0, 0, 0, 1, 2, 2, 3, 8]);
                let r = sys!(SYS_renameat2, from, c(&old).as_ptr(), to, c(&new).as_ptr(), flags);
                format!("renameat2({from}, {old}, {to}, {new}, {flags}) = {r:?}")
            }
            24 | 25 => {
                let (dir, path) = (self.dir(), self.path());
                let flags = self.pick(&[0, 0, libc::AT_REMOVEDIR, 1]);
                let r = sys!(SYS_unlinkat, dir, c(&path).as_ptr(), flags);
                format!("unlinkat({dir}, {path}, {flags:x}) = {r:?}")
            }
            26 => {
                let (path, length) = (self.path(), self.pick(&[0i64, 5, 100, -1]));
                let r = sys!(SYS_truncate, c(&path).as_ptr(), length);
                format!("truncate({path}, {length}) = {r:?}")
            }
            27 => {
                let (dir, path) = (CWD, self.path());
                // A folder that cannot be listed cannot be looked through, so it does not move:
                // the one difference that is meant.
                let folder =
                    calls::stat(&path).is_ok_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR);
                let mode = if folder {
                    self.pick(&[0o755, 0o777, 0o555, 0o500])
                } else {
                    // No file gets set-id bits inside; that difference is meant too.
                    self.pick(&[0o600, 0o644, 0o444, 0o200, 0o1755])
                };
                let r = sys!(SYS_fchmodat, dir, c(&path).as_ptr(), mode);
                format!("fchmodat({dir}, {path}, {mode:o}) = {r:?}")
            }
            28 => {
                let (dir, path) = (self.dir(), self.path());
                let flags = self.pick(&[0, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, 0x4000]);
                let r = sys!(SYS_fchmodat2, dir, c(&path).as_ptr(), 0o750, flags);
                format!("fchmodat2({dir}, {path}, {flags:x}) = {r:?}")
            }
            29 => {
                let dir = self.dir();
                let mode = self.pick(&[0o750, 0o755, 0o700]);
                let r = sys!(SYS_fchmod, dir, mode);
                format!("fchmod({dir}) = {r:?}")
            }
            30 => {
                let path = self.path();
                let r = sys!(
                    SYS_setxattr,
                    c(&path).as_ptr(),
                    c"user.t".as_ptr(),
                    c"v".as_ptr(),
                    1usize,
                    self.pick(&[0, 1, 2])
                );
                format!("setxattr({path}) = {r:?}")
            }
            31 => {
                let path = self.path();
                let r = sys!(SYS_removexattr, c(&path).as_ptr(), c"user.t".as_ptr());
                format!("removexattr({path}) = {r:?}")
            }
            32 => {
                let path = self.path();
                // Never out of the tree: the two differ only below it.
                let inside = !path.contains("..");
                let r = if inside { sys!(SYS_chdir, c(&path).as_ptr()) } else { Ok(0) };
                if self.random(2) == 0 {
                    let _ = sys!(SYS_chdir, c(&self.base).as_ptr());
                }
                format!("chdir({path}) = {r:?}")
            }
            33 | 34 => self.set_times(),
            35 => self.set_owner(),
            _ => {
                let mask = self.pick(&[0o022, 0o077, 0, 0o027]);
                let r = sys!(SYS_umask, mask);
                format!("umask({mask:o}) = {r:?}")
            }
        };
        text.replace(&self.base, "BASE")
    }

    /// By path, by an empty path, by descriptor, by the older calls.
    fn set_times(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        let nanos = self.pick(&[0i64, 5, libc::UTIME_NOW, libc::UTIME_OMIT, 1_000_000_000, -1]);
        let times = [
            libc::timespec { tv_sec: 7, tv_nsec: nanos },
            libc::timespec { tv_sec: 9, tv_nsec: 3 },
        ];
        let flags = self.pick(&[0, 0, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, 0x4000]);
        let r = match self.random(6) {
            0 => sys!(SYS_utimensat, dir, 0usize, times.as_ptr(), flags),
            1 => sys!(SYS_utimensat, dir, c"".as_ptr(), times.as_ptr(), flags),
            #[cfg(target_arch = "x86_64")]
            2 => sys!(SYS_utimes, c(&path).as_ptr(), times.as_ptr()),
            3 => sys!(SYS_utimensat, dir, c(&path).as_ptr(), 0usize, flags),
            _ => sys!(SYS_utimensat, dir, c(&path).as_ptr(), times.as_ptr(), flags),
        };
        let after =
            calls::stat(&path).map(|stat| if stat.st_mtime < 100 { stat.st_mtime } else { 0 });
        format!("times({dir}, {path}, {nanos}, {flags:x}) = {r:?} {:?}", after.ok())
    }

    fn set_owner(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        // SAFETY: no arguments.
        let own = unsafe { libc::getuid() };
        let user = self.pick(&[own, u32::MAX]);
        let flags = self.pick(&[0, 0, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, 0x4000]);
        let r = match self.random(4) {
            0 => sys!(SYS_fchown, dir, user, u32::MAX),
            1 => sys!(SYS_fchownat, dir, c"".as_ptr(), user, u32::MAX, flags),
            _ => sys!(SYS_fchownat, dir, c(&path).as_ptr(), user, u32::MAX, flags),
        };
        format!("owner({dir}, {path}, {}, {flags:x}) = {r:?}", user == own)
    }

    fn flags(&mut self) -> i32 {
        let mut flags =
            self.pick(&[0, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR, 0, libc::O_WRONLY]);
        if self.random(30) == 0 {
            flags = 3;
        }
        for flag in [
            libc::O_CREAT,
            libc::O_CREAT,
            libc::O_EXCL,
            libc::O_TRUNC,
            libc::O_APPEND,
            libc::O_NOFOLLOW,
            libc::O_DIRECTORY,
            libc::O_NOATIME,
            libc::O_CLOEXEC,
            libc::O_SYNC,
        ] {
            if self.random(6) == 0 {
                flags |= flag;
            }
        }
        if self.random(40) == 0 {
            flags = libc::O_TMPFILE
                | self.pick(&[libc::O_RDWR, libc::O_RDONLY, libc::O_WRONLY | libc::O_EXCL]);
        }
        if self.random(25) == 0 {
            flags |= libc::O_PATH;
        }
        flags
    }

    /// FIFOs would wait for each other.
    fn unblocked(&mut self, dir: i32, path: &str, flags: i32) -> i32 {
        // SAFETY: zero is a valid stat; the path is a C string.
        let fifo = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            let there = libc::fstatat(dir, c(path).as_ptr(), &mut stat, 0) == 0;
            there && stat.st_mode & libc::S_IFMT == libc::S_IFIFO
        };
        if fifo || self.random(6) == 0 { flags | libc::O_NONBLOCK } else { flags }
    }

    fn open(&mut self) -> String {
        let (dir, mut path) = (self.dir(), self.path());
        if self.random(12) == 0 && !self.files.is_empty() {
            let files = self.files.clone();
            let number = self.pick(&files);
            path = match self.random(4) {
                0 => format!("/proc/self/fd/{number}"),
                1 => format!("/dev/fd/{number}"),
                2 => format!("/proc/thread-self/fd/{number}"),
                // A removed working folder still has a parent for the kernel.
                _ if path.contains("..") => path,
                _ => format!("/proc/self/cwd/{path}"),
            };
        }
        let flags = self.flags();
        let flags = self.unblocked(dir, &path, flags);
        let mode = self.pick(&[0o666, 0o600, 0o777, 0o444, 0o1755]);
        let r = calls::openat(dir, &path, flags, mode);
        let after = self.use_file(r);
        format!("openat({dir}, {path}, {flags:x}, {mode:o}) = {r:?} {after}")
    }

    fn open2(&mut self) -> String {
        let (dir, path) = (self.dir(), self.path());
        let flags = self.flags();
        let mut flags = self.unblocked(dir, &path, flags) as u64;
        let resolve = self.pick(&[0u64, 0, 1, 2, 4, 8, 0x10, 0x18, 0x40, 0x0c]);
        // Under another root the path may name a FIFO that the look before did not see.
        if resolve & 0x1c != 0 {
            flags |= libc::O_NONBLOCK as u64;
        }
        let mut mode = if flags & (libc::O_CREAT as u64) != 0 { 0o640 } else { 0 };
        match self.random(30) {
            0 => flags |= 1 << 40,
            1 => mode = 0o17777,
            2 => mode = 0o600,
            _ => {}
        }
        // Where a dangling link leads under another root is the one known difference.
        if resolve & 0x18 != 0 {
            flags &= !(libc::O_CREAT as u64);
            mode = 0;
        }
        let r = calls::openat2(dir, &path, flags, mode, resolve);
        let after = self.use_file(r);
        format!("openat2({dir}, {path}, {flags:x}, {mode:o}, {resolve:x}) = {r:?} {after}")
    }

    /// Looks at an opened file from all sides, writes and reads a little, keeps some.
    fn use_file(&mut self, opened: calls::Result) -> String {
        let Ok(fd) = opened else { return String::new() };
        // SAFETY: zero is a valid stat; the descriptor is ours.
        let stat = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(fd as i32, &mut stat), 0);
            stat
        };
        let status = sys!(SYS_fcntl, fd, libc::F_GETFL, 0);
        let close_on_exec = sys!(SYS_fcntl, fd, libc::F_GETFD, 0);
        let folder = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let size = if folder { 0 } else { stat.st_size };
        let wrote = if self.random(2) == 0 { calls::write(fd, b"hello") } else { Ok(0) };
        let content =
            sys!(SYS_lseek, fd, 0, 0).and_then(|_| calls::read(fd).map(|b| b.len() as i64));
        let line = format!(
            "mode {:o} size {size} links {} fl {status:x?} fd {close_on_exec:?} w {wrote:?} r {content:?}",
            stat.st_mode, stat.st_nlink
        );
        match self.random(3) {
            0 if folder && self.dirs.len() < 6 => self.dirs.push(fd),
            1 if !folder && self.files.len() < 6 => self.files.push(fd),
            _ => calls::close(fd),
        }
        if self.random(25) == 0 && !self.dirs.is_empty() {
            let fd = self.dirs.remove(0);
            calls::close(fd);
        }
        if self.random(25) == 0 && !self.files.is_empty() {
            let fd = self.files.remove(0);
            calls::close(fd);
        }
        line
    }
}

/// Everything about a tree that the operations can change.
fn list(tree: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![tree.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
            let target = fs::read_link(&path).unwrap_or_default();
            let target = target.to_string_lossy().replace(tree.to_str().unwrap(), "BASE");
            let name = path.strip_prefix(tree).unwrap().display();
            lines.push(format!(
                "{name} {:o} {} {target} {content:?} {}",
                meta.mode(),
                meta.nlink(),
                meta.uid()
            ));
            if meta.is_dir() {
                todo.push(path);
            }
        }
    }
    lines.sort();
    lines
}
