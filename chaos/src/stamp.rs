//! What every event carries, so that it can be told from all others and nothing of it can change
//! unseen.

use std::fmt;

use crate::random::Random;

/// Which event it is: the n-th that a producer made for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The producer.
    pub producer: u16,
    /// The partition that it was sent to.
    pub partition: u16,
    /// Counted from 0 for each producer and partition.
    pub counter: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { producer, partition, counter } = self;
        write!(f, "event {counter} of producer {producer} for partition {partition}")
    }
}

/// The content of an event: who it is, in which run, and a filling that follows from that.
///
/// ```
/// use eventhubs_chaos::stamp::{EventId, Stamp};
///
/// let event = EventId { producer: 1, partition: 2, counter: 3 };
/// let stamp = Stamp { run: 7, event, length: 100 };
/// assert_eq!(Stamp::read(&stamp.body()), Ok(stamp));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The run, so that nothing of another one is mistaken for it.
    pub run: u64,
    /// The event.
    pub event: EventId,
    /// Bytes of the body; less than [`Stamp::LENGTH_MIN`] counts as that.
    pub length: u32,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// It is too short to carry a stamp.
    Short {
        /// Its bytes.
        length: usize,
    },
    /// It is not as long as its stamp says.
    Length {
        /// What the stamp says.
        said: u32,
        /// Its bytes.
        length: usize,
    },
    /// Something in it was changed.
    Checksum,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { length } => write!(f, "{length} bytes are too few for a stamp"),
            Self::Length { said, length } => write!(f, "{length} bytes, the stamp says {said}"),
            Self::Checksum => f.write_str("the checksum does not fit the content"),
        }
    }
}

/// Where the checksum begins, behind run, counter, producer, partition and length.
const CHECKSUM: usize = 24;

impl Stamp {
    /// The shortest body.
    pub const LENGTH_MIN: u32 = 28;

    /// The body with this stamp.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let EventId { producer, partition, counter } = self.event;
        let length = self.length.max(Self::LENGTH_MIN);
        let mut body = Vec::with_capacity(length as usize);
        body.extend_from_slice(&self.run.to_be_bytes());
        body.extend_from_slice(&counter.to_be_bytes());
        body.extend_from_slice(&producer.to_be_bytes());
        body.extend_from_slice(&partition.to_be_bytes());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&[0; 4]);
        let mut filling = Random::new(self.run ^ counter.rotate_left(32) ^ u64::from(producer));
        while body.len() < length as usize {
            let bytes = filling.draw().to_be_bytes();
            let room = (length as usize - body.len()).min(bytes.len());
            body.extend_from_slice(&bytes[..room]);
        }
        let checksum = checksum(&body);
        body[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_be_bytes());
        body
    }

    /// The stamp of a body.
    ///
    /// # Errors
    ///
    /// [`Damage`] when it is not exactly what was made.
    pub fn read(body: &[u8]) -> Result<Self, Damage> {
        if body.len() < Self::LENGTH_MIN as usize {
            return Err(Damage::Short { length: body.len() });
        }
        let length = u32::from_be_bytes(field(body, 20));
        if length as usize != body.len() {
            return Err(Damage::Length { said: length, length: body.len() });
        }
        if u32::from_be_bytes(field(body, CHECKSUM)) != checksum(body) {
            return Err(Damage::Checksum);
        }
        let event = EventId {
            producer: u16::from_be_bytes(field(body, 16)),
            partition: u16::from_be_bytes(field(body, 18)),
            counter: u64::from_be_bytes(field(body, 8)),
        };
        Ok(Self { run: u64::from_be_bytes(field(body, 0)), event, length })
    }
}

/// The checksum of everything but itself.
fn checksum(body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&body[..CHECKSUM]);
    hasher.update(&body[CHECKSUM + 4..]);
    hasher.finalize()
}

/// `N` bytes at a place that the caller has seen to be there.
fn field<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&body[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_a_body_is_seen() {
        for (counter, length) in [(0, 0), (1, 28), (2, 29), (u64::MAX, 100)] {
            let event = EventId { producer: 65_535, partition: 3, counter };
            let stamp = Stamp { run: 11, event, length };
            let body = stamp.body();
            assert_eq!(body.len(), length.max(Stamp::LENGTH_MIN) as usize);
            assert_eq!(Stamp::read(&body).map(|stamp| stamp.event), Ok(event));
            for at in 0..body.len() {
                let mut changed = body.clone();
                changed[at] ^= 1 << (at % 8);
                assert!(Stamp::read(&changed).is_err(), "byte {at} of {length}");
            }
            assert!(Stamp::read(&body[..body.len() - 1]).is_err());
        }
    }
}
