use hyper::HeaderMap;

use super::*;
use crate::fault::{Effect, Point};
use crate::http::tests::request;

fn read(method: &str, target: &str, body: &str) -> Result<Command, Problem> {
    Command::read(&request(method, target, body.to_owned()))
}

#[track_caller]
fn refused(method: &str, target: &str, body: &str) -> String {
    let problem = read(method, target, body).unwrap_err();
    format!("{} {} {}", problem.status, problem.code, problem.message)
}

#[test]
fn every_route_is_a_command() {
    let ok = |method, target, body| read(method, target, body).unwrap();
    assert_eq!(ok("GET", "/health", ""), Command::Health);
    assert_eq!(ok("HEAD", "/state", ""), Command::State);
    assert_eq!(ok("GET", "/clock/", ""), Command::Clock);
    let hour = Duration::from_secs(3600);
    assert_eq!(ok("POST", "/clock", r#"{"advance-ms":3600000}"#), Command::AdvanceClock(hour));
    let fault = Fault::at(Point::Attach, Effect::Ignore).always();
    let body = r#"{"at":"attach","times":null,"effect":"ignore"}"#;
    assert_eq!(ok("POST", "/faults", body), Command::Inject(Box::new(fault)));
    assert_eq!(ok("GET", "/faults", ""), Command::Faults);
    assert_eq!(ok("DELETE", "/faults", ""), Command::LiftAll);
    assert_eq!(ok("GET", "/faults/7", ""), Command::Fault(FaultId(7)));
    let wait = Command::Await { id: FaultId(7), hits: 2, wait: Duration::from_millis(50) };
    assert_eq!(ok("GET", "/faults/7?hits=2&wait-ms=50", ""), wait);
    assert_eq!(ok("DELETE", "/faults/7", ""), Command::Lift(FaultId(7)));
    assert_eq!(ok("GET", "/hubs", ""), Command::Hubs);
    assert_eq!(ok("GET", "/hubs/a%20b", ""), Command::Hub("a b".to_owned()));
    assert_eq!(ok("DELETE", "/hubs/a", ""), Command::DeleteHub("a".to_owned()));
    let group = || ("a".to_owned(), "g".to_owned());
    let (hub, name) = group();
    assert_eq!(ok("PUT", "/hubs/a/consumer-groups/g", ""), Command::CreateGroup(hub, name));
    let (hub, name) = group();
    assert_eq!(ok("DELETE", "/hubs/a/consumer-groups/g", ""), Command::DeleteGroup(hub, name));
    let trim = Command::Trim { hub: "a".to_owned(), partition: 3, before: 9 };
    let body = r#"{"before-sequence-number":9}"#;
    assert_eq!(ok("POST", "/hubs/a/partitions/3/trim", body), trim);
    let append =
        Command::Append { hub: "a".to_owned(), partition: 3, message: Bytes::from_static(b"x") };
    assert_eq!(ok("POST", "/hubs/a/partitions/3/events", "x"), append);
    assert_eq!(ok("GET", "/wire?connection=4", ""), Command::Wire { connection: Some(4) });
    assert_eq!(ok("POST", "/wire", r#"{"record":false}"#), Command::Record(false));
    assert_eq!(ok("DELETE", "/wire", ""), Command::ClearWire);
}

#[test]
fn hubs_are_described() {
    let minute = Duration::from_secs(60);
    let config = HubConfig::new("a", 2)
        .with_consumer_group("g")
        .with_retention(minute)
        .with_status(HubStatus::SendDisabled);
    let body = r#"{"name":"a","partitions":2,"consumer-groups":["g"],"retention-ms":60000,
        "status":"send-disabled"}"#;
    assert_eq!(read("POST", "/hubs", body), Ok(Command::CreateHub(config)));
    let plain = HubConfig::new("a", DEFAULT_PARTITIONS);
    assert_eq!(read("POST", "/hubs", r#"{"name":"a"}"#), Ok(Command::CreateHub(plain)));
    let update = HubUpdate {
        partitions: Some(4),
        retention: Some(minute),
        status: Some(HubStatus::ReceiveDisabled),
    };
    let body = r#"{"partitions":4,"retention-ms":60000,"status":"receive-disabled"}"#;
    let expected = Command::UpdateHub("a".to_owned(), update);
    assert_eq!(read("PATCH", "/hubs/a", body), Ok(expected));
    let events = |from, count| Command::Events { hub: "a".to_owned(), partition: 0, from, count };
    assert_eq!(read("GET", "/hubs/a/partitions/0/events", ""), Ok(events(0, 100)));
    let target = "/hubs/a/partitions/0/events?from=7&count=1000000";
    assert_eq!(read("GET", target, ""), Ok(events(7, EVENTS_MAX)));
}

#[test]
fn what_is_wrong_is_said() {
    assert!(refused("GET", "/nothing", "").starts_with("404 not-found There is no GET /nothing."));
    assert!(refused("PUT", "/faults", "").contains("GET, POST or DELETE /faults"));
    assert!(refused("GET", "/faults/x", "").starts_with("404"));
    assert!(refused("GET", "/hubs/a/partitions/x/events", "").starts_with("404"));
    assert!(refused("POST", "/faults", "{").starts_with("400 invalid The body is not a fault"));
    let unknown = refused("POST", "/faults", r#"{"effect":"ignore","when":"now"}"#);
    assert!(unknown.contains("`when`"), "{unknown}");
    assert!(refused("POST", "/hubs", r#"{"name":"a","partition":2}"#).contains("`partition`"));
    assert!(refused("POST", "/clock", r#"{"advance-ms":-1}"#).starts_with("400"));
    assert!(refused("GET", "/faults/1?hits=x", "").contains("'hits' is not a number"));
    assert!(refused("GET", "/faults/1?hit=1", "").contains("no option 'hit'"));
    assert!(refused("GET", "/faults/1?wait-ms=1", "").contains("no option 'wait-ms'"), "no hits");
    assert!(refused("GET", "/%ff", "").starts_with("400"));
}

#[test]
fn pages_in_browsers_are_refused() {
    let mut from_page = request("POST", "/faults", r#"{"effect":"reset"}"#);
    let headers: &mut HeaderMap = from_page.headers_mut();
    headers.insert("origin", "http://example.org".parse().unwrap());
    assert_eq!(Command::read(&from_page).unwrap_err().status, 403);
}

#[test]
fn waits_are_bounded() {
    let wait = |target| match read("GET", target, "") {
        Ok(Command::Await { wait, .. }) => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait("/faults/1?hits=1"), WAIT_DEFAULT);
    assert_eq!(wait("/faults/1?hits=1&wait-ms=99999999999"), WAIT_MAX);
}
