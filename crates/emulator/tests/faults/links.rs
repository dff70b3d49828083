//! Connections, sessions and links that end or never come (S1 to S11).

use std::time::Duration;

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::codec::condition;
use eventhubs_amqp::engine::CloseReason;
use eventhubs_emulator::{Effect, Fault, Point, Reason, Role, Scope};

use crate::client::{Client, FIRST, SECOND, What, emulator, from, owner, to};

fn error(condition: &str, text: &str) -> AmqpError {
    AmqpError::new(condition.to_owned(), text)
}

fn closed(reason: CloseReason) -> (String, String) {
    let CloseReason::Remote(error) = reason else { panic!("{reason:?}") };
    let error = error.unwrap_or_default();
    (error.condition.as_str().to_owned(), error.description.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn s01_a_forced_close_strikes_while_idle_and_while_busy() {
    let emulator = emulator().await;
    let forced = || Effect::close("amqp:connection:forced", "The connection was inactive.");
    let mut client = Client::open(&emulator).await;
    let fault = emulator.inject(Fault::now(forced())).unwrap();
    assert_eq!(closed(client.closed().await).0, "amqp:connection:forced");
    assert_eq!(emulator.hits(fault), 1);

    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, forced()).after(1)).unwrap();
    let sent = [client.send(sender, "a").await, client.send(sender, "b").await];
    assert_eq!(closed(client.closed().await).1, "The connection was inactive.");
    assert_eq!(client.outcomes(), sent[..1], "the second has no outcome");
    assert_eq!(Client::stored(&emulator).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn s02_a_close_has_any_condition_or_none() {
    let emulator = emulator().await;
    for condition in
        ["amqp:internal-error", "amqp:connection:framing-error", "amqp:connection:redirect", ""]
    {
        let mut client = Client::open(&emulator).await;
        let reason = (!condition.is_empty()).then(|| Reason::bare(condition));
        let expected =
            reason.clone().map(|_| AmqpError { description: None, ..error(condition, "") });
        emulator.inject(Fault::now(Effect::Close(reason))).unwrap();
        assert_eq!(client.closed().await, CloseReason::Remote(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn s03_an_end_takes_one_session_and_leaves_the_others() {
    let emulator = emulator().await;
    for condition in [
        "amqp:session:window-violation",
        "amqp:session:errant-link",
        "amqp:session:handle-in-use",
        "amqp:session:unattached-handle",
        "",
    ] {
        let mut client = Client::open(&emulator).await;
        let first = client.session;
        let struck = client.sender("hub/Partitions/0").await;
        client.begin().await;
        let spared = client.sender("hub/Partitions/1").await;
        let reason = (!condition.is_empty()).then(|| Reason::bare(condition));
        let scope = Scope::all().hub("hub").partition("0").role(Role::Producer);
        let fault = emulator.inject(Fault::now(Effect::End(reason)).within(scope)).unwrap();
        client.until(|what| matches!(what, What::End(session, _) if Some(*session) == first)).await;
        let said = client.seen.iter().find_map(|seen| match &seen.what {
            What::End(_, error) => Some(error.clone().unwrap_or_default()),
            _ => None,
        });
        assert_eq!(said.unwrap().condition.as_str(), condition);
        assert_eq!(emulator.hits(fault), 1);
        client.detached(struck).await;
        let outcome = client.publish(spared, "x").await;
        assert_eq!(outcome, eventhubs_amqp::codec::DeliveryState::Accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn s04_a_detach_strikes_now_or_at_the_nth_message_on_a_chosen_link() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let forced = || Effect::detach("amqp:link:detach-forced", "Idle timeout: 00:30:00");
    let chosen = client.sender("hub/Partitions/0").await;
    let other = client.sender("hub/Partitions/1").await;
    let scope = Scope::all().partition("0");
    let fault = emulator.inject(Fault::now(forced()).within(scope.clone())).unwrap();
    let (_, error) = client.detached(chosen).await;
    assert_eq!(error.unwrap().to_string(), "amqp:link:detach-forced: Idle timeout: 00:30:00");
    assert_eq!(emulator.hits(fault), 1);
    client.publish(other, "elsewhere").await;

    let chosen = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, forced()).within(scope).after(1)).unwrap();
    client.send(chosen, "a").await;
    client.publish(other, "elsewhere").await;
    client.send(chosen, "b").await;
    client.detached(chosen).await;
    assert_eq!(Client::stored(&emulator).await, ["a"], "the struck message is not stored");
}

#[tokio::test(start_paused = true)]
async fn s05_the_link_of_an_owner_is_stolen() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let link = client.attach(owner(0));
    client.attached(link).await;
    let text = "New receiver 'b' with higher epoch of '1' is created hence current receiver 'a' \
                with epoch '0' is getting disconnected.";
    emulator.inject(Fault::now(Effect::detach("amqp:link:stolen", text))).unwrap();
    let (_, stolen) = client.detached(link).await;
    assert_eq!(stolen, Some(error("amqp:link:stolen", text)));
    // As the service does it itself: the newcomer is let in, and the old one is told.
    let mut owners = Vec::new();
    for _ in 0..2 {
        let link = client.attach(owner(1));
        client.attached(link).await;
        owners.push(link);
    }
    assert_eq!(client.detached(owners[0]).await.1.unwrap().condition, condition::LINK_STOLEN);
}

#[tokio::test(start_paused = true)]
async fn s06_the_link_of_a_plain_receiver_is_stolen() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    let scope = Scope::all().role(Role::Consumer).group("$Default");
    emulator.inject(Fault::now(Effect::detach("amqp:link:stolen", "x")).within(scope)).unwrap();
    assert_eq!(client.detached(link).await.1, Some(error("amqp:link:stolen", "x")));
    // And what an owner does to it.
    let link = client.receiver(FIRST).await;
    client.attach(owner(0));
    assert_eq!(client.detached(link).await.1.unwrap().condition, condition::LINK_STOLEN);
}

/// Attaches a sender that is refused with `fault`; the error of the detach.
async fn refused(effect: Effect) -> AmqpError {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    emulator.inject(Fault::at(Point::Attach, effect)).unwrap();
    let link = client.attach(to("hub"));
    let (_, answer) = client.attached(link).await;
    assert_eq!((answer.source, answer.target), (None, None), "a refusal has no termini");
    let (_, error) = client.detached(link).await;
    // The next one is let in.
    let link = client.attach(to("hub"));
    assert!(client.attached(link).await.1.target.is_some());
    error.expect("a reason")
}

#[tokio::test(start_paused = true)]
async fn s07_an_attach_is_refused_as_not_found_with_the_permanent_text_or_bare() {
    let text = "The messaging entity 'sb://x/hub' could not be found.";
    let error = refused(Effect::refuse("amqp:not-found", text)).await;
    assert_eq!(
        (error.condition.as_str(), error.description.as_deref()),
        ("amqp:not-found", Some(text))
    );
    let error = refused(Effect::Refuse(Reason::bare("amqp:not-found"))).await;
    assert_eq!((error.condition.as_str(), error.description), ("amqp:not-found", None));
}

#[tokio::test(start_paused = true)]
async fn s08_an_attach_is_refused_as_unauthorized() {
    let error = refused(Effect::refuse("amqp:unauthorized-access", "ExpiredToken")).await;
    assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS);
}

#[tokio::test(start_paused = true)]
async fn s09_an_attach_is_refused_for_want_of_room() {
    let text = "Exceeded the maximum number of allowed receivers per partition in a consumer \
                group which is 5. List of connected receivers - a, b, c, d, e.";
    let error = refused(Effect::refuse("amqp:resource-limit-exceeded", text)).await;
    assert_eq!(error.description.as_deref(), Some(text));
    // As the service does it itself.
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    for _ in 0..5 {
        client.receiver(FIRST).await;
    }
    let sixth = client.attach(from(FIRST));
    let error = client.detached(sixth).await.1.unwrap();
    assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED);
    assert!(error.description.unwrap().contains("which is 5. List of connected receivers - "));
}

#[tokio::test(start_paused = true)]
async fn s10_a_refusal_comes_late_or_never() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let error = Reason::bare("amqp:internal-error");
    let after = Some(Duration::from_millis(500));
    let late = Effect::RefuseLate { error: error.clone(), after };
    emulator.inject(Fault::at(Point::Attach, late)).unwrap();
    let link = client.attach(to("hub"));
    let (attached, answer) = client.attached(link).await;
    assert_eq!((answer.source, answer.target), (None, None));
    let (detached, _) = client.detached(link).await;
    assert_eq!(detached - attached, Duration::from_millis(500));

    let never = Effect::RefuseLate { error, after: None };
    emulator.inject(Fault::at(Point::Attach, never)).unwrap();
    let link = client.attach(to("hub"));
    let (_, answer) = client.attached(link).await;
    assert_eq!((answer.source, answer.target), (None, None));
    client.run(60 * SECOND).await;
    let detached = client.seen.iter().any(|s| matches!(s.what, What::Detach(id, _) if id == link));
    assert!(!detached);
}

#[tokio::test(start_paused = true)]
async fn s11_an_attach_is_never_answered_or_late_and_nothing_else_waits() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    emulator.inject(Fault::at(Point::Attach, Effect::Ignore)).unwrap();
    let never = client.attach(to("hub"));
    emulator.inject(Fault::at(Point::Attach, Effect::Delay(40 * SECOND))).unwrap();
    let start = client.age();
    let late = client.attach(to("hub"));
    let other = client.attach(to("hub"));
    assert_eq!(client.attached(other).await.0, start, "the next link does not wait");
    let (at, answer) = client.attached(late).await;
    assert_eq!(at, start + 40 * SECOND);
    assert!(answer.target.is_some());
    client.publish(late, "usable").await;
    client.run(60 * SECOND).await;
    assert!(
        !client.seen.iter().any(|seen| matches!(seen.what, What::Attach(id, _) if id == never))
    );
}

#[tokio::test(start_paused = true)]
async fn s11_opens_and_begins_are_refused_delayed_or_ignored_too() {
    let emulator = emulator().await;
    let forced = || Effect::refuse("amqp:connection:forced", "not now");
    let named = |name: &str| Scope::all().container(name);
    emulator.inject(Fault::at(Point::Open, forced()).within(named("refused"))).unwrap();
    let mut client = Client::silent(emulator.connect_memory(), "refused");
    assert_eq!(closed(client.closed().await).1, "not now");
    client.until(|what| matches!(what, What::Open)).await;

    let slow = Fault::at(Point::Open, Effect::Delay(20 * SECOND)).within(named("slow"));
    emulator.inject(slow).unwrap();
    let mut client = Client::silent(emulator.connect_memory(), "slow");
    assert_eq!(client.until(|what| matches!(what, What::Open)).await, 20 * SECOND);
    emulator.inject(Fault::at(Point::Begin, Effect::Delay(5 * SECOND))).unwrap();
    let start = client.age();
    let delayed = client.engine.begin(Default::default()).unwrap();
    client.session = Some(delayed);
    let link = client.attach(to("hub"));
    assert_eq!(client.attached(link).await.0, start + 5 * SECOND, "links wait with the session");
    client.publish(link, "usable").await;

    emulator.inject(Fault::at(Point::Begin, Effect::refuse("amqp:not-allowed", "no"))).unwrap();
    let refused = client.engine.begin(Default::default()).unwrap();
    client.until(|what| matches!(what, What::End(id, Some(_)) if *id == refused)).await;

    emulator.inject(Fault::at(Point::Begin, Effect::Ignore)).unwrap();
    let ignored = client.engine.begin(Default::default()).unwrap();
    client.session = Some(ignored);
    client.attach(to("hub"));
    client.run(60 * SECOND).await;
    assert!(!client.seen.iter().any(|seen| matches!(seen.what, What::Begin(id) if id == ignored)));

    emulator.inject(Fault::at(Point::Open, Effect::Ignore).within(named("mute"))).unwrap();
    let mut client = Client::silent(emulator.connect_memory(), "mute");
    client.run(25 * SECOND).await;
    assert!(client.seen.is_empty(), "{:?}", client.seen);
}
