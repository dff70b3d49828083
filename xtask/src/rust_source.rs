//! Rust text split into code, comments and string literals, without parsing it.
//!
//! Enough to ask "is this word in the code?" without being fooled by a comment or a string, and
//! to count lines of code. The three views have the lines and columns of the original.

use std::ops::Range;

/// One Rust file, split.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// The text with comments and the insides of literals blanked.
    pub(crate) code: String,
    /// The text with everything but comments blanked.
    pub(crate) comments: String,
    /// The string literals that are not in comments.
    pub(crate) strings: Vec<StringLiteral>,
    /// Lines (from 0) inside `#[cfg(test)] mod ... { }`.
    test_lines: Vec<Range<usize>>,
}

/// A string literal: the line of its opening quote (from 0) and its text, escapes as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StringLiteral {
    pub(crate) line: usize,
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Code,
    Comment,
    Literal,
}

impl RustSource {
    pub(crate) fn split(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut scanner =
            Scanner { chars: &chars, at: 0, line: 0, classes: Vec::new(), strings: Vec::new() };
        scanner.run();
        let view = |class: Class| -> String {
            chars
                .iter()
                .zip(&scanner.classes)
                .map(|(&c, &have)| if c == '\n' || have == class { c } else { ' ' })
                .collect()
        };
        let code = view(Class::Code);
        let test_lines = find_test_lines(&code);
        Self { comments: view(Class::Comment), strings: scanner.strings, test_lines, code }
    }

    /// Lines that hold code: neither blank nor comment alone.
    pub(crate) fn code_lines(&self, text: &str) -> usize {
        let is_code = |(code, (comment, line)): &(&str, (&str, &str))| {
            // A line inside a long string literal is blank in both views, but not in the text.
            !code.trim().is_empty() || (comment.trim().is_empty() && !line.trim().is_empty())
        };
        self.code.lines().zip(self.comments.lines().zip(text.lines())).filter(is_code).count()
    }

    /// Names of modules that are declared under `#[cfg(test)]` and stand in files of their own.
    pub(crate) fn test_files(&self) -> Vec<&str> {
        test_modules(&self.code)
            .filter(|&(_, end)| self.code[end..].starts_with(';'))
            .filter_map(|(start, end)| self.code[start..end].split_whitespace().next_back())
            .collect()
    }

    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|range| range.contains(&line))
    }
}

struct Scanner<'a> {
    chars: &'a [char],
    at: usize,
    line: usize,
    classes: Vec<Class>,
    strings: Vec<StringLiteral>,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', _) if !self.follows_word() => self.maybe_raw_string(),
                ('\'', _) => self.char_or_lifetime(),
                _ => self.take(Class::Code),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self, class: Class) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.classes.push(class);
        self.at += 1;
    }

    /// Whether the character before this one belongs to a longer word. `b` and `c` are the
    /// prefixes of byte and C strings.
    fn follows_word(&self) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.chars.get(at));
        match before(1) {
            Some('b' | 'c') => before(2).is_some_and(|&c| is_word(c)),
            Some(&c) => is_word(c),
            None => false,
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Class::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.take(Class::Comment);
                    continue;
                }
                (None, _) => return,
            }
            self.take(Class::Comment);
            self.take(Class::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.take(Class::Code);
        while let Some(c) = self.peek(0) {
            if c == '"' {
                self.take(Class::Code);
                break;
            }
            if c == '\\' {
                text.push(c);
                self.take(Class::Literal);
            }
            if let Some(c) = self.peek(0) {
                text.push(c);
                self.take(Class::Literal);
            }
        }
        self.strings.push(StringLiteral { line, text });
    }

    fn maybe_raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(1 + hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(1 + hashes) != Some('"') {
            self.take(Class::Code);
            return;
        }
        let line = self.line;
        for _ in 0..hashes + 2 {
            self.take(Class::Code);
        }
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                for _ in 0..=hashes {
                    self.take(Class::Code);
                }
                break;
            }
            text.push(c);
            self.take(Class::Literal);
        }
        self.strings.push(StringLiteral { line, text });
    }

    fn char_or_lifetime(&mut self) {
        let is_char = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.take(Class::Code);
        if !is_char {
            return;
        }
        if self.peek(0) == Some('\\') {
            self.take(Class::Literal);
        }
        self.take(Class::Literal);
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.take(Class::Literal);
        }
        if self.peek(0).is_some() {
            self.take(Class::Code);
        }
    }
}

/// The bodies of modules under `#[cfg(test)]`, found by matching braces in the code view.
fn find_test_lines(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, open) in test_modules(code).filter(|&(_, end)| code[end..].starts_with('{')) {
        let mut depth = 0_usize;
        let close = code[open..].char_indices().find_map(|(index, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(open + index)
        });
        let line_of = |position: usize| code[..position].matches('\n').count();
        found.push(line_of(start)..line_of(close.unwrap_or(code.len())) + 1);
    }
    found
}

/// Modules under `#[cfg(test)]`: where the attribute starts, and where the `{` or `;` is.
fn test_modules(code: &str) -> impl Iterator<Item = (usize, usize)> {
    const MARKER: &str = "#[cfg(test)]";
    code.match_indices(MARKER).filter_map(|(at, _)| {
        let head = at + MARKER.len();
        let end = head + code[head..].find(['{', ';'])?;
        code[head..end].split_whitespace().any(|word| word == "mod").then_some((at, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "let a = \"// sleep(\"; // sleep(\nlet b = 'x'; /* /* sleep( */ */ f(b'\\'');";
        let source = RustSource::split(text);
        assert!(!source.code.contains("sleep("));
        assert_eq!(source.code.matches("let ").count(), 2);
        assert!(source.code.contains("f(b'"));
        assert_eq!(source.comments.matches("sleep(").count(), 2);
    }

    #[test]
    fn strings_are_found_with_their_lines() {
        let text = "a(\"one\");\nb(r#\"tw\"o\"#, br\"three\");\n// \"no\"\nfor_r(\"fo\\\"ur\")";
        let found: Vec<_> =
            RustSource::split(text).strings.into_iter().map(|s| (s.line, s.text)).collect();
        let expected = [(0, "one"), (1, "tw\"o"), (1, "three"), (3, "fo\\\"ur")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn lifetimes_do_not_open_a_literal() {
        let source = RustSource::split("fn f<'a>(x: &'a str) -> &'a str { x } // end");
        assert!(source.code.contains("{ x }"));
        assert!(source.comments.contains("// end"));
    }

    #[test]
    fn code_lines_leave_out_blanks_and_comments() {
        let text = "//! Doc.\n\nfn f() {} // why\n/* a\n b */\nlet s = \"one\ntwo\";\n";
        assert_eq!(RustSource::split(text).code_lines(text), 3);
    }

    #[test]
    fn test_modules_are_known_by_line() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = RustSource::split(text);
        let lines: Vec<_> = (0..6).filter(|&line| source.is_test_line(line)).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
        assert_eq!(source.test_files(), Vec::<&str>::new());
        let declared = "#[cfg(test)]\npub(crate) mod wire;\n#[cfg(test)]\nuse a::b;\nmod c;\n";
        assert_eq!(RustSource::split(declared).test_files(), ["wire"]);
    }
}
