//! Hub management in ATOM, as the hub manager of the Go library calls it: hubs and consumer groups
//! are listed, read, created, changed and deleted by whoever has the right to manage them.

mod access;
pub(super) mod body;
mod write;

use std::time::Duration;

use hyper::header;

use super::target::Target;
use super::{Office, Request, Response, response};
use crate::config::hub_config::{HubConfig, HubUpdate};
use crate::config::{ConfigError, DEFAULT_PARTITIONS};
use crate::names::{self, atom};
use crate::namespace::Namespace;
use crate::namespace::hub::{Group, Hub};
use crate::namespace::hub_error::HubError;
use body::{Description, HubDescription};
use write::{Entity, Kind, Place};

const ENTRY: &str = "application/atom+xml;type=entry;charset=utf-8";
const FEED: &str = "application/atom+xml;type=feed;charset=utf-8";
const ERROR: &str = "application/xml; charset=utf-8";

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Entries of one page when the client does not say, and the most it may ask for.
const PAGE: usize = 100;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource<'a> {
    Root,
    Hubs,
    Hub(&'a str),
    Groups(&'a str),
    Group(&'a str, &'a str),
}

impl<'a> Resource<'a> {
    fn of(segments: &[&'a str]) -> Option<Self> {
        let is = |given: &str, name: &str| given.eq_ignore_ascii_case(name);
        match segments {
            [] => Some(Self::Root),
            [first, second] if is(first, atom::RESOURCES) && is(second, atom::EVENT_HUBS) => {
                Some(Self::Hubs)
            }
            [hub] => Some(Self::Hub(hub)),
            [hub, groups] if is(groups, names::GROUPS_SEGMENT) => Some(Self::Groups(hub)),
            [hub, groups, group] if is(groups, names::GROUPS_SEGMENT) => {
                Some(Self::Group(hub, group))
            }
            _ => None,
        }
    }
}

/// Why a request is refused: a status and the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: u16,
    detail: String,
}

impl Refusal {
    fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    fn not_found(place: &Place) -> Self {
        let path = place.path.trim_start_matches('/');
        Self::new(404, format!("The messaging entity '{path}' could not be found."))
    }
}

impl From<HubError> for Refusal {
    fn from(error: HubError) -> Self {
        let (status, subcode) = match &error {
            HubError::NotFound { .. } | HubError::GroupNotFound { .. } => (404, 40400),
            HubError::Exists { .. } | HubError::GroupExists { .. } => (409, 40900),
            HubError::Invalid(ConfigError::TooMany { .. }) => (403, 40300),
            HubError::Storage { .. } => (500, 50000),
            _ => (400, 40000),
        };
        Self::new(status, format!("SubCode={subcode}. {error}."))
    }
}

/// A refusal as a response.
pub(super) fn error(status: u16, detail: &str) -> Response {
    response(status, ERROR, write::error(status, detail))
}

/// Answers a request that came by `scheme`.
pub(super) fn answer(office: &Office, scheme: &str, request: &Request) -> Response {
    handle(&office.namespace, scheme, request)
        .unwrap_or_else(|refusal| error(refusal.status, &refusal.detail))
}

fn handle(namespace: &Namespace, scheme: &str, request: &Request) -> Result<Response, Refusal> {
    let uri = request.uri();
    let target = Target::parse(uri.path(), uri.query().unwrap_or_default())
        .ok_or_else(|| Refusal::new(400, "The address is not UTF-8."))?;
    let segments = target.segments();
    let authority = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let place = Place {
        base: format!("{scheme}://{}", authority.unwrap_or("localhost")),
        path: format!("/{}", segments.join("/")),
        api_version: target.query(atom::API_VERSION).map(str::to_owned),
    };
    let now = namespace.clock.now();
    access::check(namespace, request.headers(), &place, now)?;
    let resource = Resource::of(&segments).ok_or_else(|| Refusal::not_found(&place))?;
    let method = match request.method().as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let call = Call { namespace, place: &place, now };
    match (method, resource) {
        ("GET", Resource::Root) => Ok(response(200, FEED, write::nothing(&place, now))),
        ("GET", Resource::Hubs) => call.hubs(Page::of(&target)?),
        ("GET", Resource::Hub(hub)) => Ok(call.hub(hub)),
        ("PUT", Resource::Hub(hub)) => call.put_hub(hub, request),
        ("DELETE", Resource::Hub(hub)) => {
            namespace.delete_hub(hub)?;
            Ok(response(200, ENTRY, ""))
        }
        ("GET", Resource::Groups(hub)) => call.groups(hub, Page::of(&target)?),
        ("GET", Resource::Group(hub, group)) => {
            let (hub, group) = call.existing(hub, group)?;
            Ok(call.entry(200, &group_entity(&hub, &group)))
        }
        ("PUT", Resource::Group(hub, group)) => call.put_group(hub, group, request),
        ("DELETE", Resource::Group(hub, group)) => {
            namespace.delete_group(hub, group)?;
            Ok(response(200, ENTRY, ""))
        }
        (method, _) => {
            Err(Refusal::new(405, format!("SubCode=40500. {method} is not allowed here.")))
        }
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    skip: usize,
    top: usize,
}

impl Page {
    fn of(target: &Target) -> Result<Self, Refusal> {
        let number = |key: &str, default: usize| match target.query(key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::new(400, format!("SubCode=40000. '{key}' is not a number."))),
        };
        Ok(Self { skip: number(atom::SKIP, 0)?, top: number(atom::TOP, PAGE)?.min(PAGE) })
    }

    /// The query of the next page, when there is one.
    fn next(self, count: usize) -> Option<String> {
        let next = self.skip.saturating_add(self.top);
        (next < count && self.top > 0)
            .then(|| format!("{}={next}&{}={}", atom::SKIP, atom::TOP, self.top))
    }
}

/// A request that may be done.
struct Call<'a> {
    namespace: &'a Namespace,
    place: &'a Place,
    now: i64,
}

impl Call<'_> {
    fn entry(&self, status: u16, entity: &Entity) -> Response {
        response(status, ENTRY, write::entry(self.place, entity))
    }

    fn feed(&self, title: (&str, &str), all: &[Entity], page: Page) -> Response {
        let shown = all.iter().skip(page.skip).take(page.top).cloned().collect::<Vec<_>>();
        let next = page.next(all.len());
        response(200, FEED, write::feed(self.place, title, &shown, next.as_deref(), self.now))
    }

    fn hubs(&self, page: Page) -> Result<Response, Refusal> {
        let hubs: Vec<_> =
            self.namespace.hubs().iter().map(|hub| hub_entity(hub, self.now)).collect();
        Ok(self.feed((atom::EVENT_HUBS, "/"), &hubs, page))
    }

    /// The service has no 404 for a hub that is not there: it answers with a feed of nothing.
    fn hub(&self, name: &str) -> Response {
        match self.namespace.hub(name) {
            Some(hub) => self.entry(200, &hub_entity(&hub, self.now)),
            None => response(200, FEED, write::nothing(self.place, self.now)),
        }
    }

    fn put_hub(&self, name: &str, request: &Request) -> Result<Response, Refusal> {
        let Description::Hub(wanted) = parse(request)? else {
            return Err(Refusal::new(400, "SubCode=40000. The body does not describe a hub."));
        };
        let status = match wanted.status.as_deref() {
            None => None,
            Some(text) => Some(write::status(text).ok_or_else(|| {
                Refusal::new(400, format!("SubCode=40000. The status '{text}' is not known."))
            })?),
        };
        if is_update(request) {
            let update = HubUpdate {
                partitions: wanted.partition_count,
                retention: retention(&wanted),
                status,
            };
            let hub = self.namespace.update_hub(name, update)?;
            return Ok(self.entry(200, &hub_entity(&hub, self.now)));
        }
        let mut config = HubConfig::new(name, wanted.partition_count.unwrap_or(DEFAULT_PARTITIONS));
        config.retention = retention(&wanted).unwrap_or(config.retention);
        config.status = status.unwrap_or(config.status);
        let hub = self.namespace.create_hub(config)?;
        Ok(self.entry(201, &hub_entity(&hub, self.now)))
    }

    fn groups(&self, name: &str, page: Page) -> Result<Response, Refusal> {
        let hub = self.namespace.existing(name)?;
        let all: Vec<_> = hub.groups().iter().map(|group| group_entity(&hub, group)).collect();
        let parent = format!("/{}/{}/", hub.name, names::GROUPS_SEGMENT);
        Ok(self.feed((names::GROUPS_SEGMENT, &parent), &all, page))
    }

    fn put_group(&self, hub: &str, group: &str, request: &Request) -> Result<Response, Refusal> {
        let Description::Group(_) = parse(request)? else {
            let text = "SubCode=40000. The body does not describe a consumer group.";
            return Err(Refusal::new(400, text));
        };
        let status = match is_update(request) {
            true => 200,
            false => {
                self.namespace.create_group(hub, group)?;
                201
            }
        };
        let (hub, group) = self.existing(hub, group)?;
        Ok(self.entry(status, &group_entity(&hub, &group)))
    }

    fn existing(
        &self,
        hub: &str,
        group: &str,
    ) -> Result<(std::sync::Arc<Hub>, std::sync::Arc<Group>), Refusal> {
        let hub = self.namespace.existing(hub)?;
        let found = hub.group(group).ok_or_else(|| Refusal::not_found(self.place))?;
        Ok((hub, found))
    }
}

fn parse(request: &Request) -> Result<Description, Refusal> {
    let bad = |error| Refusal::new(400, format!("SubCode=40000. {error}"));
    body::parse(request.body()).map_err(bad)
}

/// An existing entity is changed only by a request that says it means one.
fn is_update(request: &Request) -> bool {
    request.headers().get(header::IF_MATCH).is_some_and(|tag| tag.as_bytes() == b"*")
}

fn retention(wanted: &HubDescription) -> Option<Duration> {
    wanted.retention_days.map(|days| Duration::from_secs(u64::from(days) * DAY_SECONDS))
}

fn hub_entity(hub: &Hub, now: i64) -> Entity {
    let size = hub.partitions().iter().map(|partition| partition.look(now).0.bytes).sum();
    Entity {
        name: hub.name.clone(),
        created: hub.created,
        updated: hub.updated(),
        kind: Kind::Hub {
            retention: hub.retention(),
            partitions: hub.partition_count(),
            size_in_bytes: size,
            status: hub.status(),
        },
    }
}

fn group_entity(hub: &Hub, group: &Group) -> Entity {
    Entity {
        name: group.name.clone(),
        created: group.created,
        updated: group.created.max(hub.created),
        kind: Kind::Group,
    }
}

#[cfg(test)]
mod tests;
