//! `remit doctor`: is every protection available here?

use std::path::Path;

use remit_sandbox::{
    doctor::{Finding, examine, kernel_version},
    report::{Layer, LayerStatus},
};
use remit_supervisor::EgressSettings;
use rustix::fs::{Access, access, statvfs};
use serde_json::json;

use crate::{
    cli::{DoctorArguments, Format},
    failure::Failure,
    output, place, upstream,
};

/// Looks; ends with 0 when all that the default needs is in force.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<i32, Failure> {
    // First of all: the examination forks, and so must find one thread.
    let mut findings = examine();
    findings.push(trail());
    findings.extend(way_out());
    let ready = findings.iter().all(Finding::suffices);
    if arguments.format == Format::Text {
        output::print(&text(&findings, ready))?;
    } else {
        let report = json!({
            "version": 1,
            "ready": ready,
            "remit": env!("CARGO_PKG_VERSION"),
            "kernel": kernel_version(),
            "architecture": std::env::consts::ARCH,
            "uid": rustix::process::getuid().as_raw(),
            "layers": findings,
        });
        output::document(&report, arguments.format)?;
    }
    Ok(i32::from(!ready))
}

const fn word(status: LayerStatus) -> &'static str {
    match status {
        LayerStatus::InForce => "in force",
        LayerStatus::Partial => "partial",
        LayerStatus::Absent => "absent",
    }
}

fn text(findings: &[Finding], ready: bool) -> String {
    let mut text = format!(
        "{}, {}, uid {}\n\n",
        kernel_version(),
        std::env::consts::ARCH,
        rustix::process::getuid().as_raw()
    );
    for Finding { number, layer, needed, help } in findings {
        let Layer { name, status, detail } = layer;
        let number = if *number == 0 { String::new() } else { number.to_string() };
        let optional = if *needed { "" } else { " (not required)" };
        let detail = output::plain(detail);
        text.push_str(&format!(
            "{number:>2}  {name:<19} {:<9} {detail}{optional}\n",
            word(*status)
        ));
        if let Some(help) = help {
            text.push_str(&format!("    {:<19} {:<9} help: {help}\n", "", ""));
        }
    }
    text.push_str(if ready {
        "\nready: everything that a session needs is in force\n"
    } else {
        "\nnot ready: `remit run` will refuse to start (status 125)\n"
    });
    text
}

/// Free space below which a log could soon stop every effect.
const ENOUGH: u64 = 64 << 20;

/// Whether the trail can be written: no record, no effect.
fn trail() -> Finding {
    let home = place::home();
    let layer = |status, detail| Layer { name: "audit_log".into(), status, detail };
    let problem = home.own().iter().find_map(|folder| unusable(folder));
    let shown = output::plain(&home.audit.to_string_lossy());
    let (layer, help) = match (problem, free(&home.audit)) {
        (Some(problem), _) => {
            let help = "make the folder your own and writable by you alone (`chmod go-w`), or point \
                        REMIT_HOME elsewhere";
            (layer(LayerStatus::Absent, problem), Some(help.to_owned()))
        }
        (None, Some(free)) if free < ENOUGH => {
            let detail = format!("{shown}: {} MiB are free", free >> 20);
            let help = "make room: when the log cannot be written, nothing may happen";
            (layer(LayerStatus::Partial, detail), Some(help.to_owned()))
        }
        _ => (layer(LayerStatus::InForce, format!("{shown} can be written")), None),
    };
    Finding { number: 0, layer, needed: true, help }
}

/// The operator's settings for the way out; nothing where there are none.
fn way_out() -> Option<Finding> {
    let layer = |status, detail| Layer { name: "egress_settings".into(), status, detail };
    let (layer, help) = match EgressSettings::load(&place::home()) {
        Err(error) => (layer(LayerStatus::Absent, output::plain(&error.to_string())), error.help()),
        Ok(settings) => {
            let proxy = settings.upstream_proxy().map(upstream::text);
            let roots = settings.root_cas().len();
            let roots = (roots > 0).then(|| format!("{roots} files of own roots"));
            let parts: Vec<String> = proxy.into_iter().chain(roots).collect();
            if parts.is_empty() {
                return None;
            }
            (layer(LayerStatus::InForce, parts.join("; ")), None)
        }
    };
    Some(Finding { number: 0, layer, needed: true, help })
}

/// What keeps a folder of ours from being used, or made.
fn unusable(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let name = output::plain(&folder.to_string_lossy());
    let nearest = nearest(folder);
    let meta = match std::fs::metadata(nearest) {
        Ok(meta) => meta,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    if !meta.is_dir() {
        return Some(format!("{}: not a folder", output::plain(&nearest.to_string_lossy())));
    }
    if let Err(error) = access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        let error = std::io::Error::from(error);
        return Some(format!("{}: {error}", output::plain(&nearest.to_string_lossy())));
    }
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    if nearest == folder && (!own || meta.mode() & 0o022 != 0) {
        return Some(format!("{name}: others can change it"));
    }
    None
}

/// The folder itself, or the nearest one above it that exists.
fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"))
}

/// Bytes that this person may still write there.
fn free(folder: &Path) -> Option<u64> {
    let about = statvfs(nearest(folder)).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}
