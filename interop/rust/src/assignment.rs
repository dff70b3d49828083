//! What the runner is told to do.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) mode: Mode,
    pub(crate) transport: Transport,
    pub(crate) emulator: Endpoint,
    /// Another one, which expects a sign of life every 4 seconds.
    pub(crate) idle: Option<Endpoint>,
    pub(crate) key_name: String,
    pub(crate) key: String,
    /// Only cases whose name contains this.
    pub(crate) only: Option<String>,
    /// Known defects of this client.
    pub(crate) defects: Vec<Defect>,
    /// For the modes that are about events of several clients.
    #[serde(default)]
    pub(crate) cross: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Cases,
    Write,
    Read,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    Plaintext,
    Tls,
    WebsocketTls,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Endpoint {
    /// Host and port for this transport.
    pub(crate) address: String,
    /// Host and port of the control API.
    pub(crate) control: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Defect {
    pub(crate) case: String,
    /// Parts of the errors that the client gives instead of doing its work.
    pub(crate) errors: Vec<String>,
    /// Whether the client may give no answer at all.
    pub(crate) hangs: bool,
}
