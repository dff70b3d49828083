use super::occurrence::{ConnectionFacts, LinkFacts, Occurrence, Place};
use super::registry::{FAULTS_MAX, Registry};
use super::*;

fn connection(number: u64, container: &str) -> ConnectionFacts {
    ConnectionFacts { number, container: container.to_owned() }
}

fn link(role: Role, hub: &str, partition: Option<&str>) -> LinkFacts {
    LinkFacts {
        role: Some(role),
        name: "link".to_owned(),
        hub: Some(hub.to_owned()),
        partition: partition.map(str::to_owned),
        group: None,
    }
}

/// Which of `count` attaches in a row are struck, and by which fault.
fn attaches(registry: &mut Registry, facts: &LinkFacts, count: usize) -> Vec<Option<FaultId>> {
    let connection = connection(1, "client");
    let mut strike = || {
        let place = Place::Link(&connection, facts);
        registry.strike(&Occurrence { point: Point::Attach, place }).map(|struck| struck.id)
    };
    std::iter::repeat_with(&mut strike).take(count).collect()
}

#[test]
fn a_fault_lets_some_pass_then_strikes_so_many_times() {
    let mut registry = Registry::default();
    let id = registry.inject(Fault::at(Point::Attach, Effect::Ignore).after(2).times(2)).unwrap();
    let facts = link(Role::Producer, "hub", None);
    let hit = Some(id);
    assert_eq!(attaches(&mut registry, &facts, 6), [None, None, hit, hit, None, None]);
    assert_eq!(registry.hits(id), Some(2));
    assert_eq!(registry.points(), 0, "a spent fault is asked no more");
    let id = registry.inject(Fault::at(Point::Attach, Effect::Ignore).always()).unwrap();
    assert_eq!(attaches(&mut registry, &facts, 100), vec![Some(id); 100]);
    assert!(registry.lift(id));
    assert!(!registry.lift(id));
    assert_eq!(attaches(&mut registry, &facts, 1), [None]);
    assert_eq!(registry.hits(id), None);
}

#[test]
fn the_oldest_that_is_due_strikes_and_all_count() {
    let mut registry = Registry::default();
    let first = registry.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
    let second = registry.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
    let fourth = registry.inject(Fault::at(Point::Attach, Effect::Ignore).after(3)).unwrap();
    let facts = link(Role::Producer, "hub", None);
    let expected = [Some(first), Some(second), None, Some(fourth), None];
    assert_eq!(attaches(&mut registry, &facts, 5), expected);
}

#[test]
fn a_scope_is_what_all_its_fields_say() {
    let facts =
        LinkFacts { group: Some("$Default".into()), ..link(Role::Consumer, "Hub", Some("1")) };
    let connection = connection(7, "python-3.13-client");
    let within = |scope: Scope| {
        let mut registry = Registry::default();
        registry.inject(Fault::at(Point::Attach, Effect::Ignore).within(scope)).unwrap();
        let place = Place::Link(&connection, &facts);
        registry.strike(&Occurrence { point: Point::Attach, place }).is_some()
    };
    let all = Scope::all;
    for scope in [
        all(),
        all().connection(7),
        all().container("python"),
        all().role(Role::Consumer),
        all().link("link"),
        all().hub("hUB"),
        all().partition("1"),
        all().group("$default"),
        all().connection(7).container("client").role(Role::Consumer).hub("hub").partition("1"),
    ] {
        assert!(within(scope.clone()), "{scope:?}");
    }
    for scope in [
        all().connection(8),
        all().container("java"),
        all().role(Role::Producer),
        all().link("lin"),
        all().hub("hu"),
        all().partition("11"),
        all().group("other"),
        all().connection(7).hub("other"),
        all().hub("hub").partition("2"),
    ] {
        assert!(!within(scope.clone()), "{scope:?}");
    }
}

#[test]
fn what_could_never_strike_is_refused() {
    let effect = |point, effect| Fault::at(point, effect).check().is_err();
    assert!(effect(Point::Open, Effect::Duplicate));
    assert!(effect(Point::Publish, Effect::Twice));
    assert!(effect(Point::Accept, Effect::Detach(None)));
    assert!(effect(Point::Resolve, Effect::Reset));
    assert!(effect(Point::Attach, Effect::Bandwidth(1)));
    assert!(effect(Point::Now, Effect::Swallow));
    let scope =
        |point, scope| Fault::at(point, Effect::Delay(Default::default())).within(scope).check();
    let refused = scope(Point::Accept, Scope::all().hub("hub")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the scope's 'hub' is not known at the point 'accept', so nothing would match"
    );
    assert!(scope(Point::Begin, Scope::all().role(Role::Cbs)).is_err());
    assert!(scope(Point::Attach, Scope::all().host("h")).is_err());
    assert!(scope(Point::Begin, Scope::all().container("c")).is_ok());
}

#[test]
fn spent_faults_make_room_and_others_do_not() {
    let mut registry = Registry::default();
    let spent = registry.inject(Fault::now(Effect::Reset)).unwrap();
    for _ in 1..FAULTS_MAX {
        registry.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
    }
    registry.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
    assert_eq!(registry.hits(spent), None, "forgotten");
    let refused = registry.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap_err();
    assert_eq!(refused, FaultError::TooMany(FAULTS_MAX));
}

#[cfg(feature = "json")]
mod json {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::line::BadFrame;

    fn effects() -> Vec<(Effect, &'static str)> {
        let reason = || Reason::new("amqp:not-found", "text");
        let second = Duration::from_secs(1);
        let reason_json = r#"{"condition":"amqp:not-found","text":"text"}"#;
        assert_eq!(serde_json::to_string(&reason()).unwrap(), reason_json);
        vec![
            (Effect::Detach(None), r#"{"detach":null}"#),
            (
                Effect::Detach(Some(Reason::bare("a:b"))),
                r#"{"detach":{"condition":"a:b","text":null}}"#,
            ),
            (Effect::end("a", "b"), r#"{"end":{"condition":"a","text":"b"}}"#),
            (Effect::Close(None), r#"{"close":null}"#),
            (Effect::Eof, r#""eof""#),
            (Effect::Reset, r#""reset""#),
            (Effect::Silence(Direction::Both), r#"{"silence":"both"}"#),
            (Effect::Truncate, r#""truncate""#),
            (Effect::Write(BadFrame::Size(7)), r#"{"write":{"size":7}}"#),
            (Effect::Write(BadFrame::SecondOpen), r#"{"write":"second-open"}"#),
            (Effect::WithdrawCredit(second), r#"{"withdraw-credit":1000}"#),
            (Effect::Overrun(9), r#"{"overrun":9}"#),
            (Effect::ShutWindow(second), r#"{"shut-window":1000}"#),
            (
                Effect::Refuse(reason()),
                r#"{"refuse":{"condition":"amqp:not-found","text":"text"}}"#,
            ),
            (Effect::Delay(second), r#"{"delay":1000}"#),
            (Effect::Ignore, r#""ignore""#),
            (
                Effect::RefuseLate { error: reason(), after: Some(second) },
                r#"{"refuse-late":{"error":{"condition":"amqp:not-found","text":"text"},"after":1000}}"#,
            ),
            (
                Effect::RefuseLate { error: reason(), after: None },
                r#"{"refuse-late":{"error":{"condition":"amqp:not-found","text":"text"},"after":null}}"#,
            ),
            (
                Effect::answer(503, "a", "b"),
                r#"{"answer":{"status":503,"condition":"a","text":"b"}}"#,
            ),
            (Effect::Twice, r#""twice""#),
            (Effect::Malformed, r#""malformed""#),
            (Effect::Omit("status-code".into()), r#"{"omit":"status-code"}"#),
            (Effect::Outcome(Outcome::Rejected(None)), r#"{"outcome":{"rejected":null}}"#),
            (Effect::Outcome(Outcome::Released), r#"{"outcome":"released"}"#),
            (Effect::Outcome(Outcome::Modified), r#"{"outcome":"modified"}"#),
            (Effect::LoseAcknowledgement, r#""lose-acknowledgement""#),
            (Effect::DelayAcknowledgement(second), r#"{"delay-acknowledgement":1000}"#),
            (Effect::Drop, r#""drop""#),
            (Effect::Duplicate, r#""duplicate""#),
            (Effect::Replace(Bytes::from_static(b"\0\x53")), r#"{"replace":"AFM="}"#),
            (Effect::Abort, r#""abort""#),
            (Effect::Unfinished, r#""unfinished""#),
            (Effect::WithholdCredit, r#""withhold-credit""#),
            (
                Effect::TrickleCredit { each: 1, every: second },
                r#"{"trickle-credit":{"each":1,"every":1000}}"#,
            ),
            (Effect::StartIds(u32::MAX), r#"{"start-ids":4294967295}"#),
            (
                Effect::Latency { delay: second, jitter: Duration::ZERO },
                r#"{"latency":{"delay":1000,"jitter":0}}"#,
            ),
            (Effect::Bandwidth(64_000), r#"{"bandwidth":64000}"#),
            (Effect::Chunks(7), r#"{"chunks":7}"#),
            (Effect::ExtendedHeaders, r#""extended-headers""#),
            (Effect::Swallow, r#""swallow""#),
        ]
    }

    #[test]
    fn every_effect_is_spelled_as_documented_and_comes_back() {
        for (effect, json) in effects() {
            assert_eq!(serde_json::to_string(&effect).unwrap(), json);
            assert_eq!(serde_json::from_str::<Effect>(json).unwrap(), effect, "{json}");
        }
    }

    #[test]
    fn every_point_is_spelled_as_documented_and_comes_back() {
        let close = Point::Frame { direction: Direction::Out, performative: Performative::Close };
        for (point, json) in [
            (Point::Now, r#""now""#),
            (Point::PutToken, r#""put-token""#),
            (Point::FramesIn(3), r#"{"frames-in":3}"#),
            (Point::BytesOut(3), r#"{"bytes-out":3}"#),
            (close, r#"{"frame":{"direction":"out","performative":"close"}}"#),
        ] {
            assert_eq!(serde_json::to_string(&point).unwrap(), json);
            assert_eq!(serde_json::from_str::<Point>(json).unwrap(), point, "{json}");
        }
    }

    #[test]
    fn what_is_left_out_is_the_default() {
        let fault: Fault = serde_json::from_str(r#"{"effect":"reset"}"#).unwrap();
        assert_eq!(fault, Fault::now(Effect::Reset));
        let fault: Fault = serde_json::from_str(
            r#"{"scope":{"hub":"orders","partition":"0","role":"consumer"},"at":"attach",
                "after":2,"times":null,
                "effect":{"refuse":{"condition":"amqp:not-found"}}}"#,
        )
        .unwrap();
        let expected = Fault::at(Point::Attach, Effect::Refuse(Reason::bare("amqp:not-found")))
            .within(Scope::all().hub("orders").partition("0").role(Role::Consumer))
            .after(2)
            .always();
        assert_eq!(fault, expected);
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for json in [
            r#"{"effect":"reset","more":1}"#,
            r#"{"effect":"explode"}"#,
            r#"{"effect":"reset","scope":{"huh":"a"}}"#,
            r#"{"effect":"reset","at":"never"}"#,
            r#"{"effect":{"refuse":{"condition":"a","txt":"b"}}}"#,
            r#"{"effect":{"answer":{"status":1,"more":2}}}"#,
            r#"{"effect":{"replace":"not base64!"}}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Fault>(json).is_err(), "{json}");
        }
    }
}
