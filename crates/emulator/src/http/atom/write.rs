//! Answers of hub management: entries, feeds and errors.

use std::fmt::Write;
use std::time::Duration;

use super::super::markup::escape;
use crate::config::hub_config::HubStatus;
use crate::names::atom;
use crate::rules::calendar;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// What an answer tells of an entity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entity {
    /// The name, as title.
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    /// Milliseconds since 1970.
    pub(crate) updated: i64,
    pub(crate) kind: Kind,
}

/// What the entity is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Hub { retention: Duration, partitions: u32, size_in_bytes: usize, status: HubStatus },
    Group,
}

/// Where an answer comes from, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Scheme and authority: `https://localhost:8443`.
    pub(crate) base: String,
    /// The path of the request, decoded, with its slash.
    pub(crate) path: String,
    /// The version the client named, if it did.
    pub(crate) api_version: Option<String>,
}

impl Place {
    /// The URL of the request, or of what lies at `path`.
    fn url(&self, path: &str) -> String {
        let version = self.api_version.as_deref();
        let query = version.map_or(String::new(), |it| format!("?{}={it}", atom::API_VERSION));
        escape(&format!("{}{path}{query}", self.base))
    }

    /// The first label of the host, which is the namespace's name.
    fn namespace(&self) -> String {
        let host = self.base.split_once("://").map_or("", |(_, host)| host);
        let end = host.find(['.', ':']).unwrap_or(host.len());
        escape(host.get(..end).unwrap_or_default())
    }
}

/// One entity as a document.
pub(crate) fn entry(place: &Place, entity: &Entity) -> String {
    let mut out = format!("<{} xmlns=\"{}\">", atom::ENTRY, atom::ATOM_SCHEMA);
    inner(&mut out, place, &place.url(&place.path), entity);
    let _ = write!(out, "</{}>", atom::ENTRY);
    out
}

/// A page of entities whose addresses are `{parent}{name}`. `next` is the query of the next page,
/// without the version.
pub(crate) fn feed(
    place: &Place,
    (title, parent): (&str, &str),
    entities: &[Entity],
    next: Option<&str>,
    now: i64,
) -> String {
    let url = place.url(&place.path);
    let mut out = format!(
        "<{feed} xmlns=\"{}\"><title type=\"text\">{}</title><id>{url}</id><updated>{}</updated>\
         <link rel=\"self\" href=\"{url}\"/>",
        atom::ATOM_SCHEMA,
        escape(title),
        time(now),
        feed = atom::FEED,
    );
    if let Some(next) = next {
        let joint = if place.api_version.is_some() { "&amp;" } else { "?" };
        let _ = write!(out, "<link rel=\"next\" href=\"{url}{joint}{}\"/>", escape(next));
    }
    for entity in entities {
        let _ = write!(out, "<{} xml:base=\"{url}\">", atom::ENTRY);
        inner(&mut out, place, &place.url(&format!("{parent}{}", entity.name)), entity);
        let _ = write!(out, "</{}>", atom::ENTRY);
    }
    let _ = write!(out, "</{}>", atom::FEED);
    out
}

/// What the service answers where no hub is, and at its root: a feed of nothing, with status 200.
pub(crate) fn nothing(place: &Place, now: i64) -> String {
    format!(
        "<{feed} xmlns=\"{}\"><title type=\"text\">{}</title><subtitle type=\"text\">This is the \
         list of publicly-listed services currently available.</subtitle><id>{}</id>\
         <updated>{}</updated><generator>Service Bus 1.1</generator></{feed}>",
        atom::ATOM_SCHEMA,
        atom::NOTHING,
        place.url(&place.path),
        time(now),
        feed = atom::FEED,
    )
}

/// A refusal.
pub(crate) fn error(status: u16, detail: &str) -> String {
    format!(
        "<{error}><{code}>{status}</{code}><{text}>{}</{text}></{error}>",
        escape(detail),
        error = atom::ERROR,
        code = atom::CODE,
        text = atom::DETAIL,
    )
}

fn inner(out: &mut String, place: &Place, url: &str, entity: &Entity) {
    let _ = write!(
        out,
        "<id>{url}</id><title type=\"text\">{}</title><published>{}</published>\
         <updated>{}</updated><author><name>{}</name></author><link rel=\"self\" href=\"{url}\"/>\
         <content type=\"application/xml\">",
        escape(&entity.name),
        time(entity.created),
        time(entity.updated),
        place.namespace(),
    );
    let root = match entity.kind {
        Kind::Hub { .. } => atom::HUB_DESCRIPTION,
        Kind::Group => atom::GROUP_DESCRIPTION,
    };
    let (own, instance) = (atom::SERVICE_SCHEMA, atom::INSTANCE_SCHEMA);
    let _ = write!(out, "<{root} xmlns=\"{own}\" xmlns:i=\"{instance}\">");
    let mut field = |name: &str, value: &str| {
        let _ = write!(out, "<{name}>{value}</{name}>");
    };
    let times = [(atom::CREATED, time(entity.created)), (atom::UPDATED, time(entity.updated))];
    match &entity.kind {
        Kind::Group => times.iter().for_each(|(name, value)| field(name, value)),
        Kind::Hub { retention, partitions, size_in_bytes, status } => {
            let days = retention.as_secs().div_ceil(DAY_SECONDS).max(1);
            field(atom::RETENTION_DAYS, &days.to_string());
            field(atom::SIZE, &size_in_bytes.to_string());
            field(atom::RULES, "");
            field(atom::STATUS, status_name(*status));
            times.iter().for_each(|(name, value)| field(name, value));
            field(atom::ACCESSED, &time(i64::MIN));
            field(atom::PARTITION_COUNT, &partitions.to_string());
            partition_ids(out, *partitions);
            let _ = write!(out, "<{name}>{}</{name}>", atom::AVAILABLE, name = atom::AVAILABILITY);
        }
    }
    let _ = write!(out, "</{root}></content>");
}

fn partition_ids(out: &mut String, count: u32) {
    let name = atom::PARTITION_IDS;
    let _ = write!(out, "<{name} xmlns:a=\"{}\">", atom::ARRAY_SCHEMA);
    for id in 0..count {
        let _ = write!(out, "<a:string>{id}</a:string>");
    }
    let _ = write!(out, "</{name}>");
}

/// A status as the service spells it.
fn status_name(status: HubStatus) -> &'static str {
    match status {
        HubStatus::Active => atom::ACTIVE,
        HubStatus::Disabled => atom::DISABLED,
        HubStatus::SendDisabled => atom::SEND_DISABLED,
        HubStatus::ReceiveDisabled => atom::RECEIVE_DISABLED,
    }
}

/// The status that a client names; `None` when there is no such.
pub(crate) fn status(name: &str) -> Option<HubStatus> {
    use HubStatus::{Active, Disabled, ReceiveDisabled, SendDisabled};
    [Active, Disabled, SendDisabled, ReceiveDisabled]
        .into_iter()
        .find(|status| status_name(*status) == name)
}

/// A time as RFC 3339 has it: clients fail on those without a zone.
fn time(ms: i64) -> String {
    calendar::utc(ms).replace(' ', "T")
}
