#![allow(clippy::unwrap_used, clippy::panic)]

use remit_core::FileKind::{File, Folder, Other, Symlink};

use super::*;

fn list() -> Protected {
    Protected::shipped().unwrap()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Free => "free",
        Verdict::Refused(_) => "refused",
        Verdict::Gated(_) => "gated",
    }
}

fn judged(path: &str, kind: Option<FileKind>) -> &'static str {
    let scope = PathScope::new("/p").unwrap();
    word(&list().judge(Path::new(path), &scope, kind, false, None))
}

/// A path that the pattern fits, `sample` in place of wildcards.
fn example(pattern: &str) -> String {
    let text = pattern
        .strip_suffix("/**")
        .map_or_else(|| pattern.to_owned(), |folder| format!("{folder}/**"));
    format!("/p/sub/{}", text.replace("**", "any/where").replace('*', "x"))
}

#[test]
fn every_protected_pattern_protects() {
    let file = data::read(SHIPPED).unwrap();
    let mut count = 0;
    for group in &file.groups {
        for rule in &group.rules {
            for pattern in &rule.paths {
                count += 1;
                let path = example(pattern);
                let expected = if rule.guarded == Guarded::Config { "gated" } else { "refused" };
                assert_eq!(judged(&path, Some(File)), expected, "{path}");
                assert_eq!(judged(&path, None), expected, "{path}");
                assert_eq!(judged(&path, Some(Symlink)), "refused", "{path}");
                if rule.any_case && !path.contains("Library") {
                    let upper = path.to_uppercase().replace("/P/SUB", "/p/sub");
                    assert_eq!(judged(&upper, Some(File)), expected, "{upper}");
                }
                // A rule that names the very path lifts it.
                let anchor = path.trim_end_matches("/any/where");
                let anchor = if pattern.ends_with("/*") {
                    Path::new(anchor).parent().unwrap()
                } else {
                    Path::new(anchor)
                };
                let scope = PathScope::new(anchor).unwrap();
                let verdict = list().judge(Path::new(&path), &scope, Some(File), false, None);
                if !path.contains(".git/") {
                    assert_eq!(word(&verdict), "free", "{path} under {anchor:?}");
                }
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn ordinary_files_are_free() {
    for path in [
        "/p/src/main.rs",
        "/p/README.md",
        "/p/.gitignore",
        "/p/.gitattributes",
        "/p/.github/workflows/ci.yml",
        "/p/.git/HEAD",
        "/p/.git/config.lock",
        "/p/.git/objects/ab/cdef",
        "/p/.git/refs/heads/main",
        "/p/.git/logs/HEAD",
        "/p/.git/hooks/pre-commit.sample",
        "/p/.git/info/exclude",
        "/p/.git/description",
        "/p/.git/modules/a/objects/ab/cd",
        "/p/.git/modules/a/HEAD",
        "/p/x.git/HEAD",
        "/p/.git/refs/remotes/origin/HEAD",
        "/p/.git/logs/refs/remotes/origin/HEAD",
        "/p/.git/modules/a/refs/remotes/origin/HEAD",
        "/p/.git/worktrees/w/HEAD",
        "/p/.git/worktrees/w/logs/HEAD",
        "/p/x.git/worktrees/w/HEAD",
        "/p/x.git/main/config",
        "/p/.git/refs/heads/config",
        "/p/.gitmodules",
        "/p/docs/agents.md",
        "/p/head",
        "/p/hooks/pre-commit",
        "/p/config",
        "/p/package.json",
        "/p/Makefile",
        "/p/.env",
    ] {
        assert_eq!(judged(path, Some(File)), "free", "{path}");
        if !path.contains(".sample") {
            assert_eq!(judged(path, None), "free", "{path}");
        }
    }
    for folder in [
        "/p/.git",
        "/p/.git/hooks",
        "/p/.git/modules",
        "/p/.git/modules/a",
        "/p/x.git",
        "/p/.github",
        "/p/.config",
    ] {
        assert_eq!(judged(folder, Some(Folder)), "free", "{folder}");
    }
}

#[test]
fn bypass_pointers_and_links_in_place_of_git_folders() {
    for path in [
        "/p/.git",
        "/p/.git/hooks",
        "/p/.git/modules",
        "/p/.git/modules/a/b",
        "/p/.git/worktrees",
        "/p/.config",
        "/p/.github",
    ] {
        assert_eq!(judged(path, Some(Symlink)), "refused", "{path}");
        assert_eq!(judged(path, Some(Other)), "refused", "{path}");
    }
    assert_eq!(judged("/p/.git", Some(File)), "refused", "gitdir: elsewhere");
    assert_eq!(judged("/p/.git", None), "refused");
    assert_eq!(judged("/p/.git/hooks", None), "refused");
    assert_eq!(judged("/p/.claude", Some(Folder)), "refused");
}

#[test]
fn bypass_a_bare_repository_under_any_name() {
    assert_eq!(judged("/p/innocent/HEAD", Some(File)), "refused");
    for planted in [
        "/p/a.git/b/HEAD",
        "/p/.git/b/HEAD",
        "/p/.git/objects/b/HEAD",
        "/p/.git/worktrees/HEAD",
        "/p/.git/worktrees/w/b/HEAD",
        "/p/.git/x.GIT/b/HEAD",
    ] {
        assert_eq!(judged(planted, Some(File)), "refused", "{planted}");
        assert_eq!(judged(planted, None), "refused", "{planted}");
    }
    for (config, hook) in [
        ("/p/.git/worktrees/w/config", "/p/.git/worktrees/w/hooks/x"),
        ("/p/x.git/worktrees/w/config", "/p/x.git/worktrees/w/hooks/x"),
        ("/p/x.git/modules/a/b/config", "/p/x.git/modules/a/b/hooks/x"),
    ] {
        assert_eq!(judged(config, Some(File)), "gated", "{config}");
        assert_eq!(judged(hook, Some(File)), "refused", "{hook}");
    }
    // Nor where the project itself lies below such a folder.
    let below = PathScope::new("/h/x.git/p").unwrap();
    let verdict = list().judge(Path::new("/h/x.git/p/b/HEAD"), &below, Some(File), false, None);
    assert_eq!(word(&verdict), "refused");
    assert_eq!(judged("/p/x.git/hooks/post-receive", Some(File)), "refused");
    assert_eq!(judged("/p/x.git/config", Some(File)), "gated");
}

#[test]
fn lifting_is_by_the_very_path() {
    let under = |scope: &str, path: &str| {
        let scope = PathScope::new(scope).unwrap();
        word(&list().judge(Path::new(path), &scope, Some(File), false, None))
    };
    assert_eq!(under("/p/.claude", "/p/.claude/settings.json"), "free");
    assert_eq!(under("/p/.claude/commands", "/p/.claude/commands/x.md"), "free");
    assert_eq!(under("/p/.git", "/p/.git/hooks/pre-commit"), "refused");
    assert_eq!(under("/p/.git", "/p/.git/config"), "gated");
    assert_eq!(under("/p/.git/hooks", "/p/.git/hooks/pre-commit"), "free");
    assert_eq!(under("/p/.git/config", "/p/.git/config"), "free");
    // Lifting one does not lift another inside it.
    assert_eq!(under("/h/.claude/worktrees/a", "/h/.claude/worktrees/a/src/x"), "free");
    assert_eq!(under("/h/.claude/worktrees/a", "/h/.claude/worktrees/a/.git/hooks/x"), "refused");
    assert_eq!(under("/", "/.bashrc"), "refused");
}

#[test]
fn bypass_directory_renames() {
    let scope = PathScope::new("/p").unwrap();
    let moved = |from: &str, to: &str, below: usize, kind: FileKind| {
        word(&list().judge(
            Path::new(to),
            &scope,
            Some(kind),
            false,
            Some((Path::new(from), below)),
        ))
    };
    // A project moves with everything in it.
    assert_eq!(moved("/p/a/.git/hooks/x", "/p/b/.git/hooks/x", 3, File), "free");
    assert_eq!(moved("/p/a/.git/config", "/p/b/.git/config", 2, File), "free");
    assert_eq!(moved("/p/a/.vscode/tasks.json", "/p/b/.vscode/tasks.json", 2, File), "free");
    assert_eq!(moved("/p/a/lib/.git", "/p/b/lib/.git", 2, File), "free");
    // But nothing becomes protected by moving.
    assert_eq!(moved("/p/x/hooks/pre-commit", "/p/.git/hooks/pre-commit", 2, File), "refused");
    assert_eq!(moved("/p/x/config", "/p/.git/config", 1, File), "gated");
    assert_eq!(moved("/p/vendor/.git/hooks/x", "/p/.git/hooks/x", 2, File), "refused");
    assert_eq!(moved("/p/v/AGENTS.md", "/p/AGENTS.md", 0, File), "refused");
    assert_eq!(moved("/p/a/x/tasks.json", "/p/a/.vscode/tasks.json", 1, File), "refused");
    assert_eq!(moved("/p/x.git/HEAD", "/p/x/HEAD", 1, File), "refused");
    assert_eq!(moved("/p/a/.git/hooks/y.sample", "/p/b/.git/hooks/y", 3, File), "refused");
    assert_eq!(moved("/p/a/l", "/p/.git", 0, Symlink), "refused");
    // Too many components said to be below: the match must lie inside the moved folder.
    assert_eq!(moved("/q/.git/hooks/x", "/p/.git/hooks/x", 2, File), "refused");
}

#[test]
fn removing_what_gives_tools_power_is_free_and_settings_are_not() {
    let scope = PathScope::new("/p").unwrap();
    let removed = |path: &str| word(&list().judge(Path::new(path), &scope, None, true, None));
    for path in [
        "/p/.git",
        "/p/.git/hooks",
        "/p/.git/hooks/pre-commit",
        "/p/.git/config",
        "/p/.config",
        "/p/x/HEAD",
    ] {
        assert_eq!(removed(path), "free", "{path}");
    }
    for path in ["/p/.claude/settings.json", "/p/AGENTS.md", "/p/.bashrc", "/p/.vscode"] {
        assert_eq!(removed(path), "refused", "{path}");
    }
}
