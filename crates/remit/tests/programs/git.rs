//! git: everyday work in a project, and projects of others over https and ssh.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use libtest_mimic::Trial;
use remit_testkit::{Origin, Site, run_bounded};

use super::place::{GIT, Place, SERVER, trial};

const LIMIT: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_git_everyday_work", everyday),
        trial("programs_git_repositories_with_submodules", submodules),
        trial("programs_git_over_https", https),
        trial("programs_git_and_ssh_over_ssh", ssh),
    ]
}

/// What git keeps of a run natively, it keeps inside.
fn everyday() {
    for place in [Place::new("git"), Place::new("git").listed()] {
        place.same(EVERYDAY);
        place.nothing_was_denied();
    }
}

const EVERYDAY: &str = r#"
git init -q -b main project; cd project
git config user.name Agent; git config user.email agent@example.org; git config core.autocrlf input
for n in 1 2 3; do echo $n > file$n; git add .; git commit -qm "change $n"; done
printf '#!/bin/sh\n' > run.sh; chmod +x run.sh; git add run.sh; git commit -qm script
git ls-files -s run.sh | cut -c1-6; git config core.filemode
git switch -qc side HEAD~2; echo side > side; git add side; git commit -qm side
git rebase -q main; git switch -q main; git merge -q --no-ff -m merged side; git log --topo-order --format=%s
echo changed > file1; git stash -q; git stash pop -q; git diff --stat; git checkout -q file1
git cherry-pick --no-commit side >/dev/null 2>&1 || true; git reset -q --hard
git tag -a v1 -m one; git branch -d side -q; git gc -q; git fsck --no-dangling 2>/dev/null; git blame -s file1 | cut -c10-
git remote add origin https://git.programs.example/x.git; git remote -v; git remote remove origin
git clone -q . ../clone; git -C ../clone log --oneline | wc -l; git -C ../clone pull -q
git archive HEAD | tar -t; git mv file2 renamed; git rm -q file3; git status --short
cd ..; rm -rf project clone
"#;

/// Git itself trusts nothing in `.gitmodules`, and every checkout writes it.
fn submodules() {
    let place = Place::new("git-submodules");
    place.same(
        r#"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z
git init -q -b main lib; git -C lib commit -q --allow-empty -m lib; sha=$(git -C lib rev-parse HEAD)
git init -q -b main top; cd top; git config -f .gitmodules submodule.sub.path sub
git config -f .gitmodules submodule.sub.url https://git.example/lib
git update-index --add --cacheinfo 160000,$sha,sub; git add .gitmodules; git commit -qm top; git tag one
mkdir sub; git config -f .gitmodules submodule.sub.branch main; git commit -qam branch
cd ..; git clone -q top copy; cd copy; cat .gitmodules; git submodule status; git submodule -q init
git config submodule.sub.url; git checkout -q one; cat .gitmodules; git switch -q main; git status --short
cd ..; rm -rf lib top copy
"#,
    );
    place.nothing_was_denied();
}

fn https() {
    let place = Place::new("git-https").host(GIT, &[443]);
    let folder = place.area.path().join("served");
    repository(&folder.join("project.git"));
    let _origin =
        Origin::tls(&place.authority, &format!("{SERVER}:443"), &[GIT], Site::Folder(folder));
    place.same(&format!(
        "git clone -q https://{GIT}/project.git; git -C project log --format=%s\n\
         git -C project fetch -q; git ls-remote -q https://{GIT}/project.git | cut -f2; rm -rf project"
    ));
    place.nothing_was_denied();
}

fn ssh() {
    let place = Place::new("git-ssh").host(GIT, &[PORT]);
    let (work, served) = (place.area.work(), place.area.path().join("served"));
    let project = served.join("project.git");
    repository(&project);
    let _server = ssh_server(&served, &work);
    let ssh = format!(
        "ssh -F none -i {0}/key -o UserKnownHostsFile={0}/hosts -o StrictHostKeyChecking=accept-new \
         -o LogLevel=ERROR",
        work.display()
    );
    let place = place.variable("GIT_SSH_COMMAND", &ssh);
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let at = format!("{}@{GIT}", String::from_utf8(user).unwrap().trim());
    place.same(&format!(
        "git clone -q ssh://{at}:{PORT}{project}; cd project\n\
         git config user.name Agent; git config user.email agent@example.org\n\
         echo new >> new; git add new; git commit -qm new; git push -q origin HEAD:refs/heads/pushed-$$\n\
         git ls-remote -q origin main | cut -f 2; cd ..; rm -rf project\n\
         {ssh} -p {PORT} {at} 'echo from the other side; exit 3' || echo \"status $?\"",
        project = project.display()
    ));
    place.nothing_was_denied();
    let pushed =
        git(&["--git-dir", &project.display().to_string(), "branch", "--list", "pushed-*"]);
    assert_eq!(pushed.lines().count(), 2, "{pushed}");
}

const PORT: u16 = 2222;

fn git(words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(words);
    run_bounded(&mut command, LIMIT).must_succeed().stdout
}

/// A bare repository with a little history, ready for plain web servers too.
fn repository(path: &Path) {
    let (path, source) = (path.display().to_string(), format!("{}.source", path.display()));
    git(&["init", "-q", "-b", "main", &source]);
    for message in ["first", "second"] {
        git(&["-C", &source, "commit", "-q", "--allow-empty", "-m", message]);
    }
    git(&["clone", "-q", "--bare", &source, &path]);
    git(&["-C", &path, "update-server-info"]);
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The user's own sshd, which lets the key in `work` in.
fn ssh_server(folder: &Path, work: &Path) -> Server {
    for key in [folder.join("host"), work.join("key")] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        run_bounded(&mut keygen, LIMIT).must_succeed();
    }
    // Only root's sshd wants its privilege separation folder.
    let _ = fs::create_dir("/run/sshd");
    let config = folder.join("sshd_config");
    let text = format!(
        "ListenAddress {SERVER}:{PORT}\nHostKey {}/host\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {}/key.pub\nPidFile none\nPermitRootLogin yes\n",
        folder.display(),
        work.display()
    );
    fs::write(&config, text).unwrap();
    let mut sshd = Command::new("/usr/sbin/sshd");
    let server =
        Server(sshd.args(["-D", "-f"]).arg(&config).stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..100 {
        if TcpStream::connect((SERVER, PORT)).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("sshd does not answer");
}
