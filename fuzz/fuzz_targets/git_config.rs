//! Any two files: judging a change of git configuration ends, and nothing is ever better judged
//! for standing in a file that was empty before.
#![no_main]

use std::{path::Path, sync::Arc};

use libfuzzer_sys::fuzz_target;
use remit_core::{Clock, Effect, Pdp, Timestamp};
use remit_manifest::{Manifest, ManifestSource, Variables};
use remit_policy::{Policy, PolicyEnv, PolicyStore};

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }
}

thread_local! {
    static STORE: PolicyStore = {
        let variables = Variables { home: "/h".into(), workdir: "/w".into() };
        let source = ManifestSource::from_text("m", "{\"agent\": \"a.b\"}");
        let manifest = Manifest::parse(&source, &variables).expect("valid");
        let policy = Policy::new(&manifest, PolicyEnv::default()).expect("the shipped list");
        PolicyStore::new(policy, Arc::new(Midnight))
    };
}

fuzz_target!(|files: (&[u8], &[u8])| {
    let (old, new) = files;
    STORE.with(|store| {
        for path in ["/w/.git/config", "/w/.gitmodules"] {
            let path = Path::new(path);
            let with_old = store.judge_config(path, Some(old), new).effect;
            let without = store.judge_config(path, None, new).effect;
            assert!(without != Effect::Permit || with_old == Effect::Permit);
        }
    });
});
