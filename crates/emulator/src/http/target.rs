//! What a request asks for: the path in segments, and the query.

use percent_encoding::percent_decode_str;

/// A path and a query, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    segments: Vec<String>,
    query: Vec<(String, String)>,
}

impl Target {
    /// Reads both; `None` when an escape is no UTF-8. Empty segments are left out, so that
    /// slashes at the ends or in a row change nothing.
    pub(crate) fn parse(path: &str, query: &str) -> Option<Self> {
        let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let segments: Option<Vec<_>> =
            path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let query: Option<Vec<_>> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(key)?, decode(&value.replace('+', " "))?))
            })
            .collect();
        Some(Self { segments: segments?, query: query? })
    }

    /// The path's segments.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The first value of a key in the query.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The keys of the query.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_after_the_split() {
        let target = Target::parse("//hubs/a%2Fb/%24Default/", "hits=3&text=a%26+b&flag").unwrap();
        assert_eq!(target.segments(), ["hubs", "a/b", "$Default"]);
        assert_eq!(target.query("hits"), Some("3"));
        assert_eq!(target.query("text"), Some("a& b"));
        assert_eq!(target.query("flag"), Some(""));
        assert_eq!(target.query("other"), None);
        assert_eq!(target.keys().collect::<Vec<_>>(), ["hits", "text", "flag"]);
        assert_eq!(Target::parse("/", "").unwrap(), Target::default());
        assert_eq!(Target::parse("/%ff", ""), None);
        assert_eq!(Target::parse("/", "a=%ff"), None);
    }
}
