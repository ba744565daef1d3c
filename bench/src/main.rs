//! Measures Remit and its rivals in one run: `cargo xtask bench`.
//!
//! A figure without its rival in the same run says more about the machine than about Remit, so
//! every measure that has one runs both, interleaved where that is possible.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot be taken ends the run with a sentence"
)]

mod audit;
mod figure;
mod mask;
mod memory;
mod opens;
mod proxy;
mod specification;
mod startup;
mod stats;
mod workloads;

use std::{net::Ipv4Addr, path::PathBuf};

use clap::{Parser, ValueEnum};
use remit_testkit::enter_private_network;

use figure::Figure;

/// Measures Remit and its rivals in one run.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench")]
struct Options {
    /// Only these measures.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Fewer repetitions: to see that everything runs, not to quote.
    #[arg(long)]
    quick: bool,
    /// Writes the figures here as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Updates the marked block of SPECIFICATION.md.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    Startup,
    Opens,
    Git,
    Cargo,
    Npm,
    Proxy,
    Mask,
    Memory,
    Audit,
}

fn main() {
    // The registry of `npm ci` and Remit's own resolver must agree on a name.
    let registry = Ipv4Addr::new(127, 0, 0, 2).into();
    let _net = enter_private_network(&[(registry, workloads::REGISTRY)]);
    let options = Options::parse();
    let mut figures: Vec<Figure> = Vec::new();
    for measure in Measure::value_variants() {
        if !options.only.is_empty() && !options.only.contains(measure) {
            continue;
        }
        let more = match measure {
            Measure::Startup => startup::measure(options.quick),
            Measure::Opens => opens::measure(options.quick),
            Measure::Git => workloads::git(options.quick),
            Measure::Cargo => workloads::cargo(options.quick),
            Measure::Npm => workloads::npm(options.quick),
            Measure::Proxy => proxy::measure(options.quick),
            Measure::Mask => mask::measure(),
            Measure::Memory => memory::measure(),
            Measure::Audit => audit::measure(options.quick),
        };
        figure::print(&more);
        figures.extend(more);
    }
    specification::write_json(&options.json, &figures);
    if options.write {
        specification::update(&figures);
    }
}
