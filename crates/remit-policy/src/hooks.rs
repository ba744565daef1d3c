//! Folders of hooks that repositories name themselves (`core.hooksPath`, git-config(1)).

use std::{os::unix::ffi::OsStrExt, path::Path};

use remit_core::{FileKind, PathScope};

use crate::gitconfig;

/// A folder whose files git runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFolder {
    /// Which.
    pub folder: PathScope,
    /// The folder holds more than hooks (it is the project itself, for example), so only the names
    /// that git runs are hooks.
    pub shared: bool,
    /// It is a file instead: configuration that other configuration includes, and that could name
    /// hooks or programs.
    pub included: bool,
}

impl HookFolder {
    /// Whether an object of this kind must not be put at `path`, under a rule with this scope.
    pub(crate) fn refuses(&self, path: &Path, scope: &PathScope, kind: Option<FileKind>) -> bool {
        let folder = self.folder.as_path();
        let named = scope.as_path();
        if named == path || (!self.shared && named.starts_with(folder)) {
            return false;
        }
        if self.included && folder == path {
            return kind != Some(FileKind::Folder);
        }
        if folder.starts_with(path) {
            // On the way to hooks a link would put others in their place.
            return !matches!(kind, Some(FileKind::Folder | FileKind::File));
        }
        let Some(name) = path.file_name().filter(|_| path.parent() == Some(folder)) else {
            return false;
        };
        let name = name.as_bytes();
        let active = if self.shared { HOOKS.contains(&name) } else { !name.ends_with(b".sample") };
        active && kind != Some(FileKind::Folder)
    }
}

/// The values of `core.hooksPath` in a configuration file; none where git could not read it.
pub fn hook_paths(config: &[u8]) -> Vec<Vec<u8>> {
    let named = |setting: gitconfig::Setting| {
        let own = setting.section == b"core" && setting.subsection.is_none();
        setting.value.filter(|_| own && setting.key == b"hookspath")
    };
    gitconfig::parse(config).unwrap_or_default().into_iter().filter_map(named).collect()
}

/// The files that a configuration file includes, whatever their condition (git-config(1)).
pub fn include_paths(config: &[u8]) -> Vec<Vec<u8>> {
    let named = |setting: gitconfig::Setting| {
        let own = match setting.section.as_slice() {
            b"include" => setting.subsection.is_none(),
            b"includeif" => setting.subsection.is_some(),
            _ => false,
        };
        setting.value.filter(|_| own && setting.key == b"path")
    };
    gitconfig::parse(config).unwrap_or_default().into_iter().filter_map(named).collect()
}

/// githooks(5).
const HOOKS: [&[u8]; 28] = [
    b"applypatch-msg",
    b"pre-applypatch",
    b"post-applypatch",
    b"pre-commit",
    b"pre-merge-commit",
    b"prepare-commit-msg",
    b"commit-msg",
    b"post-commit",
    b"pre-rebase",
    b"post-checkout",
    b"post-merge",
    b"pre-push",
    b"pre-receive",
    b"update",
    b"proc-receive",
    b"post-receive",
    b"post-update",
    b"reference-transaction",
    b"push-to-checkout",
    b"pre-auto-gc",
    b"post-rewrite",
    b"sendemail-validate",
    b"fsmonitor-watchman",
    b"p4-changelist",
    b"p4-prepare-changelist",
    b"p4-post-changelist",
    b"p4-pre-submit",
    b"post-index-change",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use remit_core::FileKind::{File, Folder, Symlink};

    use super::*;

    #[test]
    fn values_are_read_as_git_reads_them() {
        let config = b"[core]\n\thooksPath = tools/hooks # why\n[Core] HOOKSPATH=\"a b\"\n\
            [core \"x\"]\n\thooksPath = no\n[other]\n\thooksPath = no\n";
        assert_eq!(hook_paths(config), [b"tools/hooks".to_vec(), b"a b".to_vec()]);
        assert!(hook_paths(b"[core").is_empty());
    }

    #[test]
    fn included_configuration_is_a_file_that_is_refused() {
        let config = b"[include]\n\tpath = a\n[includeIf \"gitdir:~/x/\"]\n\tpath = b\n\
            [include \"x\"]\n\tpath = no\n[core]\n\tpath = no\n";
        assert_eq!(include_paths(config), [b"a".to_vec(), b"b".to_vec()]);
        let scope = PathScope::new("/p").unwrap();
        let folder = PathScope::new("/p/conf/git").unwrap();
        let file = HookFolder { folder: folder.clone(), shared: false, included: true };
        let refuses = |path: &str, kind| file.refuses(Path::new(path), &scope, Some(kind));
        assert!(refuses("/p/conf/git", File) && refuses("/p/conf/git", Symlink));
        assert!(refuses("/p/conf", Symlink));
        assert!(!refuses("/p/conf", Folder) && !refuses("/p/conf/other", File));
        assert!(!file.refuses(Path::new("/p/conf/git"), &folder, Some(File)));
    }

    #[test]
    fn only_hooks_are_refused() {
        let scope = PathScope::new("/p").unwrap();
        let hooks = HookFolder {
            folder: PathScope::new("/p/tools/hooks").unwrap(),
            shared: false,
            included: false,
        };
        let refuses = |path: &str, kind| hooks.refuses(Path::new(path), &scope, kind);
        assert!(refuses("/p/tools/hooks/pre-commit", Some(File)));
        assert!(refuses("/p/tools/hooks/pre-commit", None));
        assert!(refuses("/p/tools/hooks/any", Some(Symlink)));
        assert!(refuses("/p/tools/hooks", Some(Symlink)));
        assert!(refuses("/p/tools", Some(Symlink)));
        for (free, kind) in [
            ("/p/tools/hooks", Folder),
            ("/p/tools", Folder),
            ("/p/tools/other", Symlink),
            ("/p/tools/hooks/x.sample", File),
            ("/p/pre-commit", File),
        ] {
            assert!(!refuses(free, Some(kind)), "{free}");
        }
        let very = PathScope::new("/p/tools/hooks").unwrap();
        assert!(!hooks.refuses(Path::new("/p/tools/hooks/x"), &very, Some(File)));
        let shared = HookFolder { folder: scope.clone(), shared: true, included: false };
        assert!(shared.refuses(Path::new("/p/pre-commit"), &scope, Some(File)));
        assert!(!shared.refuses(Path::new("/p/main.rs"), &scope, Some(File)));
    }
}
