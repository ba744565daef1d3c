//! Sensitive data: what the manifest says about it, made ready for the proxy.

use std::sync::Arc;

use remit_core::{
    DataAction, DataRules, Detector, Direction, HostPattern, SessionContext, TlsMode,
};
use remit_dlp::KnownValues;
use remit_egress::{DataInspector, Inspection, Quarantine, model::Vault};
use remit_manifest::{KnownValue, Manifest};

use crate::{RemitHome, RunError, error::Step as _, quarantine::Shelf};

/// Rules and values of one manifest.
#[derive(Clone)]
pub(crate) struct Data {
    rules: DataRules,
    detector: Option<Arc<dyn Detector>>,
    values: Vec<KnownValue>,
}

impl Data {
    /// Prepares what the manifest lists.
    pub(crate) fn new(manifest: &Manifest) -> Result<Self, RunError> {
        let values = &manifest.dlp.values;
        let rules = manifest.dlp.rules.clone();
        if values.is_empty() {
            return Ok(Self { rules, detector: None, values: Vec::new() });
        }
        let listed = values.iter().map(|value| (value.reveal(), value.class.clone()));
        let known =
            KnownValues::new(listed).map_err(|error| RunError::Policy(error.to_string()))?;
        Ok(Self { rules, detector: Some(Arc::new(known)), values: values.clone() })
    }

    /// What looks into the session's traffic; `None` where there is nothing to look for.
    pub(crate) fn inspection(
        &self,
        home: &RemitHome,
        context: &SessionContext,
    ) -> Result<Option<Inspection>, RunError> {
        let Some(detector) = &self.detector else { return Ok(None) };
        let shelf = Shelf::open(home, context).step("open quarantine")?;
        let vault = Arc::new(Vault::new(&shelf.pseudonym_key()));
        for value in &self.values {
            vault.learn(value.reveal(), &value.class);
        }
        let quarantine: Arc<dyn Quarantine> = Arc::new(shelf);
        let inspector = DataInspector::new(self.rules.clone(), Arc::clone(detector), vault);
        let inspector = Arc::new(inspector);
        Ok(Some(Inspection { inspector, quarantine: Some(quarantine) }))
    }
}

/// What a person should know about the limits of what is recognised.
pub(crate) fn notices(manifest: &Manifest) -> Vec<String> {
    let rules = &manifest.dlp.rules;
    let values = &manifest.dlp.values;
    let mut all = Vec::new();
    for (way, list) in [("inputs", &rules.inputs), ("outputs", &rules.outputs)] {
        for rule in list.iter().filter(|rule| rule.action != DataAction::Allow) {
            let class = rule.class.as_str();
            all.push(format!(
                "dlp/{way}/{class}: only the listed `values` of {class} are recognised"
            ));
        }
    }
    let stops = rules.outputs.iter().any(|rule| rule.action > DataAction::Alert)
        || values
            .iter()
            .any(|value| rules.action(Direction::Output, &value.class).0 > DataAction::Alert);
    for rule in manifest.network.hosts.iter().filter(|_| stops) {
        let pointer = &rule.at.pointer;
        let raw = rule.methods.is_none() && rule.paths.is_none();
        let other = rule.ports.iter().any(|port| !matches!(port, 80 | 443));
        if rule.tls == TlsMode::Passthrough {
            let host = shown(&rule.pattern);
            all.push(format!(
                "{pointer}: what is sent to {host} passes unread, `dlp` does not see it"
            ));
        } else if raw && other {
            let host = shown(&rule.pattern);
            all.push(format!(
                "{pointer}: in other protocols than HTTP, `dlp` sees what goes to {host} as it \
                 stands; what a program encrypts itself passes unread"
            ));
        }
    }
    all
}

fn shown(pattern: &HostPattern) -> String {
    pattern.to_string()
}
