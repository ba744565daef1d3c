//! Shells and interpreters: processes, files, sockets, shared memory.

use libtest_mimic::Trial;

use super::place::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_bash", bash),
        trial("programs_python", python),
        trial("programs_node", node),
        trial("programs_perl_and_text_tools", tools),
        trial("programs_that_hide_their_memory", hidden),
        trial("programs_signals_end_calls_that_wait", signals),
        trial("programs_see_the_machine_that_they_run_on", machine),
    ]
}

/// With any program, then with listed ones: the two are enforced in different ways.
fn both(name: &str, script: &str) {
    for place in [Place::new(name), Place::new(name).listed()] {
        place.same(script);
        place.nothing_was_denied();
    }
}

fn bash() {
    both("bash", BASH);
}

const BASH: &str = r#"
cat > script.bash <<'SCRIPT'
set -eu
seq 1 20000 | sort -rn | head -n 3 | tr '\n' ' '; echo
diff <(printf 'a\nb\n') <(printf 'a\nc\n') || true
(sleep 0.1; echo background) & wait
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"
exec {held}> held; echo one >&"$held"; exec {held}>&-; cat held
mkfifo pipe; (echo fifo > pipe &) ; cat pipe; rm pipe
temporary=$(mktemp); echo kept > "$temporary"; cat "$temporary"
folder=$(mktemp -d); touch "$folder"/{a,b,c}; ls "$folder"
umask 027; touch mode; stat -c %a mode; chmod 640 mode; stat -c %a mode
mkdir -p deep/er/est; ln -s er deep/link; ls deep/link; cp -a deep copy; mv copy moved; find moved | sort
ln moved/er/est/../../er hard 2>/dev/null || echo 'no link to a folder'
printf x > f; ln f g; stat -c %h f; rm f; cat g; echo
(exit 7) || echo "status $?"; timeout 0.2 sleep 5 || echo "status $?"
set +e; bash -c 'kill -TERM $$'; echo "status $?"
SCRIPT
bash script.bash
rm -rf ./*
"#;

fn python() {
    both(
        "python",
        &format!(
            "cat > work.py <<'PYTHON'\n{PYTHON}PYTHON\n/usr/bin/python3 work.py\nrm -rf ./*\n"
        ),
    );
}

const PYTHON: &str = r#"
import asyncio, fcntl, mmap, multiprocessing, os, select, shutil, signal, socket, sqlite3
import subprocess, tempfile, threading
from multiprocessing import shared_memory

def square(x):
    return x * x

def main():
    with multiprocessing.Pool(2) as pool:
        print(pool.map(square, range(5)))
    queue = multiprocessing.Queue(); queue.put(1); print(queue.get())
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.buf[0] = 7; print(memory.buf[0]); memory.close(); memory.unlink()
    for mode in ("delete", "wal"):
        base = sqlite3.connect("data.db")
        base.execute(f"pragma journal_mode={mode}"); base.execute("create table if not exists t(x)")
        base.execute("insert into t values (1)"); base.commit()
        print(base.execute("select count(*) from t").fetchone()); base.close()
    with open("mapped", "w+b") as file:
        file.truncate(4096); view = mmap.mmap(file.fileno(), 4096)
        view[:4] = b"data"; view.flush(); view.close()
    print(open("mapped", "rb").read(4))
    with open("locked", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX); print("locked")
    for folder in (".", None):
        with tempfile.NamedTemporaryFile(dir=folder) as file, tempfile.TemporaryFile(dir=folder) as other:
            file.write(b"x"); other.write(b"y")
    os.replace("mapped", "locked"); os.symlink("locked", "link"); print(os.path.realpath("link") == os.path.abspath("locked"))
    shutil.copytree("/usr/lib/python3", "tree", symlinks=True, ignore=lambda d, names: names[2:])
    shutil.rmtree("tree")
    left, right = socket.socketpair(); left.send(b"pair"); print(right.recv(4))
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, tempfile.mktemp())):
        server = socket.socket(family); server.bind(address); server.listen()
        client = socket.socket(family); client.connect(server.getsockname())
        accepted, _ = server.accept(); client.send(b"hello"); print(accepted.recv(5))
    poll = select.epoll(); poll.register(left.fileno(), select.EPOLLOUT); print(len(poll.poll(1)))
    done = []
    threads = [threading.Thread(target=lambda: done.append(open(__file__).read(1))) for _ in range(16)]
    [thread.start() for thread in threads]; [thread.join() for thread in threads]; print(len(done))
    print(subprocess.run("echo out; exit 3", shell=True, capture_output=True).returncode)
    child = subprocess.Popen(["sleep", "60"]); child.send_signal(signal.SIGINT); print(child.wait())
    async def several():
        made = [await asyncio.create_subprocess_exec("true") for _ in range(3)]
        return [await one.wait() for one in made]
    print(asyncio.run(several()))
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR); os.write(fd, b"unnamed"); print(os.pread(fd, 9, 0))
    open("named", "w").close()
    os.setxattr("named", "user.note", b"x"); print(os.listxattr("named"))
    os.posix_fallocate(fd, 0, 10000); os.utime("named", (1, 2)); print(os.stat("named").st_mtime)
    try:
        os.open("named/x", os.O_RDONLY)
    except NotADirectoryError as error:
        print(error.errno)

if __name__ == "__main__":
    main()
"#;

fn node() {
    both("node", &format!("cat > work.mjs <<'NODE'\n{NODE}NODE\nnode work.mjs\nrm -rf ./*\n"));
}

const NODE: &str = r#"
import { execSync, spawn, fork } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import { Worker, isMainThread } from "node:worker_threads";
import { once } from "node:events";

fs.mkdirSync("folder/in/folder", { recursive: true });
fs.writeFileSync("folder/file", "text"); fs.appendFileSync("folder/file", " more");
fs.renameSync("folder/file", "folder/other"); fs.copyFileSync("folder/other", "copied");
console.log(fs.readFileSync("copied", "utf8"), fs.readdirSync("folder", { recursive: true }).sort());
const watcher = fs.watch("folder"); setTimeout(() => fs.writeFileSync("folder/seen", "x"), 50);
await once(watcher, "change"); watcher.close();
console.log(execSync("echo from a shell").toString().trim());
const child = spawn("cat"); child.stdin.end("streamed"); console.log((await once(child.stdout, "data"))[0].toString());
const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
console.log((await once(worker, "message"))[0], isMainThread);
const server = http.createServer((request, response) => response.end("served")).listen(0, "127.0.0.1");
await once(server, "listening");
console.log(await (await fetch(`http://127.0.0.1:${server.address().port}/`)).text()); server.close();
console.log(os.cpus().length > 0, os.totalmem() > 0, os.availableParallelism() > 0);
fs.rmSync("folder", { recursive: true }); fs.unlinkSync("copied");
fs.writeFileSync("child.mjs", "process.send(process.argv.length)");
console.log((await once(fork("child.mjs"), "message"))[0]);
"#;

fn tools() {
    both(
        "tools",
        r#"
        perl -e 'open(F, ">", "p"); print F "x" x 10; close F; print -s "p", "\n"; print `echo sub`'
        awk 'BEGIN { print 6 * 7; print "x" > "awk.out" }'; sed -i s/x/y/ awk.out; cat awk.out
        find /usr/share/doc -maxdepth 1 -type d | xargs -n 50 echo | wc -l | grep -c .
        tar -C /usr/share/doc -czf doc.tgz bash; tar -tzf doc.tgz | sort | head -n 2
        mkdir out; tar -C out -xzf doc.tgz; cmp -s /usr/share/doc/bash/copyright out/bash/copyright && echo same
        printf 'b\na\n' | sort -o sorted; cat sorted; yes | head -n 100000 | uniq -c | tr -d ' '
        printf 'all:\n\t@echo made\n' > Makefile; command -v make > no-make || true; rm -rf ./*
        "#,
    );
}

/// Processes that no other of their user may look into (`PR_SET_DUMPABLE`), as ssh-agent is one.
fn hidden() {
    for place in [Place::new("hidden"), Place::new("hidden").listed()] {
        place.same(
            "ssh-keygen -q -t ed25519 -N '' -f key; eval \"$(ssh-agent -s)\" > /dev/null\n\
             ssh-add -q key; ssh-add -l | cut -d ' ' -f 4; kill \"$SSH_AGENT_PID\"; rm key key.pub\n\
             /usr/bin/python3 -c 'import ctypes, os\n\
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n\
os.chdir(\"/tmp\"); open(\"hidden\", \"w\").write(\"written\"); print(open(\"hidden\").read())\n\
os.rename(\"hidden\", \"other\"); os.unlink(\"other\"); print(os.path.exists(\"other\"))'",
        );
        place.nothing_was_denied();
    }
}

/// A call that waits, for a pipe or for a person, is left when the caller has a signal to handle.
fn signals() {
    let place = Place::new("signals");
    place.same(&format!("/usr/bin/python3 -c '{SIGNALS}wait(\"pipe\")\n'; rm pipe"));
    place.area.write("asked", "asked");
    let asked = place.area.path().join("asked");
    let rule = serde_json::json!({ "path": asked, "mode": "read", "ask": true });
    let place = place.with(|manifest| manifest.file(rule));
    let script = format!("/usr/bin/python3 -c '{SIGNALS}wait({asked:?})\n'");
    let done = place.inside().shell(&script).must_succeed();
    assert_eq!(done.stdout, "left after the signal\n", "{done}");
}

const SIGNALS: &str = r#"
import os, signal, threading, time
class Left(Exception): pass
def handler(number, frame): raise Left
signal.signal(signal.SIGTERM, handler)
main = threading.get_ident()
threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGTERM)).start()
def wait(path):
    if path == "pipe": os.mkfifo(path)
    begun = time.time()
    try: os.open(path, os.O_RDONLY)
    except Left: print("left after the signal" if time.time() - begun < 5 else "late")
"#;

/// Runtimes size their work by the number of processors and the memory.
fn machine() {
    for place in [Place::new("machine"), Place::new("machine").listed()] {
        place.same(
            "nproc; node -p 'os.cpus().length'; grep -c ^processor /proc/cpuinfo\n\
             grep ^MemTotal /proc/meminfo; head -c 3 /proc/stat; cat /proc/version\n\
             /usr/bin/python3 -c 'import os; print(os.cpu_count(), os.sysconf(\"SC_PHYS_PAGES\"))'",
        );
        // Nothing more of the kernel's own is there.
        let done = place.inside().shell(
            "ls /proc | grep -v '^[0-9]' | sort | tr '\\n' ' '; cat /proc/kallsyms /proc/cmdline \
             /proc/sys/kernel/random/boot_id /proc/../proc/meminfo/ /proc/1/environ",
        );
        assert_ne!(done.status, Some(0), "{done}");
        assert_eq!(done.stdout, "self thread-self ", "{done}");
    }
}
