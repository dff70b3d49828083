//! The `Config.json` of the vendor's emulator.
//!
//! ```json
//! {"UserConfig": {
//!     "NamespaceConfig": [{"Type": "EventHub", "Name": "emulatorNs1", "Entities": [
//!         {"Name": "eh1", "PartitionCount": 2, "ConsumerGroups": [{"Name": "cg1"}]}
//!     ]}],
//!     "LoggingConfig": {"Type": "File"}
//! }}
//! ```
//!
//! What is refused and what is only remarked on follows the published schema, and where the
//! vendor's emulator is known to be milder, the emulator.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use super::hub_config::HubConfig;
use crate::config::{Config, ConfigError};
use crate::names;

/// Most hubs of a `Config.json`.
const MAX_HUBS: usize = 10;
/// Most partitions of each.
const MAX_PARTITIONS: u32 = 32;
/// Most consumer groups of each.
const MAX_GROUPS: usize = 20;
/// How long the vendor's emulator keeps events.
const RETENTION: Duration = Duration::from_secs(60 * 60);
/// The only namespace there is.
const NAMESPACE: &str = "emulatorNs1";
/// What may be wrong before the rest is not looked at.
const MAX_REMARKS: usize = 100;
/// Characters of a field's name that are repeated in a remark.
const MAX_SHOWN: usize = 64;

/// What a `Config.json` says; see [`Config::from_json`].
///
/// ```
/// use eventhubs_emulator::Config;
///
/// let read = Config::from_json(r#"{"UserConfig": {
///     "NamespaceConfig": [{"Entities": [{"Name": "eh1", "PartitionCount": 2, "Size": 1}]}],
///     "LoggingConfig": {"Type": "Console"}
/// }}"#)?;
/// assert_eq!(read.config.hubs[0].partitions, 2);
/// assert_eq!(
///     read.remarks[0].to_string(),
///     "$.UserConfig.NamespaceConfig[0].Entities[0].Size: unknown, and not used"
/// );
/// # Ok::<(), eventhubs_emulator::JsonError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct JsonConfig {
    /// The default configuration with the hubs of the file.
    pub config: Config,
    /// What does no harm but may not be what was meant.
    pub remarks: Vec<JsonRemark>,
}

/// Something about one place of a `Config.json`.
///
/// ```
/// use eventhubs_emulator::{Config, JsonError};
///
/// let refused = Config::from_json(r#"{"UserConfig": 1}"#).unwrap_err();
/// let JsonError::Violations(violations) = &refused else { panic!("{refused}") };
/// assert_eq!(violations[0].path, "$.UserConfig");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonRemark {
    /// Which place, as a JSON path.
    pub path: String,
    /// What is to be said about it.
    pub text: String,
}

impl fmt::Display for JsonRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Why a `Config.json` is refused.
///
/// ```
/// use eventhubs_emulator::Config;
///
/// let refused = Config::from_json("{").unwrap_err();
/// assert!(refused.to_string().starts_with("line 1, column 1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is no JSON.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes; 0 at the end of a line.
        column: usize,
        /// What was expected.
        reason: String,
    },
    /// The schema or a limit is broken in at least one place; the first hundred are told.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Violations(Vec<JsonRemark>),
}

impl Config {
    /// Reads the `Config.json` of the vendor's emulator: its hubs with their partitions and
    /// consumer groups, each with that emulator's retention of one hour. Everything else is as in
    /// the default configuration; the logging type is checked and has no effect.
    ///
    /// Names of fields are found whatever their case, and `PartitionCount` may be a number or a
    /// text, both as .NET reads them.
    ///
    /// # Errors
    /// [`JsonError`] names each place that breaks the schema or a limit: one namespace of type
    /// `EventHub`, 1 to 10 hubs, 1 to 32 partitions and up to 20 consumer groups each, without
    /// `$default`, which exists anyway. Another name of the namespace and unknown fields are
    /// remarked on only.
    pub fn from_json(text: &str) -> Result<JsonConfig, JsonError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value = serde_json::from_str(text).map_err(|error| JsonError::Syntax {
            line: error.line(),
            column: error.column(),
            reason: reason(&error),
        })?;
        let mut reader = Reader::default();
        let hubs = reader.file(&value);
        match reader.violations.is_empty() {
            true => {
                Ok(JsonConfig { config: Self { hubs, ..Self::default() }, remarks: reader.remarks })
            }
            false => Err(JsonError::Violations(reader.violations)),
        }
    }
}

/// The reason without the place, which is told apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// An object on the way through the file.
struct Object<'a> {
    path: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// A field, whatever the case of its name.
    fn field(&self, name: &str) -> Option<(&'a Value, String)> {
        let same = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
        let found = self.fields.get(name);
        let value = found.or_else(|| self.fields.iter().find(same).map(|(_, value)| value))?;
        Some((value, format!("{}.{name}", self.path)))
    }
}

/// Collects what is to be said.
#[derive(Default)]
struct Reader {
    violations: Vec<JsonRemark>,
    remarks: Vec<JsonRemark>,
}

impl Reader {
    fn file(&mut self, value: &Value) -> Vec<HubConfig> {
        let Some(root) = self.object(value, "$", &["UserConfig"]) else { return Vec::new() };
        let Some((value, path)) = self.required(&root, "UserConfig") else { return Vec::new() };
        let known = ["NamespaceConfig", "LoggingConfig"];
        let Some(user) = self.object(value, &path, &known) else { return Vec::new() };
        self.logging(&user);
        let Some((value, path)) = self.required(&user, "NamespaceConfig") else {
            return Vec::new();
        };
        let namespaces = self.array(value, &path);
        if namespaces.len() != 1 {
            self.refuse(&path, format!("{} namespaces: use exactly 1", namespaces.len()));
        }
        let mut hubs = Vec::new();
        for (namespace, path) in elements(namespaces, &path).take(1) {
            hubs = self.namespace(namespace, &path);
        }
        hubs
    }

    fn logging(&mut self, user: &Object<'_>) {
        let Some((value, path)) = self.required(user, "LoggingConfig") else { return };
        let Some(logging) = self.object(value, &path, &["Type"]) else { return };
        let Some((value, path)) = self.required(&logging, "Type") else { return };
        let Some(text) = self.text(value, &path) else { return };
        let known = ["File", "Console", "File,Console", "Console,File"];
        if !known.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            self.refuse(&path, "use File, Console, or both with a comma between".into());
        }
    }

    fn namespace(&mut self, value: &Value, path: &str) -> Vec<HubConfig> {
        let known = ["Type", "Name", "Entities"];
        let Some(namespace) = self.object(value, path, &known) else { return Vec::new() };
        if let Some((value, path)) = namespace.field("Type")
            && let Some(kind) = self.text(value, &path)
            && !kind.eq_ignore_ascii_case("EventHub")
        {
            self.refuse(&path, format!("'{}' is not served: use EventHub", shown(kind)));
        }
        if let Some((value, path)) = namespace.field("Name")
            && let Some(name) = self.text(value, &path)
            && !name.eq_ignore_ascii_case(NAMESPACE)
        {
            let text = format!("'{}' is not used: the namespace is {NAMESPACE}", shown(name));
            self.remark(path, text);
        }
        let Some((value, path)) = self.required(&namespace, "Entities") else { return Vec::new() };
        let entities = self.array(value, &path);
        if entities.is_empty() || entities.len() > MAX_HUBS {
            self.refuse(&path, format!("{} hubs: use 1 to {MAX_HUBS}", entities.len()));
        }
        let mut hubs: Vec<HubConfig> = Vec::new();
        for (entity, path) in elements(entities, &path).take(MAX_HUBS) {
            let Some(hub) = self.entity(entity, &path) else { continue };
            if hubs.iter().any(|other| other.name.eq_ignore_ascii_case(&hub.name)) {
                self.refuse(&format!("{path}.Name"), format!("'{}' is there twice", hub.name));
            }
            hubs.push(hub);
        }
        hubs
    }

    fn entity(&mut self, value: &Value, path: &str) -> Option<HubConfig> {
        let known = ["Name", "PartitionCount", "ConsumerGroups"];
        let entity = self.object(value, path, &known)?;
        let name = self.name(&entity);
        let partitions = self.partitions(&entity);
        let mut hub = HubConfig::new(name?, partitions?).with_retention(RETENTION);
        if let Some((value, path)) = entity.field("ConsumerGroups") {
            hub.consumer_groups = self.groups(value, &path);
        }
        self.check(&format!("{path}.Name"), HubConfig::new(hub.name.as_str(), 1).validate());
        Some(hub)
    }

    fn partitions(&mut self, entity: &Object<'_>) -> Option<u32> {
        let (value, path) = self.required(entity, "PartitionCount")?;
        let count = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let count = count.and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| (1..=MAX_PARTITIONS).contains(count));
        if count.is_none() {
            self.refuse(&path, format!("use a number from 1 to {MAX_PARTITIONS}"));
        }
        count
    }

    fn groups(&mut self, value: &Value, path: &str) -> Vec<String> {
        let values = self.array(value, path);
        if values.len() > MAX_GROUPS {
            let text = format!("{} consumer groups: use at most {MAX_GROUPS}", values.len());
            self.refuse(path, text);
        }
        let mut groups: Vec<String> = Vec::new();
        for (value, path) in elements(values, path).take(MAX_GROUPS) {
            let group = self.object(value, &path, &["Name"]);
            let Some(name) = group.and_then(|group| self.name(&group)) else { continue };
            let path = format!("{path}.Name");
            if name.eq_ignore_ascii_case(names::DEFAULT_GROUP) {
                let text = "every hub has this group: it must not be declared";
                self.refuse(&path, text.into());
            } else if groups.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                self.refuse(&path, format!("'{}' is there twice", shown(&name)));
            } else {
                self.check(&path, crate::config::hub_config::validate_group(&name));
                groups.push(name);
            }
        }
        groups
    }

    fn name(&mut self, object: &Object<'_>) -> Option<String> {
        let (value, path) = self.required(object, "Name")?;
        self.text(value, &path).map(str::to_owned)
    }

    fn check(&mut self, path: &str, result: Result<(), ConfigError>) {
        if let Err(error) = result {
            // The name may be as long as the file.
            let text = match error {
                ConfigError::Name { what, name, longest } => {
                    ConfigError::Name { what, name: shown(&name), longest }.to_string()
                }
                other => other.to_string(),
            };
            self.refuse(path, text);
        }
    }

    /// An object, of whose fields the unknown ones are remarked on.
    fn object<'a>(
        &mut self,
        value: &'a Value,
        path: &'a str,
        known: &[&str],
    ) -> Option<Object<'a>> {
        let Value::Object(fields) = value else {
            self.refuse(path, "use an object".into());
            return None;
        };
        for name in fields.keys() {
            if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let text = "unknown, and not used".to_owned();
                self.remark(format!("{path}.{}", shown(name)), text);
            }
        }
        Some(Object { path, fields })
    }

    fn required<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<(&'a Value, String)> {
        let field = object.field(name);
        if field.is_none() {
            self.refuse(&format!("{}.{name}", object.path), "missing".into());
        }
        field
    }

    fn array<'a>(&mut self, value: &'a Value, path: &str) -> &'a [Value] {
        match value {
            Value::Array(values) => values,
            _ => {
                self.refuse(path, "use an array".into());
                &[]
            }
        }
    }

    fn text<'a>(&mut self, value: &'a Value, path: &str) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.refuse(path, "use a text".into());
        }
        text
    }

    fn refuse(&mut self, path: &str, text: String) {
        if self.violations.len() < MAX_REMARKS {
            self.violations.push(JsonRemark { path: path.to_owned(), text });
        }
    }

    fn remark(&mut self, path: String, text: String) {
        if self.remarks.len() < MAX_REMARKS {
            self.remarks.push(JsonRemark { path, text });
        }
    }
}

/// The elements of an array with their paths.
fn elements<'a>(
    values: &'a [Value],
    path: &'a str,
) -> impl Iterator<Item = (&'a Value, String)> + use<'a> {
    values.iter().enumerate().map(move |(index, value)| (value, format!("{path}[{index}]")))
}

/// The beginning of a text that may hold anything, on one line.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
