use super::*;
use crate::namespace::journal::record::HEAD_LEN;
use crate::namespace::log::Last;
use crate::namespace::segment::{Segment, Slot};
use bytes::Bytes;
use proptest::prelude::*;

fn head() -> Head {
    Head { next: 7, next_offset: 100, last: Some(Last { offset: 90, enqueued: 5 }) }
}

/// A publication of one event per body.
fn publication(first: i64, bodies: &[Vec<u8>]) -> Kept {
    let mut end = 0;
    let slot = |body: &Vec<u8>| {
        end += body.len();
        Slot { end, header_len: 0, offset: first * 10, enqueued: first * 100 }
    };
    let slots = bodies.iter().map(slot).collect();
    let segment = Segment { first, data: Bytes::from(bodies.concat()), slots };
    let numbering = Numbering { id: first, epoch: 3, first: -1, count: 9 };
    let numbering = (first % 2 == 0).then_some(numbering);
    Kept::Publication(Staged { segment, next_offset: first * 10 + 10 }, numbering)
}

/// A file of entries, and where each record ends.
fn file(entries: &[Kept]) -> (Vec<u8>, Vec<usize>) {
    let mut file = Vec::new();
    let mut ends = Vec::new();
    let all = std::iter::once(Entry::Head(head())).chain(entries.iter().cloned().map(Entry::from));
    for entry in all {
        let (start, data) = entry.encode(file.len() as u64).unwrap();
        file.extend(start);
        file.extend(data);
        ends.push(file.len());
    }
    (file, ends)
}

/// Where damage begins and ends.
fn damaged(contents: &Contents) -> Vec<(usize, usize)> {
    contents.damaged.iter().map(|range| (range.start, range.end)).collect()
}

fn entries() -> impl Strategy<Value = Vec<Kept>> {
    let bodies = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5);
    prop::collection::vec(prop_oneof![4 => bodies.prop_map(Some), 1 => Just(None)], 1..8).prop_map(
        |all| {
            let mut next = 7;
            let mut entry = |bodies: Option<Vec<Vec<u8>>>| match bodies {
                Some(bodies) => {
                    let kept = publication(next, &bodies);
                    next += bodies.len() as i64;
                    kept
                }
                None if next % 2 == 0 => Kept::Trim(next - 1),
                None => {
                    let recent = (0..next as i32 % 4).map(|first| (first, 7)).collect();
                    Kept::Producer(Producer { id: next, epoch: -1, last: i32::MAX, recent })
                }
            };
            all.into_iter().map(&mut entry).collect()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries()) {
        let (file, _) = file(&entries);
        let contents = Contents::read(&file);
        prop_assert_eq!(contents.head, Some(head()));
        prop_assert_eq!(contents.entries, entries);
        prop_assert!(contents.damaged.is_empty() && contents.unfinished.is_none());
    }

    /// A killed process leaves a beginning of what it wrote: nothing of it is damage.
    #[test]
    fn a_file_may_end_anywhere(entries in entries(), cut in any::<prop::sample::Index>()) {
        let (file, ends) = file(&entries);
        let cut = cut.index(file.len());
        let contents = Contents::read(&file[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let last = ends[..whole].last().copied().unwrap_or(0);
        prop_assert_eq!(&contents.entries[..], &entries[..whole.saturating_sub(1)]);
        prop_assert_eq!(contents.damaged, []);
        prop_assert_eq!(contents.unfinished, (last != cut || cut == 0).then_some(last));
    }

    /// One record is lost where a byte was changed, and every other one is read.
    #[test]
    fn a_changed_byte_costs_its_record(
        entries in entries(),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        let (mut file, ends) = file(&entries);
        let at = at.index(file.len());
        file[at] ^= change;
        let contents = Contents::read(&file);
        let hit = ends.iter().filter(|end| **end <= at).count();
        let start = hit.checked_sub(1).map_or(0, |before| ends[before]);
        prop_assert_eq!(damaged(&contents), [(start, ends[hit])]);
        prop_assert_eq!(contents.unfinished, None);
        prop_assert_eq!(contents.head.is_some(), hit > 0);
        let mut others = entries;
        if hit > 0 {
            others.remove(hit - 1);
        }
        prop_assert_eq!(contents.entries, others);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let contents = Contents::read(&bytes);
        prop_assert_eq!(contents.entries, []);
    }
}

#[test]
fn an_event_that_looks_like_a_record_is_none() {
    // What an earlier file held, byte for byte, published as the body of an event.
    let (inner, _) = file(&[publication(7, &[b"planted".to_vec()])]);
    let entries = [publication(7, &[inner]), publication(8, &[b"b".to_vec()])];
    let (mut file, ends) = file(&entries);
    file[ends[0] + HEAD_LEN] ^= 1;
    let contents = Contents::read(&file);
    assert_eq!(contents.entries, entries[1..]);
    assert_eq!(damaged(&contents), [(ends[0], ends[1])]);
}

#[test]
fn events_that_are_there_already_are_not_read_twice() {
    let entries = [publication(7, &[vec![1], vec![2]]), publication(8, &[vec![3]])];
    let (file, ends) = file(&entries);
    let contents = Contents::read(&file);
    assert_eq!(contents.entries, entries[..1]);
    assert_eq!(damaged(&contents), [(ends[1], ends[2])]);
}

#[test]
fn lies_about_lengths_are_no_records() {
    let (good, data) = Entry::from(publication(7, &[vec![1; 9]])).encode(0).unwrap();
    let body = [&good[HEAD_LEN..], &data].concat();
    // Count, header length, message length; the checksums are right.
    for (at, value) in [(20, 9), (40, 10), (44, 8), (44, 10)] {
        let mut body = body.clone();
        body[at] = value;
        let file = crate::namespace::journal::record::seal(0, &body);
        assert_eq!(find(&file, 0), Found::Nothing, "byte {at}");
    }
    let file = crate::namespace::journal::record::seal(0, &body);
    assert!(matches!(find(&file, 0), Found::Record(..)));
}
