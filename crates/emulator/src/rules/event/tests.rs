use super::*;
use proptest::prelude::*;

const STAMP: Stamp = Stamp { sequence: 7, offset: 4096, enqueued: 1_700_000_000_000 };
const HEADER: &[u8] = &[0x00, 0x53, 0x70, 0xc0, 0x02, 0x01, 0x41];
const PROPERTIES: &[u8] = &[0x00, 0x53, 0x73, 0xc0, 0x04, 0x01, 0xa1, 0x01, b'm'];

fn data(body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::from(&[0x00, 0x53, 0x75][..]);
    out.put_u8(0xb0);
    out.put_u32(body.len() as u32);
    out.put_slice(body);
    out.to_vec()
}

fn annotations(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut map = MapWriter::section(Kind::MessageAnnotations, &mut out);
    for (key, value) in pairs {
        map.text(key, value);
    }
    map.finish();
    out.to_vec()
}

fn parse(parts: &[&[u8]], format: u32) -> Result<Publication, PublicationError> {
    Publication::parse(&Bytes::from(parts.concat()), format)
}

type Annotations = Vec<(String, Vec<u8>)>;

/// The stored form, the length of its header, and its annotations in order.
fn stored(event: &Incoming) -> (Vec<u8>, usize, Annotations) {
    let mut out = BytesMut::new();
    let header = event.write(STAMP, &mut out);
    assert!(out.len() <= event.written_len());
    let mut pairs = Vec::new();
    for section in section::sections(&out) {
        let section = section.unwrap();
        if section.kind == Kind::MessageAnnotations {
            let encoded = &out[section.value..section.end];
            pairs = Pairs::parse(encoded)
                .unwrap()
                .map(|pair| (section::text(pair.key).unwrap().to_owned(), pair.value.to_vec()))
                .collect();
        }
    }
    (out.to_vec(), header, pairs)
}

#[test]
fn a_plain_message_keeps_its_bytes_and_gains_annotations() {
    let own = annotations(&[("x-opt-offset", "forged"), ("mine", "kept")]);
    let body = data(b"hello");
    let publication = parse(&[HEADER, &own, PROPERTIES, &body], 0).unwrap();
    let (bytes, header, pairs) = stored(&publication.events[0]);
    assert_eq!(header, HEADER.len());
    assert!(bytes.starts_with(HEADER));
    assert!(bytes.ends_with(&[PROPERTIES, &body].concat()));
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            annotation::SEQUENCE_NUMBER_EPOCH,
            annotation::SEQUENCE_NUMBER,
            annotation::OFFSET,
            annotation::ENQUEUED_TIME,
            "mine"
        ]
    );
    assert_eq!(pairs[0].1, [0x54, 0xff], "an int, as the service writes it");
    assert_eq!(pairs[1].1, [0x81, 0, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(section::text(&pairs[2].1), Some("4096"));
    // In another form, everything else stays as it is.
    let message = Bytes::from(bytes);
    let other = with_offset(&message, header, 3, "3:4096");
    let mut expected = pairs.clone();
    expected[0].1 = vec![0x54, 3];
    expected[2].1 = [&[0xa1, 6][..], b"3:4096"].concat();
    let annotations = section::sections(&other).nth(1).unwrap().unwrap();
    let found = Pairs::parse(&other[annotations.value..annotations.end]).unwrap();
    let found: Vec<_> = found
        .map(|pair| (section::text(pair.key).unwrap().to_owned(), pair.value.to_vec()))
        .collect();
    assert_eq!(found, expected);
    assert!(other.starts_with(HEADER) && other.ends_with(&[PROPERTIES, &body].concat()));
    assert_eq!(with_offset(&Bytes::from_static(b"poison"), 0, 3, "x"), "poison");
}

#[test]
fn an_envelope_holds_one_event_per_data_section() {
    let key = annotations(&[(annotation::PARTITION_KEY, "device-1")]);
    let first = data(b"one");
    let second = [PROPERTIES, &data(b"two")].concat();
    let parts = [&key[..], &data(&first), &data(&second)].concat();
    let publication = parse(&[&parts], BATCH_FORMAT).unwrap();
    assert_eq!(publication.key.as_deref(), Some("device-1"));
    assert_eq!(publication.events.len(), 2);
    for (event, inner) in publication.events.iter().zip([first, second]) {
        let (bytes, header, pairs) = stored(event);
        assert_eq!(header, 0);
        assert!(bytes.ends_with(&inner));
        assert_eq!(pairs[4].0, annotation::PARTITION_KEY);
    }
}

#[test]
fn the_key_of_the_first_event_counts_when_the_envelope_has_none() {
    let keyed = [annotations(&[(annotation::PARTITION_KEY, "k")]), data(b"x")].concat();
    let publication = parse(&[&data(&keyed), &data(&data(b"y"))], BATCH_FORMAT).unwrap();
    assert_eq!(publication.key.as_deref(), Some("k"));
    let (_, _, pairs) = stored(&publication.events[1]);
    assert_eq!(pairs.len(), 4, "the second event was sent without a key");
}

#[test]
fn bad_publications_are_refused() {
    let empty = annotations(&[]);
    assert_eq!(parse(&[&empty], BATCH_FORMAT).unwrap_err(), PublicationError::Empty);
    assert_eq!(parse(&[PROPERTIES, HEADER], 0).unwrap_err(), PublicationError::Order);
    let value = [0x00, 0x53, 0x77, 0x40];
    assert_eq!(parse(&[&value, &value], 0).unwrap_err(), PublicationError::Order);
    assert!(matches!(
        parse(&[&data(b"not a message")], BATCH_FORMAT).unwrap_err(),
        PublicationError::Malformed(_)
    ));
    assert!(parse(&[&data(b"a"), &data(b"b")], 0).is_ok(), "several data sections are one body");
}

#[test]
fn delivery_annotations_go_after_the_header() {
    let publication = parse(&[HEADER, &data(b"x")], 0).unwrap();
    let mut out = BytesMut::new();
    let header = publication.events[0].write(STAMP, &mut out);
    let tail = Tail { sequence: 9, offset: "77".into(), enqueued: 1, retrieved: 2 };
    let sent = with_tail(&out.freeze(), header, &tail);
    let kinds: Vec<_> = section::sections(&sent).map(|section| section.unwrap().kind).collect();
    assert_eq!(
        kinds,
        [Kind::Header, Kind::DeliveryAnnotations, Kind::MessageAnnotations, Kind::Data]
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_stored_whole_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        batch: bool,
    ) {
        let format = if batch { BATCH_FORMAT } else { 0 };
        if let Ok(publication) = Publication::parse(&Bytes::from(bytes), format) {
            for event in &publication.events {
                let (stored, header, _) = stored(event);
                prop_assert!(header <= stored.len());
                prop_assert!(section::sections(&stored).all(|section| section.is_ok()));
            }
        }
    }

    #[test]
    fn long_keys_and_annotations_keep_the_map_right(
        key in "\\PC{0,400}",
        values in proptest::collection::vec("\\PC{0,300}", 0..6),
    ) {
        let own: Vec<_> = values.iter().map(|value| ("name", value.as_str())).collect();
        let own = [&[(annotation::PARTITION_KEY, key.as_str())][..], &own].concat();
        let publication = parse(&[&annotations(&own), &data(b"x")], 0).unwrap();
        let (_, _, pairs) = stored(&publication.events[0]);
        prop_assert_eq!(pairs.len(), 5 + values.len());
        prop_assert_eq!(section::text(&pairs[4].1), Some(key.as_str()));
    }
}

#[test]
fn poison_is_stored_as_it_is() {
    let stamp = Stamp { sequence: 7, offset: 9, enqueued: 5 };
    let written = |message: &'static [u8]| {
        let mut out = BytesMut::new();
        let event = Incoming::poison(Bytes::from_static(message));
        let header = event.write(stamp, &mut out);
        (header, out.freeze())
    };
    let (_, out) = written(b"no section at all");
    assert_eq!(&out[..], b"no section at all");
    let (_, out) = written(b"");
    assert!(out.starts_with(b"\x00\x53\x72"), "a message without sections is none of them");
    let (header, out) = written(b"\x00\x53\x75\xa0\x01x\x00\x53\x99");
    assert!(header == 0 && out.ends_with(b"\x00\x53\x75\xa0\x01x\x00\x53\x99"));
    assert!(out.starts_with(b"\x00\x53\x72"), "the place comes first");
    let (header, out) = written(b"\x00\x53\x70\x45\x00\x53\x75\xff");
    assert_eq!(header, 4);
    assert!(out.starts_with(b"\x00\x53\x70\x45\x00\x53\x72") && out.ends_with(b"\x00\x53\x75\xff"));
    let (_, out) = written(b"\x00\x53\x77\x45");
    assert!(out.ends_with(b"\x00\x53\x77\x45"), "a sound one is stored like any other");
}
