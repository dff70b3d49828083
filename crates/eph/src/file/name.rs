//! Names of folders and files, made from names that others chose.

use crate::error::{StoreError, StoreErrorKind, StoreOperation};

/// Longest name of a folder or file, in bytes, well below what file systems take.
const MAX_NAME: usize = 200;

/// Names that mean devices on Windows, with whatever follows a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The folder name for a namespace, hub or consumer group; nested folders for a very long one.
///
/// Lower-cased, as the blob layouts do, since the service does not tell cases apart. Two different
/// names never give one folder: what is not a letter, digit, `.`, `-` or `_` is percent-encoded,
/// and so is a dot or a device's name where a file system would take it for something else.
///
/// # Errors
///
/// The name is empty, `.` or `..`, or has a control character.
pub(super) fn folders(what: &str, name: &str) -> Result<Vec<String>, StoreError> {
    if name.is_empty() || name == "." || name == ".." || name.chars().any(char::is_control) {
        let (kind, operation) = (StoreErrorKind::InvalidInput, StoreOperation::Configure);
        let detail = "it is empty, '.' or '..', or has a control character";
        return Err(StoreError::new(kind, operation, what, detail));
    }
    let encoded = encode(&name.to_lowercase());
    let mut folders = Vec::new();
    let mut rest = encoded.as_str();
    while rest.len() > MAX_NAME {
        // '+' is never in an encoded name, so a part cannot be mistaken for a whole one. Encoded
        // names are ASCII: any place is a boundary.
        let (part, behind) = rest.split_at(MAX_NAME);
        folders.push(format!("{}+", guard(part)));
        rest = behind;
    }
    folders.push(guard(rest));
    Ok(folders)
}

fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => push_encoded(&mut encoded, byte),
        }
    }
    guard(&encoded)
}

/// Encodes a first or last dot, and the first letter of a device.
fn guard(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or_default();
    let is_port = stem.len() == 4
        && (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.ends_with(|last: char| last.is_ascii_digit());
    let is_device = is_port || DEVICES.contains(&stem);
    let mut guarded = String::with_capacity(name.len() + 4);
    for (at, byte) in name.bytes().enumerate() {
        let is_edge = at == 0 || at + 1 == name.len();
        match (byte == b'.' && is_edge) || (at == 0 && is_device) {
            true => push_encoded(&mut guarded, byte),
            false => guarded.push(char::from(byte)),
        }
    }
    guarded
}

fn push_encoded(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push('%');
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(DIGITS[usize::from(digit)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(name: &str) -> String {
        folders("name", name).unwrap().join("/")
    }

    #[test]
    fn names_are_safe_on_every_file_system() {
        assert_eq!(path("ns.servicebus.windows.net"), "ns.servicebus.windows.net");
        assert_eq!(path("$Default"), "%24default");
        assert_eq!(path("../up"), "%2e.%2fup");
        assert_eq!(path("Nul"), "%6eul");
        assert_eq!(path("com1.x"), "%63om1.x");
        assert_eq!(path("a."), "a%2e");
        for wrong in ["", ".", "..", "a\0b", "a\nb"] {
            assert!(folders("name", wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn names_stay_apart(one in "[a-z.%/+$ ä]{1,6}", other in "[a-z.%/+$ ä]{1,6}") {
            prop_assume!(![".", ".."].iter().any(|dots| one == *dots || other == *dots));
            prop_assert_eq!(path(&one) == path(&other), one == other);
        }

        #[test]
        fn no_name_leaves_its_folder(name in "[^\\p{Cc}]{1,400}") {
            prop_assume!(name != "." && name != "..");
            for folder in folders("name", &name).unwrap() {
                prop_assert!(folder.len() <= MAX_NAME + 7, "{}", folder);
                prop_assert!(!folder.starts_with('.') && !folder.ends_with('.'));
                prop_assert!(folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-%+".contains(&b)));
            }
        }
    }
}
