//! How far a partition was processed.

use eventhubs_protocol::{Offset, OwnerLevel, SequenceNumber, Timestamp};

use crate::record::{self, InvalidRecord, Record};
use crate::rfc3339;

/// Offsets that stand for a place, not for an event: nobody processed anything there.
const PLACES: [&str; 3] = ["-1", "@latest", "no offset"];

/// How far a partition was processed: the last event that is done, and with it all before it.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Checkpoint;
/// use eventhubs_protocol::{Offset, SequenceNumber, Timestamp};
///
/// let body = br#"{"offset":"4096","sequenceNumber":41,"enqueueTime":"2023-11-14T22:13:20.123Z"}"#;
/// let checkpoint = Checkpoint::from_json(body)?.expect("somebody got that far");
/// assert_eq!(checkpoint.sequence_number, SequenceNumber::from(41));
/// assert_eq!(checkpoint.enqueued, Some(Timestamp::from_millis(1_700_000_000_123)));
/// assert_eq!(Checkpoint::from_json(&checkpoint.to_json())?, Some(checkpoint));
/// // A host that never processed anything left only a place to begin at.
/// assert_eq!(Checkpoint::from_json(br#"{"offset":"-1","sequenceNumber":0}"#)?, None);
/// # Ok::<(), eventhubs_eph::InvalidRecord>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Offset of that event, opaque; `None` when the host that wrote the
    /// checkpoint did not keep it.
    pub offset: Option<Offset>,
    /// Its number, the only thing that is compared. [`SequenceNumber::BEFORE_FIRST`] when a host
    /// that did not keep it wrote the checkpoint; then there is an offset.
    pub sequence_number: SequenceNumber,
    /// When the service took the event.
    pub enqueued: Option<Timestamp>,
    /// What the record holds that this library does not know.
    unknown: Record,
}

impl Checkpoint {
    /// The checkpoint after an event.
    #[must_use]
    pub fn new(
        offset: Offset,
        sequence_number: SequenceNumber,
        enqueued: Option<Timestamp>,
    ) -> Self {
        let offset = Some(offset);
        Self { offset, sequence_number, enqueued, unknown: Record::default() }
    }

    /// The body of the checkpoint as JSON, with the names of the Go library: `offset`,
    /// `sequenceNumber`, `enqueueTime`, then what was unknown when it was read.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_record().to_json()
    }

    pub(crate) fn to_record(&self) -> Record {
        let mut record = Record::default();
        if let Some(offset) = &self.offset {
            record.set(record::OFFSET, offset.as_str());
        }
        record.set(record::SEQUENCE_NUMBER, self.sequence_number.as_i64());
        if let Some(enqueued) = self.enqueued {
            record.set(record::ENQUEUE_TIME, enqueued.to_string());
        }
        record.append(&self.unknown);
        record
    }

    /// Reads a body; `None` when it says that nothing was processed yet.
    ///
    /// Names may be spelt as the Go, .NET, Java or Python hosts spell them; offsets may be numbers,
    /// sequence numbers may be text. The places `-1` and `@latest` are no checkpoints. A time that
    /// cannot be read is left out, because nothing depends on it.
    ///
    /// # Errors
    ///
    /// The body is no JSON object of the expected shape, or beyond the limits of
    /// [`InvalidRecord`].
    pub fn from_json(body: &[u8]) -> Result<Option<Self>, InvalidRecord> {
        Self::from_record(Record::from_json(body)?)
    }

    pub(crate) fn from_record(mut record: Record) -> Result<Option<Self>, InvalidRecord> {
        let offset = record.text(record::OFFSET)?;
        let is_place = offset.as_deref().is_some_and(|offset| PLACES.contains(&offset.trim()));
        let offset = match offset.filter(|_| !is_place) {
            Some(text) => {
                Some(Offset::new(&text).map_err(|_| InvalidRecord::field(record::OFFSET))?)
            }
            None => None,
        };
        let number = record.number(record::SEQUENCE_NUMBER)?;
        let enqueued = record.text(record::ENQUEUE_TIME)?.and_then(|text| rfc3339::parse(&text));
        let sequence_number = match (number, &offset) {
            (_, None) if is_place => return Ok(None),
            // Some hosts begin with number 0 and no offset, before they processed event 0.
            (None | Some(0), None) => return Ok(None),
            (None, Some(_)) => SequenceNumber::BEFORE_FIRST,
            (Some(number), _) if number >= 0 => SequenceNumber::from(number),
            (Some(-1), Some(_)) => SequenceNumber::BEFORE_FIRST,
            (Some(_), _) => return Err(InvalidRecord::field(record::SEQUENCE_NUMBER)),
        };
        Ok(Some(Self { offset, sequence_number, enqueued, unknown: record }))
    }

    /// This checkpoint with what `before` had beside the fields of this library.
    #[must_use]
    pub(crate) fn keeping_unknown_of(&self, before: Option<&Self>) -> Self {
        let mut kept = self.clone();
        if let Some(before) = before {
            kept.unknown.append(&before.unknown);
        }
        kept
    }

    /// Whether both say the same of the partition, whatever else stands beside it.
    #[must_use]
    pub fn is_same_position(&self, other: &Self) -> bool {
        self.offset == other.offset && self.sequence_number == other.sequence_number
    }
}

/// What came of taking a checkpoint over for a new ownership.
#[derive(Clone, Debug, PartialEq)]
pub enum Fence {
    /// From now on nobody stores under an earlier ownership. How far they came: `None` when
    /// nothing was stored yet.
    Up(Option<Checkpoint>),
    /// A later ownership has the checkpoint: this one has ended, or its owner level is too low.
    Lost {
        /// Owner level of the ownership that has it.
        epoch: OwnerLevel,
    },
}

/// What came of storing a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Commit {
    /// The store has it, durably.
    Stored,
    /// The store has a later one, under the same ownership, and keeps that.
    Behind(Checkpoint),
    /// The ownership has ended, and nothing was changed. No error; do not try again.
    Lost,
}
