//! Message sections (AMQP 1.0 part 3.2): found in place by [`sections()`], or owned as [`Message`].

mod body;
mod header;
mod owned;
mod properties;
mod sections;

pub use body::Body;
pub use header::Header;
pub use owned::Message;
pub use properties::{MessageId, Properties};
pub use sections::{BodyKind, BodySections, FirstBody, Sections, Span, sections};
