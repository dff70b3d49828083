//! Defaults exist once, as values; what the documentation says of them is compared with them.

use std::time::Duration;

use eventhubs_client::{ConsumerGroup, HubOptions, ReceiveOptions, RetryOptions, StartPosition};

const SOURCES: [&str; 2] =
    [include_str!("../../src/options.rs"), include_str!("../../src/retry.rs")];

/// The public fields of a struct in the source, with their type and documentation in one line each.
pub(crate) fn documented(name: &str) -> Vec<Field> {
    let head = format!("pub struct {name} {{");
    let body = SOURCES.iter().find_map(|source| source.split_once(&head)).expect("it is there").1;
    let body = &body[..body.find("\n}").expect("it ends")];
    let (mut fields, mut doc) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':'))
        {
            let kind = kind.trim_matches([' ', ',']).to_owned();
            fields.push(Field { name: name.to_owned(), kind, doc: std::mem::take(&mut doc) });
        }
    }
    fields
}

/// A public field of a struct, as its source has it.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) doc: String,
}

/// How the documentation writes a number: groups of three digits.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(" ")
}

fn bytes(count: usize) -> String {
    assert_eq!(count % (1 << 20), 0, "whole MiB");
    format!("{} MiB", count >> 20)
}

fn time(time: Duration) -> String {
    assert_eq!(time.subsec_nanos(), 0, "whole seconds");
    format!("{} s", time.as_secs())
}

/// Checks that each field of a struct, and nothing else, is listed, and documented as listed.
fn check(name: &str, expected: &[(&str, String)]) {
    let found = documented(name);
    let fields: Vec<_> = found.iter().map(|field| field.name.as_str()).collect();
    let listed: Vec<_> = expected.iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, listed, "every field of {name} is checked here");
    for (Field { name: field, doc, .. }, (_, default)) in found.iter().zip(expected) {
        let said = doc.split_once("Default").map(|(_, rest)| rest.trim_start_matches([':', ' ']));
        let said = said.unwrap_or_else(|| panic!("{name}::{field} documents no default: {doc}"));
        assert_eq!(said.trim_end_matches('.'), default, "{name}::{field}");
    }
}

#[test]
fn defaults_of_a_hub_are_as_documented() {
    let options = HubOptions::default();
    assert_eq!(options.identifier, None);
    assert!(options.connector.is_none() && options.resolver.is_none());
    let tls = &options.tls;
    assert!(tls.roots_der.is_empty() && tls.client_certificate.is_none());
    check(
        "HubOptions",
        &[
            ("identifier", "`eventhubs-` and a random UUID".to_owned()),
            ("connect_timeout", time(options.connect_timeout)),
            ("open_timeout", time(options.open_timeout)),
            ("attach_timeout", time(options.attach_timeout)),
            ("send_timeout", time(options.send_timeout)),
            ("request_timeout", time(options.request_timeout)),
            ("close_timeout", time(options.close_timeout)),
            ("idle_timeout", time(options.idle_timeout)),
            ("pending_sends_max", number(options.pending_sends_max)),
            ("pending_bytes_max", bytes(options.pending_bytes_max)),
            ("ordered", options.ordered.to_string()),
            ("link_deliveries_max", number(1 << 31)),
            ("retry", "[`RetryOptions::default`]".to_owned()),
            ("pacing", "one of its own".to_owned()),
            ("tls", "the platform's roots, no client certificate".to_owned()),
            ("connector", "TCP".to_owned()),
            ("resolver", "the runtime's".to_owned()),
            ("tcp", "[`TcpOptions::default`]".to_owned()),
        ],
    );
}

#[test]
fn defaults_of_a_receiver_are_as_documented() {
    let options = ReceiveOptions::default();
    assert_eq!(options.consumer_group, ConsumerGroup::default());
    assert_eq!(options.start, StartPosition::earliest());
    assert_eq!(options.owner_level, None);
    assert!(!options.track_last_enqueued);
    check(
        "ReceiveOptions",
        &[
            ("consumer_group", format!("`{}`", options.consumer_group)),
            ("start", "[`StartPosition::earliest`]".to_owned()),
            ("prefetch", options.prefetch.to_string()),
            ("prefetch_bytes", bytes(options.prefetch_bytes)),
            ("owner_level", "`None`".to_owned()),
            ("track_last_enqueued", options.track_last_enqueued.to_string()),
            ("watchdog", options.watchdog.map(time).unwrap_or_default()),
            ("retry", "[`RetryOptions::unlimited`]".to_owned()),
        ],
    );
}

#[test]
fn defaults_of_retries_are_as_documented() {
    let options = RetryOptions::default();
    assert!(options.policy.is_none());
    check(
        "RetryOptions",
        &[
            ("retries_max", options.retries_max.expect("not without end").to_string()),
            ("delay_base", format!("{} ms", options.delay_base.as_millis())),
            ("delay_max", time(options.delay_max)),
            ("total", time(options.total)),
            ("retry_unknown", options.retry_unknown.to_string()),
            ("policy", "`None`".to_owned()),
        ],
    );
    assert_eq!(RetryOptions::none().retries_max, Some(0));
    let unlimited = RetryOptions::unlimited();
    assert_eq!((unlimited.retries_max, unlimited.total), (None, Duration::MAX));
}

#[test]
fn each_change_changes_its_field_alone() {
    use eventhubs_client::{OwnerLevel, TlsOptions};

    let shown = |options: &HubOptions| format!("{options:?}");
    let default = HubOptions::default();
    assert_eq!(default.clone().with_identifier("me").identifier.as_deref(), Some("me"));
    let timeout = Duration::from_secs(1);
    let changed = default.clone().with_send_timeout(timeout);
    assert_eq!(changed.send_timeout, timeout);
    let back = changed.with_send_timeout(default.send_timeout);
    assert_eq!(shown(&back), shown(&default));
    let tls = TlsOptions { server_name: Some("name".to_owned()), ..TlsOptions::default() };
    assert_eq!(default.with_tls(tls).tls.server_name.as_deref(), Some("name"));

    let group = ConsumerGroup::new("group").expect("it is valid");
    let options = ReceiveOptions::default()
        .with_consumer_group(group.clone())
        .with_start(StartPosition::latest())
        .with_prefetch(7)
        .with_owner_level(OwnerLevel::ZERO)
        .with_last_enqueued_tracking();
    assert_eq!((options.consumer_group, options.prefetch), (group, 7));
    assert_eq!(options.start, StartPosition::latest());
    assert_eq!(options.owner_level, Some(OwnerLevel::ZERO));
    assert!(options.track_last_enqueued);
    assert_eq!(options.prefetch_bytes, ReceiveOptions::default().prefetch_bytes);
}
