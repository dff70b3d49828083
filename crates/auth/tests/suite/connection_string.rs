//! Connection strings: what is taken, what is refused, and that no value is repeated.

use eventhubs_auth::{ConnectionString, Credential, Error, Field, Problem};
use proptest::prelude::*;

const KEY: &str = "SharedAccessKeyName=name;SharedAccessKey=a2V5";
const SIGNATURE: &str = "SharedAccessSignature sr=a&sig=b%3d&se=1700000000&skn=c";

fn parse(text: &str) -> ConnectionString {
    ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> (Field, Problem) {
    match ConnectionString::parse(text) {
        Err(Error::ConnectionString { field, problem }) => (field, problem),
        other => panic!("{text:.80}: {other:?}"),
    }
}

#[test]
fn the_usual_one() {
    let parsed = parse(&format!("Endpoint=sb://NS.servicebus.windows.net/;{KEY};EntityPath=hub"));
    assert_eq!(parsed.host(), "ns.servicebus.windows.net");
    assert_eq!((parsed.port(), parsed.explicit_port()), (5671, None));
    assert_eq!(parsed.hub().map(|hub| hub.as_str()), Some("hub"));
    assert!(!parsed.is_emulator() && !parsed.wants_web_socket());
    let Credential::Key(key) = parsed.credential() else { panic!("a key") };
    assert_eq!(key.name(), "name");
}

#[test]
fn what_does_not_matter() {
    let plain = format!("{:?}", parse(&format!("Endpoint=sb://h.example;{KEY};EntityPath=hub")));
    for text in [
        "endpoint=sb://h.example;sharedaccesskeyname=name;sharedaccesskey=a2V5;entitypath=hub",
        "ENTITYPATH=hub;SHAREDACCESSKEY=a2V5;SHAREDACCESSKEYNAME=name;ENDPOINT=SB://H.EXAMPLE/",
        "Endpoint=sb://h.example/;SharedAccessKeyName=name;SharedAccessKey=a2V5;EntityPath=hub;",
        ";;Endpoint = sb://h.example ; SharedAccessKeyName= name;;SharedAccessKey =a2V5 ;EntityPath=hub;\n",
        "Endpoint=amqps://h.example.;SharedAccessKeyName=name;SharedAccessKey=a2V5;EntityPath=hub",
        "Endpoint=sb://h.example;SharedAccessKeyName=name;SharedAccessKey=a2V5;EntityPath=hub;Other=x;Other=y=z",
        "Endpoint=sb://h.example;SharedAccessKeyName=name;SharedAccessKey=a2V5;EntityPath=hub;TransportType=Amqp",
        "Endpoint=sb://h.example;SharedAccessKeyName=name;SharedAccessKey=a2V5;EntityPath=hub;UseDevelopmentEmulator=false",
    ] {
        assert_eq!(format!("{:?}", parse(text)), plain, "{text}");
    }
}

#[test]
fn a_key_may_hold_equals_signs() {
    let text = "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey==a=b==";
    let Credential::Key(_) = parse(text).credential().clone() else { panic!("a key") };
}

#[test]
fn endpoints() {
    for (endpoint, host, port) in [
        ("sb://h.example:5671/", "h.example", 5671),
        ("sb://localhost:1", "localhost", 1),
        ("sb://127.0.0.1:65535/", "127.0.0.1", 65535),
        ("sb://[::1]", "[::1]", 5671),
        ("sb://[0:0::1]:5672/", "[::1]", 5672),
        ("amqps://h.example", "h.example", 5671),
    ] {
        let parsed = parse(&format!("Endpoint={endpoint};{KEY}"));
        assert_eq!((parsed.host(), parsed.port()), (host, port), "{endpoint}");
    }
}

#[test]
fn endpoints_that_are_none() {
    let invalid = |endpoint: &str| match refused(&format!("Endpoint={endpoint};{KEY}")) {
        (Field::Endpoint, Problem::Invalid(_)) => {}
        other => panic!("{endpoint}: {other:?}"),
    };
    for endpoint in [
        "sb://",
        "sb:///",
        "sb://:5671",
        "sb://[::1]x",
        "sb://a b",
        "sb://bücher.example",
        "sb://a..b",
        "sb://[::g]:5",
    ] {
        invalid(endpoint);
    }
    invalid(&format!("sb://{}", "h".repeat(300)));
    for (endpoint, problem) in [
        ("h.example", Problem::Scheme),
        ("http://h.example", Problem::Scheme),
        ("amqp://h.example", Problem::Scheme),
        ("://h.example", Problem::Scheme),
        ("sb://h.example/hub", Problem::NotAnAuthority),
        ("sb://h.example//", Problem::NotAnAuthority),
        ("sb://h.example?x", Problem::NotAnAuthority),
        ("sb://h.example#x", Problem::NotAnAuthority),
        ("sb://user@h.example", Problem::NotAnAuthority),
        ("sb://h.example\\x", Problem::NotAnAuthority),
        ("sb://h.example:", Problem::Port),
        ("sb://h.example:0", Problem::Port),
        ("sb://h.example:65536", Problem::Port),
        ("sb://h.example:+1", Problem::Port),
        ("sb://h.example:5671:1", Problem::Port),
        ("sb://::1", Problem::Port),
        ("sb://[::1", Problem::Port),
        ("sb://[::1]:x", Problem::Port),
    ] {
        let found = refused(&format!("Endpoint={endpoint};{KEY}"));
        assert_eq!(found, (Field::Endpoint, problem), "{endpoint}");
    }
}

#[test]
fn what_is_missing_empty_or_given_twice() {
    let e = "Endpoint=sb://h";
    for (text, field, problem) in [
        (String::new(), Field::Whole, Problem::Empty),
        (" \n".to_owned(), Field::Whole, Problem::Empty),
        (";".to_owned(), Field::Endpoint, Problem::Missing),
        (KEY.to_owned(), Field::Endpoint, Problem::Missing),
        (e.to_owned(), Field::SharedAccessKeyName, Problem::Missing),
        (format!("{e};SharedAccessKey=k"), Field::SharedAccessKeyName, Problem::Missing),
        (format!("{e};SharedAccessKeyName=n"), Field::SharedAccessKey, Problem::Missing),
        (format!("Endpoint=;{KEY}"), Field::Endpoint, Problem::Empty),
        (
            format!("{e};SharedAccessKeyName=n;SharedAccessKey= "),
            Field::SharedAccessKey,
            Problem::Empty,
        ),
        (
            format!("{e};SharedAccessKeyName=;SharedAccessKey=k"),
            Field::SharedAccessKeyName,
            Problem::Empty,
        ),
        (format!("{e};{KEY};EntityPath="), Field::EntityPath, Problem::Empty),
        (format!("{e};{KEY};{e}"), Field::Endpoint, Problem::Duplicate),
        (format!("{e};{KEY};ENDPOINT=sb://other"), Field::Endpoint, Problem::Duplicate),
        (format!("{e};{KEY};SharedAccessKey=k"), Field::SharedAccessKey, Problem::Duplicate),
        (format!("{e};{KEY};EntityPath=a;EntityPath=a"), Field::EntityPath, Problem::Duplicate),
        (format!("{e};{KEY};rubbish"), Field::Whole, Problem::NotAPair { part: 4 }),
        (format!("{e};=x;{KEY}"), Field::Whole, Problem::NotAPair { part: 2 }),
        (
            format!("{e};{KEY};UseDevelopmentEmulator=yes"),
            Field::UseDevelopmentEmulator,
            Problem::NotABoolean,
        ),
    ] {
        assert_eq!(refused(&text), (field, problem), "{text}");
    }
    let (field, problem) = refused(&format!("{e};{KEY};EntityPath=a/b"));
    assert!(matches!((field, problem), (Field::EntityPath, Problem::Invalid(_))));
}

#[test]
fn too_long() {
    let limit = Problem::TooLong { limit: 65_536 };
    assert_eq!(refused(&"x".repeat(1_000_000)), (Field::Whole, limit));
}

#[test]
fn a_signature_in_place_of_a_key() {
    let parsed = parse(&format!("Endpoint=sb://h.example;SharedAccessSignature={SIGNATURE}"));
    assert!(matches!(parsed.credential(), Credential::Signature(_)));

    let (field, problem) = refused("Endpoint=sb://h.example;SharedAccessSignature=rubbish");
    assert_eq!((field, problem), (Field::SharedAccessSignature, Problem::NotASignature));
    for (added, other) in [
        ("SharedAccessKey=k", Field::SharedAccessKey),
        ("SharedAccessKeyName=n", Field::SharedAccessKeyName),
        (KEY, Field::SharedAccessKey),
    ] {
        let text = format!("Endpoint=sb://h;SharedAccessSignature={SIGNATURE};{added}");
        let expected = (Field::SharedAccessSignature, Problem::Excludes { other });
        assert_eq!(refused(&text), expected, "{added}");
    }
}

#[test]
fn plaintext_only_for_an_emulator_and_never_to_a_cloud() {
    for (endpoint, port) in [
        ("sb://localhost", 5672),
        ("sb://host.docker.internal:15672", 15672),
        ("amqp://10.0.0.7/", 5672),
        ("sb://[::1]", 5672),
        ("sb://servicebus.windows.net.example", 5672),
    ] {
        for flag in ["true", "True", "TRUE"] {
            let text = format!("Endpoint={endpoint};{KEY};UseDevelopmentEmulator={flag};");
            let parsed = parse(&text);
            assert!(parsed.is_emulator(), "{text}");
            assert_eq!(parsed.port(), port, "{text}");
        }
    }
    for host in [
        "ns.servicebus.windows.net",
        "NS.SERVICEBUS.WINDOWS.NET.",
        "ns.servicebus.windows.net:5672",
        "ns.servicebus.chinacloudapi.cn",
        "ns.servicebus.usgovcloudapi.net",
        "ns.servicebus.cloudapi.de",
        "servicebus.windows.net",
    ] {
        let text = format!("UseDevelopmentEmulator=true;Endpoint=sb://{host};{KEY}");
        assert_eq!(refused(&text), (Field::Endpoint, Problem::PlaintextToCloud), "{text}");
    }
}

#[test]
fn the_transport_is_a_hint() {
    for (value, web_socket) in
        [("AmqpWebSockets", true), ("amqpwebsockets", true), ("Amqp", false), ("carrier", false)]
    {
        let text = format!("Endpoint=sb://h;{KEY};TransportType={value}");
        assert_eq!(parse(&text).wants_web_socket(), web_socket, "{value}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in ".{0,200}") {
        let _ = ConnectionString::parse(&text);
    }

    /// Parts of connection strings in any order and any number.
    #[test]
    fn any_parts_are_taken_or_refused_without_repeating_a_value(
        parts in prop::collection::vec(
            (
                "(Endpoint|EntityPath|SharedAccessKey(Name)?|SharedAccessSignature|Use[A-Z]|CANARY)?",
                "(=|==| =)?",
                "(sb://|amqp://|SharedAccessSignature )?(CANARY[ -~é\n]{0,8}|h)(:[0-9]{1,6})?",
            ),
            0..6,
        ),
    ) {
        let text: String = parts.iter().map(|(k, e, v)| format!("{k}{e}{v};")).collect();
        if let Err(error) = ConnectionString::parse(&text) {
            let shown = format!("{error} {error:?} {error:#?}");
            prop_assert!(!shown.to_ascii_uppercase().contains("CANARY"), "{}", shown);
        }
    }
}
