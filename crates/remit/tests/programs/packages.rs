//! Builds and package managers.

use libtest_mimic::Trial;
use remit_testkit::{Origin, Site, npm_registry, program};

use super::place::{Place, REGISTRY, SERVER, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_cargo_build", cargo),
        trial("programs_npm_ci", npm),
        trial("programs_c_compiler_and_make", compiler),
    ]
}

fn cargo() {
    let (cargo, rustc, root) = super::compiled::toolchain();
    let place = Place::new("cargo").with(|manifest| manifest.read(&root)).listed();
    let place = place.with(|manifest| manifest.execute(&root));
    place.area.write("work/Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\npart = { path = \"part\" }\n[workspace]\n");
    place.area.write(
        "work/src/main.rs",
        "fn main() { println!(\"{}\", part::six() * 7); }\n#[test]\nfn t() {}\n",
    );
    place.area.write(
        "work/part/Cargo.toml",
        "[package]\nname = \"part\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    place.area.write("work/part/src/lib.rs", "pub fn six() -> u32 { 6 }\n");
    let place = place.variable("RUSTC", rustc).variable("CARGO_HOME", place_home());
    let cargo = cargo.display();
    place.same(&format!(
        "{cargo} build --quiet --offline; {cargo} build --quiet --offline; {cargo} check --quiet --offline\n\
         {cargo} test --quiet --offline --no-run; test -s target/debug/small && echo built; rm -rf target"
    ));
}

/// Thrown away with the session, made anew by cargo.
fn place_home() -> &'static str {
    "/tmp/cargo-home-of-a-test"
}

fn npm() {
    let place = Place::new("npm").host(REGISTRY, &[443]);
    npm_registry::generate(&place.area, REGISTRY, 25);
    let folder = place.area.path().join("registry");
    let _registry =
        Origin::tls(&place.authority, &format!("{SERVER}:443"), &[REGISTRY], Site::Folder(folder));
    let npm = program("npm");
    place.same(&format!(
        "{} ci --no-audit --no-fund --cache ./cache --registry=https://{REGISTRY}/ >/dev/null\n\
         ls node_modules | wc -l; node -p 'require(\"part-3\").value3'; rm -rf node_modules cache",
        npm.display()
    ));
    place.nothing_was_denied();
}

fn compiler() {
    for place in [Place::new("cc"), Place::new("cc").listed()] {
        place.same(
            "printf '#include <stdio.h>\\nint main(void) { return puts(\"x\") < 0; }\\n' > main.c\n\
             printf 'all: main.o\\n\\tcc -o main main.o -pthread\\n' > Makefile\n\
             cc -O2 -Wall -c main.c; cc -o main main.o; test -s main && echo linked; rm -f main*",
        );
        // What the agent built does not run inside.
        let done =
            place.inside().shell("printf 'int main(void){return 0;}' > m.c; cc -o m m.c; ./m");
        assert_eq!(done.status, Some(126), "{done}");
    }
}
