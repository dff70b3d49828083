//! Who owns: the id of an owner, and the token of one ownership.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::{StoreError, StoreErrorKind, StoreOperation};

/// Longest owner id or lease token, in bytes.
pub const MAX_ID: usize = 256;

/// Id of one host, in one start of its process.
///
/// Not the name of the host: a host that starts again under its name must not take the leases of
/// its former life for its own, because nobody renews those. 1 to 256 bytes without control
/// characters.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::OwnerId;
///
/// let owner = OwnerId::new("host-a/1")?;
/// assert_eq!(owner.as_str(), "host-a/1");
/// assert_ne!(OwnerId::unique(), OwnerId::unique());
/// assert!(OwnerId::new("").is_err());
/// # Ok::<(), eventhubs_eph::StoreError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(Arc<str>);

/// What tells one ownership of a partition from every other: drawn for each claim, never reused.
///
/// The lease id of the classic blob layout. It fences: a write that names another token than the
/// one the store has belongs to an ownership that has ended.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::LeaseToken;
///
/// let token = LeaseToken::new("0b5c6f0e-1111-4222-8333-944455566677")?;
/// assert_eq!(token.as_str().len(), 36);
/// assert_ne!(LeaseToken::unique(), LeaseToken::unique());
/// # Ok::<(), eventhubs_eph::StoreError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(Arc<str>);

macro_rules! id {
    ($name:ident, $noun:literal) => {
        impl $name {
            #[doc = concat!("Takes ", $noun, " as given.")]
            ///
            /// # Errors
            ///
            /// [`StoreErrorKind::InvalidInput`]: it is empty, longer than [`MAX_ID`] bytes, or holds a
            /// control character.
            pub fn new(text: &str) -> Result<Self, StoreError> {
                if text.is_empty() || text.len() > MAX_ID || text.chars().any(char::is_control) {
                    return Err(StoreError::new(
                        StoreErrorKind::InvalidInput,
                        StoreOperation::Configure,
                        $noun,
                        "1 to 256 bytes without control characters are allowed",
                    ));
                }
                Ok(Self(text.into()))
            }

            #[doc = concat!("Draws ", $noun, " that nobody else has: a random UUID.")]
            #[must_use]
            pub fn unique() -> Self {
                Self(Uuid::new_v4().to_string().into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }
    };
}

id!(OwnerId, "an owner id");
id!(LeaseToken, "a lease token");
