use std::io::IoSlice;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

type Peer = WebSocketStream<DuplexStream>;

/// Longer than anything here takes; a test that would hang fails. The clock is paused: it passes
/// at once when nothing moves any more.
const LIMIT: Duration = Duration::from_secs(60);

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

/// Our end and a client's, past the handshake, with little room between them.
async fn pair(room: usize) -> (ByteStream<DuplexStream>, Peer) {
    let (near, far) = duplex(room);
    let config = Some(stream::config());
    let ours = WebSocketStream::from_raw_socket(near, Role::Server, config).await;
    let peer = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
    (ByteStream::new(ours), peer)
}

/// What a client does between two pieces.
#[derive(Debug, Clone)]
enum Step {
    /// A message of so many bytes; none is an empty message.
    Message(usize),
    /// A message in frames of so many bytes each.
    Frames(Vec<usize>),
    Ping,
    Pong,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..300_usize).prop_map(Step::Message),
        2 => prop::collection::vec(0..200_usize, 2..5).prop_map(Step::Frames),
        1 => Just(Step::Ping),
        1 => Just(Step::Pong),
    ];
    prop::collection::vec(step, 0..40)
}

fn take(bytes: &mut impl Iterator<Item = u8>, count: usize) -> Vec<u8> {
    bytes.by_ref().take(count).collect()
}

fn messages(steps: &[Step]) -> (Vec<Message>, Vec<u8>) {
    let mut source = (0..).map(|number: usize| (number % 251) as u8);
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    for step in steps {
        match step {
            Step::Message(count) => {
                let piece = take(&mut source, *count);
                bytes.extend_from_slice(&piece);
                all.push(Message::Binary(piece.into()));
            }
            Step::Frames(counts) => {
                for (index, count) in counts.iter().enumerate() {
                    let piece = take(&mut source, *count);
                    bytes.extend_from_slice(&piece);
                    let kind = if index == 0 { Data::Binary } else { Data::Continue };
                    let is_last = index + 1 == counts.len();
                    let frame = Frame::message(piece, OpCode::Data(kind), is_last);
                    all.push(Message::Frame(frame));
                }
            }
            Step::Ping => all.push(Message::Ping(b"there?"[..].into())),
            Step::Pong => all.push(Message::Pong(b"here"[..].into())),
        }
    }
    (all, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a client cuts its bytes into messages, frames and writes, the same bytes are read.
    #[test]
    fn any_cut_of_the_bytes_is_the_same_stream(
        steps in steps(),
        room in 1..400_usize,
        reads in prop::collection::vec(1..500_usize, 1..8),
    ) {
        let (sent, expected) = messages(&steps);
        let pings = sent.iter().filter(|one| matches!(one, Message::Ping(_))).count();
        run(async move {
            let (mut ours, peer) = pair(room).await;
            let (mut to_us, mut from_us) = peer.split();
            let sending = async {
                for message in sent {
                    to_us.send(message).await.unwrap();
                }
                to_us.send(Message::Close(None)).await.unwrap();
            };
            let reading = async {
                let mut got = Vec::new();
                for size in reads.iter().cycle() {
                    let mut buffer = vec![0; *size];
                    let count = ours.read(&mut buffer).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    got.extend_from_slice(&buffer[..count]);
                }
                got
            };
            let answers = async {
                let mut pongs = 0;
                loop {
                    match from_us.next().await.expect("an answer to the close").unwrap() {
                        Message::Pong(text) => {
                            assert_eq!(&text[..], b"there?");
                            pongs += 1;
                        }
                        Message::Close(_) => break pongs,
                        other => panic!("{other:?}"),
                    }
                }
            };
            let ((), got, pongs) = tokio::join!(sending, reading, answers);
            assert_eq!(got, expected);
            // Pings that come together may get one answer (RFC 6455, section 5.5.3).
            assert_eq!(pongs > 0, pings > 0);
        });
    }

    /// However we cut our writes, the client gets the same bytes, in binary messages.
    #[test]
    fn any_cut_of_our_writes_is_the_same_stream(
        cuts in prop::collection::vec(prop::collection::vec(0..5_000_usize, 1..6), 1..20),
        room in 1..100_000_usize,
    ) {
        run(async move {
            let (mut ours, mut peer) = pair(room).await;
            let mut source = (0..).map(|number: usize| (number % 251) as u8);
            let writing = async {
                let mut sent = Vec::new();
                for cut in &cuts {
                    let pieces: Vec<_> = cut.iter().map(|count| take(&mut source, *count)).collect();
                    let whole = pieces.concat();
                    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                    let count = ours.write_vectored(&slices).await.unwrap();
                    assert_eq!(count == 0, whole.is_empty());
                    ours.write_all(&whole[count..]).await.unwrap();
                    sent.extend_from_slice(&whole);
                }
                ours.shutdown().await.unwrap();
                drop(ours);
                sent
            };
            let reading = async {
                let mut got = Vec::new();
                loop {
                    match peer.next().await.expect("a close first").unwrap() {
                        Message::Binary(piece) => got.extend_from_slice(&piece),
                        Message::Close(frame) => {
                            assert_eq!(frame.map(|frame| frame.code), Some(CloseCode::Normal));
                            break got;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            };
            let (sent, got) = tokio::join!(writing, reading);
            assert_eq!(got, sent);
        });
    }
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(within(future));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_holds_the_writer_back() {
    let (mut ours, mut peer) = pair(1_000).await;
    let mut written = 0;
    while let Some(count) = ours.write(&[7; 10_000]).now_or_never() {
        written += count.unwrap();
        assert!(written <= 1 << 20, "nothing holds it back");
    }
    let flushing = async {
        ours.flush().await.unwrap();
        ours.write_all(b"and on").await.unwrap();
        ours.flush().await.unwrap();
    };
    let reading = async {
        let mut got = Vec::new();
        while !got.ends_with(b"and on") {
            got.extend_from_slice(&peer.next().await.unwrap().unwrap().into_data());
        }
        got.len()
    };
    let ((), got) = within(async { tokio::join!(flushing, reading) }).await;
    assert_eq!(got, written + b"and on".len());
}

/// Answers to pings pile up to their bound and not beyond it, and cost no data.
#[tokio::test(start_paused = true)]
async fn pings_of_a_peer_that_reads_nothing_are_bounded() {
    let (mut ours, mut peer) = pair(1_000).await;
    let (mut to_us, mut from_us) = peer.by_ref().split();
    let flood = async {
        for _ in 0..5_000 {
            to_us.feed(Message::Ping(vec![1; 125].into())).await.unwrap();
        }
        to_us.send(Message::Binary(b"data"[..].into())).await.unwrap();
    };
    let mut got = [0; 4];
    let reading = async { ours.read_exact(&mut got).await.unwrap() };
    within(async { tokio::join!(flood, reading) }).await;
    assert_eq!(&got, b"data");
    // 5 000 answers would be 635 000 bytes.
    let writing = async {
        ours.write_all(&[9; 200_000]).await.unwrap();
        ours.flush().await.unwrap();
    };
    let answers = async {
        let (mut pongs, mut data) = (0, 0);
        while data < 200_000 {
            match from_us.next().await.unwrap().unwrap() {
                Message::Pong(_) => pongs += 1,
                Message::Binary(piece) => data += piece.len(),
                other => panic!("{other:?}"),
            }
        }
        pongs
    };
    let ((), pongs) = within(async { tokio::join!(writing, answers) }).await;
    assert!((1..1_500).contains(&pongs), "{pongs}");
}

/// What a peer is told, and what our reader learns, when the peer sends `message`.
async fn refused(message: Message) -> (Option<CloseFrame>, String) {
    let (mut ours, mut peer) = pair(1 << 16).await;
    peer.send(message).await.unwrap();
    let error = within(ours.read(&mut [0; 16])).await.unwrap_err();
    ours.shutdown().await.unwrap();
    drop(ours);
    match within(peer.next()).await {
        Some(Ok(Message::Close(frame))) => (frame, error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_binary_message_is_refused_with_its_code() {
    let (frame, error) = refused(Message::Text("secret".into())).await;
    assert_eq!(frame.unwrap().code, CloseCode::Unsupported);
    assert!(error.contains("text") && !error.contains("secret"), "{error}");
    let (frame, _) = refused(Message::Frame(Frame::from_payload(
        FrameHeader { opcode: OpCode::Data(Data::Reserved(3)), ..FrameHeader::default() },
        "".into(),
    )))
    .await;
    assert_eq!(frame.unwrap().code, CloseCode::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_message_above_the_limit_is_refused_before_it_is_there() {
    let (near, mut far) = duplex(1 << 16);
    let ours = WebSocketStream::from_raw_socket(near, Role::Server, Some(stream::config())).await;
    let mut ours = ByteStream::new(ours);
    // A masked binary frame of a terabyte.
    let mut head = vec![0x82, 0xff];
    head.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    far.write_all(&head).await.unwrap();
    let error = within(ours.read(&mut [0; 16])).await.unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    let mut answer = [0; 4];
    far.read_exact(&mut answer).await.unwrap();
    assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), u16::from(CloseCode::Size));
    // Frames that are within it, but not together.
    let (mut ours, peer) = pair(1 << 16).await;
    let (mut to_us, _from_us) = peer.split();
    let sending = async {
        for index in 0..6 {
            let kind = if index == 0 { Data::Binary } else { Data::Continue };
            let frame = Frame::message(vec![0; 1 << 20], OpCode::Data(kind), false);
            if to_us.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
        panic!("all of it was read");
    };
    let reading = async {
        let error = ours.read(&mut [0; 16]).await.unwrap_err();
        drop(ours);
        error
    };
    let ((), error) = within(async { tokio::join!(sending, reading) }).await;
    assert!(error.to_string().contains("too long"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_peer_is_the_end_and_is_answered() {
    let (mut ours, mut peer) = pair(1 << 16).await;
    peer.send(Message::Binary(b"last"[..].into())).await.unwrap();
    let away = CloseFrame { code: CloseCode::Away, reason: "".into() };
    peer.send(Message::Close(Some(away.clone()))).await.unwrap();
    let mut got = Vec::new();
    within(ours.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"last");
    ours.shutdown().await.unwrap();
    match within(peer.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame, away),
        other => panic!("{other:?}"),
    }
    assert!(within(peer.next()).await.is_none(), "and the transport is closed by us");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_an_error_and_never_a_wait() {
    for cut in [0, 1, 5, 60] {
        let (near, mut far) = duplex(1 << 16);
        let config = Some(stream::config());
        let ours = WebSocketStream::from_raw_socket(near, Role::Server, config).await;
        let mut ours = ByteStream::new(ours);
        let mut frame = vec![0x82, 0x80 | 100, 0, 0, 0, 0];
        frame.resize(106, 3);
        far.write_all(&frame[..cut]).await.unwrap();
        drop(far);
        let result = within(ours.read(&mut [0; 200])).await;
        assert!(result.is_err(), "{cut}: {result:?}");
        let _ = within(ours.write_all(&[0; 1_000])).await;
        let _ = within(ours.shutdown()).await;
    }
}

#[test]
fn paths_and_sub_protocols() {
    let answer = |path: &str, offered: &[&str]| {
        negotiate(path, offered.iter().copied()).map(|value| value.to_str().unwrap().to_owned())
    };
    let path = "/$servicebus/websocket";
    assert_eq!(answer(path, &["AMQPWSB10"]).as_deref(), Ok("AMQPWSB10"));
    assert_eq!(answer("/$servicebus/websocket/", &["amqp"]).as_deref(), Ok("amqp"));
    assert_eq!(answer("/%24servicebus/websocket", &["amqp"]).as_deref(), Ok("amqp"));
    assert_eq!(answer(path, &["mqtt, AMQPWSB10 ,amqp"]).as_deref(), Ok("AMQPWSB10"));
    assert_eq!(answer(path, &["mqtt", "amqp"]).as_deref(), Ok("amqp"));
    for path in ["/", "", "/websocket", "/$servicebus/websocket//", "/$servicebus/websocket/hub"] {
        assert_eq!(answer(path, &["amqp"]), Err(Refusal::Path), "{path}");
    }
    for offered in [&[][..], &[""], &["mqtt"], &["amqpx, xamqp"]] {
        assert_eq!(answer(path, offered), Err(Refusal::Protocol), "{offered:?}");
    }
}

/// What the server answers to a request, as text.
async fn exchange(request: &str) -> String {
    let (near, mut far) = duplex(1 << 16);
    let server = tokio::spawn(accept(near));
    far.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let count = within(far.read(&mut answer)).await.unwrap();
    drop(far);
    let _ = within(server).await.unwrap();
    String::from_utf8(answer[..count].to_vec()).unwrap()
}

fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[tokio::test(start_paused = true)]
async fn what_a_server_answers() {
    let path = "/$servicebus/websocket/?query=1";
    let offers = "Sec-WebSocket-Protocol: AMQPWSB10\r\nOrigin: http://localhost\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let answer = exchange(&request(path, offers)).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-protocol: amqpwsb10\r\n"), "{answer}");
    // The key and its answer are those of RFC 6455, section 1.3.
    assert!(answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo=".to_ascii_lowercase().as_str()));
    assert!(!answer.contains("extensions"), "no extension is taken: {answer}");
    let answer = exchange(&request("/other", "Sec-WebSocket-Protocol: amqp\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.ends_with("AMQP over WebSocket is at /$servicebus/websocket"), "{answer}");
    let answer = exchange(&request(path, "Sec-WebSocket-Protocol: mqtt\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = exchange(&request(path, "")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // A browser, or a probe.
    let answer = exchange("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    for no_upgrade in [
        format!("GET {path} HTTP/1.1\r\nSec-WebSocket-Protocol: amqp\r\n\r\n"),
        "POST / HTTP/1.1\r\n\r\n".to_owned(),
        "AMQP\u{3}\u{1}\0\0\r\n\r\n".to_owned(),
        request(path, "Sec-WebSocket-Protocol: amqp\r\n").replace("13", "12"),
    ] {
        let answer = exchange(&no_upgrade).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{no_upgrade}: {answer}");
    }
}

/// The end of a request is found wherever it is cut, and what follows it is not lost.
#[tokio::test(start_paused = true)]
async fn a_request_may_come_in_pieces_and_with_a_frame_behind_it() {
    let head = request("/$servicebus/websocket", "Sec-WebSocket-Protocol: amqp\r\n");
    let mut bytes = head.into_bytes();
    // A masked binary frame.
    bytes.extend_from_slice(&[0x82, 0x80 | 5, 0, 0, 0, 0]);
    bytes.extend_from_slice(b"early");
    for room in [1, 2, 3, 4, 5, 7, 1 << 16] {
        let (near, far) = duplex(room);
        let (mut answers, mut far) = tokio::io::split(far);
        let drain = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = answers.read_to_end(&mut all).await;
        });
        let reading = async {
            let mut ours = accept(near).await.unwrap();
            let mut got = [0; 5];
            ours.read_exact(&mut got).await.unwrap();
            got
        };
        let (sent, got) = within(async { tokio::join!(far.write_all(&bytes), reading) }).await;
        sent.unwrap();
        assert_eq!(&got, b"early", "{room}");
        drop(far);
        within(drain).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_end_is_given_up() {
    let (near, mut far) = duplex(1 << 10);
    let server = tokio::spawn(accept(near));
    let endless = request("/", &"X-More: aaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(1_000));
    assert!(within(far.write_all(endless.as_bytes())).await.is_err(), "all of it was read");
    within(server).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_library_gets_through() {
    let (near, far) = duplex(1 << 16);
    let mut request = tokio_tungstenite::tungstenite::client::ClientRequestBuilder::new(
        "ws://localhost/$servicebus/websocket".parse().unwrap(),
    );
    request = request.with_sub_protocol("amqp");
    let (ours, theirs) =
        within(async { tokio::join!(accept(near), client_async(request, far)) }).await;
    let (mut ours, (theirs, answer)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(answer.headers()[SEC_WEBSOCKET_PROTOCOL], "amqp");
    let mut theirs = ByteStream::new(theirs);
    theirs.write_all(b"both ends").await.unwrap();
    theirs.flush().await.unwrap();
    let mut got = [0; 9];
    ours.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"both ends");
}
