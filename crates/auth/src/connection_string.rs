//! Connection strings: where a namespace is and what opens it.

use crate::cloud::Cloud;
use crate::error::{Error, Field, Problem};
use crate::sas::{SasKey, SasSignature, SasTokenProvider};
use crate::token::TokenProvider;
use eventhubs_protocol::{HubName, address};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest connection string, in bytes.
pub const MAX_LEN: usize = 64 * 1024;
/// Port of AMQP over TLS.
pub const TLS_PORT: u16 = 5671;
/// Port of AMQP without TLS, which only an emulator takes.
pub const PLAIN_PORT: u16 = 5672;

/// A connection string, taken apart and checked.
///
/// ```text
/// Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=name;SharedAccessKey=key;EntityPath=hub
/// ```
///
/// * Keys are read in any letter case; blanks around keys and values, empty parts and a trailing
///   `;` do not matter; a value may hold `=`. A key that is given twice is an error.
/// * `Endpoint` is `sb://` or `amqps://`, a host name, IPv4 or bracketed IPv6 address, an optional
///   port and an optional `/`.
/// * Either `SharedAccessKeyName` with `SharedAccessKey`, or `SharedAccessSignature`, is required.
/// * `EntityPath`, the hub, is optional.
/// * `UseDevelopmentEmulator=true` asks for plaintext, and is refused for any host under a cloud's
///   Service Bus suffix. Nothing else asks for plaintext.
/// * `TransportType` is only a hint, see [`ConnectionString::wants_web_socket`]. Unknown keys are
///   skipped.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::ConnectionString;
///
/// let parsed: ConnectionString = "Endpoint=sb://ns.servicebus.windows.net/;\
///     SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0;EntityPath=telemetry"
///     .parse()?;
/// assert_eq!(parsed.host(), "ns.servicebus.windows.net");
/// assert_eq!(parsed.port(), 5671);
/// assert_eq!(parsed.hub().map(|hub| hub.as_str()), Some("telemetry"));
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Clone)]
pub struct ConnectionString {
    host: String,
    port: Option<u16>,
    hub: Option<HubName>,
    credential: Credential,
    emulator: bool,
    web_socket: bool,
}

/// What a connection string authenticates with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A key that signs tokens.
    Key(SasKey),
    /// A token signed elsewhere, which cannot be renewed.
    Signature(SasSignature),
}

impl Credential {
    /// The provider of tokens that goes with it.
    #[must_use]
    pub fn token_provider(&self) -> Arc<dyn TokenProvider> {
        match self {
            Self::Key(key) => Arc::new(SasTokenProvider::new(key.clone())),
            Self::Signature(signature) => Arc::new(signature.clone()),
        }
    }
}

impl ConnectionString {
    /// Takes a connection string apart.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionString`] names the part and what is wrong with it, never its value.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Parts::split(text)?.check()
    }

    /// Host name or address, in lower case, IPv6 in brackets, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port to dial: the one given, else 5671, and 5672 for an emulator.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self.port {
            Some(port) => port,
            None if self.emulator => PLAIN_PORT,
            None => TLS_PORT,
        }
    }

    /// The port, when the connection string names one.
    #[must_use]
    pub const fn explicit_port(&self) -> Option<u16> {
        self.port
    }

    /// The hub, when the connection string names one (`EntityPath`).
    #[must_use]
    pub const fn hub(&self) -> Option<&HubName> {
        self.hub.as_ref()
    }

    /// What it authenticates with.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether it says `UseDevelopmentEmulator=true`: plaintext, to a host outside the clouds.
    #[must_use]
    pub const fn is_emulator(&self) -> bool {
        self.emulator
    }

    /// Whether it says `TransportType=AmqpWebSockets`. A hint: the options of the client decide.
    #[must_use]
    pub const fn wants_web_socket(&self) -> bool {
        self.web_socket
    }
}

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString")
            .field("host", &self.host)
            .field("port", &self.port())
            .field("hub", &self.hub)
            .field("credential", &self.credential)
            .field("emulator", &self.emulator)
            .finish_non_exhaustive()
    }
}

/// The values of a connection string, by key, as they were given.
#[derive(Default)]
struct Parts<'a> {
    endpoint: Option<&'a str>,
    entity_path: Option<&'a str>,
    key_name: Option<&'a str>,
    key: Option<&'a str>,
    signature: Option<&'a str>,
    emulator: Option<&'a str>,
    transport: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            return refuse(Field::Whole, Problem::TooLong { limit: MAX_LEN });
        }
        if text.trim().is_empty() {
            return refuse(Field::Whole, Problem::Empty);
        }
        let mut parts = Self::default();
        for (index, part) in text.split(';').enumerate() {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            match part.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    parts.take(key.trim(), value.trim())?;
                }
                _ => return refuse(Field::Whole, Problem::NotAPair { part: index + 1 }),
            }
        }
        Ok(parts)
    }

    fn take(&mut self, key: &str, value: &'a str) -> Result<(), Error> {
        let (field, slot) = match key.to_ascii_lowercase().as_str() {
            "endpoint" => (Field::Endpoint, &mut self.endpoint),
            "entitypath" => (Field::EntityPath, &mut self.entity_path),
            "sharedaccesskeyname" => (Field::SharedAccessKeyName, &mut self.key_name),
            "sharedaccesskey" => (Field::SharedAccessKey, &mut self.key),
            "sharedaccesssignature" => (Field::SharedAccessSignature, &mut self.signature),
            "usedevelopmentemulator" => (Field::UseDevelopmentEmulator, &mut self.emulator),
            "transporttype" => (Field::TransportType, &mut self.transport),
            _ => return Ok(()),
        };
        if value.is_empty() {
            return refuse(field, Problem::Empty);
        }
        if slot.replace(value).is_some() {
            return refuse(field, Problem::Duplicate);
        }
        Ok(())
    }

    fn check(self) -> Result<ConnectionString, Error> {
        let emulator = match self.emulator {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return refuse(Field::UseDevelopmentEmulator, Problem::NotABoolean),
        };
        let Some(endpoint) = self.endpoint else {
            return refuse(Field::Endpoint, Problem::Missing);
        };
        let (host, port) = split_endpoint(endpoint, emulator)?;
        if emulator && Cloud::of_host(&host).is_some() {
            return refuse(Field::Endpoint, Problem::PlaintextToCloud);
        }
        let hub = self.entity_path.map(HubName::new).transpose();
        let hub = hub.map_err(|invalid| error(Field::EntityPath, Problem::Invalid(invalid)))?;
        let web_socket =
            self.transport.is_some_and(|text| text.eq_ignore_ascii_case("amqpwebsockets"));
        let credential = self.credential()?;
        Ok(ConnectionString { host, port, hub, credential, emulator, web_socket })
    }

    fn credential(&self) -> Result<Credential, Error> {
        let Some(signature) = self.signature else {
            return match (self.key_name, self.key) {
                (Some(name), Some(key)) => {
                    SasKey::new(name, key).map(Credential::Key).map_err(in_string)
                }
                (None, _) => refuse(Field::SharedAccessKeyName, Problem::Missing),
                (_, None) => refuse(Field::SharedAccessKey, Problem::Missing),
            };
        };
        let given =
            [(self.key, Field::SharedAccessKey), (self.key_name, Field::SharedAccessKeyName)];
        if let Some((_, other)) = given.into_iter().find(|(value, _)| value.is_some()) {
            return refuse(Field::SharedAccessSignature, Problem::Excludes { other });
        }
        SasSignature::parse(signature).map(Credential::Signature).map_err(in_string)
    }
}

/// Splits `scheme://host[:port][/]`.
fn split_endpoint(endpoint: &str, emulator: bool) -> Result<(String, Option<u16>), Error> {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return refuse(Field::Endpoint, Problem::Scheme);
    };
    let schemes: &[&str] = if emulator { &["sb", "amqps", "amqp"] } else { &["sb", "amqps"] };
    if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return refuse(Field::Endpoint, Problem::Scheme);
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@', '\\']) {
        return refuse(Field::Endpoint, Problem::NotAnAuthority);
    }
    // An IPv6 address has colons of its own, inside its brackets.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[host_end..].find(':') {
        None => (authority, None),
        Some(colon) => {
            let (host, port) = authority.split_at(host_end + colon);
            (host, Some(parse_port(&port[1..])?))
        }
    };
    let host = address::normalize_host(host)
        .map_err(|invalid| error(Field::Endpoint, Problem::Invalid(invalid)))?;
    Ok((host, port))
}

fn parse_port(text: &str) -> Result<u16, Error> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if plain && port != 0 => Ok(port),
        _ => refuse(Field::Endpoint, Problem::Port),
    }
}

/// Says of a key's or signature's own error where in the connection string it was.
fn in_string(own: Error) -> Error {
    match own {
        Error::Key { field, problem } => error(field, problem),
        Error::Signature { problem } => error(Field::SharedAccessSignature, problem),
        other => other,
    }
}

const fn error(field: Field, problem: Problem) -> Error {
    Error::ConnectionString { field, problem }
}

const fn refuse<T>(field: Field, problem: Problem) -> Result<T, Error> {
    Err(error(field, problem))
}
