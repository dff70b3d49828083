//! The live view: one page of plain HTML that asks the browser to load it again.
//!
//! It runs no script and loads nothing else. What it shows came from clients, so every text is
//! escaped, and the response forbids everything but its own style.

use std::fmt::{Display, Write};
use std::time::Duration;

use hyper::header::{self, HeaderValue};

use super::markup::escape;
use super::target::Target;
use super::{Greeting, Office, Request, Response, atom, response};
use crate::config::hub_config::HubStatus;
use crate::fault::{Fault, FaultId};
use crate::view::collector;
use crate::view::overview::{
    AudienceSnapshot, ConnectionSnapshot, Incident, LinkSnapshot, Snapshot,
};
use crate::view::snapshot::HubSnapshot;

const STYLE: &str = include_str!("page/style.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Seconds between two loads, unless the address says `?refresh=N`.
const REFRESH_SECONDS: u32 = 2;
/// The slowest refresh that can be asked for, in seconds.
const REFRESH_SECONDS_MAX: u32 = 3600;
/// Partitions that are shown, and links; the rest is counted.
const ROWS_MAX: usize = 2000;
/// Faults that are shown, the youngest ones.
const FAULTS_MAX: usize = 50;

/// Answers a browser.
pub(crate) async fn answer(office: &Office, request: &Request) -> Response {
    if !["GET", "HEAD"].contains(&request.method().as_str()) {
        return atom::error(405, "The live view is for reading: use GET.");
    }
    let query = request.uri().query().unwrap_or_default();
    let target = Target::parse("/", query).unwrap_or_default();
    let seconds = target.query("refresh").and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(REFRESH_SECONDS).min(REFRESH_SECONDS_MAX);
    let snapshot = collector::snapshot(&office.namespace).await;
    let faults = office.namespace.faults.read(|registry| registry.list());
    let faults: Vec<_> = faults.iter().map(FaultLine::of).collect();
    let page = render(&snapshot, &faults, &office.greeting, seconds);
    let mut response = response(200, "text/html; charset=utf-8", page);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// The page. With `seconds` of 0 it stays as it is.
pub(crate) fn render(
    snapshot: &Snapshot,
    faults: &[FaultLine],
    greeting: &Greeting,
    seconds: u32,
) -> String {
    let mut page = Page { out: String::with_capacity(16 * 1024), now: snapshot.taken };
    page.head(seconds);
    page.summary(snapshot, seconds);
    if snapshot.connections.is_empty() {
        page.welcome(greeting);
    }
    page.hubs(snapshot);
    page.connections(snapshot);
    page.faults(faults);
    page.incidents(&snapshot.incidents);
    page.put("</main></body></html>\n");
    page.out
}

/// A fault as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultLine {
    id: FaultId,
    hits: u64,
    /// The fault in the form that the control API takes.
    json: String,
}

impl FaultLine {
    fn of((id, fault, hits): &(FaultId, Fault, u64)) -> Self {
        Self { id: *id, hits: *hits, json: serde_json::to_string(fault).unwrap_or_default() }
    }
}

/// A page that is being written.
struct Page {
    out: String,
    /// Milliseconds since 1970.
    now: i64,
}

impl Page {
    /// Adds markup as it is.
    fn put(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// Adds markup whose arguments are numbers or escaped already.
    fn print(&mut self, markup: std::fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(markup);
    }

    fn head(&mut self, seconds: u32) {
        self.put("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        self.put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        self.put("<meta name=\"color-scheme\" content=\"light dark\">");
        if seconds > 0 {
            self.print(format_args!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"));
        }
        self.put("<title>Event Hubs emulator</title><style>");
        self.put(STYLE);
        self.put("</style></head><body><main>");
    }

    fn summary(&mut self, snapshot: &Snapshot, seconds: u32) {
        let links: usize = snapshot.connections.iter().map(|one| one.links.len()).sum();
        let partitions: usize = snapshot.hubs.iter().map(|hub| hub.partitions.len()).sum();
        let rate: f64 = snapshot
            .hubs
            .iter()
            .flat_map(|hub| &hub.partitions)
            .map(|one| one.events_per_second)
            .sum();
        self.put("<header><h1>Event Hubs emulator</h1><p class=\"quiet\">");
        let time = crate::rules::calendar::utc(snapshot.taken);
        self.print(format_args!("<time>{time}</time> &middot; "));
        match seconds {
            0 => self.put("standing still, <a href=\"/\">go on</a>"),
            _ => self.print(format_args!(
                "again every {seconds} s, <a href=\"/?refresh=0\">stand still</a>"
            )),
        }
        self.put("</p></header><dl class=\"numbers\">");
        for (value, name) in [
            (snapshot.hubs.len().to_string(), "hubs"),
            (partitions.to_string(), "partitions"),
            (snapshot.connections.len().to_string(), "connections"),
            (links.to_string(), "links"),
            (per_second(rate), "events per second"),
        ] {
            self.print(format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
        }
        self.put("</dl>");
        if snapshot.silent > 0 {
            let count = snapshot.silent;
            self.print(format_args!(
                "<p class=\"note\">{count} more connections did not answer in time.</p>"
            ));
        }
    }

    fn welcome(&mut self, greeting: &Greeting) {
        self.put("<section class=\"welcome\"><h2>Nobody is connected</h2>");
        self.put("<p>Give a client this connection string, with the key that is configured (the ");
        self.put("emulator prints the whole string when it starts):</p><pre><code>");
        self.put(&escape(&greeting.connection_string));
        self.put("</code></pre>");
        if !greeting.listeners.is_empty() {
            self.put("<p class=\"quiet\">Listening: ");
            let listeners: Vec<_> = greeting
                .listeners
                .iter()
                .map(|one| format!("<code>{}</code>", escape(one)))
                .collect();
            self.put(&listeners.join(", "));
            self.put("</p>");
        }
        self.put("</section>");
    }

    fn hubs(&mut self, snapshot: &Snapshot) {
        self.put("<h2>Hubs</h2>");
        if snapshot.hubs.is_empty() {
            self.put("<p class=\"quiet\">There is no hub.</p>");
        }
        let mut rows = ROWS_MAX;
        for hub in &snapshot.hubs {
            let shown = hub.partitions.len().min(rows);
            rows -= shown;
            self.hub(hub, shown);
        }
    }

    fn hub(&mut self, hub: &HubSnapshot, shown: usize) {
        let name = escape(&hub.name);
        self.print(format_args!("<section data-hub=\"{name}\"><h3>{name}</h3><p class=\"quiet\">"));
        let groups: Vec<_> = hub.groups.iter().map(|group| escape(&group.name)).collect();
        self.put(&groups.join(", "));
        self.print(format_args!(" &middot; keeps events for {}", span(hub.retention)));
        match hub.status {
            HubStatus::Active => {}
            HubStatus::Disabled => self.put(" &middot; disabled"),
            HubStatus::SendDisabled => self.put(" &middot; takes no events"),
            HubStatus::ReceiveDisabled => self.put(" &middot; gives no events"),
        }
        self.put("</p>");
        self.table(&["partition", "first", "last", "events", "per second", "latest", "receivers"]);
        for partition in hub.partitions.iter().take(shown) {
            let id = partition.number;
            let latest =
                partition.last_enqueued.map_or_else(|| "never".to_owned(), |at| self.ago(at));
            self.print(format_args!("<tr data-hub=\"{name}\" data-partition=\"{id}\">"));
            self.print(format_args!("<th scope=\"row\">{id}</th>"));
            self.number(Some(partition.begin_sequence).filter(|_| partition.events > 0));
            self.number(Some(partition.last_sequence).filter(|last| *last >= 0));
            self.number(Some(partition.events));
            self.number(Some(per_second(partition.events_per_second)));
            self.number(Some(latest));
            self.number(Some(partition.receivers.len()));
            self.put("</tr>");
        }
        self.put("</tbody></table></div>");
        self.more(hub.partitions.len() - shown, "partitions");
        self.put("</section>");
    }

    fn connections(&mut self, snapshot: &Snapshot) {
        self.put("<h2>Connections</h2>");
        if snapshot.connections.is_empty() {
            self.put("<p class=\"quiet\">There is none.</p>");
        }
        let mut rows = ROWS_MAX;
        for connection in &snapshot.connections {
            let shown = connection.links.len().min(rows);
            // One for the connection itself, so that those without links are bounded too.
            rows = rows.saturating_sub(shown + 1);
            if rows == 0 && shown == 0 {
                break;
            }
            self.connection(connection, shown);
        }
        if rows == 0 {
            self.put("<p class=\"note\">There are more than this page shows.</p>");
        }
    }

    fn connection(&mut self, connection: &ConnectionSnapshot, shown: usize) {
        let number = connection.number;
        let name = escape(connection.container_id.as_deref().unwrap_or("not yet open"));
        self.print(format_args!("<section data-connection=\"{number}\"><h3>"));
        self.print(format_args!(
            "<span class=\"quiet\">{number}</span> {name}</h3><p class=\"quiet\">"
        ));
        self.put(&escape(&connection.transport));
        if let Some(peer) = connection.peer {
            self.print(format_args!(" from {peer}"));
        }
        self.print(format_args!(" &middot; {}", span(connection.age)));
        for text in [&connection.mechanism, &connection.user_agent].into_iter().flatten() {
            self.print(format_args!(" &middot; {}", escape(text)));
        }
        self.put("</p>");
        if !connection.audiences.is_empty() {
            self.put("<p class=\"quiet\">Tokens: ");
            let tokens: Vec<_> = connection.audiences.iter().map(|one| self.token(one)).collect();
            self.put(&tokens.join(", "));
            self.put("</p>");
        }
        if connection.links.is_empty() {
            self.put("<p class=\"quiet\">No links.</p></section>");
            return;
        }
        self.table(&["link", "epoch", "credit", "next", "lag", "messages"]);
        for link in connection.links.iter().take(shown) {
            self.link(link);
        }
        self.put("</tbody></table></div>");
        self.more(connection.links.len() - shown, "links");
        self.put("</section>");
    }

    fn token(&self, audience: &AudienceSnapshot) -> String {
        let name = match audience.audience.as_str() {
            "" => "the namespace".to_owned(),
            name => escape(name),
        };
        match audience.expires {
            None => name,
            Some(at) if at <= self.now => format!("{name} (lapsed)"),
            Some(at) => format!("{name} ({} left)", span(milliseconds(at - self.now))),
        }
    }

    fn link(&mut self, link: &LinkSnapshot) {
        let (name, address) = (escape(&link.name), escape(&link.address));
        let (role, way) = (super::state::role(link.role), if link.incoming { "in" } else { "out" });
        self.print(format_args!("<tr data-link=\"{name}\"><th scope=\"row\" class=\"long\">"));
        self.print(format_args!("<span class=\"role\">{role} {way}</span> {address}"));
        self.print(format_args!("<span class=\"name\">{name}</span></th>"));
        self.number(link.epoch);
        self.number(Some(link.credit));
        self.number(link.position);
        self.number(link.lag);
        self.number(link.messages);
        self.put("</tr>");
    }

    fn faults(&mut self, faults: &[FaultLine]) {
        if faults.is_empty() {
            return;
        }
        self.put("<h2>Faults</h2><ol class=\"lines\">");
        for fault in faults.iter().rev().take(FAULTS_MAX) {
            let (id, hits, json) = (fault.id, fault.hits, escape(&fault.json));
            self.print(format_args!(
                "<li data-fault=\"{id}\"><span class=\"quiet\">{id}, struck {hits} times</span> \
                 <code>{json}</code></li>"
            ));
        }
        self.put("</ol>");
        self.more(faults.len().saturating_sub(FAULTS_MAX), "faults");
    }

    fn incidents(&mut self, incidents: &[Incident]) {
        self.put("<h2>Recent errors</h2>");
        if incidents.is_empty() {
            self.put("<p class=\"quiet\">None.</p>");
            return;
        }
        self.put("<ol class=\"lines\">");
        for incident in incidents.iter().rev() {
            let (ago, number) = (self.ago(incident.at), incident.connection);
            self.print(format_args!(
                "<li><span class=\"quiet\">{ago}, connection {number}</span> {}</li>",
                escape(&incident.what)
            ));
        }
        self.put("</ol>");
    }

    fn table(&mut self, columns: &[&str]) {
        self.put("<div class=\"wide\"><table><thead><tr>");
        for column in columns {
            self.print(format_args!("<th scope=\"col\">{column}</th>"));
        }
        self.put("</tr></thead><tbody>");
    }

    /// A cell with a number, or with a dash for none.
    fn number(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.print(format_args!("<td class=\"n\">{value}</td>")),
            None => self.put("<td class=\"n quiet\">&ndash;</td>"),
        }
    }

    fn more(&mut self, count: usize, what: &str) {
        if count > 0 {
            self.print(format_args!("<p class=\"note\">{count} more {what} are not shown.</p>"));
        }
    }

    /// How long ago a time was.
    fn ago(&self, at: i64) -> String {
        match milliseconds(self.now - at) {
            age if age.as_secs() == 0 => "now".to_owned(),
            age => format!("{} ago", span(age)),
        }
    }
}

fn milliseconds(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// A duration with its two largest units.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (large, small) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3600..86_400 => ((seconds / 3600, "h"), (seconds / 60 % 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds / 3600 % 24, "h")),
    };
    match small.0 {
        0 => format!("{} {}", large.0, large.1),
        _ => format!("{} {} {} {}", large.0, large.1, small.0, small.1),
    }
}

/// A rate, with a decimal while it is small.
fn per_second(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests;
