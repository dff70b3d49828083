//! Bodies of hub management: an ATOM entry whose content describes a hub or a consumer group.
//!
//! Clients write prefixes, attributes and blanks as they like, so only local names count: the root
//! is an `entry`, and somewhere in it stands one description whose children are the fields. Fields
//! that are not known are skipped. Nothing is fetched or expanded: a document type is refused, and
//! of entities only the five of XML and numbers are known.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use thiserror::Error;

use crate::names::atom;

/// Elements inside of each other.
const DEPTH_MAX: usize = 32;
/// Elements, attributes' owners only, in one body.
const ELEMENTS_MAX: usize = 4096;

/// What a body describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Description {
    Hub(HubDescription),
    Group(GroupDescription),
}

/// A hub as a client wants it. What is `None` was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HubDescription {
    pub(crate) retention_days: Option<u32>,
    pub(crate) partition_count: Option<u32>,
    pub(crate) status: Option<String>,
}

/// A consumer group as a client wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupDescription {
    pub(crate) user_metadata: Option<String>,
}

/// Why a body is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    #[error("The body is missing.")]
    Missing,
    #[error("The body is not well-formed XML: {0}.")]
    Syntax(String),
    #[error("The body is not an ATOM entry with a description.")]
    NotAnEntry,
    #[error("The body is nested deeper than {DEPTH_MAX} elements or has more than {ELEMENTS_MAX}.")]
    TooMuch,
    #[error("The body has a document type, which is not allowed.")]
    DocumentType,
    #[error("The body has the entity '{0}', which is not known.")]
    Entity(String),
    #[error("'{value}' is not a valid value for '{field}'.")]
    Field { field: &'static str, value: String },
}

/// Reads a body. The caller bounds its size.
pub(crate) fn parse(body: &[u8]) -> Result<Description, BodyError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(BodyError::Missing);
    }
    let text = std::str::from_utf8(body).map_err(|error| BodyError::Syntax(error.to_string()))?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk::default();
    loop {
        let event = reader.read_event().map_err(|error| BodyError::Syntax(error.to_string()))?;
        match event {
            Event::Start(element) => walk.enter(&element)?,
            Event::End(_) => walk.leave()?,
            Event::Text(text) => {
                let text = text.decode().map_err(|error| BodyError::Syntax(error.to_string()))?;
                walk.text(&text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| BodyError::Syntax(error.to_string()))?;
                walk.text(&text);
            }
            Event::GeneralRef(entity) => walk.text(&resolve(&entity)?),
            Event::DocType(_) => return Err(BodyError::DocumentType),
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if walk.depth > 0 {
        return Err(BodyError::Syntax("it ends too early".to_owned()));
    }
    walk.found.ok_or(BodyError::NotAnEntry)
}

/// What `&...;` stands for.
fn resolve(entity: &BytesRef<'_>) -> Result<String, BodyError> {
    let syntax = |error: &dyn std::fmt::Display| BodyError::Syntax(error.to_string());
    if let Some(character) = entity.resolve_char_ref().map_err(|error| syntax(&error))? {
        return Ok(character.to_string());
    }
    let name = entity.decode().map_err(|error| syntax(&error))?;
    quick_xml::escape::resolve_xml_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| BodyError::Entity(name.into_owned()))
}

/// Where the reader is, and what it has found.
#[derive(Debug, Default)]
struct Walk {
    depth: usize,
    elements: usize,
    found: Option<Description>,
    /// Depth of the description that is being read.
    inside: Option<usize>,
    /// The field that is being read, and its text so far.
    field: Option<(String, String)>,
}

impl Walk {
    fn enter(&mut self, element: &BytesStart<'_>) -> Result<(), BodyError> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(BodyError::TooMuch);
        }
        let name = String::from_utf8_lossy(element.local_name().into_inner()).into_owned();
        match self.inside {
            _ if self.depth == 1 && (name != atom::ENTRY || self.elements > 1) => {
                return Err(BodyError::NotAnEntry);
            }
            Some(depth) if self.depth == depth + 1 => self.field = Some((name, String::new())),
            None if self.found.is_none() && self.depth > 1 => {
                self.found = match name.as_str() {
                    atom::HUB_DESCRIPTION => Some(Description::Hub(HubDescription::default())),
                    atom::GROUP_DESCRIPTION => {
                        Some(Description::Group(GroupDescription::default()))
                    }
                    _ => None,
                };
                self.inside = self.found.is_some().then_some(self.depth);
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        // Of a field's own text only: what stands in elements inside of it belongs to them.
        if let (Some(depth), Some((_, value))) = (self.inside, &mut self.field)
            && self.depth == depth + 1
        {
            value.push_str(text);
        }
    }

    fn leave(&mut self) -> Result<(), BodyError> {
        match self.inside {
            Some(depth) if self.depth == depth => self.inside = None,
            Some(depth) if self.depth == depth + 1 => {
                if let (Some((name, value)), Some(found)) = (self.field.take(), &mut self.found) {
                    found.set(&name, value.trim())?;
                }
            }
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}

impl Description {
    /// Takes a field; the first one of a name counts.
    fn set(&mut self, name: &str, value: &str) -> Result<(), BodyError> {
        match (self, name) {
            (Self::Hub(hub), atom::RETENTION_DAYS) if hub.retention_days.is_none() => {
                hub.retention_days = Some(number(atom::RETENTION_DAYS, value)?);
            }
            (Self::Hub(hub), atom::PARTITION_COUNT) if hub.partition_count.is_none() => {
                hub.partition_count = Some(number(atom::PARTITION_COUNT, value)?);
            }
            (Self::Hub(hub), atom::STATUS) if hub.status.is_none() => {
                hub.status = Some(value.to_owned());
            }
            (Self::Group(group), atom::USER_METADATA) if group.user_metadata.is_none() => {
                group.user_metadata = Some(value.to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(field: &'static str, value: &str) -> Result<u32, BodyError> {
    value.parse().map_err(|_| BodyError::Field { field, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the Go library writes.
    const GO: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
        <EventHubDescription xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">\
        <MessageRetentionInDays>3</MessageRetentionInDays><PartitionCount>8</PartitionCount>\
        </EventHubDescription></content></entry>";

    fn hub(body: &str) -> HubDescription {
        match parse(body.as_bytes()) {
            Ok(Description::Hub(hub)) => hub,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_go_library_writes_is_read() {
        let expected = HubDescription {
            retention_days: Some(3),
            partition_count: Some(8),
            ..HubDescription::default()
        };
        assert_eq!(hub(GO), expected);
        let none = "<entry><content><EventHubDescription/></content></entry>";
        assert_eq!(hub(none), HubDescription::default());
    }

    #[test]
    fn prefixes_blanks_and_strangers_are_no_matter() {
        let body = "\u{feff}<!-- c --><a:entry xmlns:a='x' xmlns:s='y'>\n<a:title>t</a:title>\
            <a:content>\r\n <s:EventHubDescription i:nil='no'>\
            <s:AuthorizationRules><PartitionCount>7</PartitionCount></s:AuthorizationRules>\
            <s:PartitionCount> &#51;<!-- two -->&#x32; </s:PartitionCount>\
            <s:PartitionCount>9</s:PartitionCount>\
            <s:Unknown><deeper/></s:Unknown><s:Status><![CDATA[Send]]>Disabled</s:Status>\
            </s:EventHubDescription></a:content><PartitionCount>5</PartitionCount></a:entry>";
        let hub = hub(body);
        assert_eq!(hub.partition_count, Some(32), "the first one, with references resolved");
        assert_eq!(hub.status.as_deref(), Some("SendDisabled"));
        let group = "<entry><content><ConsumerGroupDescription><UserMetadata>a &amp; b\
            </UserMetadata></ConsumerGroupDescription></content></entry>";
        let expected = GroupDescription { user_metadata: Some("a & b".to_owned()) };
        assert_eq!(parse(group.as_bytes()), Ok(Description::Group(expected)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |body: &str| parse(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(" \n"), "The body is missing.");
        assert!(error("{}").contains("not an ATOM entry"));
        assert!(error("<feed/>").contains("not an ATOM entry"));
        assert!(error("<entry/>").contains("not an ATOM entry"));
        assert!(error("<entry/><entry/>").contains("not an ATOM entry"));
        assert!(error("<entry><a></entry>").contains("not well-formed"));
        assert!(error("<entry>").contains("not well-formed"));
        let field = GO.replace(">8<", ">many<");
        assert_eq!(error(&field), "'many' is not a valid value for 'PartitionCount'.");
        assert!(error(&GO.replace(">3<", ">-1<")).contains("MessageRetentionInDays"));
    }

    #[test]
    fn nothing_is_expanded() {
        let bomb = "<!DOCTYPE entry [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>\
            <entry><content><EventHubDescription><Status>&b;</Status></EventHubDescription>\
            </content></entry>";
        assert_eq!(parse(bomb.as_bytes()), Err(BodyError::DocumentType));
        let unknown = GO.replace(">8<", ">&b;<");
        assert_eq!(parse(unknown.as_bytes()), Err(BodyError::Entity("b".to_owned())));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = format!("<entry>{}{}</entry>", "<a>".repeat(40), "</a>".repeat(40));
        assert_eq!(parse(deep.as_bytes()), Err(BodyError::TooMuch));
        let wide = format!("<entry>{}</entry>", "<a/>".repeat(5000));
        assert_eq!(parse(wide.as_bytes()), Err(BodyError::TooMuch));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&body);
        }

        #[test]
        fn no_cut_and_change_makes_it_panic(at in 0..400_usize, with in "[<>/&;a!\\[\\]\"'?-]{0,6}") {
            let at = at.min(GO.len());
            let _ = parse(format!("{}{with}{}", &GO[..at], &GO[at..]).as_bytes());
            let _ = parse(format!("{}{with}", &GO[..at]).as_bytes());
        }
    }
}
