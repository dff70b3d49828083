//! Why the emulator says it refuses or ends something.

use eventhubs_amqp::codec::AmqpError;

/// A condition and a text, as a detach, an end, a close or a rejection carries them.
///
/// ```
/// use eventhubs_emulator::Reason;
///
/// let reason = Reason::new("amqp:not-found", "The messaging entity 'a' could not be found.");
/// assert_eq!(reason.condition, "amqp:not-found");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
pub struct Reason {
    /// The condition: any symbol.
    pub condition: String,
    /// Text for people; clients read some of them.
    #[cfg_attr(feature = "json", serde(default))]
    pub text: Option<String>,
}

impl Reason {
    /// A condition with a text.
    pub fn new(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self { condition: condition.into(), text: Some(text.into()) }
    }

    /// A condition without a text.
    pub fn bare(condition: impl Into<String>) -> Self {
        Self { condition: condition.into(), text: None }
    }
}

impl From<Reason> for AmqpError {
    fn from(reason: Reason) -> Self {
        Self { description: reason.text, ..Self::new(reason.condition, "") }
    }
}
