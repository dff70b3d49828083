use super::*;
use crate::fault::Role;
use crate::view::overview::AudienceSnapshot;
use crate::view::snapshot::{GroupSnapshot, PartitionSnapshot, ReceiverSnapshot};

/// Evil in every place where a client's text is shown.
const EVIL: &str = "<script>alert('x')</script>\"&";

fn greeting() -> Greeting {
    Greeting {
        connection_string: "Endpoint=sb://h:1;SharedAccessKey=***".to_owned(),
        listeners: vec!["amqp=h:1".to_owned()],
    }
}

fn partition(number: u32, events: usize) -> PartitionSnapshot {
    let last = i64::try_from(events).unwrap() + 6;
    PartitionSnapshot {
        number,
        begin_sequence: 7,
        last_sequence: last,
        last_offset: "0".to_owned(),
        last_enqueued: Some(9_000),
        events,
        bytes: 0,
        events_per_second: 2.5,
        receivers: vec![ReceiverSnapshot {
            group: "g".to_owned(),
            name: "r".to_owned(),
            epoch: None,
        }],
    }
}

fn hub(name: &str, partitions: Vec<PartitionSnapshot>) -> HubSnapshot {
    HubSnapshot {
        name: name.to_owned(),
        created: 0,
        updated: 0,
        status: HubStatus::SendDisabled,
        retention: Duration::from_secs(7 * 86_400),
        groups: vec![GroupSnapshot { name: EVIL.to_owned(), created: 0 }],
        partitions,
    }
}

fn link(name: &str) -> LinkSnapshot {
    LinkSnapshot {
        name: name.to_owned(),
        role: Role::Consumer,
        incoming: false,
        address: EVIL.to_owned(),
        hub: Some("orders".to_owned()),
        partition: Some("0".to_owned()),
        consumer_group: Some("g".to_owned()),
        epoch: Some(41),
        credit: 298,
        position: Some(12),
        lag: Some(345),
        messages: Some(77),
    }
}

fn full() -> Snapshot {
    Snapshot {
        taken: 10_000,
        hubs: vec![hub("orders", vec![partition(0, 5), partition(1, 0)])],
        connections: vec![ConnectionSnapshot {
            number: 3,
            transport: "amqps".to_owned(),
            peer: Some("127.0.0.1:9".parse().unwrap()),
            container_id: Some(EVIL.to_owned()),
            user_agent: Some(EVIL.to_owned()),
            mechanism: Some(EVIL.to_owned()),
            age: Duration::from_secs(61),
            audiences: vec![AudienceSnapshot { audience: EVIL.to_owned(), expires: Some(70_000) }],
            links: vec![link(EVIL), link("second")],
        }],
        silent: 0,
        incidents: vec![Incident { at: 8_000, connection: 3, what: EVIL.to_owned() }],
    }
}

fn faults() -> Vec<FaultLine> {
    vec![FaultLine { id: FaultId(4), hits: 9, json: EVIL.to_owned() }]
}

/// What a reader sees: the text between tags, one blank for each tag.
fn visible(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let mut text = String::new();
    for piece in body.split('<') {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_is_told() {
    let page = render(&full(), &faults(), &greeting(), 2);
    let text = visible(&page);
    assert!(text.contains("orders") && text.contains("keeps events for 7 d "), "{text}");
    assert!(text.contains("takes no events"), "{text}");
    assert!(
        text.contains("0 7 11 5 2.5 1 s ago 1"),
        "first, last, events, rate, latest, receivers"
    );
    assert!(text.contains("1 &ndash; 6 0 2.5"), "an empty partition has no first: {text}");
    assert!(text.contains("amqps from 127.0.0.1:9 &middot; 1 min 1 s"), "{text}");
    assert!(text.contains("(1 min left)"), "{text}");
    assert!(text.contains("consumer out &lt;script"), "role and address: {text}");
    assert!(text.contains(" second 41 "), "name and epoch: {text}");
    assert!(text.contains("Faults 4, struck 9 times"), "{text}");
    assert!(text.contains("41 298 12 345 77"), "epoch, credit, next, lag, messages: {text}");
    assert!(text.contains("2 s ago, connection 3"), "{text}");
    assert!(!text.contains("Nobody is connected"), "{text}");
}

#[test]
fn what_clients_wrote_stays_text() {
    let page = render(&full(), &faults(), &greeting(), 2);
    let body = page.split_once("</style>").unwrap().1;
    assert!(!body.contains("<script"), "{body}");
    assert!(!body.contains("alert('"), "{body}");
    let shown = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
    // Group, container, mechanism, user agent, audience, link twice, address twice, fault, error.
    assert_eq!(body.matches(shown).count(), 11, "{body}");
}

#[test]
fn an_empty_emulator_says_how_to_connect() {
    let page = render(&Snapshot::default(), &[], &greeting(), 2);
    let text = visible(&page);
    assert!(text.contains("Nobody is connected"), "{text}");
    assert!(text.contains("Endpoint=sb://h:1;SharedAccessKey=***"), "{text}");
    assert!(text.contains("Listening: amqp=h:1"), "{text}");
    assert!(text.contains("There is no hub."), "{text}");
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"2\">"));
    let still = render(&Snapshot::default(), &[], &greeting(), 0);
    assert!(!still.contains("http-equiv") && still.contains("go on"));
}

#[test]
fn the_page_is_bounded_and_says_what_it_leaves_out() {
    let partitions = (0..3000).map(|number| partition(number, 1)).collect();
    let mut snapshot = Snapshot { hubs: vec![hub("a", partitions)], silent: 4, ..full() };
    snapshot.connections = vec![snapshot.connections[0].clone(); 3000];
    let page = render(&snapshot, &[], &greeting(), 2);
    assert!(page.contains("1000 more partitions are not shown."));
    assert!(page.contains("There are more than this page shows."));
    assert!(page.contains("4 more connections did not answer in time."));
    assert_eq!(page.matches("data-partition=").count(), ROWS_MAX);
    assert!(page.matches("data-link=").count() <= ROWS_MAX);
    assert!(page.len() < 2 << 20, "{}", page.len());
}
