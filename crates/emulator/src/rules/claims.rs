//! The few claims of a JSON web token that matter here, read without building the rest.
//!
//! A reader of its own, so that tokens are understood whatever features the crate is built with:
//! it takes the members it wants from the outermost object, skips every other value without
//! recursion, and holds no more than the text it is given.

/// Audiences that are kept of one token.
const MAX_AUDIENCES: usize = 16;
/// How deep values may nest that are skipped.
const MAX_DEPTH: usize = 32;

/// Claims of RFC 7519 that are checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// `exp`, in seconds since 1970.
    pub(crate) expires: Option<i64>,
    /// `nbf`, in seconds since 1970.
    pub(crate) not_before: Option<i64>,
    /// `aud`: one text or an array of them.
    pub(crate) audiences: Vec<String>,
}

impl Claims {
    /// Reads a JSON object; `None` when it is none, or when a claim has a wrong type.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let mut claims = Self::default();
        let mut reader = Reader { rest: std::str::from_utf8(json).ok()?.as_bytes() };
        reader.members(|name, reader| {
            match name {
                "exp" => claims.expires = Some(reader.seconds()?),
                "nbf" => claims.not_before = Some(reader.seconds()?),
                "aud" => claims.audiences = reader.texts()?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        reader.end()?;
        Some(claims)
    }
}

/// Whether `json` is an object.
pub(crate) fn is_object(json: &[u8]) -> bool {
    Claims::parse(json).is_some()
}

/// What is left of a JSON text, which is UTF-8.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// The next byte that is no white space, without taking it.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Takes `byte` if it is next.
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.accept(byte).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Reads an object; `each` gets every name and has to take its value.
    fn members(&mut self, mut each: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Some(());
        }
        loop {
            let name = self.text()?;
            self.expect(b':')?;
            each(&name, self)?;
            if !self.accept(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// One text, or an array of texts.
    fn texts(&mut self) -> Option<Vec<String>> {
        if self.peek()? == b'"' {
            return Some(vec![self.text()?]);
        }
        self.expect(b'[')?;
        let mut texts = Vec::new();
        if self.accept(b']') {
            return Some(texts);
        }
        loop {
            let text = self.text()?;
            if texts.len() < MAX_AUDIENCES {
                texts.push(text);
            }
            if !self.accept(b',') {
                self.expect(b']')?;
                return Some(texts);
            }
        }
    }

    /// A number of seconds, which may have a fraction.
    fn seconds(&mut self) -> Option<i64> {
        let first = self.peek()?;
        if first != b'-' && !first.is_ascii_digit() {
            return None;
        }
        let scalar = self.scalar();
        let number: f64 = std::str::from_utf8(scalar).ok()?.parse().ok()?;
        // A conversion of floats keeps within the bounds of the integer.
        Some(number.floor() as i64)
    }

    /// The bytes of a number or a word.
    fn scalar(&mut self) -> &[u8] {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let end = self.rest.iter().position(|byte| !inner(byte)).unwrap_or(self.rest.len());
        let (scalar, rest) = self.rest.split_at(end);
        self.rest = rest;
        scalar
    }

    /// Skips any value.
    fn skip(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'"' => drop(self.text()?),
                bracket @ (b'{' | b'[') => {
                    if open.len() == MAX_DEPTH {
                        return None;
                    }
                    self.take();
                    open.push(if bracket == b'{' { b'}' } else { b']' });
                }
                bracket @ (b'}' | b']') => {
                    if open.pop() != Some(bracket) {
                        return None;
                    }
                    self.take();
                }
                b',' | b':' if !open.is_empty() => drop(self.take()),
                _ if self.scalar().is_empty() => return None,
                _ => {}
            }
            if open.is_empty() {
                return Some(());
            }
        }
    }

    /// A text in quotes.
    fn text(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match self.take()? {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let mut buffer = [0; 4];
                    text.extend_from_slice(self.escape()?.encode_utf8(&mut buffer).as_bytes());
                }
                0..=0x1f => return None,
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.take()? {
            plain @ (b'"' | b'\\' | b'/') => char::from(plain),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high);
                }
                if (self.take()?, self.take()?) != (b'\\', b'u') {
                    return None;
                }
                let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                return char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low);
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.take()?).to_digit(16)?;
        }
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> Option<Claims> {
        Claims::parse(json.as_bytes())
    }

    #[test]
    fn claims_are_found_among_others() {
        let json = r#" { "typ":"x", "aud" : "https:\/\/a", "nested":{"exp":1,"a":[1,[{}],"]"]},
            "exp":1700000000, "nbf":-1.5e1, "ok":true, "no":null, "\u0061ud2":[] } "#;
        let expected = Claims {
            expires: Some(1_700_000_000),
            not_before: Some(-15),
            audiences: vec!["https://a".into()],
        };
        assert_eq!(parse(json), Some(expected));
        assert_eq!(parse("{}"), Some(Claims::default()));
        let many = parse(r#"{"aud":["a","\ud83d\ude42"]}"#).unwrap();
        assert_eq!(many.audiences, ["a", "\u{1f642}"]);
        assert_eq!(parse(r#"{"exp":1e300}"#).unwrap().expires, Some(i64::MAX));
        let most = format!("{{\"aud\":[{}\"z\"]}}", "\"a\",".repeat(1000));
        assert_eq!(parse(&most).unwrap().audiences.len(), MAX_AUDIENCES);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in [
            "",
            "1",
            "[]",
            "null",
            "{",
            "{}}",
            "{} x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":1x}"#,
            r#"{"aud":1}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\udc00"}"#,
            r#"{"a":[}"#,
            r#"{"a":]}"#,
            r#"{"a":"b}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":?}"#,
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(parse(&deep), None);
        assert_eq!(Claims::parse(b"{\"a\":\"\xff\"}"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Claims::parse(&bytes);
        }

        #[test]
        fn any_text_like_json_is_read_or_refused(text in "[{}\\[\\]\":,a\\\\u0-9 ex-]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_audience_is_read_as_it_was_written(audience in "\\PC{0,40}", expires: i32) {
            let quoted = audience.replace('\\', "\\\\").replace('"', "\\\"");
            let claims = parse(&format!(r#"{{"exp":{expires},"aud":["{quoted}"]}}"#)).unwrap();
            prop_assert_eq!(claims.audiences, [audience]);
            prop_assert_eq!(claims.expires, Some(i64::from(expires)));
        }
    }
}
