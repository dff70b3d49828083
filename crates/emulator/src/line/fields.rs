//! The first fields of a performative, looked at where they lie.
//!
//! A reader of its own: it has to cope with what faults have damaged, and it must not share a
//! mistake with the engine whose frames it reads.

/// The fields of the performative in `frame`, in order. Ends early where the bytes end or make no
/// sense; a frame of which only the first bytes are there gives the fields that lie in them.
pub(super) fn fields(frame: &[u8]) -> Fields<'_> {
    Fields { rest: list(frame).unwrap_or_default() }
}

/// What follows the count of the list that a performative is.
fn list(frame: &[u8]) -> Option<&[u8]> {
    let start = usize::from(*frame.get(4)?) * 4;
    let body = frame.get(start..)?;
    let described = body.strip_prefix(&[0x00])?;
    let (_, list) = split(described)?;
    match *list {
        [0xc0, _, _, ref rest @ ..] => Some(rest),
        [0xd0, _, _, _, _, _, _, _, _, ref rest @ ..] => Some(rest),
        _ => None,
    }
}

/// One field: its constructor and its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    constructor: u8,
    data: &'a [u8],
}

impl<'a> Field<'a> {
    /// The bytes of a string or symbol.
    pub(super) fn text(self) -> Option<&'a [u8]> {
        matches!(self.constructor, 0xa1 | 0xb1 | 0xa3 | 0xb3).then_some(self.data)
    }

    pub(super) fn uint(self) -> Option<u32> {
        match (self.constructor, self.data) {
            (0x43, _) => Some(0),
            (0x52, &[low]) => Some(low.into()),
            (0x70, &[a, b, c, d]) => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match (self.constructor, self.data) {
            (0x41, _) | (0x56, [1]) => Some(true),
            (0x42, _) | (0x56, [0]) => Some(false),
            _ => None,
        }
    }
}

/// The fields that are left.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (field, rest) = split(self.rest)?;
        self.rest = rest;
        Some(field)
    }
}

/// The value that `bytes` begin with, and what is behind it. Described values have no place among
/// the first fields of the frames that are read, so they end the search.
fn split(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (&constructor, rest) = bytes.split_first()?;
    let (head, len) = match constructor >> 4 {
        0x4 => (0, 0),
        0x5 => (0, 1),
        0x6 => (0, 2),
        0x7 => (0, 4),
        0x8 => (0, 8),
        0x9 => (0, 16),
        0xa | 0xc | 0xe => (1, usize::from(*rest.first()?)),
        0xb | 0xd | 0xf => (4, u32::from_be_bytes(*rest.first_chunk()?) as usize),
        _ => return None,
    };
    let (data, rest) = rest.get(head..)?.split_at_checked(len)?;
    Some((Field { constructor, data }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_widths_of_list_and_every_spelling_of_a_descriptor_are_read() {
        let short =
            [0, 0, 0, 0, 2, 0, 0, 0, 0x00, 0x53, 0x12, 0xc0, 7, 3, 0xa1, 1, b'n', 0x43, 0x42];
        let all: Vec<_> = fields(&short).collect();
        assert_eq!(all[0].text(), Some(&b"n"[..]));
        assert_eq!(all[1].uint(), Some(0));
        assert_eq!(all[2].boolean(), Some(false));
        assert_eq!(all.len(), 3);
        let mut wide = vec![0, 0, 0, 0, 3, 0, 0, 0, 9, 9, 9, 9];
        wide.extend([0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x12, 0xd0, 0, 0, 0, 13, 0, 0, 0, 2]);
        wide.extend([0xb1, 0, 0, 0, 1, b'n', 0x70, 0, 0, 1, 0]);
        let all: Vec<_> = fields(&wide).collect();
        assert_eq!((all[0].text(), all[1].uint()), (Some(&b"n"[..]), Some(256)));
        assert_eq!(fields(&wide[..wide.len() - 1]).count(), 1, "what is there in whole");
    }

    proptest! {
        #[test]
        fn anything_ends(frame in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(fields(&frame).count() <= frame.len());
        }
    }
}
