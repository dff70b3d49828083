//! Against another implementation of AMQP 1.0, `fe2o3-amqp`, over TCP on the loopback: we dial its
//! acceptor, and its client dials our listener. Nothing of ours is on both ends.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::codec::performative::SenderSettleMode;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Symbol};
use eventhubs_amqp::engine::{CloseReason, Options, Sasl};
use eventhubs_amqp::net::{
    AcceptOptions, Connection, ConnectionOptions, Endpoint, ErrorKind, Incoming, LinkClosed,
    Receiver, ReceiverOptions, Sender, SenderOptions,
};
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerConnectionHandle,
    ListenerSessionHandle, SaslAnonymousMechanism, SaslPlainMechanism, SessionAcceptor,
};
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::{LinkStateError, RecvError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_types::definitions;
use fe2o3_amqp_types::messaging::{Data, Outcome};
use fe2o3_amqp_types::primitives::Binary;
use tokio::net::{TcpListener, TcpStream};

/// Transfers each way, settled and again unsettled.
const COUNT: u32 = 20_000;
/// Larger than any frame of either end.
const LARGE: usize = 1 << 20;
/// Unsettled sends that wait for their outcome at a time.
const PIPELINE: usize = 512;

/// Far beyond what a loaded machine needs, so that a hang is a failure and not a hung run.
async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("the test hangs")
}

/// A body that is different at every place of every delivery.
fn body(number: u32, len: usize) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.extend((4..len).map(|place| (place * 31 + number as usize * 7 + (place >> 8)) as u8));
    body
}

fn small(number: u32) -> Vec<u8> {
    body(number, 24 + number as usize % 40)
}

mod ours {
    use super::*;

    pub(super) fn encoded(body: Vec<u8>) -> Bytes {
        let message = Message { body: Body::from(Bytes::from(body)), ..Message::default() };
        let mut out = BytesMut::new();
        message.encode(&mut out);
        out.freeze()
    }

    pub(super) fn decoded(payload: Bytes) -> Bytes {
        match Message::decode(&payload).expect("a message").body {
            Body::Data(mut sections) if sections.len() == 1 => sections.remove(0),
            other => panic!("one data section was due, not {other:?}"),
        }
    }

    pub(super) async fn send_all(sender: &Sender) {
        let mut pending = VecDeque::new();
        for number in 0..COUNT {
            pending.push_back(sender.send(encoded(small(number)), 0));
            if pending.len() == PIPELINE {
                let sending = pending.pop_front().expect("some are pending");
                assert_eq!(sending.await.expect("an outcome"), DeliveryState::Accepted);
            }
        }
        for sending in pending {
            assert_eq!(sending.await.expect("an outcome"), DeliveryState::Accepted);
        }
        let large = sender.send(encoded(body(7, LARGE)), 0).await.expect("an outcome");
        assert_eq!(large, DeliveryState::Accepted);
    }

    pub(super) async fn receive_all(receiver: &mut Receiver, settled: bool) {
        for number in 0..COUNT {
            let delivery = receiver.recv().await.expect("a delivery");
            assert_eq!(delivery.settled(), settled);
            assert_eq!(decoded(delivery.into_payload()), small(number), "delivery {number}");
        }
        let delivery = receiver.recv().await.expect("the large delivery");
        assert!(decoded(delivery.into_payload()) == body(9, LARGE), "the large body has changed");
        // Asking again is what tells the peer about the last one.
        let more = futures_poll(receiver).await;
        assert!(more.is_none(), "nothing more was sent");
    }

    /// Polls once for a delivery.
    async fn futures_poll(receiver: &mut Receiver) -> Option<()> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match receiver.poll_recv(cx) {
                std::task::Poll::Ready(_) => Some(()),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}

mod theirs {
    use super::*;

    pub(super) type Sender = fe2o3_amqp::Sender;
    pub(super) type Receiver = fe2o3_amqp::Receiver;

    fn message(body: Vec<u8>) -> fe2o3_amqp_types::messaging::Message<Data> {
        fe2o3_amqp_types::messaging::Message::from(Data(Binary::from(body)))
    }

    pub(super) async fn send_all(sender: &mut Sender) {
        let mut pending = VecDeque::new();
        for number in 0..COUNT {
            pending.push_back(sender.send_batchable(message(small(number))).await.expect("sent"));
            if pending.len() == PIPELINE {
                let outcome = pending.pop_front().expect("some are pending").await;
                assert!(matches!(outcome, Ok(Outcome::Accepted(_))), "{outcome:?}");
            }
        }
        for outcome in pending {
            let outcome = outcome.await;
            assert!(matches!(outcome, Ok(Outcome::Accepted(_))), "{outcome:?}");
        }
        let outcome = sender.send(message(body(9, LARGE))).await;
        assert!(matches!(outcome, Ok(Outcome::Accepted(_))), "{outcome:?}");
    }

    pub(super) async fn receive_all(receiver: &mut Receiver) {
        receiver.set_auto_accept(true);
        for number in 0..COUNT {
            let delivery = receiver.recv::<Data>().await.expect("a delivery");
            assert_eq!(delivery.body().0.as_ref(), small(number), "delivery {number}");
        }
        let delivery = receiver.recv::<Data>().await.expect("the large delivery");
        assert!(delivery.body().0.as_ref() == body(7, LARGE), "the large body has changed");
    }

    pub(super) fn error() -> definitions::Error {
        let condition = definitions::ErrorCondition::Custom("test:theirs".into());
        definitions::Error::new(condition, Some("they had enough".to_owned()), None)
    }

    /// The close of the other end, as this library reports it.
    pub(super) fn assert_closed_by_us(result: Result<(), fe2o3_amqp::connection::Error>) {
        let Err(fe2o3_amqp::connection::Error::RemoteClosedWithError(error)) = result else {
            panic!("a close with an error was due, not {result:?}");
        };
        assert_eq!(error.condition, definitions::ErrorCondition::Custom("test:ours".into()));
        assert_eq!(error.description.as_deref(), Some("we had enough"));
    }
}

fn our_error() -> AmqpError {
    AmqpError::new(Symbol::from_static("test:ours"), "we had enough")
}

fn assert_closed_by_them(reason: &CloseReason) {
    let CloseReason::Remote(Some(error)) = reason else {
        panic!("a close with an error was due, not {reason:?}");
    };
    assert_eq!(error.condition.as_str(), "test:theirs");
    assert_eq!(error.description.as_deref(), Some("they had enough"));
}

/// Sends and receives everything both ways at once, on links of either settle mode; then each end
/// detaches one link, and sees the other go.
async fn exchange(ours: OurLinks, theirs: TheirLinks) {
    let OurLinks { sender, mut receiver, settled } = ours;
    let TheirLinks { receiver: mut their_receiver, sender: mut their_sender } = theirs;
    tokio::join!(
        ours::send_all(&sender),
        ours::receive_all(&mut receiver, settled),
        theirs::send_all(&mut their_sender),
        theirs::receive_all(&mut their_receiver),
    );
    let (left, gone) = tokio::join!(sender.detach(), their_receiver.recv::<Data>());
    assert_eq!(left, LinkClosed::Local);
    let gone = gone.expect_err("the link is gone");
    let closed = matches!(gone, RecvError::LinkStateError(LinkStateError::RemoteClosed));
    assert!(closed, "{gone:?}");
    let (left, gone) = tokio::join!(their_sender.close(), receiver.recv());
    left.expect("our answer to their detach");
    assert_eq!(gone.expect_err("the link is gone"), LinkClosed::Remote(None));
}

struct OurLinks {
    sender: Sender,
    receiver: Receiver,
    settled: bool,
}

struct TheirLinks {
    receiver: theirs::Receiver,
    sender: theirs::Sender,
}

fn our_mode(settled: bool) -> SenderSettleMode {
    if settled { SenderSettleMode::Settled } else { SenderSettleMode::Unsettled }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// Our two links on their acceptor, each on a session of its own.
async fn attach_to_them(
    connection: &Connection,
    theirs: &mut ListenerConnectionHandle,
    settled: bool,
) -> (OurLinks, TheirLinks, Vec<ListenerSessionHandle>) {
    let settle_mode = our_mode(settled);
    let accept = async {
        let mut links = Vec::new();
        let mut sessions = Vec::new();
        for _ in 0..2 {
            let mut session = SessionAcceptor::new().accept(theirs).await.expect("a session");
            links.push(LinkAcceptor::new().accept(&mut session).await.expect("a link"));
            sessions.push(session);
        }
        (links, sessions)
    };
    let attach = async {
        let sender = SenderOptions { settle_mode, ..SenderOptions::to("to") };
        let sender = connection.sender(sender).await.expect("a sender");
        let receiver = ReceiverOptions { settle_mode, ..ReceiverOptions::from("from") };
        let receiver = connection.receiver(receiver).await.expect("a receiver");
        OurLinks { sender, receiver, settled }
    };
    let (ours, (mut links, sessions)) = tokio::join!(attach, accept);
    assert_eq!(ours.receiver.remote_attach().snd_settle_mode, settle_mode);
    let (Some(LinkEndpoint::Sender(sender)), Some(LinkEndpoint::Receiver(receiver))) =
        (links.pop(), links.pop())
    else {
        panic!("they saw other roles");
    };
    (ours, TheirLinks { receiver, sender }, sessions)
}

/// Their two links on our listener, on one session of theirs.
async fn attach_to_us(
    session: &mut SessionHandle<()>,
    incoming: &mut Incoming,
    settled: bool,
) -> (OurLinks, TheirLinks) {
    let mode = match settled {
        true => definitions::SenderSettleMode::Settled,
        false => definitions::SenderSettleMode::Unsettled,
    };
    let attach = async {
        let sender = fe2o3_amqp::Sender::builder()
            .name(format!("to-{settled}"))
            .target("to")
            .sender_settle_mode(mode.clone())
            .attach(session)
            .await
            .expect("their sender");
        let receiver = fe2o3_amqp::Receiver::builder()
            .name(format!("from-{settled}"))
            .source("from")
            .sender_settle_mode(mode.clone())
            .attach(session)
            .await
            .expect("their receiver");
        TheirLinks { receiver, sender }
    };
    let accept = async {
        let link = incoming.next().await.expect("their sender");
        let receiver = link.accept_receiver(ReceiverOptions::default()).expect("accepted");
        let link = incoming.next().await.expect("their receiver");
        let settle_mode = our_mode(settled);
        let options = SenderOptions { settle_mode, ..SenderOptions::default() };
        let sender = link.accept_sender(options).expect("accepted");
        OurLinks { sender, receiver, settled }
    };
    let (theirs, ours) = tokio::join!(attach, accept);
    (ours, theirs)
}

async fn dial_them(sasl: Sasl, port: u16) -> Result<Connection, eventhubs_amqp::net::Error> {
    let engine = Options { sasl, ..Options::dialler("ours") };
    let options = ConnectionOptions::with_engine(engine);
    Connection::dial(&Endpoint::plain("127.0.0.1", port), options).await
}

async fn dial_us(profile: SaslProfile, port: u16) -> ConnectionHandle<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("our listener");
    fe2o3_amqp::Connection::builder()
        .container_id("theirs")
        .hostname("test")
        .sasl_profile(profile)
        .open_with_stream(stream)
        .await
        .expect("our open")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_dial_their_acceptor() {
    in_time(async {
        let (listener, port) = listener().await;
        let accept = async {
            let (stream, _) = listener.accept().await.expect("our connection");
            let acceptor = ConnectionAcceptor::builder()
                .container_id("theirs")
                .sasl_acceptor(SaslAnonymousMechanism::new())
                .build();
            acceptor.accept(stream).await.expect("our open")
        };
        let (connection, mut theirs) = tokio::join!(dial_them(Sasl::Anonymous, port), accept);
        let connection = connection.expect("their open");
        assert_eq!(connection.remote_open().container_id, "theirs");
        for settled in [true, false] {
            let (ours, links, sessions) = attach_to_them(&connection, &mut theirs, settled).await;
            exchange(ours, links).await;
            for mut session in sessions {
                // Each session of ours goes with its link.
                let ended = session.on_end().await;
                assert!(
                    matches!(&ended, Ok(()) | Err(fe2o3_amqp::session::Error::RemoteEnded)),
                    "{ended:?}"
                );
            }
        }
        let (ours, closed) = tokio::join!(connection.close(Some(our_error())), theirs.on_close());
        assert_eq!(ours, CloseReason::Local);
        theirs::assert_closed_by_us(closed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_client_dials_us() {
    in_time(async {
        let (listener, port) = listener().await;
        let accept = async {
            let (stream, _) = listener.accept().await.expect("their connection");
            Connection::accept(stream, AcceptOptions::new("ours")).await.expect("their open")
        };
        let (mut theirs, (connection, mut incoming)) =
            tokio::join!(dial_us(SaslProfile::Anonymous, port), accept);
        assert_eq!(connection.remote_open().container_id, "theirs");
        for settled in [true, false] {
            let mut session = fe2o3_amqp::Session::begin(&mut theirs).await.expect("a session");
            let (ours, links) = attach_to_us(&mut session, &mut incoming, settled).await;
            exchange(ours, links).await;
            session.end().await.expect("our answer to their end");
        }
        let (ours, closed) =
            tokio::join!(connection.closed(), theirs.close_with_error(theirs::error()));
        assert_closed_by_them(&ours);
        closed.expect("our answer to their close");
    })
    .await;
}

#[tokio::test]
async fn plain_with_their_acceptor() {
    in_time(async {
        let (listener, port) = listener().await;
        let accept = || async {
            let (stream, _) = listener.accept().await.expect("our connection");
            let acceptor = ConnectionAcceptor::builder()
                .container_id("theirs")
                .sasl_acceptor(SaslPlainMechanism::new("user", "secret"))
                .build();
            acceptor.accept(stream).await
        };
        let plain =
            |password: &str| Sasl::Plain { user: "user".to_owned(), password: password.to_owned() };
        let (connection, theirs) = tokio::join!(dial_them(plain("secret"), port), accept());
        let (connection, mut theirs) = (connection.expect("let in"), theirs.expect("our open"));
        let (ours, closed) =
            tokio::join!(connection.closed(), theirs.close_with_error(theirs::error()));
        assert_closed_by_them(&ours);
        closed.expect("our answer to their close");

        let (refused, _) = tokio::join!(dial_them(plain("wrong"), port), accept());
        let refused = refused.expect_err("the password is wrong");
        let sasl = matches!(refused.kind(), ErrorKind::Closed(CloseReason::Sasl(_)));
        assert!(sasl, "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("wrong"), "the secret is in the error");

        let (refused, _) = tokio::join!(dial_them(Sasl::Anonymous, port), accept());
        let refused = refused.expect_err("ANONYMOUS is not offered");
        assert!(refused.to_string().contains("PLAIN"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn plain_with_our_listener() {
    in_time(async {
        let (listener, port) = listener().await;
        let accept = || async {
            let (stream, _) = listener.accept().await.expect("their connection");
            let sasl =
                Sasl::Offer { mechanisms: vec![Symbol::from_static("PLAIN")], allow_bare: false };
            let mut options = AcceptOptions::new("ours").with_authentication(|name, response| {
                name == "PLAIN" && response == Some(b"\0user\0secret")
            });
            options.engine = Options { sasl, ..options.engine };
            Connection::accept(stream, options).await
        };
        let profile = |password: &str| SaslProfile::Plain {
            username: "user".to_owned(),
            password: password.to_owned(),
        };
        let (mut theirs, ours) = tokio::join!(dial_us(profile("secret"), port), accept());
        let (connection, _incoming) = ours.expect("their open");
        let (ours, closed) = tokio::join!(connection.close(Some(our_error())), theirs.on_close());
        assert_eq!(ours, CloseReason::Local);
        theirs::assert_closed_by_us(closed);

        let dial = async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("our listener");
            fe2o3_amqp::Connection::builder()
                .container_id("theirs")
                .hostname("test")
                .sasl_profile(profile("wrong"))
                .open_with_stream(stream)
                .await
        };
        let (theirs, ours) = tokio::join!(dial, accept());
        assert!(theirs.is_err(), "the password is wrong");
        let refused = ours.expect_err("the password is wrong");
        let sasl = matches!(refused.kind(), ErrorKind::Closed(CloseReason::Sasl(_)));
        assert!(sasl, "{refused:?}");
    })
    .await;
}
