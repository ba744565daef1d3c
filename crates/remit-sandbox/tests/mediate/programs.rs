//! Starting programs: what the agent wrote, what has no path, what is not listed.

use remit_core::{AccessRequest, Action, Decision, Outcome, ReasonCode, Record, Resource};

use crate::{
    calls::{self, CWD, c, get, put, symlink, sys},
    harness::{Area, Rules, Setup, Test, deny, fork, permit, session, wait},
};

pub const TESTS: &[Test] = &[
    ("programs_the_agent_wrote_do_not_start", agent_written),
    ("programs_scripts_and_interpreters_are_decided", scripts),
    ("programs_pinned_by_digest", digests),
    ("programs_not_listed_cannot_be_given_to_the_loader", loader),
];

fn run(path: &str, arguments: &[&str]) -> Result<i32, i32> {
    let path = c(path);
    let arguments: Vec<_> = arguments.iter().map(|argument| c(argument)).collect();
    let mut list: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    list.push(std::ptr::null());
    run_by(|| sys!(SYS_execve, path.as_ptr(), list.as_ptr(), [std::ptr::null::<u8>()].as_ptr()))
}

/// The exit status, or the errno of the failed start.
fn run_by(start: impl FnOnce() -> calls::Result) -> Result<i32, i32> {
    let child = fork().unwrap();
    if child == 0 {
        let error = start().unwrap_err();
        // SAFETY: ends the child.
        unsafe { libc::_exit(100 + error) };
    }
    match wait(child) {
        status if (100..240).contains(&status) => Err(status - 100),
        status => Ok(status),
    }
}

/// Everything in `data` may be changed; of programs, `listed` may start.
fn rules(
    area: &Area,
    listed: &[&str],
) -> Rules<impl Fn(&AccessRequest) -> Decision + Send + Sync + use<>> {
    let data = area.data.clone();
    let listed: Vec<std::path::PathBuf> =
        listed.iter().map(|path| std::fs::canonicalize(path).unwrap()).collect();
    Rules(move |request: &AccessRequest| match &request.resource {
        Resource::Program { path, .. } if listed.contains(path) => permit(),
        Resource::Program { .. } => deny(ReasonCode::NotExecutable),
        Resource::File(path) if path.starts_with(data.join("ro")) => match request.action {
            Action::ReadFile => permit(),
            _ => deny(ReasonCode::ReadOnly),
        },
        Resource::File(path) if path.starts_with(&data) => permit(),
        _ => deny(ReasonCode::NoGrant),
    })
}

fn refused(records: &[Record], reason: ReasonCode, name: &str) -> bool {
    records.iter().any(|record| {
        record.outcome == Outcome::Denied
            && record.reason == reason
            && record.resource.contains(name)
    })
}

fn agent_written(user: Option<u32>) {
    let area = Area::new("written", user);
    let setup = Setup::new(user, rules(&area, &["/bin/true"]));
    let (well, records) = session(&area, setup, || {
        let program = get_all("/bin/true");
        for path in [area.data.join("p"), area.scratch.join("p")] {
            let path = path.to_str().unwrap();
            let fd = calls::openat(CWD, path, libc::O_CREAT | libc::O_WRONLY, 0o755).unwrap();
            calls::write(fd, &program).unwrap();
            calls::close(fd);
            assert_eq!(run(path, &["p"]), Err(libc::EACCES), "{path}");
            let fd = calls::open(path, libc::O_PATH).unwrap();
            let by_descriptor = || {
                sys!(
                    SYS_execveat,
                    fd,
                    c"".as_ptr(),
                    [0usize].as_ptr(),
                    [0usize].as_ptr(),
                    libc::AT_EMPTY_PATH
                )
            };
            assert_eq!(run_by(by_descriptor), Err(libc::EACCES), "fexecve {path}");
            assert_eq!(run(&format!("/proc/self/fd/{fd}"), &["p"]), Err(libc::EACCES));
        }
        let memory = sys!(SYS_memfd_create, c"evil".as_ptr(), 0).unwrap();
        calls::write(memory, &program).unwrap();
        let by_memory = || {
            sys!(
                SYS_execveat,
                memory,
                c"".as_ptr(),
                [0usize].as_ptr(),
                [0usize].as_ptr(),
                libc::AT_EMPTY_PATH
            )
        };
        assert_eq!(run_by(by_memory), Err(libc::EACCES), "memfd");
        assert_eq!(run(&format!("/proc/self/fd/{memory}"), &["p"]), Err(libc::EACCES));
        assert_eq!(run("/bin/true", &["true"]), Ok(0));
        let link = area.scratch.join("link");
        symlink("/bin/true", link.to_str().unwrap()).unwrap();
        assert_eq!(run(link.to_str().unwrap(), &["link"]), Ok(0));
        assert_eq!(run("/bin/false", &["false"]), Err(libc::EACCES));
        assert_eq!(run("/nowhere", &["x"]), Err(libc::ENOENT));
        assert_eq!(run("/etc", &["x"]), Err(libc::EACCES));
        assert_eq!(run("/etc/passwd", &["x"]), Err(libc::EACCES));
    });
    assert!(well);
    assert!(refused(&records, ReasonCode::AgentWritten, "data/p"));
    assert!(refused(&records, ReasonCode::AgentWritten, "memfd:evil"));
    assert!(refused(&records, ReasonCode::NotExecutable, "/false"));
}

fn get_all(path: &str) -> Vec<u8> {
    let fd = calls::open(path, libc::O_RDONLY).unwrap();
    let mut all = Vec::new();
    while let Ok(part) = calls::read(fd)
        && !part.is_empty()
    {
        all.extend(part);
    }
    calls::close(fd);
    all
}

fn scripts(user: Option<u32>) {
    let area = Area::new("scripts", user);
    std::fs::create_dir(area.data.join("ro")).unwrap();
    let script = area.data.join("ro/script");
    let bad = area.data.join("ro/bad");
    for (path, text) in [(&script, "#!/bin/sh\nexit 7\n"), (&bad, "#! /bin/false -x\n")] {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let listed = [script.to_str().unwrap(), bad.to_str().unwrap(), "/bin/sh"];
    let setup = Setup::new(user, rules(&area, &listed));
    let (well, records) = session(&area, setup, || {
        // The kernel itself has no right there in this harness: permitted is enough.
        assert_eq!(run(script.to_str().unwrap(), &["s"]), Err(libc::EACCES));
        assert_eq!(run(bad.to_str().unwrap(), &["s"]), Err(libc::EACCES));
        let own = area.data.join("own");
        put(own.to_str().unwrap(), "#!/bin/sh\nexit 7\n").unwrap();
        let _ = sys!(SYS_fchmodat, CWD, c(own.to_str().unwrap()).as_ptr(), 0o755);
        assert_eq!(run(own.to_str().unwrap(), &["own"]), Err(libc::EACCES));
    });
    assert!(well);
    let allowed = |name: &str| {
        records.iter().any(|record| {
            record.action == Action::Execute
                && record.outcome == Outcome::Allowed
                && record.resource.ends_with(name)
        })
    };
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    assert!(allowed("ro/script") && allowed("ro/bad") && allowed(shell.to_str().unwrap()));
    assert!(refused(&records, ReasonCode::NotExecutable, "/false"));
    assert!(refused(&records, ReasonCode::AgentWritten, "data/own"));
}

fn digests(user: Option<u32>) {
    use sha2::{Digest, Sha256};
    let area = Area::new("digests", user);
    let right: [u8; 32] = Sha256::digest(std::fs::read("/bin/true").unwrap()).into();
    let pdp = Rules(move |request: &AccessRequest| match &request.resource {
        Resource::Program { path, sha256 } if path.ends_with("true") || path.ends_with("false") => {
            if *sha256 == Some(right) {
                permit()
            } else {
                deny(ReasonCode::DigestMismatch)
            }
        }
        _ => deny(ReasonCode::NoGrant),
    });
    let (well, records) = session(&area, Setup::new(user, pdp), || {
        assert_eq!(run("/bin/true", &["true"]), Ok(0));
        assert_eq!(run("/bin/false", &["false"]), Err(libc::EACCES));
    });
    assert!(well);
    assert_eq!(records.iter().filter(|record| record.outcome == Outcome::Denied).count(), 1);
    assert!(refused(&records, ReasonCode::DigestMismatch, "/false"));
}

fn loader(user: Option<u32>) {
    let area = Area::new("loader", user);
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .unwrap();
    let mut setup = Setup::new(user, rules(&area, &["/bin/true", "/bin/cat", loader]));
    setup.list_mode = true;
    let (well, records) = session(&area, setup, || {
        assert_eq!(run("/bin/true", &["true"]), Ok(0), "libraries open");
        assert_eq!(run(loader, &["ld.so", "/bin/true"]), Ok(0));
        assert_ne!(run(loader, &["ld.so", "/bin/false"]), Ok(1), "the loader ran a program");
        assert_eq!(get("/bin/false"), Err(libc::EACCES));
        assert!(get("/etc/passwd").is_ok());
        assert!(calls::open("/usr/bin", libc::O_RDONLY | libc::O_DIRECTORY).is_ok());
    });
    assert!(well);
    assert!(refused(&records, ReasonCode::NotExecutable, "/false"));
}
