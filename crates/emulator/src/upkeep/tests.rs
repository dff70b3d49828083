use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::codec::performative::{Attach, Role};
use eventhubs_amqp::codec::{AmqpError, Source, Target, condition};
use eventhubs_amqp::engine::{CloseReason, Sasl};

use crate::broker::Broker;
use crate::config::{Config, Rights, SasKey};
use crate::namespace::Namespace;
use crate::rules::jwt;
use crate::rules::token::sign;
use crate::upkeep::watch::Timers;
use crate::wire::{LATER, Wire, event};

const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";
const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn namespace() -> Arc<Namespace> {
    Arc::new(Namespace::new(&Config::default()))
}

/// A token for the whole namespace that lapses `seconds` from now.
fn token_for(namespace: &Namespace, audience: &str, seconds: i64) -> String {
    let expiry = namespace.clock.now() / 1000 + seconds;
    sign(audience, "RootManageSharedAccessKey", "SAS_KEY_VALUE", expiry)
}

fn closed(wire: &Wire) -> Option<String> {
    match &wire.closed {
        None => None,
        Some(CloseReason::Remote(Some(error))) => {
            assert_eq!(error.condition, condition::CONNECTION_FORCED);
            error.description.as_deref().map(str::to_owned)
        }
        other => panic!("{other:?}"),
    }
}

fn text(error: Option<AmqpError>) -> String {
    error.expect("an error").description.unwrap_or_default().to_string()
}

#[test]
fn who_puts_no_token_within_twenty_seconds_is_dropped() {
    let namespace = namespace();
    let mut wire = Wire::new(&namespace);
    wire.advance(19 * SECOND);
    assert_eq!(closed(&wire), None);
    let wrong = sign("sb://h", "RootManageSharedAccessKey", "guess", LATER);
    assert_eq!(wire.put_token("sb://h", &wrong).0, 401);
    wire.advance(SECOND);
    assert!(closed(&wire).expect("closed").contains("no valid token"));

    let mut wire = Wire::trusted(&namespace);
    assert!(wire.sender("hub").is_ok());
    wire.advance(25 * SECOND);
    assert_eq!(closed(&wire), None, "a token was put");
    let sasl = || Sasl::Plain {
        user: "RootManageSharedAccessKey".into(),
        password: "SAS_KEY_VALUE".into(),
    };
    let mut wire = Wire::with_sasl(&namespace, sasl());
    wire.advance(25 * SECOND);
    assert_eq!(closed(&wire), None, "a key was proved");
}

#[test]
fn a_connection_without_links_is_closed_in_the_services_words() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    // The pair on `$cbs` is no link to keep a connection open for.
    wire.sender("$cbs").unwrap();
    wire.advance(59 * SECOND);
    assert_eq!(closed(&wire), None);
    wire.advance(SECOND);
    assert_eq!(
        closed(&wire).unwrap(),
        "The connection was inactive for more than the allowed 60000 milliseconds and is closed by \
         container 'LinkTracker'."
    );
    let mut wire = Wire::trusted(&namespace);
    let links = [wire.sender("hub").unwrap(), wire.sender("hub").unwrap()];
    wire.client.detach(links[0], true, None);
    wire.advance(10 * MINUTE);
    assert_eq!(closed(&wire), None, "there is one left");
    wire.client.detach(links[1], true, None);
    wire.exchange();
    wire.advance(5 * MINUTE - SECOND);
    assert_eq!(closed(&wire), None);
    let last = wire.sender("hub").unwrap();
    wire.advance(MINUTE);
    assert_eq!(closed(&wire), None, "a new one in time");
    wire.client.detach(last, true, None);
    wire.exchange();
    wire.advance(5 * MINUTE);
    assert!(closed(&wire).unwrap().contains("allowed 300000 milliseconds"));
}

#[test]
fn links_that_nobody_uses_are_detached() {
    let mut wire = Wire::trusted(&namespace());
    let busy = wire.sender("hub/Partitions/1").unwrap();
    let idle = wire.sender("hub/Partitions/2").unwrap();
    let reading = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(reading, 10);
    let stuck = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.exchange();
    wire.advance(29 * MINUTE);
    wire.send(busy, event("x", None), 0);
    assert!(wire.detached(idle).is_none() && wire.detached(stuck).is_none());
    wire.advance(MINUTE);
    let told = text(wire.detached(idle));
    assert!(told.ends_with("AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00."));
    assert!(told.contains("because of errors occurred in publisher"), "{told}");
    let told = text(wire.detached(stuck));
    assert!(told.ends_with("AmqpEventHubConsumer.IdleTimerExpired: Idle timeout: 00:30:00."));
    assert!(wire.detached(busy).is_none() && wire.detached(reading).is_none());
    wire.advance(29 * MINUTE);
    let error = wire.detached(busy).expect("it was used 30 min ago");
    assert_eq!(error.condition, condition::DETACH_FORCED);
    wire.advance(120 * MINUTE);
    assert!(wire.detached(reading).is_none(), "a receiver that waits with credit is in use");
    assert_eq!(closed(&wire), None);
    wire.client.set_credit(reading, 0);
    wire.exchange();
    wire.advance(30 * MINUTE);
    assert!(wire.detached(reading).is_some());
}

#[test]
fn timers_are_configurable() {
    let timers = Timers { idle_link: 5 * SECOND, ..Timers::NEVER };
    let namespace = Arc::new(Namespace::new(&Config::default().with_timers(timers)));
    let mut wire = Wire::trusted(&namespace);
    let link = wire.sender("hub").unwrap();
    wire.advance(5 * SECOND);
    assert!(text(wire.detached(link)).ends_with("Idle timeout: 00:00:05."));
    wire.advance(10_000 * MINUTE);
    assert_eq!(closed(&wire), None);
}

#[test]
fn a_lapsed_token_takes_its_links_along() {
    let namespace = namespace();
    let mut wire = Wire::new(&namespace);
    let put = |wire: &mut Wire, audience: &str, seconds| {
        let token = token_for(&namespace, audience, seconds);
        assert_eq!(wire.put_token(audience, &token).0, 202);
    };
    put(&mut wire, "sb://h/hub/Partitions/0", 60);
    put(&mut wire, "sb://h/hub/Partitions/1", 600);
    put(&mut wire, "sb://h/hub/ConsumerGroups", 60);
    let lapsing = wire.sender("sb://h/hub/Partitions/0").unwrap();
    let staying = wire.sender("hub/Partitions/1").unwrap();
    let reading = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.advance(50 * SECOND);
    put(&mut wire, "sb://h/hub/ConsumerGroups/$Default", 300);
    assert!(wire.detached(lapsing).is_none());
    wire.advance(11 * SECOND);
    let error = wire.detached(lapsing).expect("nothing covers it any more");
    assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS);
    let told = error.description.unwrap_or_default();
    assert!(
        told.starts_with(
            "Unauthorized access. 'Send' claim(s) are required to perform this operation. \
             Resource: 'hub/Partitions/0'. ExpiredToken: The token is expired. Expiration time: '20"
        ),
        "{told}"
    );
    assert!(wire.detached(staying).is_none(), "another token");
    assert!(wire.detached(reading).is_none(), "a later token covers it");
    assert!(wire.sender("hub/Partitions/0").is_err(), "nor can it come back");
    wire.advance(300 * SECOND);
    assert!(text(wire.detached(reading)).starts_with("Unauthorized access. 'Listen'"));
}

#[test]
fn a_renewed_token_keeps_its_links() {
    let namespace = namespace();
    let mut wire = Wire::new(&namespace);
    let mut link = None;
    for _ in 0..5 {
        let token = token_for(&namespace, "sb://h/hub", 60);
        assert_eq!(wire.put_token("sb://h/hub", &token).0, 202);
        let link = *link.get_or_insert_with(|| wire.sender("hub").unwrap());
        wire.advance(40 * SECOND);
        assert!(wire.detached(link).is_none());
    }
    wire.advance(40 * SECOND);
    assert!(wire.detached(link.unwrap()).is_some());
}

#[test]
fn requests_for_information_need_a_token_as_well() {
    let namespace = namespace();
    let mut wire = Wire::new(&namespace);
    let token = token_for(&namespace, "sb://h/hub", 60);
    assert_eq!(wire.put_token("sb://h/hub", &token).0, 202);
    let requests = wire.sender("$management").unwrap();
    let cbs = wire.sender("$cbs").unwrap();
    wire.advance(61 * SECOND);
    assert_eq!(wire.detached(requests).unwrap().condition, condition::UNAUTHORIZED_ACCESS);
    assert!(wire.detached(cbs).is_none(), "how else should a new one come?");
}

#[test]
fn a_second_pair_on_cbs_is_refused() {
    let mut wire = Wire::new(&namespace());
    let pair = |wire: &mut Wire| {
        let answers = wire.receiver("$cbs", "", |_| {});
        let requests = wire.attach(Attach {
            role: Role::Sender,
            source: Some(Source::default()),
            target: Some(Target::new("$cbs")),
            ..Attach::default()
        });
        [answers, requests]
    };
    let first = pair(&mut wire).map(Result::unwrap);
    for refused in pair(&mut wire) {
        let error = refused.unwrap_err();
        assert_eq!(error.condition, condition::NOT_ALLOWED);
        let told = text(Some(error));
        assert!(told.starts_with("A link to connection '"), "{told}");
        assert!(told.ends_with("' $cbs node has already been opened."), "{told}");
    }
    wire.client.detach(first[0], true, None);
    wire.exchange();
    let [answers, requests] = pair(&mut wire);
    assert!(answers.is_ok() && requests.is_err(), "each kind by itself");
    // The official Rust client closes both and comes back later.
    wire.client.detach(first[1], true, None);
    wire.client.detach(answers.unwrap(), true, None);
    wire.exchange();
    let token = sign("sb://h/hub", "RootManageSharedAccessKey", "SAS_KEY_VALUE", LATER);
    for _ in 0..3 {
        assert_eq!(wire.put_token("sb://h/hub", &token).0, 202);
    }
}

#[test]
fn a_certificate_is_enough_for_external() {
    let namespace = namespace();
    let broker = |certified| {
        let mut broker = Broker::new(Arc::clone(&namespace));
        broker.certified = certified;
        broker
    };
    let mut wire = Wire::with_broker(broker(true), Sasl::External);
    assert!(wire.sender("hub").is_ok() && wire.receiver(FIRST, EARLIEST, |_| {}).is_ok());
    let wire = Wire::with_broker(broker(false), Sasl::External);
    assert!(matches!(wire.closed, Some(CloseReason::Sasl(_))), "{:?}", wire.closed);
    let mut wire = Wire::with_broker(broker(true), Sasl::Anonymous);
    assert!(wire.sender("hub").is_err(), "who does not ask for it has no rights");
}

#[test]
fn json_web_tokens_are_taken_when_they_are_asked_for() {
    let claims = format!(r#"{{"aud":"https://eventhubs.azure.net","exp":{LATER}}}"#);
    let token = jwt::tests::token(&claims);
    let mut wire = Wire::new(&namespace());
    let refused = wire.put_token_of("jwt", "sb://h/hub", &token);
    assert_eq!(refused, (401, "com.microsoft:auth-failed".into()));
    let config = Config::default()
        .with_jwt(true)
        .with_sas_key(SasKey::new("reader", "r").with_rights(Rights::LISTEN));
    let namespace = Arc::new(Namespace::new(&config));
    let mut wire = Wire::new(&namespace);
    let other = jwt::tests::token(&claims.replace("eventhubs", "storage"));
    assert_eq!(wire.put_token_of("jwt", "sb://h/hub", &other).0, 401);
    assert_eq!(wire.put_token_of("jwt", "sb://h/hub", &token), (202, String::new()));
    assert!(wire.sender("hub").is_ok() && wire.receiver(FIRST, EARLIEST, |_| {}).is_ok());
    let listen = sign("sb://h/hub", "reader", "r", LATER);
    let mut wire = Wire::new(&namespace);
    assert_eq!(wire.put_token("sb://h/hub", &listen).0, 202, "signatures still count");
    assert!(wire.sender("hub").is_err());
    let short = namespace.clock.now() / 1000 + 60;
    let token = jwt::tests::token(&claims.replace(&LATER.to_string(), &short.to_string()));
    let mut wire = Wire::new(&namespace);
    assert_eq!(wire.put_token_of("jwt", "sb://h/hub", &token).0, 202);
    let link = wire.sender("hub").unwrap();
    wire.advance(61 * SECOND);
    assert!(wire.detached(link).is_some(), "they lapse as others do");
}
