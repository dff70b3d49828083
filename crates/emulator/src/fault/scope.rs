//! What a fault is about.

use super::occurrence::{ConnectionFacts, LinkFacts};
use super::point::Point;

/// Which connections and links a fault is about. What is left out, matches everything.
///
/// A scope with a field of links (from [`role`](Self::role) on) matches a connection as a whole
/// when one of its links matches.
///
/// ```
/// use eventhubs_emulator::{Role, Scope};
///
/// let scope = Scope::all().hub("orders").partition("0").role(Role::Consumer);
/// assert_eq!(scope.partition.as_deref(), Some("0"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields, default))]
pub struct Scope {
    /// Name of the host that a client looks up or connects to; only in a
    /// network.
    pub host: Option<String>,
    /// Number of the connection, from 1 on in the order in which they were accepted.
    pub connection: Option<u64>,
    /// Part of the container id in the client's open.
    pub container: Option<String>,
    /// What the link is for.
    pub role: Option<Role>,
    /// Name of the link.
    pub link: Option<String>,
    /// Name of the hub, in any case.
    pub hub: Option<String>,
    /// Id of the partition that a link is bound to, or that is asked about.
    pub partition: Option<String>,
    /// Name of the consumer group, in any case.
    pub group: Option<String>,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Role {
    /// The client publishes on it.
    Producer,
    /// The client receives events on it.
    Consumer,
    /// Either link of the pair for tokens.
    Cbs,
    /// Either link of the pair for management.
    Management,
}

impl Scope {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// The same, on the way to one host only.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// The same, on one connection only.
    #[must_use]
    pub fn connection(mut self, number: u64) -> Self {
        self.connection = Some(number);
        self
    }

    /// The same, for clients whose container id has `part` in it only.
    #[must_use]
    pub fn container(mut self, part: impl Into<String>) -> Self {
        self.container = Some(part.into());
        self
    }

    /// The same, for one kind of link only.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// The same, for links of this name only.
    #[must_use]
    pub fn link(mut self, name: impl Into<String>) -> Self {
        self.link = Some(name.into());
        self
    }

    /// The same, for one hub only.
    #[must_use]
    pub fn hub(mut self, name: impl Into<String>) -> Self {
        self.hub = Some(name.into());
        self
    }

    /// The same, for one partition only.
    #[must_use]
    pub fn partition(mut self, id: impl Into<String>) -> Self {
        self.partition = Some(id.into());
        self
    }

    /// The same, for one consumer group only.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Whether it says anything about links.
    pub(crate) fn is_about_links(&self) -> bool {
        self.link_field().is_some()
    }

    fn link_field(&self) -> Option<&'static str> {
        let fields = [
            ("role", self.role.is_some()),
            ("link", self.link.is_some()),
            ("hub", self.hub.is_some()),
            ("partition", self.partition.is_some()),
            ("group", self.group.is_some()),
        ];
        fields.into_iter().find(|(_, set)| *set).map(|(name, _)| name)
    }

    /// A field that is set and can match nothing at `point`.
    pub(crate) fn unknown_at(&self, point: &Point) -> Option<&'static str> {
        let network = matches!(point, Point::Resolve | Point::Connect);
        let early = network || matches!(point, Point::Accept);
        let without_links = early || matches!(point, Point::Open | Point::Begin);
        let fields = [
            ("host", self.host.is_some() && !network),
            ("connection", self.connection.is_some() && network),
            ("container", self.container.is_some() && early),
        ];
        let own = fields.into_iter().find(|(_, wrong)| *wrong).map(|(name, _)| name);
        own.or_else(|| self.link_field().filter(|_| without_links))
    }

    pub(crate) fn matches_host(&self, host: &str) -> bool {
        self.host.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(host))
    }

    pub(crate) fn matches_connection(&self, facts: &ConnectionFacts) -> bool {
        let container = self.container.as_ref();
        self.connection.is_none_or(|number| number == facts.number)
            && container.is_none_or(|part| facts.container.contains(part.as_str()))
    }

    pub(crate) fn matches_link(&self, facts: &LinkFacts) -> bool {
        let same = |wanted: &Option<String>, fact: &Option<String>| {
            let Some(wanted) = wanted else { return true };
            fact.as_ref().is_some_and(|fact| fact.eq_ignore_ascii_case(wanted))
        };
        self.role.is_none_or(|role| facts.role == Some(role))
            && self.link.as_ref().is_none_or(|name| *name == facts.name)
            && same(&self.hub, &facts.hub)
            && same(&self.partition, &facts.partition)
            && same(&self.group, &facts.group)
    }
}
