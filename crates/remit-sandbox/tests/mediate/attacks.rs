//! Attacks, named after the class of bypass. The policy: all of `data` may be changed, except that
//! `data/ro` is for reading, `data/secret` is not granted, and git's files are protected.

use std::{
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use remit_core::{
    AccessRequest, Action, Decision, FileKind, Obligation, Outcome, ReasonCode, Record, Resource,
    Via,
};

use crate::{
    calls::{
        self, CWD, c, close, get, link, mkdir, open, openat2, put, rename, symlink, sys, unlink,
    },
    harness::{Area, Rules, Setup, Test, deny, fork, permit, pipe, session, wait},
};

pub const TESTS: &[Test] = &[
    ("toctou_path_swap_in_memory_never_opens_the_other_file", path_swap),
    ("toctou_symlink_swap_on_disk_never_opens_the_other_file", symlink_swap),
    ("toctou_directory_swap_by_exchange", directory_swap),
    ("alias_proc_self_root_and_cwd_are_decided_again", proc_aliases),
    ("alias_dot_dot_and_symlinks_are_decided_canonically", canonical),
    ("reopening_a_read_only_descriptor_for_writing_is_decided_again", reopen),
    ("openat2_tricks_do_not_escape", openat2_tricks),
    ("protected_hooks_cannot_be_created_or_linked", hooks),
    ("protected_directory_rename_and_exchange", rename_git),
    ("protected_creation_raced_with_directory_rename", race_rename),
    ("hard_link_of_a_read_only_file_is_refused", hard_link),
    ("config_lock_descriptor_kept_open_is_useless", config_lock),
    ("config_is_judged_by_content", config_judged),
    ("unix_sockets_of_the_host_in_granted_folders", unix_sockets),
    ("descriptors_of_a_mount_that_is_gone_lead_nowhere", other_mount),
    ("truncate_and_modes_of_read_only_files", truncation),
    ("a_known_folder_that_others_moved_is_decided_by_its_new_name", moved_folder),
    ("a_known_folder_swapped_for_a_link_leads_nowhere_else", swapped_folder),
];

/// The test policy.
pub fn rules(area: &Area) -> Rules<impl Fn(&AccessRequest) -> Decision + Send + Sync + use<>> {
    let data = area.data.clone();
    Rules(move |request: &AccessRequest| {
        let Resource::File(path) = &request.resource else { return deny(ReasonCode::NoGrant) };
        let Ok(inside) = path.strip_prefix(&data) else { return deny(ReasonCode::NoGrant) };
        if inside.starts_with("secret") {
            return deny(ReasonCode::NoGrant);
        }
        if request.action == Action::ReadFile {
            return permit();
        }
        if inside.starts_with("ro") {
            return deny(ReasonCode::ReadOnly);
        }
        match protection(inside, request.context.kind) {
            None => permit(),
            Some(kind) => match &request.context.via {
                Some(Via::TreeMove { from, .. })
                    if from
                        .strip_prefix(&data)
                        .is_ok_and(|from| protection(from, request.context.kind) == Some(kind)) =>
                {
                    permit()
                }
                Some(Via::LockRename) if kind == "config" => permit().with(Obligation::JudgeConfig),
                _ if kind == "config" => deny(ReasonCode::UnsafeConfig),
                _ => deny(ReasonCode::Protected),
            },
        }
    })
}

fn protection(path: &Path, kind: Option<FileKind>) -> Option<&'static str> {
    let parts: Vec<_> = path.iter().map(|part| part.as_bytes()).collect();
    let at = parts.iter().position(|part| *part == b".git")?;
    match &parts[at + 1..] {
        [] if kind != Some(FileKind::Folder) => Some("pointer"),
        [b"config"] => Some("config"),
        [b"hooks", name] if !name.ends_with(b".sample") => Some("hook"),
        [b"hooks"] if kind != Some(FileKind::Folder) => Some("hook"),
        _ => None,
    }
}

/// Runs an attack in `data`, with a secret beside it and a read-only folder in it.
pub fn attack(user: Option<u32>, name: &str, body: impl FnOnce(&Area)) -> Vec<Record> {
    let area = Area::new(name, user);
    for (path, text) in [("secret/key", "SECRET"), ("ro/file", "readonly"), ("open/file", "open")] {
        let path = area.data.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if let Some(user) = user {
            std::os::unix::fs::chown(path.parent().unwrap(), Some(user), Some(user)).unwrap();
            std::os::unix::fs::chown(&path, Some(user), Some(user)).unwrap();
        }
    }
    let setup = Setup::new(user, rules(&area));
    let (well, records) = session(&area, setup, || {
        let _ = sys!(SYS_chdir, c(area.data.to_str().unwrap()).as_ptr());
        body(&area);
    });
    assert!(well, "the agent's side failed");
    assert_eq!(std::fs::read_to_string(area.data.join("secret/key")).unwrap(), "SECRET");
    assert_eq!(std::fs::read_to_string(area.data.join("ro/file")).unwrap(), "readonly");
    records
}

pub fn denied(records: &[Record], action: Action, name: &str) -> bool {
    records.iter().any(|record| {
        record.action == action
            && record.outcome == Outcome::Denied
            && record.resource.contains(name)
    })
}

/// Files were opened in a folder again and again; then somebody outside moves it to where the agent
/// has no right.
fn moved_folder(user: Option<u32>) {
    let area = Area::new("moved", user);
    let data = area.data.clone();
    for folder in ["box", "secret"] {
        std::fs::create_dir(data.join(folder)).unwrap();
    }
    std::fs::write(data.join("box/key"), "open").unwrap();
    if let Some(user) = user {
        for path in ["box", "secret", "box/key"] {
            std::os::unix::fs::chown(data.join(path), Some(user), Some(user)).unwrap();
        }
    }
    let (mut asked, mut ask) = pipe();
    let (mut done, mut tell) = pipe();
    let outside = fork().unwrap();
    if outside == 0 {
        drop(ask);
        let _ = asked.read_exact(&mut [0]);
        let moved = std::fs::rename(data.join("box"), data.join("secret/box"));
        std::fs::write(data.join("secret/box/key"), "SECRET").unwrap();
        tell.write_all(&[u8::from(moved.is_ok())]).unwrap();
        std::process::exit(0);
    }
    let (well, _) = session(&area, Setup::new(user, rules(&area)), || {
        let key = data.join("box/key");
        let key = key.to_str().unwrap();
        for _ in 0..4 {
            assert_eq!(get(key).unwrap(), "open");
        }
        ask.write_all(&[0]).unwrap();
        let mut moved = [0];
        done.read_exact(&mut moved).unwrap();
        assert_eq!(moved, [1]);
        for _ in 0..4 {
            assert_eq!(get(key), Err(libc::ENOENT));
        }
        let there = data.join("secret/box/key");
        assert_eq!(get(there.to_str().unwrap()), Err(libc::EACCES));
    });
    drop(ask);
    assert_eq!(wait(outside), 0);
    assert!(well, "the agent's side failed");
}

/// The folder, or the file in it, gives way to a link while it is known.
fn swapped_folder(user: Option<u32>) {
    let records = attack(user, "swapped", |area| {
        let at = |path: &str| area.data.join(path).to_str().unwrap().to_owned();
        mkdir("box").unwrap();
        put("box/key", "open").unwrap();
        let key = at("box/key");
        let swap = || {
            let _ = rename("box", "gone", 0);
            let _ = symlink("secret", "box");
            let _ = unlink("box");
            let _ = rename("gone", "box", 0);
        };
        let mut read = 0;
        meanwhile(swap, || {
            for _ in 0..3_000 {
                match get(&key) {
                    Ok(text) => {
                        assert_eq!(text, "open");
                        read += 1;
                    }
                    Err(error) => assert!([libc::ENOENT, libc::EACCES].contains(&error)),
                }
            }
        });
        assert!(read > 0);
        for _ in 0..3 {
            assert_eq!(get(&at("open/file")).unwrap(), "open");
        }
        unlink("open/file").unwrap();
        symlink("../secret/key", "open/file").unwrap();
        assert_eq!(get(&at("open/file")), Err(libc::EACCES));
        unlink("open/file").unwrap();
        put("open/file", "again").unwrap();
        assert_eq!(get(&at("open/file")).unwrap(), "again");
    });
    assert!(denied(&records, Action::ReadFile, "secret/key"));
}

/// Keeps doing `work` in another thread while `body` runs.
pub fn meanwhile(work: impl Fn() + Sync, body: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                work();
            }
        });
        let _stop = StopAtEnd(&stop);
        body();
    });
}

/// Also when the test fails: the other thread must not go on for ever.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn path_swap(user: Option<u32>) {
    let records = attack(user, "swap", |_| {
        let mut buffer = *b"open/file\0\0\0";
        let address = buffer.as_mut_ptr() as usize;
        // SAFETY: both write the same ten bytes that stay alive; a torn text is part of the attack.
        let put = move |text: &[u8; 11]| unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), address as *mut u8, 11);
        };
        let mut opened = 0;
        meanwhile(
            || {
                put(b"secret/key\0");
                put(b"open/file\0\0");
            },
            || {
                for _ in 0..5000 {
                    let fd = sys!(SYS_openat, CWD, address, libc::O_RDONLY, 0);
                    if let Ok(fd) = fd {
                        assert_eq!(calls::read(fd).unwrap(), b"open");
                        close(fd);
                        opened += 1;
                    }
                }
            },
        );
        assert!(opened > 0);
    });
    assert!(denied(&records, Action::ReadFile, "secret/key"));
}

fn symlink_swap(user: Option<u32>) {
    attack(user, "linkswap", |_| {
        symlink("open/file", "l1").unwrap();
        symlink("secret/key", "l2").unwrap();
        meanwhile(
            || {
                let _ = rename("l1", "l2", libc::RENAME_EXCHANGE);
            },
            || {
                let (mut good, mut bad) = (0, 0);
                for _ in 0..3000 {
                    match get("l1") {
                        Ok(text) => {
                            assert_eq!(text, "open");
                            good += 1;
                        }
                        Err(libc::EACCES) => bad += 1,
                        Err(error) => panic!("errno {error}"),
                    }
                }
                assert!(good > 0 && bad > 0, "the race was not run: {good} {bad}");
            },
        );
    });
}

fn directory_swap(user: Option<u32>) {
    attack(user, "dirswap", |_| {
        mkdir("d1").unwrap();
        put("d1/key", "mine").unwrap();
        symlink("secret", "d2").unwrap();
        meanwhile(
            || {
                let _ = rename("d1", "d2", libc::RENAME_EXCHANGE);
            },
            || {
                for _ in 0..3000 {
                    if let Ok(text) = get("d1/key") {
                        assert_eq!(text, "mine");
                    }
                    let _ = put("d1/new", "x");
                }
            },
        );
        assert_eq!(get("secret/new"), Err(libc::ENOENT), "created in the other folder");
    });
}

fn proc_aliases(user: Option<u32>) {
    let records = attack(user, "aliases", |area| {
        let data = area.data.to_str().unwrap();
        let pid = std::process::id();
        for alias in [
            format!("/proc/self/root{data}/secret/key"),
            format!("/proc/thread-self/root{data}/secret/key"),
            format!("/proc/{pid}/root{data}/secret/key"),
            format!("/proc/self/task/{pid}/root{data}/secret/key"),
            format!("/proc/self/root/proc/self/root{data}/secret/key"),
            "/proc/self/cwd/secret/key".to_owned(),
            format!("/proc/{pid}/cwd/secret/key"),
            "/proc/self/cwd/../data/secret/key".to_owned(),
            format!("/usr/..{data}/secret/key"),
            format!("/dev/../{data}/secret/key"),
        ] {
            assert_eq!(get(&alias), Err(libc::EACCES), "{alias}");
            assert_eq!(put(&alias, "x"), Err(libc::EACCES), "{alias}");
        }
        for alias in [
            format!("/proc/self/root{data}/open/file"),
            "/proc/self/cwd/open/file".to_owned(),
            format!("/proc/{pid}/cwd/open/../open/file"),
        ] {
            assert_eq!(get(&alias).as_deref(), Ok("open"), "{alias}");
        }
        let dir = open(".", libc::O_RDONLY | libc::O_DIRECTORY).unwrap();
        assert_eq!(get(&format!("/dev/fd/{dir}/secret/key")), Err(libc::EACCES));
        assert_eq!(get(&format!("/proc/self/fd/{dir}/open/file")).as_deref(), Ok("open"));
        symlink("/proc/self/cwd/secret/key", "s").unwrap();
        assert!(get("s").is_err());
    });
    assert!(denied(&records, Action::ReadFile, "data/secret/key"));
}

fn canonical(user: Option<u32>) {
    attack(user, "canonical", |area| {
        let data = area.data.to_str().unwrap();
        symlink(&format!("{data}/secret"), "s").unwrap();
        symlink("../../scratch", "open/t").unwrap();
        let scratch = area.scratch.to_str().unwrap();
        symlink(&format!("{data}/secret/key"), &format!("{scratch}/k")).unwrap();
        symlink(&format!("{data}/secret/new"), &format!("{scratch}/n")).unwrap();
        for path in ["s/key", "open/../secret/key", "./secret//key", "s/../secret/key"] {
            assert_eq!(get(path), Err(libc::EACCES), "{path}");
        }
        assert_eq!(get(&format!("{scratch}/k")), Err(libc::EACCES));
        // Creation through a dangling link is decided where it lands.
        assert_eq!(put(&format!("{scratch}/n"), "x"), Err(libc::EACCES));
        assert_eq!(mkdir("s/d"), Err(libc::EACCES));
        assert_eq!(symlink("x", "s/l"), Err(libc::EACCES));
        assert_eq!(rename("open/file", "s/file", 0), Err(libc::EACCES));
        assert_eq!(rename("s/key", "open/key", 0), Err(libc::EACCES));
        assert_eq!(unlink("s/key"), Err(libc::EACCES));
        assert!(put(&format!("{scratch}/own"), "x").is_ok());
    });
}

fn reopen(user: Option<u32>) {
    let records = attack(user, "reopen", |_| {
        let fd = open("ro/file", libc::O_RDONLY).unwrap();
        let path = open("ro/file", libc::O_PATH).unwrap();
        for alias in [
            format!("/proc/self/fd/{fd}"),
            format!("/proc/thread-self/fd/{fd}"),
            format!("/proc/{}/fd/{fd}", std::process::id()),
            format!("/dev/fd/{fd}"),
            format!("/proc/self/fd/{path}"),
        ] {
            for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC, 3] {
                assert_eq!(open(&alias, flags), Err(libc::EACCES), "{alias} {flags:x}");
            }
            assert_eq!(get(&alias).as_deref(), Ok("readonly"));
        }
        let secret = open("secret/key", libc::O_PATH).unwrap();
        assert_eq!(get(&format!("/proc/self/fd/{secret}")), Err(libc::EACCES));
        // Not even through somebody who links to the link.
        symlink(&format!("/proc/self/fd/{secret}"), "alias").unwrap();
        assert!(get("alias").is_err());
    });
    assert!(denied(&records, Action::WriteFile, "ro/file"));
}

fn openat2_tricks(user: Option<u32>) {
    attack(user, "openat2", |area| {
        let root = open("/", libc::O_PATH | libc::O_DIRECTORY).unwrap() as i32;
        let data = open(".", libc::O_PATH | libc::O_DIRECTORY).unwrap() as i32;
        let inside = format!("{}/secret/key", area.data.display());
        for resolve in
            [0, libc::RESOLVE_IN_ROOT, libc::RESOLVE_NO_MAGICLINKS, libc::RESOLVE_NO_SYMLINKS]
        {
            assert_eq!(openat2(root, &inside, 0, 0, resolve), Err(libc::EACCES), "{resolve:x}");
        }
        let beneath = libc::RESOLVE_BENEATH;
        assert_eq!(openat2(data, "secret/key", 0, 0, beneath), Err(libc::EACCES));
        assert_eq!(openat2(data, "/secret/key", 0, 0, libc::RESOLVE_IN_ROOT), Err(libc::EACCES));
        assert_eq!(openat2(data, "open/../../data/open/file", 0, 0, beneath), Err(libc::EXDEV));
        // With its own root, `/usr/..` spells something else than it seems.
        assert_eq!(openat2(data, "/usr/x", 0, 0, libc::RESOLVE_IN_ROOT), Err(libc::ENOENT));
        // `struct open_how` of another size, and one that changes under way.
        let how = [0u64; 600];
        let size = |size: usize| sys!(SYS_openat2, CWD, c"open/file".as_ptr(), how.as_ptr(), size);
        assert_eq!(size(16), Err(libc::EINVAL));
        assert_eq!(size(4097), Err(libc::E2BIG));
        assert!(size(32).is_ok());
        let mut how = [0u64; 3];
        let address = how.as_mut_ptr() as usize;
        meanwhile(
            // SAFETY: the array outlives the threads; a torn value is part of the attack.
            || unsafe {
                (address as *mut u64).write_volatile(libc::O_WRONLY as u64);
                (address as *mut u64).write_volatile(libc::O_PATH as u64);
                (address as *mut u64).write_volatile(0);
            },
            || {
                for _ in 0..2000 {
                    if let Ok(fd) = sys!(SYS_openat2, CWD, c"ro/file".as_ptr(), address, 24) {
                        assert!(calls::write(fd, b"x").is_err());
                        close(fd);
                    }
                }
            },
        );
    });
}

fn hooks(user: Option<u32>) {
    let records = attack(user, "hooks", |_| {
        mkdir(".git").unwrap();
        mkdir(".git/hooks").unwrap();
        put(".git/hooks/pre-commit.sample", "x").unwrap();
        put("evil", "#!/bin/sh").unwrap();
        assert_eq!(put(".git/hooks/pre-commit", "x"), Err(libc::EACCES));
        assert_eq!(rename("evil", ".git/hooks/pre-commit", 0), Err(libc::EACCES));
        assert_eq!(
            rename(".git/hooks/pre-commit.sample", ".git/hooks/pre-commit", 0),
            Err(libc::EACCES)
        );
        assert_eq!(link("evil", ".git/hooks/pre-commit"), Err(libc::EACCES));
        assert_eq!(symlink("../../evil", ".git/hooks/pre-commit"), Err(libc::EACCES));
        assert_eq!(mkdir(".git/hooks/post-checkout"), Err(libc::EACCES));
        assert_eq!(
            sys!(SYS_mknodat, CWD, c".git/hooks/pre-push".as_ptr(), libc::S_IFREG | 0o755, 0),
            Err(libc::EACCES)
        );
        let temporary =
            calls::openat(CWD, ".git/hooks", libc::O_TMPFILE | libc::O_RDWR, 0o755).unwrap();
        let name = c(&format!("/proc/self/fd/{temporary}"));
        let to = c(".git/hooks/pre-commit");
        assert_eq!(
            sys!(SYS_linkat, CWD, name.as_ptr(), CWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW),
            Err(libc::EACCES)
        );
        assert_eq!(
            sys!(SYS_linkat, temporary, c"".as_ptr(), CWD, to.as_ptr(), libc::AT_EMPTY_PATH),
            Err(libc::EACCES)
        );
        // From inside, by descriptor and by directory.
        let hooks = open(".git/hooks", libc::O_PATH | libc::O_DIRECTORY).unwrap() as i32;
        assert_eq!(
            calls::openat(hooks, "pre-commit", libc::O_CREAT | libc::O_WRONLY, 0o755),
            Err(libc::EACCES)
        );
        let _ = sys!(SYS_chdir, c".git/hooks".as_ptr()).unwrap();
        assert_eq!(put("pre-commit", "x"), Err(libc::EACCES));
        assert!(put("other.sample", "x").is_ok());
    });
    assert!(denied(&records, Action::WriteFile, ".git/hooks/pre-commit"));
}

fn rename_git(user: Option<u32>) {
    let records = attack(user, "gitrename", |_| {
        mkdir("x").unwrap();
        mkdir("x/hooks").unwrap();
        put("x/hooks/pre-commit", "evil").unwrap();
        assert_eq!(rename("x", ".git", 0), Err(libc::EACCES));
        mkdir(".git").unwrap();
        assert_eq!(rename("x", ".git", libc::RENAME_EXCHANGE), Err(libc::EACCES));
        assert_eq!(rename(".git", "x", libc::RENAME_EXCHANGE), Err(libc::EACCES));
        assert_eq!(rename("x/hooks", ".git/hooks", 0), Err(libc::EACCES));
        // One level higher: the protected name appears deep inside.
        mkdir("p").unwrap();
        mkdir("p/q").unwrap();
        assert_eq!(rename("x", "p/q/.git", 0), Err(libc::EACCES));
        assert_eq!(rename("x/hooks/pre-commit", ".git", libc::RENAME_EXCHANGE), Err(libc::EACCES));
        // A project may move with what is protected in it; parts of it may not move out.
        mkdir("clean").unwrap();
        mkdir("clean/.git").unwrap();
        put("clean/.git/config.lock", "[core]\n\tbare = false\n").unwrap();
        rename("clean/.git/config.lock", "clean/.git/config", 0).unwrap();
        rename("clean", "moved", 0).unwrap();
        assert_eq!(rename("moved/.git", "moved/git", 0), Err(libc::EACCES));
        assert_eq!(rename("moved/.git/config", "moved/c", 0), Err(libc::EACCES));
        // What is read-only inside does not move with its folder.
        assert_eq!(rename("ro", "rw", 0), Err(libc::EACCES));
        assert_eq!(rename("x", "ro/x", 0), Err(libc::EACCES));
    });
    assert!(denied(&records, Action::WriteFile, ".git/hooks/pre-commit"));
}

fn race_rename(user: Option<u32>) {
    attack(user, "racerename", |_| {
        mkdir("a").unwrap();
        mkdir("a/hooks").unwrap();
        meanwhile(
            || {
                let _ = put("a/hooks/pre-commit", "evil");
                let _ = unlink("a/hooks/pre-commit");
            },
            || {
                let mut moved = 0;
                for _ in 0..400 {
                    if rename("a", ".git", 0).is_ok() {
                        moved += 1;
                        assert!(calls::stat(".git/hooks/pre-commit").is_err(), "planted");
                        rename(".git", "a", 0).unwrap();
                    }
                }
                assert!(moved > 0, "the race was not run");
            },
        );
    });
}

fn hard_link(user: Option<u32>) {
    attack(user, "hardlink", |_| {
        assert_eq!(link("ro/file", "open/alias"), Err(libc::EACCES));
        assert_eq!(link("secret/key", "open/alias"), Err(libc::EACCES));
        let fd = open("ro/file", libc::O_RDONLY).unwrap();
        let name = c(&format!("/proc/self/fd/{fd}"));
        assert_eq!(
            sys!(
                SYS_linkat,
                CWD,
                name.as_ptr(),
                CWD,
                c"open/alias".as_ptr(),
                libc::AT_SYMLINK_FOLLOW
            ),
            Err(libc::EACCES)
        );
        assert!(
            sys!(SYS_linkat, fd, c"".as_ptr(), CWD, c"open/alias".as_ptr(), libc::AT_EMPTY_PATH)
                .is_err()
        );
        mkdir(".git").unwrap();
        put(".git/config.lock", "[core]\n").unwrap();
        rename(".git/config.lock", ".git/config", 0).unwrap();
        assert_eq!(link(".git/config", "open/alias"), Err(libc::EACCES));
        assert!(link("open/file", "open/second").is_ok());
    });
}

fn config_lock(user: Option<u32>) {
    attack(user, "configlock", |_| {
        mkdir(".git").unwrap();
        let lock = open(".git/config.lock", libc::O_CREAT | libc::O_RDWR).unwrap();
        calls::write(lock, b"[core]\n\tbare = false\n").unwrap();
        link(".git/config.lock", "second").unwrap();
        rename(".git/config.lock", ".git/config", 0).unwrap();
        calls::write(lock, b"\thooksPath = /tmp/evil\n").unwrap();
        put("second", "[core]\n\thooksPath = evil\n").unwrap();
        assert_eq!(get(".git/config").as_deref(), Ok("[core]\n\tbare = false\n"));
        assert_eq!(get(".git/config.lock"), Err(libc::ENOENT));
        assert_eq!(open(".git/config", libc::O_WRONLY), Err(libc::EACCES));
        assert_eq!(sys!(SYS_truncate, c".git/config".as_ptr(), 0), Err(libc::EACCES));
    });
}

fn config_judged(user: Option<u32>) {
    let records = attack(user, "configjudged", |_| {
        mkdir(".git").unwrap();
        put(".git/config.lock", "[core]\n\thooksPath = evil\n").unwrap();
        assert_eq!(rename(".git/config.lock", ".git/config", 0), Err(libc::EACCES));
        assert_eq!(
            rename(".git/config.lock", ".git/config", libc::RENAME_NOREPLACE),
            Err(libc::EACCES)
        );
        put("other", "[core]\n").unwrap();
        assert_eq!(rename("other", ".git/config", 0), Err(libc::EACCES));
        unlink(".git/config.lock").unwrap();
        symlink("../other", ".git/config.lock").unwrap();
        assert_eq!(rename(".git/config.lock", ".git/config", 0), Err(libc::EACCES));
        unlink(".git/config.lock").unwrap();
        put(".git/config.lock", "[core]\n").unwrap();
        assert_eq!(sys!(SYS_fchmodat, CWD, c".git/config.lock".as_ptr(), 0o640), Ok(0));
        rename(".git/config.lock", ".git/config", 0).unwrap();
        assert_eq!(calls::stat(".git/config").unwrap().st_mode & 0o777, 0o640);
        // Content that changes while it is judged: only judged bytes arrive.
        let bad = "[core]\n\thooksPath = evil\n";
        for _ in 0..50 {
            let fd =
                open(".git/config.lock", libc::O_CREAT | libc::O_RDWR | libc::O_TRUNC).unwrap();
            meanwhile(
                || {
                    let _ = sys!(SYS_pwrite64, fd, bad.as_ptr(), bad.len(), 0);
                    let _ = sys!(SYS_ftruncate, fd, 0);
                },
                || {
                    let _ = rename(".git/config.lock", ".git/config", 0);
                },
            );
            close(fd);
            assert!(!get(".git/config").unwrap().contains("hooksPath"));
        }
    });
    assert!(denied(&records, Action::WriteFile, ".git/config"));
}

fn unix_sockets(user: Option<u32>) {
    let area_name = "unix";
    let area = Area::new(area_name, user);
    let host = area.data.join("host.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&host).unwrap();
    if let Some(user) = user {
        std::os::unix::fs::chown(&host, Some(user), Some(user)).unwrap();
    }
    let setup = Setup::new(user, rules(&area));
    let (well, records) = session(&area, setup, || {
        use std::os::unix::net::{UnixListener, UnixStream};
        let refused = |path: &Path| UnixStream::connect(path).unwrap_err().raw_os_error();
        assert_eq!(refused(&host), Some(libc::EACCES));
        let alias = area.scratch.join("alias");
        symlink(host.to_str().unwrap(), alias.to_str().unwrap()).unwrap();
        assert_eq!(refused(&alias), Some(libc::EACCES));
        assert!(UnixListener::bind(area.data.join("mine")).is_err());
        let own = area.scratch.join("own.sock");
        let server = UnixListener::bind(&own).unwrap();
        let mut client = UnixStream::connect(&own).unwrap();
        let (mut peer, _) = server.accept().unwrap();
        std::io::Write::write_all(&mut client, b"hi").unwrap();
        let mut text = [0; 2];
        std::io::Read::read_exact(&mut peer, &mut text).unwrap();
        assert_eq!(&text, b"hi");
        // Loopback works, blocking and not; elsewhere there is no route.
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _stream = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let away = std::net::TcpStream::connect("203.0.113.7:443").unwrap_err();
        assert_eq!(away.raw_os_error(), Some(libc::ENETUNREACH));
        // A descriptor swapped between internet and Unix socket, an address swapped likewise.
        let unix = sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap();
        let inet =
            sys!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0).unwrap();
        let target = sys!(SYS_fcntl, inet, libc::F_DUPFD, 100).unwrap();
        let mut address = [0u8; 110];
        let base = address.as_mut_ptr() as usize;
        let mut good = [0u8; 110];
        good[..8].copy_from_slice(&[libc::AF_INET as u8, 0, 0, 1, 127, 0, 0, 1]);
        let mut bad = [0u8; 110];
        bad[0] = libc::AF_UNIX as u8;
        let text = host.as_os_str().as_bytes();
        bad[2..2 + text.len()].copy_from_slice(text);
        meanwhile(
            // SAFETY: the buffers outlive the threads; tearing is part of the attack.
            || unsafe {
                std::ptr::copy_nonoverlapping(bad.as_ptr(), base as *mut u8, 110);
                let _ = sys!(SYS_dup2, unix, target);
                std::ptr::copy_nonoverlapping(good.as_ptr(), base as *mut u8, 110);
                let _ = sys!(SYS_dup2, inet, target);
            },
            || {
                for _ in 0..3000 {
                    if sys!(SYS_connect, target, base, 110).is_ok() {
                        let mut peer = [0u8; 110];
                        let mut length = 110u32;
                        let _ = sys!(SYS_getpeername, unix, peer.as_mut_ptr(), &mut length);
                        assert_eq!(peer[2], 0, "reached the host's socket");
                    }
                }
            },
        );
    });
    assert!(well);
    assert!(denied(&records, Action::Connect, "host.sock"));
    assert!(denied(&records, Action::Connect, "203.0.113.7:443"));
    assert!(!denied(&records, Action::Connect, "127.0.0.1"));
}

fn truncation(user: Option<u32>) {
    attack(user, "truncate", |_| {
        for path in ["ro/file", "secret/key"] {
            assert_eq!(sys!(SYS_truncate, c(path).as_ptr(), 0), Err(libc::EACCES));
            assert_eq!(sys!(SYS_fchmodat, CWD, c(path).as_ptr(), 0o777), Err(libc::EACCES));
            assert_eq!(sys!(SYS_fchmodat2, CWD, c(path).as_ptr(), 0o777, 0), Err(libc::EACCES));
            assert_eq!(open(path, libc::O_RDONLY | libc::O_TRUNC), Err(libc::EACCES));
            assert_eq!(
                sys!(SYS_setxattr, c(path).as_ptr(), c"user.a".as_ptr(), c"b".as_ptr(), 1, 0),
                Err(libc::EACCES)
            );
        }
        let fd = open("ro/file", libc::O_RDONLY).unwrap();
        assert_eq!(sys!(SYS_fchmod, fd, 0o777), Err(libc::EACCES));
        let path = open("ro/file", libc::O_PATH).unwrap();
        assert_eq!(
            sys!(SYS_fchmodat2, path, c"".as_ptr(), 0o777, libc::AT_EMPTY_PATH),
            Err(libc::EACCES)
        );
    });
}

fn other_mount(user: Option<u32>) {
    let area = Area::new("mount", user);
    std::fs::write(area.data.join("file"), "old").unwrap();
    if let Some(user) = user {
        std::os::unix::fs::chown(area.data.join("file"), Some(user), Some(user)).unwrap();
    }
    // Opened before the session's mounts exist: the same folder through a mount that the session
    // does not have, as after the end of a grant.
    let dir = open(area.data.to_str().unwrap(), libc::O_RDONLY | libc::O_DIRECTORY).unwrap();
    let file = open(area.data.join("file").to_str().unwrap(), libc::O_RDONLY).unwrap();
    let setup = Setup::new(user, rules(&area));
    let (well, records) = session(&area, setup, || {
        let at = dir as i32;
        assert_eq!(calls::openat(at, "file", libc::O_RDONLY, 0), Err(libc::ENOENT));
        assert_eq!(
            calls::openat(at, "new", libc::O_CREAT | libc::O_RDWR, 0o600),
            Err(libc::ENOENT)
        );
        assert_eq!(sys!(SYS_mkdirat, at, c"d".as_ptr(), 0o700), Err(libc::ENOENT));
        assert_eq!(sys!(SYS_unlinkat, at, c"file".as_ptr(), 0), Err(libc::ENOENT));
        for flags in [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR] {
            assert_eq!(open(&format!("/proc/self/fd/{file}"), flags), Err(libc::EACCES));
        }
        assert_eq!(open(&format!("/proc/self/fd/{dir}/file"), 0), Err(libc::ENOENT));
        assert_eq!(sys!(SYS_fchmod, file, 0o777), Err(libc::EACCES));
        let _ = sys!(SYS_fchdir, dir).unwrap();
        assert_eq!(get("file"), Err(libc::ENOENT));
        assert_eq!(rename("file", "other", 0), Err(libc::ENOENT));
        assert_eq!(get(area.data.join("file").to_str().unwrap()).as_deref(), Ok("old"));
    });
    assert!(well);
    assert_eq!(records.len(), 1, "only the open by path");
}
