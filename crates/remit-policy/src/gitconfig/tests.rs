#![allow(clippy::unwrap_used)]

use super::*;

const INIT: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n";

fn change(old: &str, new: &str) -> Result<(), Unsafe> {
    judge(Some(old.as_bytes()), new.as_bytes())
}

fn adds(lines: &str) -> Result<(), Unsafe> {
    change(INIT, &format!("{INIT}{lines}"))
}

#[test]
fn ordinary_work_is_harmless() {
    assert_eq!(judge(None, INIT.as_bytes()), Ok(()));
    for lines in [
        "[user]\n\tname = Alice; # still fine\n\temail = a@acme.com\n",
        "[remote \"origin\"]\n\turl = https://github.com/acme/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        "[remote \"origin\"]\n\turl = git@github.com:acme/x.git\n",
        "[remote \"origin\"]\n\turl = ssh://git@host:22/x\n\tpushurl = ../up.git\n",
        "[remote \"up\"]\n\turl = /srv/git/x.git\n",
        "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\trebase = true\n",
        "[branch \"x\"]\n\tremote = .\n",
        "[extensions]\n\tobjectformat = sha256\n",
        "[init]\n\tdefaultBranch = main\n[pull]\n\trebase = false\n[color \"diff\"]\n\tmeta = yellow\n",
        "[core] ignorecase = true\r\n",
        "[submodule \"a\"]\n\turl = https://x.test/a\n\tactive = true\n",
    ] {
        assert_eq!(adds(lines), Ok(()), "{lines}");
    }
    // Removing is harmless, and what was there may stay.
    let hooked = format!("{INIT}[core]\n\thooksPath = h\n[alias]\n\tx = !sh\n");
    assert_eq!(change(&hooked, INIT), Ok(()));
    assert_eq!(change(&hooked, &format!("{hooked}[user]\n\tname = A\n")), Ok(()));
}

#[test]
fn bypass_git_config_keys_that_run_or_redirect() {
    for lines in [
        "[core]\n\thooksPath = .h\n",
        "[core] fsmonitor = ./x\n",
        "[CORE]\n\tFSMonitor = ./x\n",
        "[core]\n\tsshCommand = sh -c x\n",
        "[core]\n\tgitProxy = x\n",
        "[core]\n\teditor = x\n",
        "[core]\n\tpager = x\n",
        "[core]\n\taskPass = x\n",
        "[core]\n\tworktree = /\n",
        "[core]\n\tattributesFile = x\n",
        "[core]\n\talternateRefsCommand = x\n",
        "[core]\n\tprotectHFS = false\n",
        "[pager]\n\tlog = x\n",
        "[sequence]\n\teditor = x\n",
        "[alias]\n\tst = !sh\n",
        "[filter \"x\"]\n\tclean = sh\n",
        "[diff]\n\texternal = x\n",
        "[diff \"x\"]\n\ttextconv = x\n",
        "[merge \"x\"]\n\tdriver = x\n",
        "[mergetool \"x\"]\n\tcmd = x\n",
        "[credential]\n\thelper = !x\n",
        "[credential \"https://a\"]\n\thelper = x\n",
        "[include]\n\tpath = ../evil\n",
        "[includeIf \"gitdir:/\"]\n\tpath = ../evil\n",
        "[url \"ext::sh -c x\"]\n\tinsteadOf = https://\n",
        "[remote \"origin\"]\n\tuploadpack = x\n",
        "[remote \"origin\"]\n\treceivepack = x\n",
        "[remote \"origin\"]\n\tvcs = ext\n",
        "[remote \"origin\"]\n\tproxy = http://x\n",
        "[remote \"origin\"]\n\turl = ext::sh -c x\n",
        "[remote \"origin\"]\n\turl = \"ex\"t::sh\n",
        "[remote \"origin\"]\n\turl = foo://x\n",
        "[remote \"origin\"]\n\turl = ssh://-oProxyCommand=x/y\n",
        "[remote \"origin\"]\n\turl = -oProxyCommand=x:y\n",
        "[remote \"origin\"]\n\turl\n",
        "[remote \"ext::sh -c x\"]\n\tpromisor = true\n",
        "[branch \"m\"]\n\tremote = ext::sh\n",
        "[branch \"m\"]\n\tmergeOptions = -s evil\n",
        "[remote]\n\tpushDefault = ext::sh\n",
        "[extensions]\n\tpartialClone = ext::sh\n",
        "[gpg]\n\tprogram = x\n",
        "[gpg \"ssh\"]\n\tprogram = x\n",
        "[uploadpack]\n\tpackObjectsHook = x\n",
        "[http]\n\tproxy = http://x\n",
        "[http]\n\tsslVerify = false\n",
        "[http \"https://x\"]\n\textraHeader = x\n",
        "[submodule \"a\"]\n\tupdate = !sh\n",
        "[submodule \"a\"]\n\turl = ext::sh\n",
        "[protocol]\n\tallow = always\n",
        "[safe]\n\tdirectory = *\n",
        "[trailer \"x\"]\n\tcommand = x\n",
        "[web]\n\tbrowser = x\n",
        "[brandnew]\n\tkey = x\n",
        // Spellings that hide it.
        "[core]\n\tignorecase = tr\\\nue\n[core]hooksPath=x\n",
        "\u{feff}[core]hooksPath=x\n",
        "[user]\n\tname = \"a\\\"\n[x]\"\n[core]\n\thooksPath = x\n",
        "[core]\n\tignorecase = true ; [user]\n\thooksPath = x\n",
        "[user]\n\tname = x\n[alias \"\"]\n\tst = x\n",
        "[include.]\n\tpath = x\n",
        "[core.]\n\thooksPath = x\n",
    ] {
        assert!(adds(lines).is_err(), "{lines}");
    }
    // Swapping what was there is altering it: the last value wins.
    let both = "[core]\n\thooksPath = bad\n\thooksPath = good\n";
    assert!(change(both, "[core]\n\thooksPath = good\n\thooksPath = bad\n").is_err());
    assert!(change(both, &format!("{both}\thooksPath = good\n")).is_err());
    assert_eq!(change(both, "[core]\n\thooksPath = good\n"), Ok(()));
    // What git refuses, or ends at a NUL.
    for broken in [
        "[core",
        "x = 1\n",
        "[core]\n\tname = \"a\n",
        "[a]\n\tk = \\x\n",
        "[a \"b]\n",
        "[user]\nname = a\0b\n",
        "[a]\n1k = 2\n",
    ] {
        assert_eq!(change("", broken), Err(Unsafe::Malformed), "{broken:?}");
    }
    let big = format!("{INIT}# {}\n", "x".repeat(2 << 20));
    assert_eq!(change(INIT, &big), Err(Unsafe::TooLarge));
    // An old file that git cannot read counts as empty.
    assert!(change("[core", "[core]\n\thooksPath = x\n").is_err());
}

/// Git itself is the judge of the reader: the same keys and values, or an error in both.
#[test]
fn the_reader_agrees_with_git() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config");
    for text in [
        INIT,
        "[a]\n\tk = x ; c\n\tl = \"x ; c\" # d\n\tm\n\tn = \n",
        "[A \"B\\\"c\\\\\"]\nK=1\n",
        "[A.B]\nK=1\n[a.b \"c\"]\nk=2\n",
        "[a]\r\nk = v\r\nl = a\\\r\nb\r\n",
        "[a] k = 1\n[b]l=2",
        "\u{feff}[a]\nk=\"  x \" y\n",
        "[a]\nk = a\\tb\\nc\\\\d\n",
        "[a]\nk = x \\\n  y\n",
        "[a]\nk = \"open\n",
        "[a]\nk = \\q\n",
        "[a b]\nk=1\n",
        "[a\nk=1\n",
        "[a \"x\ny\"]\nk=1\n",
        "[a]\nk_x = 1\n",
        "[a]\n-k = 1\n",
        "# only\n; comments\n",
        "[a]\nk = é\n",
        "[a \"b\" ]\nk=1\n",
        "[ a]\nk=1\n",
        "[a-b.c]\nk-l = 1\n",
        "[a]\nk : 1\n",
        "[a]k\n",
        "[a]\nk=1#x\nl=1 \"#\" x\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let git = std::process::Command::new("git")
            .args(["config", "--no-includes", "--null", "--list", "--file"])
            .arg(&file)
            .output()
            .unwrap();
        let ours = syntax::parse(text.as_bytes());
        assert_eq!(git.status.success(), ours.is_some(), "{text:?}: {git:?} {ours:?}");
        let mut listed = Vec::new();
        for setting in ours.unwrap_or_default() {
            let parts = [Some(setting.section), setting.subsection, Some(setting.key)];
            let parts: Vec<Vec<u8>> = parts.into_iter().flatten().collect();
            listed.extend(parts.join(&b'.'));
            if let Some(value) = setting.value {
                listed.push(b'\n');
                listed.extend(value);
            }
            listed.push(0);
        }
        if git.status.success() {
            let shown = String::from_utf8_lossy(&git.stdout);
            assert_eq!(shown, String::from_utf8_lossy(&listed), "{text:?}");
        }
    }
}
