//! Keys that neither run a program nor redirect, with the values that keep it so.

use super::syntax::Setting;

/// Keys without subsection whose value may be anything.
const PLAIN: &[(&str, &[&str])] = &[
    ("advice", &["*"]),
    ("author", &["email", "name"]),
    ("blame", &["coloring", "showemail", "showroot", "date"]),
    ("branch", &["autosetupmerge", "autosetuprebase", "sort"]),
    ("checkout", &["guess", "workers", "thresholdforparallelism"]),
    ("clean", &["requireforce"]),
    ("color", &["*"]),
    ("column", &["*"]),
    ("commit", &["cleanup", "gpgsign", "status", "verbose"]),
    ("committer", &["email", "name"]),
    (
        "core",
        &[
            "abbrev",
            "autocrlf",
            "bare",
            "bigfilethreshold",
            "checkroundtripencoding",
            "checkstat",
            "commentchar",
            "commitgraph",
            "compression",
            "createobject",
            "deltabasecachelimit",
            "eol",
            "filemode",
            "fscache",
            "hidedotfiles",
            "ignorecase",
            "ignorestat",
            "logallrefupdates",
            "longpaths",
            "loosecompression",
            "maxtreedepth",
            "multipackindex",
            "packedgitlimit",
            "packedgitwindowsize",
            "precomposeunicode",
            "preloadindex",
            "quotepath",
            "repositoryformatversion",
            "safecrlf",
            "sharedrepository",
            "sparsecheckout",
            "sparsecheckoutcone",
            "splitindex",
            "symlinks",
            "trustctime",
            "untrackedcache",
            "warnambiguousrefs",
            "whitespace",
        ],
    ),
    (
        "diff",
        &[
            "algorithm",
            "colormoved",
            "colormovedws",
            "context",
            "mnemonicprefix",
            "noprefix",
            "renamelimit",
            "renames",
            "statgraphwidth",
            "submodule",
            "suppressblankempty",
            "wserrorhighlight",
        ],
    ),
    (
        "extensions",
        &[
            "compatobjectformat",
            "noop",
            "objectformat",
            "preciousobjects",
            "refstorage",
            "relativeworktrees",
            "worktreeconfig",
        ],
    ),
    ("feature", &["experimental", "manyfiles"]),
    (
        "fetch",
        &[
            "fsckobjects",
            "negotiationalgorithm",
            "parallel",
            "prune",
            "prunetags",
            "showforcedupdates",
            "unpacklimit",
            "writecommitgraph",
        ],
    ),
    (
        "gc",
        &[
            "aggressivedepth",
            "aggressivewindow",
            "auto",
            "autodetach",
            "autopacklimit",
            "bigpackthreshold",
            "cruftpacks",
            "logexpiry",
            "packrefs",
            "pruneexpire",
            "reflogexpire",
            "reflogexpireunreachable",
            "writecommitgraph",
        ],
    ),
    ("gui", &["encoding"]),
    ("help", &["autocorrect", "format"]),
    ("http", &["postbuffer", "lowspeedlimit", "lowspeedtime", "maxrequests", "version"]),
    ("i18n", &["commitencoding", "logoutputencoding"]),
    (
        "index",
        &[
            "recordendofindexentries",
            "recordoffsettable",
            "skiphash",
            "sparse",
            "threads",
            "version",
        ],
    ),
    ("init", &["defaultbranch"]),
    ("lfs", &["locksverify", "repositoryformatversion"]),
    ("log", &["abbrevcommit", "date", "decorate", "follow", "showroot", "showsignature"]),
    ("maintenance", &["auto", "autodetach", "strategy"]),
    (
        "merge",
        &[
            "branchdesc",
            "conflictstyle",
            "directoryrenames",
            "ff",
            "log",
            "renamelimit",
            "renames",
            "stat",
            "verbosity",
        ],
    ),
    (
        "pack",
        &[
            "compression",
            "deltacachelimit",
            "deltacachesize",
            "depth",
            "threads",
            "usebitmaps",
            "usesparse",
            "window",
            "windowmemory",
            "writebitmaphashcache",
            "writereverseindex",
        ],
    ),
    ("pull", &["ff", "rebase"]),
    ("push", &["autosetupremote", "default", "followtags"]),
    (
        "rebase",
        &[
            "abbreviatecommands",
            "autosquash",
            "autostash",
            "missingcommitscheck",
            "stat",
            "updaterefs",
        ],
    ),
    (
        "receive",
        &[
            "denycurrentbranch",
            "denydeletecurrent",
            "denydeletes",
            "denynonfastforwards",
            "fsckobjects",
            "maxinputsize",
        ],
    ),
    ("repack", &["usedeltabaseoffset", "writebitmaps"]),
    ("rerere", &["autoupdate", "enabled"]),
    ("stash", &["showincludeuntracked", "showpatch", "showstat"]),
    ("status", &["*"]),
    ("submodule", &["active", "fetchjobs", "propagatebranches", "recurse"]),
    ("tag", &["forcesignannotated", "gpgsign", "sort"]),
    ("transfer", &["fsckobjects", "unpacklimit"]),
    (
        "uploadpack",
        &["allowanysha1inwant", "allowfilter", "allowreachablesha1inwant", "allowtipsha1inwant"],
    ),
    ("user", &["email", "name", "useconfigonly"]),
    ("versionsort", &["suffix"]),
];

/// Whether a setting of `.git/config` is harmless.
pub(super) fn setting(setting: &Setting) -> bool {
    let (Ok(section), Ok(key)) =
        (std::str::from_utf8(&setting.section), std::str::from_utf8(&setting.key))
    else {
        return false;
    };
    let value = setting.value.as_deref();
    match (section, &setting.subsection) {
        // One of `color.diff.new`, `advice.x`, `column.ui`: never names a program.
        ("color", Some(_)) => true,
        (_, None) if (section, key) == ("remote", "pushdefault") => value.is_some_and(remote),
        (_, None) if (section, key) == ("extensions", "partialclone") => value.is_some_and(remote),
        (_, None) if (section, key) == ("checkout", "defaultremote") => value.is_some_and(remote),
        (_, None) => PLAIN.iter().any(|(own, keys)| {
            *own == section && keys.iter().any(|name| *name == "*" || *name == key)
        }),
        // A promisor's name stands for its URL where it has none.
        ("remote", Some(name)) if !remote(name) => false,
        ("remote", Some(_)) => match key {
            "url" | "pushurl" => value.is_some_and(url),
            "fetch" | "push" | "tagopt" | "prune" | "prunetags" | "mirror"
            | "skipdefaultupdate" | "skipfetchall" | "partialclonefilter" | "promisor"
            | "followremotehead" | "gh-resolved" => true,
            _ => false,
        },
        ("branch", Some(_)) => match key {
            "remote" | "pushremote" => value.is_some_and(remote),
            "merge"
            | "rebase"
            | "description"
            | "vscode-merge-base"
            | "gh-merge-base"
            | "github-pr-owner-number"
            | "github-pr-base-branch" => true,
            _ => false,
        },
        ("submodule", Some(_)) => match key {
            "url" => value.is_some_and(url),
            "active" | "branch" | "ignore" | "shallow" | "fetchrecursesubmodules" => true,
            "update" => value.is_some_and(update),
            _ => false,
        },
        ("lfs", Some(_)) => key == "access" || key == "locksverify",
        _ => false,
    }
}

/// `!command` would run one.
fn update(value: &[u8]) -> bool {
    [&b"checkout"[..], b"rebase", b"merge", b"none"].contains(&value)
}

/// The name of a remote, or a URL in its place.
fn remote(value: &[u8]) -> bool {
    value == b"." || url(value)
}

/// Whether git reaches the URL by itself, without a helper program that the URL names
/// (`gitremote-helpers`: `<helper>::<address>`, and `<helper>://` for unknown schemes) and without
/// options hidden in host or path (CVE-2017-1000117).
fn url(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        return false;
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let known = ["https", "http", "ssh", "git", "file", "git+ssh", "ssh+git"];
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        return known.contains(&scheme) && !rest.starts_with('-') && !host.starts_with('-');
    }
    if text.contains("::") {
        return false;
    }
    // `[user@]host:path` for ssh, else a path.
    match text.split_once(':') {
        Some((host, path)) if !host.contains('/') => {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            !host.is_empty() && !host.starts_with('-') && !path.starts_with('-')
        }
        _ => true,
    }
}
