//! One accepted connection: header exchange, SASL, open, and the loop that moves the bytes.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::{
    session::Session,
    wire::{self, Frame, MAX_FRAME, Writer},
};

/// Bytes asked of the socket at once.
const READ: usize = 1 << 20;
/// Sessions of one connection; a client uses a handful.
const MAX_SESSIONS: usize = 256;

const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// Serves one client until it closes or the socket ends.
///
/// The socket is written in blocking mode: a client which stops reading is waited for. Reads are
/// non-blocking only while there are events to send.
pub(crate) fn serve(mut stream: TcpStream, burst: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Input::new();
    let mut connection = Connection::new(burst);
    let mut blocking = true;
    loop {
        let wait = !connection.can_blast();
        if wait != blocking {
            stream.set_nonblocking(!wait)?;
            blocking = wait;
        }
        if !input.fill(&mut stream)? {
            return Ok(());
        }
        connection.handle(&mut input)?;
        if !blocking {
            stream.set_nonblocking(false)?;
            blocking = true;
        }
        stream.write_all(&connection.out)?;
        connection.out.clear();
        if connection.closed {
            return Ok(());
        }
        for session in connection.sessions.values_mut() {
            session.blast(|frames| stream.write_all(frames))?;
        }
    }
}

/// Bytes read and not yet taken.
struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new() -> Self {
        Self { buffer: vec![0; 2 * READ], start: 0, end: 0 }
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < READ {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn header(&mut self) -> Option<[u8; 8]> {
        let header = *self.buffer[self.start..self.end].first_chunk()?;
        self.start += header.len();
        Some(header)
    }

    /// The next whole frame.
    fn frame(&mut self) -> io::Result<Option<&[u8]>> {
        let bytes = &self.buffer[self.start..self.end];
        let Some(size) = wire::u32_at(bytes, 0) else {
            return Ok(None);
        };
        if !(8..=MAX_FRAME).contains(&size) {
            return Err(wire::malformed("a frame size outside 8 to 65536"));
        }
        let Ok(size) = usize::try_from(size) else {
            return Ok(None);
        };
        if bytes.len() < size {
            return Ok(None);
        }
        self.start += size;
        Ok(bytes.get(..size))
    }
}

/// What the peer knows of a connection.
struct Connection {
    out: Vec<u8>,
    expects_header: bool,
    closed: bool,
    burst: usize,
    sessions: BTreeMap<u16, Session>,
}

impl Connection {
    fn new(burst: usize) -> Self {
        Self {
            out: Vec::new(),
            expects_header: true,
            closed: false,
            burst,
            sessions: BTreeMap::new(),
        }
    }

    fn can_blast(&self) -> bool {
        self.sessions.values().any(Session::can_blast)
    }

    /// Takes everything that is whole and writes the answers to `out`.
    fn handle(&mut self, input: &mut Input) -> io::Result<()> {
        while !self.closed {
            if self.expects_header {
                let Some(header) = input.header() else { break };
                self.header(header)?;
                continue;
            }
            let Some(bytes) = input.frame()? else { break };
            if let Some(frame) = Frame::read(bytes)? {
                self.frame(&frame)?;
            }
        }
        for session in self.sessions.values_mut() {
            session.answer(&mut self.out);
            session.top_up(&mut self.out);
        }
        Ok(())
    }

    fn header(&mut self, header: [u8; 8]) -> io::Result<()> {
        self.out.extend(header);
        self.expects_header = false;
        match header {
            AMQP_HEADER => Ok(()),
            SASL_HEADER => {
                let mut mechanisms = Vec::new();
                for name in ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"] {
                    mechanisms.push(u8::try_from(name.len()).unwrap_or(0));
                    mechanisms.extend(name.bytes());
                }
                let size = u8::try_from(mechanisms.len() + 2).unwrap_or(0);
                let mut array = vec![0xe0, size, 4, 0xa3];
                array.extend(mechanisms);
                Writer::sasl(&mut self.out, 0x40).raw(&array).end();
                Ok(())
            }
            _ => Err(wire::malformed("neither an AMQP nor a SASL header")),
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let out = &mut self.out;
        match (frame.sasl, frame.code) {
            (true, 0x41) => {
                // Whoever asks is let in: this peer measures, it does not guard.
                Writer::sasl(out, 0x44).ubyte(0).null().end();
                self.expects_header = true;
            }
            (true, _) => return Err(wire::malformed("an unexpected SASL frame")),
            (false, 0x10) => open(frame, out)?,
            (false, 0x11) => {
                if self.sessions.len() >= MAX_SESSIONS {
                    return Err(wire::malformed("more sessions than this peer serves"));
                }
                self.sessions.insert(frame.channel, Session::begin(frame, out));
            }
            (false, 0x17) => {
                if self.sessions.remove(&frame.channel).is_some() {
                    Writer::amqp(out, frame.channel, 0x17).null().end();
                }
            }
            (false, 0x18) => {
                Writer::amqp(out, 0, 0x18).null().end();
                self.closed = true;
            }
            (false, code) => {
                // Frames for a session that has ended are legal and mean nothing.
                let Some(session) = self.sessions.get_mut(&frame.channel) else {
                    return Ok(());
                };
                match code {
                    0x12 => session.attach(frame, self.burst, out),
                    0x13 => session.flow(frame, out),
                    0x14 => session.transfer(frame, out),
                    0x16 => session.detach(frame, out),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn open(frame: &Frame<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    if frame.fields.uint(2).is_some_and(|size| size < MAX_FRAME) {
        return Err(wire::malformed("the client's frames are smaller than the events sent here"));
    }
    Writer::amqp(out, 0, 0x10).text("raw-peer").null().uint(MAX_FRAME).ushort(4_999).nulls(6).end();
    Ok(())
}
