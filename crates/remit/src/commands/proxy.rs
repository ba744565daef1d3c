//! `remit proxy`: the network rules for programs that Remit does not start.

use std::{fs::File, io::Write as _};

use remit_supervisor::{ProxyRequest, serve_proxy};
use serde_json::json;

use crate::{
    cli::{Format, ProxyArguments},
    failure::Failure,
    output, refusal,
};

/// Serves until SIGINT or SIGTERM.
pub(crate) fn run(arguments: ProxyArguments) -> Result<i32, Failure> {
    let ProxyArguments {
        listen,
        manifest,
        ca_cert,
        ca_key,
        write_ca,
        upstream_ca,
        principal,
        format,
    } = arguments;
    refusal::quote_from(&manifest);
    // Opened first: a file that cannot be written should not be noticed by clients.
    let written = match &write_ca {
        Some(path) => Some((path, File::create(path).map_err(Failure::at(path))?)),
        None => None,
    };
    let authority = ca_cert.zip(ca_key);
    let request = ProxyRequest { listen, manifest, authority, upstream_ca, principal };
    let mut trouble = None;
    serve_proxy(request, |address, fresh| {
        let saved = match written {
            Some((path, mut file)) => file.write_all(fresh.as_bytes()).map_err(Failure::at(path)),
            None => Ok(()),
        };
        let told = match format {
            Format::Text => output::print(&format!("{address}\n")),
            _ => {
                let authority = (!fresh.is_empty()).then_some(fresh);
                let value =
                    json!({"version": 1, "address": address.to_string(), "authority": authority});
                output::document(&value, Format::Jsonl)
            }
        };
        output::say(format_args!(
            "remit: the proxy listens on {address}; CONNECT and SOCKS5; Ctrl-C ends it"
        ));
        if !fresh.is_empty() && write_ca.is_none() && format == Format::Text {
            output::say(
                "remit: clients must trust this proxy's authority: start it with `--write-ca FILE`, \
                 or with `--ca-cert` and `--ca-key`",
            );
        }
        trouble = saved.and(told).err();
        if let Some(failure) = &trouble {
            output::fail(failure);
        }
    })?;
    Ok(trouble.map_or(0, |failure| failure.status()))
}
