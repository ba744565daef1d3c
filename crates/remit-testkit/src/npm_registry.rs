//! A registry with generated packages, so that `npm ci` is the same every time and needs nobody.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::Area;

/// Files of each package.
const FILES: usize = 12;

/// Writes tarballs of so many packages to `registry/`, and a project with a lock file that wants
/// all of them from `host` to `work/`.
pub fn generate(area: &Area, host: &str, packages: usize) {
    let stage = area.path().join("stage/package");
    let registry = area.path().join("registry");
    fs::create_dir_all(&registry).expect("a folder can be created");
    fs::create_dir_all(&stage).expect("a folder can be created");
    let mut locked = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for number in 0..packages {
        let name = format!("part-{number}");
        let tarball = format!("{name}-1.0.0.tgz");
        pack(&stage, &registry.join(&tarball), &name, number);
        let bytes = fs::read(registry.join(&tarball)).expect("tar wrote the package");
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes)));
        locked.insert(
            format!("node_modules/{name}"),
            json!({ "version": "1.0.0", "resolved": format!("https://{host}/{tarball}"), "integrity": integrity }),
        );
        wanted.insert(name, "1.0.0".to_owned());
    }
    let root = json!({ "name": "bench", "version": "1.0.0", "dependencies": wanted });
    locked.insert(String::new(), root.clone());
    let lock: Value = json!({ "name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": locked });
    area.write("work/package.json", root.to_string());
    area.write("work/package-lock.json", lock.to_string());
}

fn pack(stage: &Path, tarball: &Path, name: &str, number: usize) {
    let manifest = json!({ "name": name, "version": "1.0.0", "main": "file-0.js" });
    fs::write(stage.join("package.json"), manifest.to_string()).expect("a file can be written");
    for file in 0..FILES {
        let line = format!("exports.value{file} = {number}; // {}\n", "x".repeat(60));
        fs::write(stage.join(format!("file-{file}.js")), line.repeat(20))
            .expect("a file can be written");
    }
    let parent = stage.parent().expect("the stage has a parent");
    let status = Command::new("tar")
        .arg("-C")
        .arg(parent)
        .arg("-czf")
        .args([tarball, Path::new("package")])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "tar failed");
}
