//! Options that cannot be are refused with their name, before the network; what the documentation
//! says they can be is what they can be.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{
    Error, ErrorKind, Hub, HubOptions, Operation, ReceiveOptions, RetryOptions, RetryPolicy,
    SasKey, SasTokenProvider,
};
use futures_util::FutureExt;

use crate::defaults::documented;
use crate::support::{CANARY, Fixture, within};

const TEXT: &str = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=CANARYcanary;\
    EntityPath=hub";

/// How a field of some options is set, from a number of its smallest unit.
enum Set<O> {
    /// Nanoseconds.
    Time(fn(&mut O, Duration)),
    Count(fn(&mut O, usize)),
}

type Table<O> = Vec<(&'static str, Set<O>)>;

fn hub_fields() -> Table<HubOptions> {
    vec![
        ("connect_timeout", Set::Time(|options, time| options.connect_timeout = time)),
        ("open_timeout", Set::Time(|options, time| options.open_timeout = time)),
        ("attach_timeout", Set::Time(|options, time| options.attach_timeout = time)),
        ("send_timeout", Set::Time(|options, time| options.send_timeout = time)),
        ("request_timeout", Set::Time(|options, time| options.request_timeout = time)),
        ("close_timeout", Set::Time(|options, time| options.close_timeout = time)),
        ("idle_timeout", Set::Time(|options, time| options.idle_timeout = time)),
        ("pending_sends_max", Set::Count(|options, count| options.pending_sends_max = count)),
        ("pending_bytes_max", Set::Count(|options, count| options.pending_bytes_max = count)),
        (
            "link_deliveries_max",
            Set::Count(|options, count| options.link_deliveries_max = count as u64),
        ),
    ]
}

fn receive_fields() -> Table<ReceiveOptions> {
    vec![
        (
            "prefetch",
            Set::Count(|options, count| options.prefetch = count.try_into().unwrap_or(u32::MAX)),
        ),
        ("prefetch_bytes", Set::Count(|options, count| options.prefetch_bytes = count)),
        ("watchdog", Set::Time(|options, time| options.watchdog = Some(time))),
    ]
}

/// Each with the other fields such that they do not contradict it.
fn retry_fields() -> Table<RetryOptions> {
    vec![
        (
            "delay_base",
            Set::Time(|options, time| {
                options.delay_base = time;
                options.delay_max = time.max(options.delay_max);
                options.total = Duration::MAX;
            }),
        ),
        (
            "delay_max",
            Set::Time(|options, time| {
                options.delay_base = Duration::from_millis(1);
                options.delay_max = time;
            }),
        ),
        (
            "total",
            Set::Time(|options, time| {
                options.delay_base = Duration::from_millis(1);
                options.total = time;
            }),
        ),
    ]
}

/// A quantity as the documentation writes it, in its smallest unit.
fn quantity(text: &str) -> u64 {
    if text == "`Duration::MAX`" {
        return u64::MAX;
    }
    let at = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let number: u64 = text[..at].replace(' ', "").parse().expect("a number");
    number
        * match &text[at..] {
            "" | "byte" => 1,
            "GiB" => 1 << 30,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "h" => 3_600_000_000_000,
            unit => panic!("what is {unit}?"),
        }
}

/// The range that the documentation of a field states, just before its default: the text, the least
/// and the most.
fn stated(field: &str, doc: &str) -> (String, u64, u64) {
    let before = doc.split(" Default").next().unwrap_or_default().trim_end_matches(['.', ';']);
    let range = before.rsplit(". ").next().unwrap_or_default().trim();
    let (least, most) =
        range.split_once(" to ").unwrap_or_else(|| panic!("{field} states no range: {doc}"));
    (range.to_owned(), quantity(least), quantity(most))
}

/// Checks an error of an option: what it names, and that it shows nothing it must not.
fn assert_names(error: &Error, field: &str, range: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{field}: {error}");
    assert_eq!(error.operation(), Operation::Configure, "{field}");
    assert_eq!(error.entity(), format!("the option {field}"));
    assert!(error.to_string().contains(range), "{error} does not say {range}");
    assert!(!error.is_retryable() && !error.may_have_been_sent());
    let shown = format!("{error} {error:?}").to_ascii_lowercase();
    assert!(!shown.contains("canary"), "{shown}");
}

/// Tries the documented bounds of every field with a quantity, on both sides of each.
/// In errors the fields are called by `path` and their name.
fn try_bounds<O: Default>(
    (name, path): (&str, &str),
    table: &Table<O>,
    check: impl Fn(O) -> Result<(), Error>,
) {
    check(O::default()).expect("defaults are in range");
    let mut found = 0;
    for field in documented(name) {
        let entry = table.iter().find(|(listed, _)| *listed == field.name);
        let Some((listed, set)) = entry else {
            let quantities = ["Duration", "usize", "u32", "u64"];
            let is_quantity = quantities.contains(&field.kind.as_str());
            assert!(!is_quantity, "{name}::{} has bounds to be tried here", field.name);
            continue;
        };
        found += 1;
        let (range, least, most) = stated(listed, &field.doc);
        let largest = match set {
            Set::Time(_) => u64::MAX,
            Set::Count(_) => usize::MAX as u64,
        };
        for value in [0, least - 1, least, most, most.saturating_add(1), largest] {
            let mut options = O::default();
            match set {
                Set::Time(set) if value == largest => set(&mut options, Duration::MAX),
                Set::Time(set) => set(&mut options, Duration::from_nanos(value)),
                Set::Count(set) => set(&mut options, usize::try_from(value).expect("64 bits")),
            }
            match (check(options), (least..=most).contains(&value)) {
                (Ok(()), true) => {}
                (Err(error), false) => assert_names(&error, &format!("{path}{listed}"), &range),
                (result, _) => {
                    panic!("{name}::{listed} of {value}, documented {range}: {result:?}")
                }
            }
        }
    }
    assert_eq!(found, table.len(), "every field of the table is one of {name}");
}

#[test]
fn u13_each_option_of_a_hub_is_in_the_range_it_documents_or_refused() {
    let provider = || {
        let key = SasKey::new("name", CANARY).expect("it is valid");
        Arc::new(SasTokenProvider::new(key))
    };
    try_bounds(("HubOptions", ""), &hub_fields(), |options| {
        Hub::new("localhost", "hub", provider(), options).map(drop)
    });
    try_bounds(("HubOptions", ""), &hub_fields(), |options| {
        Hub::from_connection_string_with(TEXT, None, options).map(drop)
    });
    try_bounds(("HubOptions", ""), &hub_fields(), |options| {
        let nameless = TEXT.replace(";EntityPath=hub", "");
        Hub::from_connection_string_with(&nameless, Some("hub"), options).map(drop)
    });
}

#[tokio::test]
async fn u13_each_option_of_a_receiver_is_in_the_range_it_documents_or_refused() {
    let fixture = Fixture::memory().await;
    // What is out of range is known before anything is waited for.
    try_bounds(("ReceiveOptions", ""), &receive_fields(), |options| {
        let dials = fixture.wire.dials();
        let handler = |_| std::future::ready(Ok::<(), std::io::Error>(()));
        let listening = fixture.hub.receive(0, options.clone(), handler);
        let listened = listening.now_or_never().and_then(Result::err);
        if listened.is_some() {
            assert_eq!(fixture.wire.dials(), dials, "nothing was dialled");
        }
        let attached = fixture.hub.events(0, options).now_or_never().and_then(Result::err);
        assert_eq!(attached.is_some(), listened.is_some());
        attached.map_or(Ok(()), Err)
    });
    let mut least = ReceiveOptions::default().with_prefetch(1);
    least.prefetch_bytes = 1;
    fixture.send(0, &["large enough"]).await;
    let mut stream = fixture.stream_with(0, least).await;
    let event = within(stream.next()).await.expect("an item").expect("an event");
    assert_eq!(event.body(), b"large enough");
}

#[test]
fn u13_an_identifier_can_be_sent_and_read() {
    let made = |identifier: &str| {
        let options = HubOptions::default().with_identifier(identifier);
        Hub::from_connection_string_with(TEXT, None, options).map(drop)
    };
    let doc = documented("HubOptions").remove(0).doc;
    assert!(doc.contains("1 to 128 characters, none of them a control character"), "{doc}");
    for good in ["i", &"i".repeat(128), &"ü".repeat(128), "meter 7; <a> \u{1F980}"] {
        made(good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    let long = format!("{CANARY}{}", "i".repeat(129 - CANARY.len()));
    let table: [(&str, &str); 5] = [
        ("", "it is empty"),
        (&long, "longer than 128 characters"),
        (&"ü".repeat(129), "longer than 128 characters"),
        (&format!("{CANARY}\n"), "a control character"),
        (&format!("{CANARY}\0"), "a control character"),
    ];
    for (bad, why) in table {
        assert_names(&made(bad).expect_err(why), "identifier", why);
    }
}

#[test]
fn u13_the_first_option_that_cannot_be_is_named() {
    let mut options = HubOptions::default().with_send_timeout(Duration::ZERO);
    options.pending_sends_max = 0;
    let error = Hub::from_connection_string_with(TEXT, None, options).expect_err("two of them");
    assert_names(&error, "send_timeout", "0ns is out of range, which is 1 ms to 24 h");
}

#[tokio::test]
async fn u13_each_option_of_retries_is_in_the_range_it_documents_or_refused() {
    try_bounds(("RetryOptions", "retry."), &retry_fields(), |retry| {
        let options = HubOptions::default().with_retry(retry);
        Hub::from_connection_string_with(TEXT, None, options).map(drop)
    });
    let fixture = Fixture::memory().await;
    try_bounds(("RetryOptions", "retry."), &retry_fields(), |retry| {
        let options = ReceiveOptions::default().with_retry(retry);
        fixture.hub.events(0, options).now_or_never().and_then(Result::err).map_or(Ok(()), Err)
    });
}

#[test]
fn u13_options_of_retries_that_contradict_each_other_are_refused() {
    #[derive(Debug)]
    struct AtOnce;

    impl RetryPolicy for AtOnce {
        fn delay(&self, _: &Error, _: u32, _: Duration) -> Option<Duration> {
            Some(Duration::ZERO)
        }
    }

    let second = Duration::from_secs(1);
    let made = |retry: RetryOptions| {
        let options = HubOptions::default().with_retry(retry);
        Hub::from_connection_string_with(TEXT, None, options).map(drop)
    };
    let retry = RetryOptions::default().with_delays(second * 2, second);
    let error = made(retry).expect_err("the longest wait is below the first");
    assert_names(&error, "retry.delay_max", "1s is below delay_base, which is 2s");
    let short = RetryOptions::default().with_delays(second * 2, second * 2).with_total(second);
    let error = made(short.clone()).expect_err("no retry has time");
    assert_names(&error, "retry.total", "1s is below delay_base, which is 2s");
    for sound in [
        RetryOptions::default().with_delays(second, second).with_total(second),
        short.clone().with_retries_max(0),
        short.with_policy(Arc::new(AtOnce)),
        // It ends a try that takes longer.
        RetryOptions::default().with_total(second),
        RetryOptions::none(),
        RetryOptions::unlimited(),
    ] {
        made(sound.clone()).unwrap_or_else(|error| panic!("{sound:?}: {error}"));
    }
}
