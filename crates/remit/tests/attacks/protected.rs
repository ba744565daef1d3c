//! Files that make tools run code later, inside a folder that the agent may write.

use std::{fs, process::Command};

use libtest_mimic::Trial;
use remit_testkit::program;

use crate::world::{World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("protected_every_family_not_yet_existing", absent),
        trial("protected_git_hooks_and_folders", folders),
        trial("protected_git_config_lock_tricks", locks),
        trial("protected_git_repositories_planted_below_git_folders", planted),
        trial("protected_git_keeps_working", works),
        trial("protected_hooks_where_the_repository_says", hooks),
        trial("protected_configuration_that_git_includes", included),
        trial("protected_names_that_lead_to_the_manifest", manifest),
    ]
}

const FAMILIES: &[&str] = &[
    ".git/hooks/pre-commit",
    ".git/config",
    ".git/config.worktree",
    ".git/modules/a/config",
    ".git/modules/a/hooks/post-checkout",
    ".git/commondir",
    ".GIT/hooks/pre-commit",
    ".Git/Config",
    "sub/.git",
    ".gitconfig",
    ".config/git/config",
    ".hg/hgrc",
    ".jj/repo/config.toml",
    ".mcp.json",
    ".claude/settings.json",
    ".codex/config.toml",
    ".cursor/mcp.json",
    ".gemini/settings.json",
    ".vscode/tasks.json",
    ".idea/workspace.xml",
    ".zed/settings.json",
    "x.code-workspace",
    ".devcontainer/devcontainer.json",
    "AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    "deep/sub/CLAUDE.md",
    ".github/copilot-instructions.md",
    ".envrc",
    ".bashrc",
    ".profile",
    "sub/.zshrc",
    ".bash_aliases",
    ".config/fish/config.fish",
    ".inputrc",
    ".vimrc",
    ".exrc",
    ".emacs",
    ".gdbinit",
    ".pdbrc",
    ".npmrc",
    ".cargo/config.toml",
    ".husky/pre-commit",
    ".pre-commit-config.yaml",
    "mise.toml",
    ".ssh/authorized_keys",
    ".ssh/config",
    ".config/systemd/user/x.service",
    ".config/autostart/x.desktop",
    ".local/bin/ls",
    "opencode.json",
    ".opencode/x",
];

fn absent() {
    let world = World::new("absent");
    let report = world.attack(&format!(
        r#"
for name in {FAMILIES:?}:
    path = W + "/" + name
    def create():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path)
    attempt("attack create " + name, create)
    def rename():
        write(W + "/harmless")
        os.rename(W + "/harmless", path)
    attempt("attack rename " + name, rename)
    attempt("attack link " + name, lambda: os.link(W + "/file", path))
    attempt("attack symlink " + name, lambda: os.symlink("/tmp/x", path))
    attempt("attack fifo " + name, lambda: os.mkfifo(path))
attempt("permitted", lambda: (os.makedirs(W + "/src"), write(W + "/src/main.rs")))
attempt("permitted sample", lambda: (os.makedirs(W + "/.git/hooks", exist_ok=True), write(W + "/.git/hooks/pre-push.sample")))
attempt("permitted sample mode", lambda: os.chmod(W + "/.git/hooks/pre-push.sample", 0o755))
"#
    ));
    let tried = report.all_refused("attack");
    assert_eq!(tried, FAMILIES.len() * 5);
    report.works(&["permitted", "permitted sample", "permitted sample mode"]);
    report.recorded("write_file", "denied", ".mcp.json");
    for name in FAMILIES {
        let path = world.area.work().join("write").join(name);
        assert!(fs::metadata(&path).map_or(true, |meta| meta.is_dir()), "{name} exists");
    }
}

fn repository(world: &World) {
    let done = Command::new(program("git"))
        .args(["init", "-q", "write/repo"])
        .current_dir(world.area.work())
        .env("HOME", world.area.home())
        .status();
    assert!(done.unwrap().success());
    world.area.write("work/write/repo/.git/hooks/pre-push.sample", "#!/bin/sh\n");
    world.area.write("work/write/repo/.git/hooks/pre-commit", "#!/bin/sh\n");
}

fn folders() {
    let world = World::new("folders");
    repository(&world);
    let report = world.attack(
        r#"
G = W + "/repo/.git"; H = G + "/hooks"
attempt("permitted object", lambda: write(G + "/COMMIT_EDITMSG"))
attempt("permitted move", lambda: (os.rename(W + "/repo", W + "/repo2"), os.rename(W + "/repo2", W + "/repo")))
attempt("permitted sample mode", lambda: os.chmod(H + "/pre-push.sample", 0o755))
attempt("attack write existing", lambda: write(H + "/pre-commit"))
attempt("attack mode of existing", lambda: os.chmod(H + "/pre-commit", 0o755))
attempt("attack sample becomes active", lambda: os.rename(H + "/pre-push.sample", H + "/pre-push"))
attempt("attack sample linked", lambda: os.link(H + "/pre-push.sample", H + "/pre-push"))
attempt("attack sample exchanged", lambda: exchange(H + "/pre-push.sample", H + "/pre-commit"))
attempt("attack hooks moved away", lambda: os.rename(H, G + "/old"))
attempt("attack git moved away", lambda: os.rename(G, W + "/repo/git"))
def planted(target, swap=False):
    fresh = W + "/planted"
    os.makedirs(fresh + "/hooks", exist_ok=True)
    for name in ("/pre-rebase", "/hooks/pre-rebase"): write(fresh + name)
    (exchange if swap else os.rename)(fresh, target)
attempt("attack folder as hooks", lambda: planted(H, True))
attempt("attack folder as git", lambda: planted(G, True))
attempt("attack new folder as git", lambda: planted(W + "/.git"))
os.makedirs(W + "/tree/sub/hooks"); write(W + "/tree/sub/hooks/pre-rebase"); os.makedirs(W + "/r2")
attempt("attack link as git", lambda: os.symlink("../tree/sub", W + "/r2/.git"))
attempt("attack pointer", lambda: write(W + "/r2/.git", b"gitdir: /tmp/evil"))
os.symlink("repo/.git", W + "/way")
attempt("attack by link", lambda: write(W + "/way/hooks/update"))
for flag in (os.O_RDONLY, os.O_PATH):
    attempt(f"attack by descriptor {flag}", lambda: os.open("update", os.O_CREAT | os.O_WRONLY, dir_fd=os.open(H, flag)))
attempt("attack by cwd", lambda: (os.chdir(H), write("update")))
os.chdir("/")
unnamed = os.open(W, os.O_TMPFILE | os.O_RDWR)
attempt("attack unnamed", lambda: os.link(f"/proc/self/fd/{unnamed}", H + "/update", follow_symlinks=True))
attempt("attack config", lambda: open(G + "/config", "ab").write(b"[core]\n"))
attempt("attack config truncated", lambda: os.truncate(G + "/config", 0))
attempt("attack config exchanged", lambda: (write(W + "/c"), exchange(W + "/c", G + "/config")))
"#,
    );
    report.works(&["permitted object", "permitted move", "permitted sample mode"]);
    report.all_refused("attack");
    let hooks = world.area.work().join("write/repo/.git/hooks");
    let active: Vec<_> = fs::read_dir(hooks)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".sample"))
        .collect();
    assert_eq!(active, ["pre-commit"]);
    assert_eq!(world.text("work/write/repo/.git/hooks/pre-commit"), "#!/bin/sh\n");
}

fn locks() {
    let world = World::new("locks");
    repository(&world);
    let report = world.attack(
        r#"
G = W + "/repo/.git"; C, L = G + "/config", G + "/config.lock"
def lock(text):
    file = os.open(L, os.O_CREAT | os.O_RDWR | os.O_TRUNC); os.write(file, text); return file
def evil(): refuse(b"evil" not in read(C))
def clean():
    if os.path.lexists(L): os.unlink(L)
def put(text): return lambda: (lock(text), os.rename(L, C), evil())
attempt("permitted same", lambda: (lock(read(C)), os.rename(L, C)))
attempt("permitted remote", lambda: (lock(read(C) + b'[remote "o"]\n\turl = https://h.example/r\n'), os.rename(L, C)))
for name, text in (("fsmonitor", b"[core]\n\tfsmonitor = /tmp/evil\n"), ("hooks", b"[core]\n\thooksPath = /tmp/evil\n"),
                   ("alias", b"[alias]\n\tst = !evil\n"), ("include", b"[include]\n\tpath = /tmp/evil\n"),
                   ("filter", b'[filter "evil"]\n\tclean = x\n'), ("unknown", b"[evil]\n\tkey = x\n"),
                   ("case", b"[CORE]\n\tFsMonitor=/tmp/evil\n"), ("continued", b"[core]\n\tsshCo\\\nmmand = evil\n")):
    attempt("attack " + name, put(read(C) + text)); clean()
def kept():
    file = lock(read(C)); os.rename(L, C)
    os.lseek(file, 0, 2); os.write(file, b"[core]\n\tfsmonitor = evil\n"); os.fsync(file); evil()
attempt("attack kept descriptor", kept); clean()
def mapped():
    text = read(C); file = lock(text); os.ftruncate(file, 4096); page = mmap.mmap(file, 4096)
    os.ftruncate(file, len(text)); os.rename(L, C)
    page[:26] = b"[core]\n\tfsmonitor = evil\n "; page.flush(); evil()
attempt("attack kept mapping", mapped); clean()
def linked():
    os.close(lock(read(C))); os.link(L, W + "/alias"); os.rename(L, C)
    open(W + "/alias", "ab").write(b"[core]\n\tfsmonitor = evil\n"); evil()
attempt("attack linked lock", linked); clean()
def raced():
    stop = []
    def turn():
        while not stop:
            for text in (read(C), b"[core]\n\tfsmonitor = /tmp/evil\n"):
                try: write(L, text)
                except OSError: pass
    one = threading.Thread(target=turn); one.start()
    end = time.time() + 2
    while time.time() < end:
        try: os.rename(L, C)
        except OSError: pass
        if b"evil" in read(C): break
    stop.append(1); one.join(); evil()
attempt("attack race", raced); clean()
"#,
    );
    report.works(&["permitted same", "permitted remote"]).all_refused("attack");
    let after = world.text("work/write/repo/.git/config");
    assert!(!after.contains("evil"), "{after}");
}

/// A folder named `*.git` above must not make `HEAD` an ordinary name: with it, a folder with hooks
/// and configuration of the agent's own is a repository.
fn planted() {
    let world = World::new("planted").with(|manifest, area| {
        area.write("outer.git/project/file", "");
        manifest.write(area.path().join("outer.git/project")).execute_any()
    });
    repository(&world);
    let report = world.attack(
        r#"
P = A + "/outer.git/project"
def plant(at):
    def act():
        os.makedirs(at + "/objects"); os.makedirs(at + "/refs"); os.makedirs(at + "/hooks")
        write(at + "/config", b"[core]\n\tbare = true\n\tfsmonitor = /tmp/evil\n"); write(at + "/hooks/post-commit")
        write(at + "/HEAD", b"ref: refs/heads/main\n")
        must("git", "-C", at, "rev-parse", "--git-dir")
    return act
for name in ("/a.git/b", "/repo/.git/b", "/repo/.git/worktrees/w", "/repo/.git/objects/b", "/a.git/modules/m", "/plain"):
    attempt("attack " + name, plant(W + name))
attempt("attack below", plant(P + "/b"))
def moved():
    must("git", "init", "-q", "--bare", W + "/bare.git"); os.rename(W + "/bare.git", W + "/moved")
attempt("attack moved", moved)
attempt("permitted init", lambda: must("git", "init", "-q", P + "/new"))
attempt("permitted config", lambda: write(P + "/config"))
attempt("permitted bare", lambda: must("git", "clone", "-q", "--bare", P + "/new", W + "/copy.git"))
attempt("permitted remote head", lambda: must("git", "-C", P + "/new", "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"))
"#,
    );
    report.works(&[
        "permitted init",
        "permitted config",
        "permitted bare",
        "permitted remote head",
    ]);
    report.all_refused("attack");
    for place in ["write/a.git/b", "write/repo/.git/b", "write/plain"] {
        assert!(!world.exists(&format!("work/{place}/HEAD")), "{place}");
    }
}

fn works() {
    let world = World::new("git-works").with(|manifest, _| manifest.execute_any());
    let report = world.attack(
        r#"
git = lambda *words: (lambda: must("git", *words))
attempt("init", git("init", "-q", W + "/new"))
attempt("user", git("-C", W + "/new", "config", "user.name", "Agent"))
attempt("email", git("-C", W + "/new", "config", "user.email", "a@b.example"))
attempt("remote", git("-C", W + "/new", "remote", "add", "origin", "https://h.example/r"))
write(W + "/new/file")
attempt("add", git("-C", W + "/new", "add", "file"))
attempt("commit", git("-C", W + "/new", "commit", "-qm", "first"))
attempt("branch", git("-C", W + "/new", "checkout", "-qb", "topic"))
attempt("clone", git("clone", "-q", W + "/new", W + "/copy"))
attempt("remove", git("-C", W + "/new", "remote", "remove", "origin"))
attempt("attack hooks", git("-C", W + "/new", "config", "core.hooksPath", "/tmp"))
attempt("attack editor", git("-C", W + "/new", "config", "core.editor", "evil"))
attempt("attack url", git("-C", W + "/new", "config", "url.https://evil.example.insteadOf", "https://h.example"))
attempt("attack template", git("init", "-q", "--separate-git-dir", "/tmp/gd", W + "/sep"))
"#,
    );
    report
        .works(&["init", "user", "email", "remote", "add", "commit", "branch", "clone", "remove"]);
    report.all_refused("attack");
    assert!(world.exists("work/write/copy/file"));
}

/// A repository may keep its hooks among the files that the agent works on.
fn hooks() {
    let world = World::new("hooks-path");
    world.area.write("work/write/tools/hooks/pre-commit", "#!/bin/sh\n");
    world.area.write("work/.git/config", "[core]\n\thooksPath = write/outer/hooks\n");
    world.area.write("work/write/.git/config", "[core]\n\thooksPath = tools/hooks\n");
    let report = world.attack(
        r#"
T = W + "/tools"; H = T + "/hooks"
attempt("permitted beside", lambda: write(T + "/build.sh"))
attempt("permitted sample", lambda: write(H + "/pre-push.sample"))
attempt("permitted folder", lambda: os.makedirs(W + "/outer/hooks"))
attempt("attack write", lambda: write(H + "/pre-commit"))
attempt("attack append", lambda: open(H + "/pre-commit", "ab").write(b"evil"))
attempt("attack mode", lambda: os.chmod(H + "/pre-commit", 0o755))
attempt("attack create", lambda: write(H + "/post-commit"))
attempt("attack outer", lambda: write(W + "/outer/hooks/post-commit"))
attempt("attack rename", lambda: os.rename(T + "/build.sh", H + "/post-merge"))
attempt("attack link", lambda: os.link(T + "/build.sh", H + "/post-merge"))
attempt("attack sample", lambda: os.rename(H + "/pre-push.sample", H + "/pre-push"))
os.makedirs(W + "/mine/hooks"); write(W + "/mine/hooks/post-commit")
attempt("attack folder", lambda: exchange(W + "/mine", T))
attempt("attack folder of hooks", lambda: exchange(W + "/mine/hooks", H))
os.rename(W + "/outer/hooks", W + "/gone"); os.rmdir(W + "/outer")
attempt("attack links", lambda: os.symlink("mine", W + "/outer"))
attempt("attack moved in", lambda: os.rename(W + "/mine", W + "/outer"))
attempt("permitted removal", lambda: os.unlink(H + "/pre-commit"))
"#,
    );
    report.works(&[
        "permitted beside",
        "permitted sample",
        "permitted folder",
        "permitted removal",
    ]);
    assert_eq!(report.all_refused("attack"), 12);
}

/// What a repository's configuration includes may name hooks later.
fn included() {
    let world = World::new("hooks-included");
    world.area.write("work/write/.git/config", "[include]\n\tpath = ../conf/shared\n");
    world.area.write("work/write/conf/shared", "[include]\n\tpath = later\n[user]\n\tname = x\n");
    let report = world.attack(
        r#"
C = W + "/conf"; evil = b"[core]\n\thooksPath = tools\n"
attempt("permitted beside", lambda: write(C + "/other", evil))
attempt("attack write", lambda: write(C + "/shared", evil))
attempt("attack rename", lambda: os.rename(C + "/other", C + "/shared"))
attempt("attack create", lambda: write(C + "/later", evil))
attempt("attack link", lambda: os.symlink("other", C + "/later"))
os.mkdir(W + "/mine"); write(W + "/mine/shared", evil)
attempt("attack folder", lambda: exchange(W + "/mine", C))
"#,
    );
    report.works(&["permitted beside"]);
    assert_eq!(report.all_refused("attack"), 5);
    report.recorded("write_file", "denied", "conf/shared");
}

/// Who can point the manifest's name elsewhere writes the next manifest.
fn manifest() {
    let world = World::new("manifest-names");
    world.area.write("work/write/real/other", "");
    world.link("real", "work/write/linked");
    world.link("../../../manifest.json", "work/write/real/name");
    let session = world.session();
    let script = world.script(
        r#"
write(W + "/mine", b"{}")
attempt("permitted read", lambda: read(W + "/mine"))
attempt("permitted beside", lambda: write(W + "/real/other"))
for name in ("/linked", "/real/name"):
    attempt("attack unlink " + name, lambda: os.unlink(W + name))
    attempt("attack rename " + name, lambda: os.rename(W + name, W + "/away"))
    attempt("attack replace " + name, lambda: os.rename(W + "/mine", W + name))
    attempt("attack exchange " + name, lambda: exchange(W + "/mine", W + name))
attempt("attack move", lambda: os.rename(W + "/real", W + "/away"))
"#,
    );
    let words = [crate::world::python().into_os_string(), "-c".into(), script.into()];
    let mut command = session.command(&words);
    let name = world.area.work().join("write/linked/name");
    let arguments: Vec<_> = command
        .get_args()
        .map(|word| {
            if Some(word) == session.manifest().map(AsRef::as_ref) {
                name.as_os_str()
            } else {
                word
            }
        })
        .map(ToOwned::to_owned)
        .collect();
    let mut linked = Command::new(command.get_program());
    linked.args(arguments).current_dir(world.area.work()).env_clear();
    linked.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command = linked;
    let report = world.report(remit_testkit::run_bounded(&mut command, world.limit));
    report.works(&["permitted read", "permitted beside"]);
    assert_eq!(report.all_refused("attack"), 9);
    assert!(world.exists("work/write/linked/name"));
}
