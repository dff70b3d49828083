//! Ways in for the fuzz targets, which stand outside of this crate. Not for anybody else: nothing
//! here keeps its shape.

use crate::http;
use crate::names::{annotation, filter};
use crate::rules::selector::Start;

/// Reads the selector of a receiver and writes what was understood as a selector again.
///
/// ```
/// use eventhubs_emulator::fuzzing::selector;
///
/// let understood = selector("amqp.annotation.x-opt-sequence-number>=7");
/// assert_eq!(understood.unwrap(), "amqp.annotation.x-opt-sequence-number >= '7'");
/// assert!(selector("x > 1 OR 1 = 1").is_err());
/// ```
///
/// # Errors
/// Why it is refused.
pub fn selector(text: &str) -> Result<String, String> {
    let (property, inclusive, value) = match Start::parse(text).map_err(|e| e.to_string())? {
        Start::Earliest => (annotation::OFFSET, false, filter::EARLIEST.to_owned()),
        Start::Latest => (annotation::OFFSET, false, filter::LATEST.to_owned()),
        Start::Offset { text, inclusive } => (annotation::OFFSET, inclusive, text),
        Start::Sequence { number, inclusive } => {
            (annotation::SEQUENCE_NUMBER, inclusive, number.to_string())
        }
        Start::Time { millis, inclusive } => {
            (annotation::ENQUEUED_TIME, inclusive, millis.to_string())
        }
    };
    let operator = if inclusive { ">=" } else { ">" };
    let value = value.replace('\'', "''");
    Ok(format!("{}{property} {operator} '{value}'", filter::ANNOTATION_PREFIX))
}

/// Reads the body of a request that creates or changes a hub or a consumer group, and shows what
/// was understood.
///
/// ```
/// use eventhubs_emulator::fuzzing::atom_body;
///
/// assert!(atom_body(b"<entry/>").is_err());
/// ```
///
/// # Errors
/// Why it is refused.
pub fn atom_body(body: &[u8]) -> Result<String, String> {
    http::shown_description(body)
}
