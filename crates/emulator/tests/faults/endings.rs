//! Ends that are lost, late or come for everybody (S17, S36, S39 to S42).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventhubs_amqp::codec::{DeliveryState, condition};
use eventhubs_amqp::engine::CloseReason;
use eventhubs_emulator::{
    DEFAULT_KEY, DEFAULT_KEY_NAME, Direction, Effect, Fault, Network, Performative, Point, Role,
    Scope,
};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::client::{Client, FIRST, SECOND, What, emulator, event, status};

#[tokio::test(start_paused = true)]
async fn s17_a_message_is_stored_and_its_acknowledgement_lost() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    emulator.inject(Fault::at(Point::Publish, Effect::LoseAcknowledgement)).unwrap();
    let lost = client.send(sender, "a").await;
    client.publish(sender, "b").await;
    client.run(600 * SECOND).await;
    assert!(!client.outcomes().contains(&lost));
    // With the connection: in three ways.
    for (effect, body) in [(Effect::Reset, "c"), (Effect::Eof, "d"), (Effect::Close(None), "e")] {
        let mut client = Client::open(&emulator).await;
        let sender = client.sender("hub/Partitions/0").await;
        emulator.inject(Fault::at(Point::Stored, effect)).unwrap();
        client.send(sender, body).await;
        client.closed().await;
        assert!(client.outcomes().is_empty());
    }
    assert_eq!(Client::stored(&emulator).await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn s39_a_detach_strikes_in_the_middle_of_a_message() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "a").await;
    let transfer = Point::Frame { direction: Direction::In, performative: Performative::Transfer };
    let effect = Effect::detach("amqp:link:detach-forced", "moved");
    let scope = Scope::all().role(Role::Producer);
    let fault = emulator.inject(Fault::at(transfer, effect).within(scope).after(1)).unwrap();
    client.send_raw(sender, event(&"x".repeat(300_000))).await;
    client.detached(sender).await;
    assert_eq!(emulator.hits(fault), 1);
    assert_eq!(Client::stored(&emulator).await, ["a"], "the begun message is gone");
}

#[tokio::test(start_paused = true)]
async fn s40_a_detach_an_end_and_a_close_are_never_answered() {
    let emulator = emulator().await;
    for performative in [Performative::Detach, Performative::End, Performative::Close] {
        let mut client = Client::open(&emulator).await;
        let sender = client.sender("hub/Partitions/0").await;
        let point = Point::Frame { direction: Direction::Out, performative };
        let fault = emulator.inject(Fault::at(point, Effect::Swallow)).unwrap();
        client.settle().await;
        let before = client.seen.len();
        match performative {
            Performative::Detach => client.engine.detach(sender, true, None),
            Performative::End => client.engine.end(client.session.unwrap(), None),
            _ => client.engine.close(None),
        }
        client.run(4 * SECOND).await;
        assert_eq!(emulator.hits(fault), 1, "{performative:?}");
        let came: Vec<_> = client.seen[before..]
            .iter()
            .filter(|seen| !matches!(seen.what, What::Detach(..) | What::Eof))
            .collect();
        assert!(came.len() <= 1, "{performative:?}: {came:?}");
        let frames = client.frames();
        let answered = frames.iter().any(|(_, frame, _)| {
            use eventhubs_amqp::codec::performative::Performative as Frame;
            matches!(frame, Frame::Detach(_) | Frame::End(_) | Frame::Close(_))
        });
        assert!(!answered, "{performative:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s41_a_restart_refuses_everybody_for_60_s() {
    let (network, emulator) = (Network::new(), emulator().await);
    network.point("hub.example", &emulator);
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Client::open(&emulator).await);
    }
    emulator.inject(Fault::at(Point::Accept, Effect::Reset).always()).unwrap();
    let text = "The service is being restarted.";
    emulator.inject(Fault::now(Effect::close("amqp:connection:forced", text))).unwrap();
    for client in &mut clients {
        assert!(matches!(client.closed().await, CloseReason::Remote(Some(_))));
    }
    for _ in 0..60 {
        let mut refused = Client::silent(emulator.connect_memory(), "client");
        refused.until(|what| matches!(what, What::Failed(_) | What::Eof)).await;
        tokio::time::advance(SECOND).await;
    }
    // From outside it may as well be that nobody listens.
    let gone = network.inject(Fault::at(Point::Connect, Effect::refuse("", "refused")).always());
    assert!(network.connector().connect("hub.example", 5671).await.is_err());
    network.lift(gone.unwrap());
    emulator.lift_all();
    for _ in 0..10 {
        Client::open(&emulator).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s42_a_link_is_idle_for_30_minutes() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "a").await;
    emulator.advance_clock(Duration::from_secs(31 * 60));
    let moved = client.age();
    let (at, error) = client.detached(sender).await;
    assert_eq!(at, moved, "nobody waited");
    let error = error.unwrap();
    assert_eq!(error.condition, condition::DETACH_FORCED);
    assert!(error.description.unwrap().contains("Idle timeout: 00:30:00"));
    let sender = client.sender("hub/Partitions/0").await;
    assert_eq!(client.publish(sender, "b").await, DeliveryState::Accepted);
}

/// A shared access signature for the namespace of host `h` that ends at `expiry`, in seconds.
fn sign(expiry: i64) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let resource = encode("sb://h");
    let mut mac = Hmac::<Sha256>::new_from_slice(DEFAULT_KEY.as_bytes()).unwrap();
    mac.update(format!("{resource}\n{expiry}").as_bytes());
    let signature = encode(&STANDARD.encode(mac.finalize().into_bytes()));
    format!(
        "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={DEFAULT_KEY_NAME}"
    )
}

#[tokio::test(start_paused = true)]
async fn s36_a_token_lapses_and_takes_the_links_with_it() {
    let emulator = emulator().await;
    // The service's time is what it writes on events.
    emulator.append("hub", 0, event("now")).unwrap();
    let now = emulator.events("hub", 0).unwrap()[0].enqueued / 1000;
    let mut client = Client::anonymous(&emulator).await;
    let node = client.node("$cbs").await;
    let kind = "servicebus.windows.net:sastoken";
    let properties = [("operation", "put-token"), ("type", kind), ("name", "sb://h")];
    let id = client.ask(&node, &properties, &sign(now + 600)).await;
    assert_eq!(status(&client.answer(&node, id).await.1).0, Some(202));
    let sender = client.sender("hub/Partitions/0").await;
    let receiver = client.receiver(FIRST).await;
    emulator.advance_clock(Duration::from_secs(500));
    client.publish(sender, "still valid").await;
    emulator.advance_clock(Duration::from_secs(200));
    let moved = client.age();
    for link in [sender, receiver] {
        let (at, error) = client.detached(link).await;
        assert_eq!(at, moved, "nobody waited");
        assert_eq!(error.unwrap().condition, condition::UNAUTHORIZED_ACCESS);
    }
    let id = client.ask(&node, &properties, &sign(now + 600)).await;
    let (_, answer) = client.answer(&node, id).await;
    assert_eq!(status(&answer), (Some(401), "com.microsoft:auth-failed".to_owned()));
    let text = answer.application_properties.get("status-description").unwrap();
    assert!(text.as_str().unwrap().contains("ExpiredToken"), "{text:?}");
    let id = client.ask(&node, &properties, &sign(now + 3600)).await;
    assert_eq!(status(&client.answer(&node, id).await.1).0, Some(202));
    client.sender("hub/Partitions/0").await;
}
