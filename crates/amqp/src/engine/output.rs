//! Bytes on their way to the socket: small frames gathered in one buffer, payloads beside it.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Payloads up to this many bytes are copied next to their frame head: copying them costs less than
/// one more entry in a vectored write.
const COPY_UP_TO_BYTES: usize = 4096;

/// Room that an empty write queue keeps for the next turn.
const GATHERED_KEPT_BYTES: usize = 256 << 10;

#[derive(Debug)]
enum Piece {
    /// The next so many bytes of the gathered buffer.
    Gathered(usize),
    Payload(Bytes),
}

/// The write queue of one connection. Its owner bounds it (`Limits::output_bytes_max`).
#[derive(Debug, Default)]
pub(crate) struct Output {
    gathered: BytesMut,
    pieces: VecDeque<Piece>,
    len: usize,
    /// The most that was gathered at once, up to [`GATHERED_KEPT_BYTES`].
    high_water: usize,
}

impl Output {
    /// Bytes not yet written.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends what `write` puts into the gathered buffer.
    #[inline]
    pub(crate) fn gather(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.gathered.len();
        write(&mut self.gathered);
        let added = self.gathered.len() - before;
        self.len += added;
        self.high_water = self.high_water.max(self.gathered.len().min(GATHERED_KEPT_BYTES));
        if let Some(Piece::Gathered(last)) = self.pieces.back_mut() {
            *last += added;
        } else if added > 0 {
            self.pieces.push_back(Piece::Gathered(added));
        }
    }

    /// Appends a payload; a large one is shared, not copied.
    #[inline]
    pub(crate) fn payload(&mut self, payload: Bytes) {
        if payload.len() <= COPY_UP_TO_BYTES {
            self.gather(|out| out.extend_from_slice(&payload));
        } else {
            self.len += payload.len();
            self.pieces.push_back(Piece::Payload(payload));
        }
    }

    /// Fills `slices` from the front; returns how many are in use.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut gathered = &self.gathered[..];
        let mut used = 0;
        for (piece, slice) in self.pieces.iter().zip(slices.iter_mut()) {
            let bytes = match piece {
                Piece::Gathered(count) => {
                    let (head, rest) = gathered.split_at(*count);
                    gathered = rest;
                    head
                }
                Piece::Payload(payload) => &payload[..],
            };
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        used
    }

    /// Forgets `count` bytes from the front: the transport has them.
    pub(crate) fn wrote(&mut self, mut count: usize) {
        debug_assert!(count <= self.len, "the transport cannot take more than it was shown");
        self.len -= count.min(self.len);
        while count > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                return;
            };
            let all = match piece {
                Piece::Gathered(held) => {
                    let taken = count.min(*held);
                    self.gathered.advance(taken);
                    *held -= taken;
                    count -= taken;
                    *held == 0
                }
                Piece::Payload(payload) => {
                    let taken = count.min(payload.len());
                    payload.advance(taken);
                    count -= taken;
                    payload.is_empty()
                }
            };
            if all {
                self.pieces.pop_front();
            }
        }
        if self.gathered.is_empty() {
            // Empty, it takes the room in front of its read position back without copying.
            self.gathered.reserve(self.high_water);
        }
    }

    /// Drops everything: nobody will read it.
    pub(crate) fn clear(&mut self) {
        self.gathered.clear();
        self.pieces.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_however_they_are_cut() {
        for step in [1, 3, 7, 4096, 100_000] {
            let mut output = Output::default();
            let large = Bytes::from(vec![7; COPY_UP_TO_BYTES + 5]);
            output.gather(|out| out.extend_from_slice(b"head"));
            output.payload(large.clone());
            output.gather(|out| out.extend_from_slice(b"next"));
            output.payload(Bytes::from_static(b"small"));
            let mut expected = b"head".to_vec();
            expected.extend_from_slice(&large);
            expected.extend_from_slice(b"nextsmall");

            let mut seen = Vec::new();
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); 2];
                let used = output.slices(&mut slices);
                let joined: Vec<u8> =
                    slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
                let taken = step.min(joined.len());
                seen.extend_from_slice(&joined[..taken]);
                output.wrote(taken);
            }
            assert_eq!(seen, expected, "cut every {step} bytes");
        }
    }
}
