//! Configuration by environment variables.

use crate::cloud::Cloud;
use crate::connection_string::{ConnectionString, Credential};
use crate::error::{Error, Problem};
use crate::sas::SasKey;
use crate::secret::Secret;
use eventhubs_protocol::{HubName, address};
use std::path::PathBuf;

/// `EVENTHUB_CONNECTION_STRING`: a connection string, the first choice.
pub const CONNECTION_STRING: &str = "EVENTHUB_CONNECTION_STRING";
/// `EVENTHUB_NAMESPACE`: namespace, or a full host name.
pub const NAMESPACE: &str = "EVENTHUB_NAMESPACE";
/// `EVENTHUB_NAME`: name of the hub.
pub const HUB: &str = "EVENTHUB_NAME";
/// `EVENTHUB_KEY_NAME`: name of a shared access key, the second choice.
pub const KEY_NAME: &str = "EVENTHUB_KEY_NAME";
/// `EVENTHUB_KEY_VALUE`: the shared access key.
pub const KEY_VALUE: &str = "EVENTHUB_KEY_VALUE";
/// `AZURE_TENANT_ID`: tenant of an Entra ID application.
pub const TENANT_ID: &str = "AZURE_TENANT_ID";
/// `AZURE_CLIENT_ID`: id of an Entra ID application, or of a user-assigned identity when alone.
pub const CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// `AZURE_CLIENT_SECRET`: secret of an Entra ID application.
pub const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
/// `AZURE_CERTIFICATE_PATH`: file with the certificate of an Entra ID application.
pub const CERTIFICATE_PATH: &str = "AZURE_CERTIFICATE_PATH";
/// `AZURE_CERTIFICATE_PASSWORD`: what opens that file.
pub const CERTIFICATE_PASSWORD: &str = "AZURE_CERTIFICATE_PASSWORD";
/// `AZURE_ENVIRONMENT`: name of the cloud; the public one when unset.
pub const CLOUD: &str = "AZURE_ENVIRONMENT";

/// What the environment says. A variable that is empty or blank counts as unset.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::Environment;
///
/// let environment = Environment::read(|variable| match variable {
///     "EVENTHUB_NAMESPACE" => Some("ns".to_owned()),
///     "EVENTHUB_NAME" => Some("telemetry".to_owned()),
///     _ => None,
/// })?;
/// assert_eq!(environment.host.as_deref(), Some("ns.servicebus.windows.net"));
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Environment {
    /// From [`CONNECTION_STRING`].
    pub connection_string: Option<ConnectionString>,
    /// Full host name, from [`NAMESPACE`] and, when that is a bare namespace, [`CLOUD`].
    pub host: Option<String>,
    /// From [`HUB`].
    pub hub: Option<HubName>,
    /// From [`KEY_NAME`] and [`KEY_VALUE`].
    pub key: Option<SasKey>,
    /// From [`TENANT_ID`].
    pub tenant_id: Option<String>,
    /// From [`CLIENT_ID`].
    pub client_id: Option<String>,
    /// From [`CLIENT_SECRET`].
    pub client_secret: Option<Secret>,
    /// From [`CERTIFICATE_PATH`].
    pub certificate_path: Option<PathBuf>,
    /// From [`CERTIFICATE_PASSWORD`].
    pub certificate_password: Option<Secret>,
    /// From [`CLOUD`].
    pub cloud: Cloud,
}

impl Environment {
    /// Reads the variables through a function.
    ///
    /// # Errors
    ///
    /// [`Error::Environment`] names the variable that is missing its counterpart;
    /// [`Error::Variable`] the one whose value cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let value = |variable: &str| lookup(variable).filter(|text| !text.trim().is_empty());
        let cloud = match value(CLOUD) {
            Some(name) => name.parse().map_err(|error| in_variable(CLOUD, error))?,
            None => Cloud::default(),
        };
        let connection_string = value(CONNECTION_STRING)
            .map(|text| ConnectionString::parse(&text))
            .transpose()
            .map_err(|error| in_variable(CONNECTION_STRING, error))?;
        let invalid = |variable| {
            move |invalid| Error::Environment { variable, problem: Problem::Invalid(invalid) }
        };
        Ok(Self {
            connection_string,
            host: value(NAMESPACE)
                .map(|text| host(text.trim(), cloud))
                .transpose()
                .map_err(invalid(NAMESPACE))?,
            hub: value(HUB)
                .map(|text| HubName::new(text.trim()))
                .transpose()
                .map_err(invalid(HUB))?,
            key: key(value(KEY_NAME), value(KEY_VALUE))?,
            tenant_id: value(TENANT_ID),
            client_id: value(CLIENT_ID),
            client_secret: value(CLIENT_SECRET).map(Secret::from),
            certificate_path: value(CERTIFICATE_PATH).map(PathBuf::from),
            certificate_password: value(CERTIFICATE_PASSWORD).map(Secret::from),
            cloud,
        })
    }

    /// Reads the variables of this process. A value that is not Unicode counts as unset.
    ///
    /// # Errors
    ///
    /// As [`Environment::read`].
    pub fn from_process() -> Result<Self, Error> {
        Self::read(|variable| std::env::var(variable).ok())
    }

    /// What to authenticate with by shared access: the connection string's, else the key.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        match &self.connection_string {
            Some(text) => Some(text.credential().clone()),
            None => self.key.clone().map(Credential::Key),
        }
    }
}

fn host(namespace: &str, cloud: Cloud) -> Result<String, eventhubs_protocol::InvalidValue> {
    let host = address::normalize_host(namespace)?;
    let is_bare = !host.contains(['.', '[']);
    Ok(if is_bare && host != "localhost" { cloud.host(&host) } else { host })
}

fn key(name: Option<String>, value: Option<String>) -> Result<Option<SasKey>, Error> {
    let missing = |variable| Err(Error::Environment { variable, problem: Problem::Missing });
    match (name, value.map(zeroize::Zeroizing::new)) {
        (None, None) => Ok(None),
        (Some(_), None) => missing(KEY_VALUE),
        (None, Some(_)) => missing(KEY_NAME),
        (Some(name), Some(value)) => SasKey::new(name.trim(), value.trim())
            .map(Some)
            .map_err(|error| in_variable(KEY_NAME, error)),
    }
}

fn in_variable(variable: &'static str, source: Error) -> Error {
    Error::Variable { variable, source: Box::new(source) }
}
