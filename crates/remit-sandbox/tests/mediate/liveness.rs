//! Whatever one caller does, others are served, and every call is answered.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use remit_core::{AccessRequest, Action, Decision, Outcome, Resource};

use crate::{
    attacks::{attack, denied, rules},
    calls::{self, CWD, c, close, get, open, put, symlink, sys, unlink},
    harness::{Area, Rules, Setup, Test, fork, permit, session, wait},
};

pub const TESTS: &[Test] = &[
    ("fifo_open_does_not_stall_others", fifo),
    ("odd_pointers_and_flags_are_answered", odd_pointers),
    ("many_threads_many_calls", storm),
    ("callers_that_die_do_not_block_the_pool", deaths),
    ("magic_links_to_the_persons_streams", streams),
    ("asking_a_person_waits_and_stalls_nobody_else", asking),
    ("absent_paths_of_the_host_are_recorded_once", absent),
];

/// A person who says yes after a while; the policy then holds it.
struct Slow(std::sync::Arc<AtomicBool>, bool);

impl remit_core::Approver for Slow {
    fn ask(&self, _request: remit_core::ApprovalRequest) -> remit_core::AnswerReceiver {
        let (sender, receiver) = remit_core::answer_channel();
        let (granted, yes) = (std::sync::Arc::clone(&self.0), self.1);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            granted.store(yes, Ordering::SeqCst);
            let answer =
                if yes { remit_core::Answer::Approved } else { remit_core::Answer::Denied };
            sender.send(answer);
        });
        receiver
    }
}

fn asking(user: Option<u32>) {
    for yes in [true, false] {
        let child = fork().unwrap();
        if child == 0 {
            ask_once(user, yes);
            std::process::exit(0);
        }
        assert_eq!(wait(child), 0);
    }
}

fn ask_once(user: Option<u32>, yes: bool) {
    let area = Area::new("asking", user);
    std::fs::write(area.data.join("asked"), "asked").unwrap();
    std::fs::write(area.data.join("free"), "free").unwrap();
    let granted = std::sync::Arc::new(AtomicBool::new(false));
    let known = std::sync::Arc::clone(&granted);
    let pdp = Rules(move |request: &AccessRequest| match &request.resource {
        Resource::File(path) if path.ends_with("asked") && !known.load(Ordering::SeqCst) => {
            Decision::ask(None, 1)
        }
        _ => permit(),
    });
    let mut setup = Setup::new(user, pdp);
    setup.approver = std::sync::Arc::new(Slow(granted, yes));
    let (well, records) = session(&area, setup, || {
        let _ = sys!(SYS_chdir, c(area.data.to_str().unwrap()).as_ptr());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| get("asked"));
            std::thread::sleep(Duration::from_millis(50));
            let begun = Instant::now();
            for _ in 0..100 {
                assert_eq!(get("free").as_deref(), Ok("free"));
            }
            assert!(begun.elapsed() < Duration::from_millis(200), "others wait too");
            assert!(!waiting.is_finished());
            let expected = if yes { Ok("asked".to_owned()) } else { Err(libc::EACCES) };
            assert_eq!(waiting.join().unwrap(), expected);
        });
    });
    assert!(well);
    let of = |action: Action, outcome: Outcome| {
        records
            .iter()
            .filter(|r| r.action == action && r.outcome == outcome && r.resource.ends_with("asked"))
            .count()
    };
    assert_eq!(of(Action::ApprovalRequest, Outcome::Asked), 1, "asked once");
    assert_eq!(of(Action::ReadFile, Outcome::Allowed), usize::from(yes));
    assert_eq!(of(Action::ReadFile, Outcome::Denied), usize::from(!yes));
}

fn absent(user: Option<u32>) {
    let area = Area::new("absent", user);
    std::fs::create_dir(area.root.join("host")).unwrap();
    std::fs::write(area.root.join("host/only-on-host"), "x").unwrap();
    let mut setup = Setup::new(user, rules(&area));
    setup.host = Some(area.root.join("host"));
    let (well, records) = session(&area, setup, || {
        for _ in 0..5 {
            assert_eq!(get("/only-on-host"), Err(libc::ENOENT));
            assert_eq!(get("/nowhere-at-all"), Err(libc::ENOENT));
        }
    });
    assert!(well);
    let of = |name: &str| records.iter().filter(|record| record.resource.contains(name)).count();
    assert_eq!((of("/only-on-host"), of("/nowhere-at-all")), (1, 0));
    assert!(denied(&records, Action::ReadFile, "/only-on-host"));
}

fn fifo(user: Option<u32>) {
    attack(user, "fifo", |_| {
        let make = |name: &str| sys!(SYS_mknodat, CWD, c(name).as_ptr(), libc::S_IFIFO | 0o600, 0);
        for name in ["f1", "f2", "f3"] {
            make(name).unwrap();
        }
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let fd = open("f1", libc::O_RDONLY).unwrap();
                let status = sys!(SYS_fcntl, fd, libc::F_GETFL, 0).unwrap();
                assert_eq!(status as i32 & libc::O_NONBLOCK, 0);
                calls::read(fd).unwrap()
            });
            let writer = scope.spawn(|| open("f2", libc::O_WRONLY));
            std::thread::sleep(Duration::from_millis(50));
            let begun = Instant::now();
            for _ in 0..100 {
                assert_eq!(get("open/file").as_deref(), Ok("open"));
            }
            assert!(begun.elapsed() < Duration::from_secs(1), "others stall");
            assert!(!reader.is_finished() && !writer.is_finished(), "opens did not wait");
            assert_eq!(open("f3", libc::O_WRONLY | libc::O_NONBLOCK), Err(libc::ENXIO));
            let other = open("f1", libc::O_WRONLY).unwrap();
            calls::write(other, b"through").unwrap();
            assert_eq!(reader.join().unwrap(), b"through");
            let _reader = open("f2", libc::O_RDONLY).unwrap();
            assert!(writer.join().unwrap().is_ok());
        });
    });
}

fn odd_pointers(user: Option<u32>) {
    attack(user, "pointers", |_| {
        let bad = [0usize, 1, 8, usize::MAX, usize::MAX - 4095, 0x7fff_ffff_f000, 1 << 47, 1 << 63];
        for at in bad {
            assert_eq!(sys!(SYS_openat, CWD, at, 0, 0), Err(libc::EFAULT), "{at:x}");
            assert_eq!(sys!(SYS_mkdirat, CWD, at, 0), Err(libc::EFAULT));
            assert_eq!(
                sys!(SYS_renameat2, CWD, c"open/file".as_ptr(), CWD, at, 0),
                Err(libc::EFAULT)
            );
            assert_eq!(sys!(SYS_openat2, CWD, c"open/file".as_ptr(), at, 24), Err(libc::EFAULT));
            assert_eq!(sys!(SYS_execve, at, 0, 0), Err(libc::EFAULT));
            let socket = sys!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
            assert_eq!(sys!(SYS_connect, socket, at, 16), Err(libc::EFAULT));
            close(socket);
        }
        // A path that ends right before a page that is not there, and one that runs into it.
        // SAFETY: the mapping is ours; the second page becomes unreadable before it is used.
        unsafe {
            let map = libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
            .cast::<u8>();
            assert_eq!(libc::munmap(map.add(4096).cast(), 4096), 0);
            let at = map.add(4096 - 10);
            std::ptr::copy_nonoverlapping(c"open/file".as_ptr().cast(), at, 10);
            assert!(sys!(SYS_openat, CWD, at, 0, 0).is_ok());
            at.add(9).write(b'x');
            assert_eq!(sys!(SYS_openat, CWD, at, 0, 0), Err(libc::EFAULT));
        }
        let long = |length: usize| {
            let path = format!("{}open/file", "./".repeat((length - 9) / 2));
            open(&path, 0)
        };
        assert!(long(4095).is_ok());
        assert_eq!(long(4097), Err(libc::ENAMETOOLONG));
        assert_eq!(open("", 0), Err(libc::ENOENT));
        assert_eq!(open("open/file/", 0), Err(libc::ENOTDIR));
        assert_eq!(calls::openat(i32::MAX, "x", 0, 0), Err(libc::EBADF));
        assert_eq!(calls::openat(-5, "x", 0, 0), Err(libc::EBADF));
    });
}

fn storm(user: Option<u32>) {
    attack(user, "storm", |_| {
        std::thread::scope(|scope| {
            for thread in 0..64 {
                scope.spawn(move || {
                    for round in 0..160 {
                        let name = format!("open/t{thread}-{}", round % 4);
                        match round % 5 {
                            0 => drop(put(&name, "x").unwrap()),
                            1 => assert_eq!(get("open/file").as_deref(), Ok("open")),
                            2 => assert_eq!(get("secret/key"), Err(libc::EACCES)),
                            3 => drop(get("/etc/passwd")),
                            _ => drop(unlink(&name)),
                        }
                    }
                });
            }
        });
    });
}

fn deaths(user: Option<u32>) {
    attack(user, "deaths", |_| {
        let make = sys!(SYS_mknodat, CWD, c"f".as_ptr(), libc::S_IFIFO | 0o600, 0);
        make.unwrap();
        // More waiting callers than the pool has places, all killed.
        for _ in 0..3 {
            let children: Vec<_> = (0..50)
                .map(|_| {
                    let child = fork().unwrap();
                    if child == 0 {
                        let _ = open("f", libc::O_RDONLY);
                        // SAFETY: ends the child.
                        unsafe { libc::_exit(0) };
                    }
                    child
                })
                .collect();
            std::thread::sleep(Duration::from_millis(50));
            for child in children {
                // SAFETY: our own children.
                unsafe { libc::kill(child, libc::SIGKILL) };
                wait(child);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(get("open/file").as_deref(), Ok("open"));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| open("f", libc::O_RDONLY));
            let writer = open("f", libc::O_WRONLY);
            assert!(writer.is_ok() && reader.join().unwrap().is_ok());
        });
    });
}

fn streams(user: Option<u32>) {
    attack(user, "streams", |_| {
        // A pipe through /dev/fd, as in a shell's process substitution.
        let mut ends = [0i32; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        calls::write(i64::from(ends[1]), b"piped").unwrap();
        assert_eq!(get(&format!("/dev/fd/{}", ends[0])).as_deref(), Ok("piped"));
        let memory = sys!(SYS_memfd_create, c"m".as_ptr(), 0).unwrap();
        calls::write(memory, b"memory").unwrap();
        assert_eq!(get(&format!("/proc/self/fd/{memory}")).as_deref(), Ok("memory"));
        symlink(&format!("/dev/fd/{memory}"), "link").unwrap();
        assert_eq!(get("link").as_deref(), Ok("memory"));
        assert!(open("/dev/null", libc::O_RDWR).is_ok());
        assert!(get("/proc/self/status").unwrap().starts_with("Name:"));
    });
}
