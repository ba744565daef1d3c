//! Builds a session's walls without mediation and runs a program in them: for looking at the
//! walls alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use remit_sandbox::{plan::*, setup};
fn main() {
    let t0 = std::time::Instant::now();
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let home = std::path::PathBuf::from(std::env::var("HOME").unwrap());
    let plan = SessionPlan {
        program: args[0].clone().into(),
        arguments: args,
        environment: vec![
            ("PATH".into(), "/usr/bin:/bin:/usr/sbin".into()),
            ("HOME".into(), home.clone().into()),
        ],
        workdir: home.clone(),
        home,
        grants: vec![],
        hidden: vec![],
        literals: vec![],
        programs: Programs::System(vec![]),
        loaders: vec![],
        authority_pem: Some("x".into()),
        limits: Default::default(),
        user: "me".into(),
        hostname: "remit".into(),
    };
    setup::enter_supervisor_namespace().unwrap();
    eprintln!("A {:?}", t0.elapsed());
    let l = setup::fork_session(&plan, &setup::Standard { terminal: [false; 3] })
        .unwrap()
        .built()
        .unwrap();
    eprintln!("built {:?}", t0.elapsed());
    l.begin_enforcing().unwrap();
    let (layers, _listener) = l.enforced().unwrap();
    eprintln!("enforced {:?} {layers:?}", t0.elapsed());
    l.start().unwrap();
    let e = l.wait();
    eprintln!("{e:?} {:?}", t0.elapsed());
}
