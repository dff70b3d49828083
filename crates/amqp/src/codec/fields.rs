//! How much of a composite type is written.

/// Which fields of a performative or terminus are written.
///
/// Both forms mean the same to a decoder that follows part 1.4. Some index fields by position without looking at the
/// count, and those need every one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FieldList {
    /// Every field, nulls and default values included, as `list8` or `list32` and never `list0`.
    Full,
    /// Default values are null, and nulls at the end are dropped.
    #[default]
    Trimmed,
}
