//! From the first byte to both opens: protocol headers, SASL, open (AMQP 1.0, 2.2, 2.4, 5.3).

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::options::{Sasl, Side};
use super::{CloseReason, Connection, Event, Phase};
use crate::codec::frame::{self, Kind, ProtocolHeader};
use crate::codec::performative::Open;
use crate::codec::{Symbol, condition, sasl};

const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

impl Connection {
    /// What the dialler writes before it has heard anything.
    pub(crate) fn start(&mut self) {
        if self.options.side == Side::Listener {
            return;
        }
        match self.options.sasl {
            Sasl::None | Sasl::Offer { .. } => self.start_frames(),
            _ => self.output.gather(|out| out.extend_from_slice(&SASL_HEADER)),
        }
    }

    /// Header and open leave together: the open does not depend on the peer's header.
    fn start_frames(&mut self) {
        self.output.gather(|out| out.extend_from_slice(&AMQP_HEADER));
        self.send_open(self.default_open());
    }

    pub(crate) fn default_open(&self) -> Open {
        let options = &self.options;
        Open {
            container_id: options.container_id.clone(),
            hostname: options.hostname.clone(),
            max_frame_size: options.max_frame_size.max(frame::MIN_MAX_FRAME_SIZE),
            channel_max: options.channel_max,
            idle_time_out: options.advertised_idle().map(milliseconds),
            offered_capabilities: options.offered_capabilities.clone(),
            desired_capabilities: options.desired_capabilities.clone(),
            properties: options.properties.clone(),
            ..Open::default()
        }
    }

    /// Listener: answers the peer's open with the options' own. Does nothing when there is nothing
    /// to answer.
    pub fn open(&mut self) {
        self.open_with(self.default_open());
    }

    /// Listener: answers the peer's open with one of the owner's making. Its frame size, channel-max
    /// and idle time-out should be those of the options, which are what is enforced.
    pub fn open_with(&mut self, open: Open) {
        if self.remote_open.is_some() && !self.open_sent && self.phase == Phase::Frames {
            self.send_open(open);
        }
    }

    pub(crate) fn send_open(&mut self, open: Open) {
        self.open_sent = true;
        let fields = self.fields();
        self.trace_out(0, &open);
        self.write_frame(0, |out| open.encode(fields, out));
        if self.remote_open.is_some() {
            self.timing.opened();
        }
    }

    /// The peer's open. A second one is an error of the connection.
    pub(crate) fn handle_open(&mut self, open: Box<Open>) {
        if self.remote_open.is_some() {
            return self.violate(condition::ILLEGAL_STATE, "the connection is already open");
        }
        let idle = open.idle_time_out.map(|period| Duration::from_millis(period.into()));
        self.timing.peer_idle_time_out(idle);
        if self.open_sent {
            self.timing.opened();
        }
        self.remote_open = Some(open.clone());
        self.events.push_back(Event::Open(open));
    }

    /// The largest frame both ends take, in bytes.
    pub(crate) fn frame_size(&self) -> usize {
        let theirs = self.remote_open.as_ref().map_or(frame::MIN_MAX_FRAME_SIZE, |open| {
            open.max_frame_size.max(frame::MIN_MAX_FRAME_SIZE)
        });
        theirs.min(self.options.max_frame_size.max(frame::MIN_MAX_FRAME_SIZE)) as usize
    }

    /// The peer's protocol header. Answers `false` when more bytes are needed.
    pub(crate) fn handle_header(&mut self, input: &mut BytesMut) -> bool {
        let Some(header) = input.first_chunk::<8>().copied() else {
            // Fewer bytes are enough to see that this is something else (a TLS alert, HTTP).
            let common = input.len().min(4);
            if input[..common] != AMQP_HEADER[..common] {
                let mut header = [0; 8];
                header[..input.len()].copy_from_slice(input);
                self.refuse_header(header);
            }
            return false;
        };
        let _ = input.split_to(header.len());
        let expects_sasl = !self.sasl_done && self.options.sasl != Sasl::None;
        match (self.options.side, header) {
            (Side::Listener, AMQP_HEADER) if !expects_sasl || self.allows_bare() => {
                self.phase = Phase::Frames;
                self.output.gather(|out| out.extend_from_slice(&AMQP_HEADER));
            }
            (Side::Listener, SASL_HEADER) if expects_sasl => {
                self.phase = Phase::Sasl;
                self.output.gather(|out| out.extend_from_slice(&SASL_HEADER));
                self.offer_mechanisms();
            }
            (Side::Dialler, AMQP_HEADER) if !expects_sasl => self.phase = Phase::Frames,
            (Side::Dialler, SASL_HEADER) if expects_sasl => self.phase = Phase::Sasl,
            (_, header) => self.refuse_header(header),
        }
        true
    }

    /// A header we do not speak is answered with the one we do, then the transport ends
    /// (AMQP 1.0, 2.2).
    fn refuse_header(&mut self, header: [u8; 8]) {
        if self.options.side == Side::Listener {
            let ours = if self.allows_bare() || self.sasl_done || self.options.sasl == Sasl::None {
                AMQP_HEADER
            } else {
                SASL_HEADER
            };
            self.output.gather(|out| out.extend_from_slice(&ours));
        }
        debug_assert!(ProtocolHeader::decode(&AMQP_HEADER).is_ok(), "our own header is valid");
        self.finish(CloseReason::ProtocolHeader(header));
    }

    fn allows_bare(&self) -> bool {
        matches!(self.options.sasl, Sasl::Offer { allow_bare: true, .. })
    }

    fn send_sasl(&mut self, frame: &sasl::Frame) {
        let fields = self.fields();
        self.trace_out(0, frame);
        self.output.gather(|out| {
            frame::write(out, Kind::Sasl, 0, |out| frame.encode(fields, out));
        });
    }

    fn offer_mechanisms(&mut self) {
        if let Sasl::Offer { mechanisms, .. } = &self.options.sasl {
            let mechanisms = mechanisms.clone();
            self.send_sasl(&sasl::Frame::Mechanisms(sasl::Mechanisms { mechanisms }));
        }
    }

    /// One SASL frame of the peer.
    pub(crate) fn handle_sasl(&mut self, frame: sasl::Frame) {
        match (self.options.side, frame) {
            (Side::Dialler, sasl::Frame::Mechanisms(offer)) => self.choose(&offer.mechanisms),
            (Side::Dialler, sasl::Frame::Challenge(challenge)) => {
                self.events.push_back(Event::SaslChallenge(challenge.challenge));
            }
            (Side::Dialler, sasl::Frame::Outcome(outcome)) => match outcome.code {
                sasl::Code::Ok => {
                    self.sasl_done = true;
                    self.phase = Phase::Header;
                    self.start_frames();
                }
                code => {
                    let text = format!("the peer answered with outcome {code:?}");
                    self.finish(CloseReason::Sasl(text));
                }
            },
            (Side::Listener, sasl::Frame::Init(init)) => self.handle_init(init),
            (Side::Listener, sasl::Frame::Response(response)) => {
                self.sasl_waits = true;
                self.events.push_back(Event::SaslResponse(response.response));
            }
            (_, frame) => {
                let text = format!("a SASL frame out of turn: {}", frame.name());
                self.finish(CloseReason::Sasl(text));
            }
        }
    }

    fn handle_init(&mut self, init: sasl::Init) {
        let offered = match &self.options.sasl {
            Sasl::Offer { mechanisms, .. } => mechanisms.contains(&init.mechanism),
            _ => false,
        };
        if !offered {
            // Not an error of the frame: the answer is an outcome (AMQP 1.0, 5.3.3.6).
            self.sasl_outcome(sasl::Code::Auth);
            return;
        }
        self.sasl_waits = true;
        self.events.push_back(Event::SaslInit {
            mechanism: init.mechanism,
            initial_response: init.initial_response,
            hostname: init.hostname,
        });
    }

    /// Dialler: the peer offers mechanisms; ours has to be among them.
    fn choose(&mut self, offered: &[Symbol]) {
        let (mechanism, initial_response) = match &self.options.sasl {
            Sasl::Plain { user, password } => {
                let response = format!("\0{user}\0{password}");
                (Symbol::from_static("PLAIN"), Some(Bytes::from(response)))
            }
            Sasl::External => (Symbol::from_static("EXTERNAL"), Some(Bytes::new())),
            Sasl::Mechanism { name, initial_response } => (name.clone(), initial_response.clone()),
            Sasl::Anonymous | Sasl::None | Sasl::Offer { .. } => {
                (Symbol::from_static("ANONYMOUS"), None)
            }
        };
        if !offered.contains(&mechanism) {
            let offered: Vec<_> = offered.iter().take(8).map(Symbol::as_str).collect();
            let offered = offered.join(", ");
            let text = format!("the peer does not offer {mechanism}, only: {offered}");
            return self.finish(CloseReason::Sasl(text));
        }
        let hostname = self.options.hostname.clone();
        self.send_sasl(&sasl::Frame::Init(sasl::Init { mechanism, initial_response, hostname }));
    }

    /// Dialler: answers [`Event::SaslChallenge`].
    pub fn sasl_response(&mut self, response: Bytes) {
        if self.phase == Phase::Sasl && self.options.side == Side::Dialler {
            self.send_sasl(&sasl::Frame::Response(sasl::Response { response }));
        }
    }

    /// Listener: asks for one more round; the answer is [`Event::SaslResponse`].
    pub fn sasl_challenge(&mut self, challenge: Bytes) {
        if self.phase == Phase::Sasl && self.options.side == Side::Listener {
            self.sasl_waits = false;
            self.send_sasl(&sasl::Frame::Challenge(sasl::Challenge { challenge }));
        }
    }

    /// Listener: ends the SASL layer. Anything but [`sasl::Code::Ok`] ends the connection too.
    pub fn sasl_outcome(&mut self, code: sasl::Code) {
        if self.phase != Phase::Sasl || self.options.side != Side::Listener {
            return;
        }
        self.sasl_waits = false;
        self.send_sasl(&sasl::Frame::Outcome(sasl::Outcome { code, additional_data: None }));
        if code == sasl::Code::Ok {
            self.sasl_done = true;
            self.phase = Phase::Header;
        } else {
            self.finish(CloseReason::Sasl(format!("we answered with outcome {code:?}")));
        }
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).max(1)
}
