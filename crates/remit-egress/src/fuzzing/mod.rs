//! What holds for any bytes, one property for each reader of outside input.
//!
//! The fuzz targets in `fuzz/` drive these without end; the ordinary tests drive them over the
//! committed seeds and what small changes make of them. Nothing here is part of the library.

mod bodies;
mod hosts;
mod messages;

pub use bodies::{frames, mask, restore};
pub use hosts::host;
pub use messages::{chunks, client_hello, dns_question, opening, path, request_head, socks};

#[cfg(test)]
mod foreign;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use std::{fs, path::Path};

    use proptest::prelude::*;

    type Property = fn(&[u8]);

    /// The fuzz targets of this crate; each has seeds.
    const TARGETS: [(&str, Property); 11] = [
        ("request_head", super::request_head),
        ("chunks", super::chunks),
        ("path", super::path),
        ("host", super::host),
        ("socks", super::socks),
        ("client_hello", super::client_hello),
        ("dns_question", super::dns_question),
        ("opening", super::opening),
        ("frames", super::frames),
        ("mask", super::mask),
        ("restore", super::restore),
    ];

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let files = fs::read_dir(&root).unwrap_or_else(|_| panic!("{} is missing", root.display()));
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn every_property_holds_around_the_seeds() {
        for (name, check) in TARGETS {
            let seeds = seeds(name);
            assert!(seeds.len() >= 3, "{name} has few seeds");
            let mut state = 0x2545_f491_4f6c_dd1d_u64;
            let mut random = |below: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state >> 33).unwrap() % below.max(1)
            };
            for seed in &seeds {
                check(seed);
                for cut in 0..seed.len().min(300) {
                    check(&seed[..cut]);
                }
                for _ in 0..300 {
                    let mut changed = seed.clone();
                    for _ in 0..=random(3) {
                        let at = random(changed.len());
                        match random(5) {
                            0 if !changed.is_empty() => drop(changed.remove(at)),
                            1 => changed.insert(at, SPECIAL[random(SPECIAL.len())]),
                            2 => {
                                let other = &seeds[random(seeds.len())];
                                let from = random(other.len());
                                changed.truncate(at);
                                changed.extend_from_slice(&other[from..]);
                            }
                            3 if !changed.is_empty() => changed[at] ^= 1 << random(8),
                            _ if !changed.is_empty() => {
                                changed[at] = SPECIAL[random(SPECIAL.len())]
                            }
                            _ => {}
                        }
                    }
                    check(&changed);
                }
            }
        }
    }

    /// The targets here and the files there are the same, so that none is forgotten.
    #[test]
    fn every_property_has_a_fuzz_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            let text = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(text.contains(&format!("remit_egress::fuzzing::{name}")), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_property_holds_for_any_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[ -~\r\n]{0,120}",
        ) {
            for (_, check) in TARGETS {
                check(&bytes);
                check(text.as_bytes());
            }
        }
    }

    const SPECIAL: &[u8] = b"\0\x01\t\n\r \x0b\x7f\x80\xff%./\\:;,?#@[]0x9a-_\x03\x16\x0c*";
}
