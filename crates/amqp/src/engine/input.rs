//! Bytes of the peer, cut into frames and given to whom they concern.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Connection, EVENTS_MAX, Event, Phase};
use crate::codec::frame::{self, Header, Kind};
use crate::codec::performative::Performative;
use crate::codec::{DecodeError, condition, sasl};

/// The first bytes of nearly every frame that matters: data offset 2, type AMQP, and after the
/// channel the descriptor of a transfer.
const TRANSFER: [u8; 3] = [0x00, 0x53, 0x14];

impl Connection {
    /// Takes what has arrived at `now` out of `input`; an incomplete frame stays in it. The buffer
    /// must stay the same one from call to call.
    ///
    /// Answers whether whole frames are left because [`EVENTS_MAX`] events wait: take them, then
    /// call again. Input behind a SASL frame that the owner has to answer is left too;
    /// [`input_is_due`](Self::input_is_due) tells when to call again for it.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> bool {
        self.timing.advance(now);
        if !input.is_empty() {
            self.timing.read();
        }
        let mut whole = false;
        loop {
            if self.events.len() >= EVENTS_MAX {
                // What is left waits for the owner, not for the peer.
                self.timing.looked(false, whole);
                return !self.pending.is_empty() || !input.is_empty();
            }
            let progress = match self.phase {
                Phase::Header => self.handle_header(input),
                Phase::Sasl if self.sasl_waits => {
                    self.withheld = !input.is_empty();
                    false
                }
                Phase::Sasl => self.handle_sasl_input(input),
                Phase::Frames => self.handle_frames(input),
                Phase::Closed => {
                    input.clear();
                    false
                }
            };
            if !progress {
                let partial = !input.is_empty() && !self.withheld && self.phase != Phase::Closed;
                self.timing.looked(partial, whole);
                return false;
            }
            whole = true;
        }
    }

    /// Whether input was left behind a SASL frame that the owner has answered since: call
    /// [`handle_input`](Self::handle_input) again, new bytes or not. Says so once.
    pub fn input_is_due(&mut self) -> bool {
        !self.sasl_waits && std::mem::take(&mut self.withheld)
    }

    /// One SASL frame, since what follows it may be a header.
    fn handle_sasl_input(&mut self, input: &mut BytesMut) -> bool {
        let size = match self.frame_len(input, 0) {
            Ok(Some(size)) => size,
            Ok(None) => return false,
            Err(text) => {
                self.violate(condition::FRAMING_ERROR, text);
                return true;
            }
        };
        let frame = input.split_to(size).freeze();
        match Header::decode(&frame) {
            Ok(Some(header)) if header.kind == Kind::Sasl => {
                let body = frame.get(header.body_start()..).unwrap_or_default();
                match sasl::Frame::decode(body) {
                    Ok(decoded) => {
                        self.trace_in(0, &decoded, 0);
                        self.handle_sasl(decoded);
                    }
                    Err(error) => self.violate_decoding(&error),
                }
            }
            _ => self.violate(condition::FRAMING_ERROR, "a SASL frame was due"),
        }
        true
    }

    /// Every whole frame there is: cut off once, shared from then on.
    fn handle_frames(&mut self, input: &mut BytesMut) -> bool {
        if self.pending.is_empty() {
            let mut end = 0;
            let mut broken = None;
            loop {
                match self.frame_len(input, end) {
                    Ok(Some(size)) => end += size,
                    Ok(None) => break,
                    Err(text) => {
                        broken = Some(text);
                        break;
                    }
                }
            }
            if end == 0 {
                if let Some(text) = broken {
                    input.clear();
                    self.violate(condition::FRAMING_ERROR, text);
                }
                return false;
            }
            self.pending = input.split_to(end).freeze();
        }
        let whole = std::mem::take(&mut self.pending);
        let mut at = 0;
        while at < whole.len() && self.phase == Phase::Frames && self.events.len() < EVENTS_MAX {
            let size = read_size(&whole, at).unwrap_or(0) as usize;
            let Some(end) = at.checked_add(size).filter(|end| *end <= whole.len() && size > 0)
            else {
                break;
            };
            self.handle_frame(&whole, at, end);
            at = end;
        }
        if at < whole.len() && self.phase == Phase::Frames {
            self.pending = whole.slice(at..);
        }
        if self.answers > self.options.limits.answers_bytes_max {
            let text = "more answers wait to be written than this peer reads";
            self.violate(condition::RESOURCE_LIMIT_EXCEEDED, text);
        }
        true
    }

    /// Length of the frame at `start` if all of it is there; what is wrong with it if it cannot be
    /// one.
    #[inline]
    fn frame_len(&self, input: &[u8], start: usize) -> Result<Option<usize>, String> {
        let Some(size) = read_size(input, start) else {
            return Ok(None);
        };
        let limit = self.options.max_frame_size.max(frame::MIN_MAX_FRAME_SIZE);
        if size > limit || (size as usize) < frame::HEADER_LEN {
            return Err(format!("a frame of {size} bytes; allowed are 8 to {limit}"));
        }
        let size = size as usize;
        Ok((input.len() - start >= size).then_some(size))
    }

    #[inline]
    fn handle_frame(&mut self, whole: &Bytes, start: usize, end: usize) {
        let Some(frame) = whole.get(start..end) else {
            return;
        };
        if let [_, _, _, _, 2, 0, high, low, body @ ..] = frame
            && body.starts_with(&TRANSFER)
        {
            let channel = u16::from_be_bytes([*high, *low]);
            return self.handle_transfer(channel, whole, start, end, frame::HEADER_LEN);
        }
        self.handle_other(whole, start, end);
    }

    /// Everything but a plain transfer.
    fn handle_other(&mut self, whole: &Bytes, start: usize, end: usize) {
        let Some(frame) = whole.get(start..end) else {
            return;
        };
        let header = match Header::decode(frame) {
            Ok(Some(header)) if header.kind == Kind::Amqp => header,
            Ok(_) => return self.violate(condition::FRAMING_ERROR, "an AMQP frame was due"),
            Err(error) => return self.violate(condition::FRAMING_ERROR, error.to_string()),
        };
        let Some(body) = frame.get(header.body_start()..) else {
            return self.violate(condition::FRAMING_ERROR, "the data offset is beyond the frame");
        };
        if body.is_empty() {
            // A heartbeat.
            return;
        }
        if body.starts_with(&TRANSFER) {
            return self.handle_transfer(header.channel, whole, start, end, header.body_start());
        }
        match Performative::decode(body) {
            Ok((Performative::Transfer(_), _)) => {
                self.handle_transfer(header.channel, whole, start, end, header.body_start());
            }
            Ok((performative, _)) => self.handle_performative(header.channel, performative),
            Err(error) => self.violate_decoding(&error),
        }
    }

    fn handle_performative(&mut self, channel: u16, performative: Performative) {
        self.trace_in(channel, &performative, 0);
        if let Performative::Open(open) = performative {
            return self.handle_open(open);
        }
        if self.remote_open.is_none() {
            let text = "the first frame has to be an open";
            return self.violate(condition::ILLEGAL_STATE, text);
        }
        if let Performative::Close(close) = performative {
            return self.handle_close(close.error);
        }
        if self.close_sent {
            // Whatever crosses our close on the way is discarded (AMQP 1.0, 2.4.6).
            return;
        }
        match performative {
            Performative::Begin(begin) => self.handle_begin(channel, begin),
            Performative::Attach(attach) => self.handle_attach(channel, attach),
            Performative::Flow(flow) => self.handle_flow(channel, &flow),
            Performative::Disposition(disposition) => {
                self.handle_disposition(channel, &disposition);
            }
            Performative::Detach(detach) => self.handle_detach(channel, detach),
            Performative::End(end) => self.handle_end(channel, end.error),
            Performative::Open(_) | Performative::Close(_) | Performative::Transfer(_) => {}
        }
    }

    fn handle_close(&mut self, error: Option<crate::codec::AmqpError>) {
        let reason = if self.close_sent {
            self.reason.take().unwrap_or(super::CloseReason::Local)
        } else {
            self.send_close(None);
            super::CloseReason::Remote(error)
        };
        self.finish(reason);
    }

    pub(crate) fn violate_decoding(&mut self, error: &DecodeError) {
        self.violate(condition::DECODE_ERROR, error.to_string());
    }

    /// Nothing is told after [`Event::Closed`], whatever an owner still asks for.
    pub(crate) fn push_event(&mut self, event: Event) {
        if self.phase != Phase::Closed {
            self.events.push_back(event);
        }
    }

    #[cfg(feature = "wire-trace")]
    pub(crate) fn trace_in(
        &self,
        channel: u16,
        performative: &dyn std::fmt::Debug,
        payload: usize,
    ) {
        super::trace::received(&self.options.container_id, channel, performative, payload);
    }

    #[cfg(not(feature = "wire-trace"))]
    #[inline(always)]
    pub(crate) fn trace_in(
        &self,
        _channel: u16,
        _performative: &dyn std::fmt::Debug,
        _payload: usize,
    ) {
    }
}

#[inline]
fn read_size(input: &[u8], start: usize) -> Option<u32> {
    let bytes = input.get(start..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}
