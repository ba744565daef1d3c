//! Manifests written by tests.

use std::path::Path;

use serde_json::{Value, json};

/// A manifest under construction: nothing is granted until a test says so.
#[derive(Clone, Debug)]
pub struct ManifestBuilder {
    value: Value,
}

impl Default for ManifestBuilder {
    fn default() -> Self {
        Self::new("org.remit.test")
    }
}

impl ManifestBuilder {
    /// For the agent of that name, with nothing granted.
    pub fn new(agent: &str) -> Self {
        Self { value: json!({ "version": 1, "agent": agent, "permissions": {} }) }
    }

    /// From a manifest's text, such as a shipped template.
    pub fn from_text(text: &str) -> Self {
        Self { value: serde_json::from_str(text).expect("the manifest is JSON") }
    }

    /// Grants reading below `path`.
    #[must_use]
    pub fn read(self, path: impl AsRef<Path>) -> Self {
        self.file(json!({ "path": path.as_ref(), "mode": "read" }))
    }

    /// Grants reading and writing below `path`.
    #[must_use]
    pub fn write(self, path: impl AsRef<Path>) -> Self {
        self.file(json!({ "path": path.as_ref(), "mode": "write" }))
    }

    /// Adds a file rule as it stands.
    #[must_use]
    pub fn file(self, rule: Value) -> Self {
        self.push("/permissions/fileAccess", rule)
    }

    /// Lists a host that may resolve to loopback, where tests have their origins.
    #[must_use]
    pub fn host(self, host: &str, ports: &[u16]) -> Self {
        self.host_rule(json!({ "host": host, "ports": ports, "addresses": ["127.0.0.0/8"] }))
    }

    /// Adds a host rule as it stands.
    #[must_use]
    pub fn host_rule(self, rule: Value) -> Self {
        self.push("/permissions/network/egressHosts", rule)
    }

    /// Permits starting `path`.
    #[must_use]
    pub fn execute(self, path: impl AsRef<Path>) -> Self {
        self.push("/permissions/execute", json!(path.as_ref()))
    }

    /// Permits starting any program of the system.
    #[must_use]
    pub fn execute_any(self) -> Self {
        self.set("/permissions/execute", json!(true))
    }

    /// Passes a host variable on.
    #[must_use]
    pub fn environment(self, name: &str) -> Self {
        self.push("/permissions/environment", json!(name))
    }

    /// Puts `value` at a JSON pointer, making the objects on the way.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        *self.at(pointer) = value;
        self
    }

    /// The value.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The text.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.value)
    }

    fn push(mut self, pointer: &str, value: Value) -> Self {
        let place = self.at(pointer);
        match place {
            Value::Array(list) => list.push(value),
            other => *other = json!([value]),
        }
        self
    }

    fn at(&mut self, pointer: &str) -> &mut Value {
        pointer.split('/').skip(1).fold(&mut self.value, |place, key| {
            if !place.is_object() {
                *place = json!({});
            }
            place.as_object_mut().expect("made an object above").entry(key).or_insert(Value::Null)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_nested_rules() {
        let built = ManifestBuilder::new("a.b").read("/x").write("/y").host("h", &[443]);
        let rules = built.value().pointer("/permissions/fileAccess").and_then(Value::as_array);
        assert_eq!(rules.map(Vec::len), Some(2));
        assert_eq!(
            built.value().pointer("/permissions/network/egressHosts/0/ports/0"),
            Some(&json!(443))
        );
    }
}
