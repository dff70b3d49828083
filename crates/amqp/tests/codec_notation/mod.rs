//! Bytes as people write them.

/// Hexadecimal with blanks, and text in single quotes. Brackets stand for a one-byte size of what is inside them.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut open, mut digit, mut quoted) = (Vec::new(), Vec::new(), None, false);
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            c if quoted => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            '[' => {
                open.push(out.len());
                out.push(0);
            }
            ']' => {
                let at = open.pop().expect("a bracket is open");
                out[at] = u8::try_from(out.len() - at - 1).expect("short");
            }
            ' ' => {}
            c => {
                let low = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).expect("hex");
                match digit.take() {
                    None => digit = Some(low),
                    Some(high) => out.push(high << 4 | low),
                }
            }
        }
    }
    assert!(open.is_empty() && digit.is_none() && !quoted, "{text}");
    out
}
