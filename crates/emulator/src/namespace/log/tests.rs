use super::*;
use crate::rules::event::Publication;
use bytes::Bytes;
use proptest::prelude::*;

const DAY: i64 = 86_400_000;
const ROOMY: Retention = Retention { bytes: 1 << 20, events: 1000, millis: DAY };

fn message(body: &[u8]) -> Bytes {
    let mut bytes = vec![0x00, 0x53, 0x75, 0xa0, body.len() as u8];
    bytes.extend(body);
    Bytes::from(bytes)
}

/// Appends one event whose body is `number`; returns nothing, the log knows the rest.
fn append(log: &mut PartitionLog, number: u8, now: i64) {
    let publication = Publication::parse(&message(&[number]), 0).unwrap();
    let staged = log.stage(&publication.events, now);
    log.commit(staged, now);
}

fn filled(count: u8) -> PartitionLog {
    let mut log = PartitionLog::new(ROOMY);
    for number in 0..count {
        append(&mut log, number, 1000 + i64::from(number));
    }
    log
}

/// Bodies of what `read` gives, and the next position.
fn read(log: &PartitionLog, from: i64, count: usize) -> (Vec<u8>, i64) {
    let mut out = Vec::new();
    let next = log.read(from, count, usize::MAX, &mut out);
    (out.iter().map(|event| *event.message.last().unwrap()).collect(), next)
}

fn offset(text: &str, inclusive: bool) -> Start {
    Start::Offset { text: text.into(), inclusive }
}

#[test]
fn an_empty_log_says_so() {
    let log = PartitionLog::new(ROOMY);
    assert_eq!(
        log.info(),
        LogInfo {
            begin_sequence: 0,
            last_sequence: -1,
            last_offset: "-1".into(),
            last_enqueued: None,
            is_empty: true,
        }
    );
    assert_eq!(log.tail(5), None);
    for start in [Start::Earliest, Start::Latest, Start::Time { millis: 5, inclusive: true }] {
        assert_eq!(log.resolve(&start), Ok(0));
    }
    assert_eq!(read(&log, 0, 10), (vec![], 0));
}

#[test]
fn events_are_read_in_order_and_in_bounds() {
    let log = filled(10);
    assert_eq!(read(&log, 0, 3), (vec![0, 1, 2], 3));
    assert_eq!(read(&log, 8, 5), (vec![8, 9], 10));
    assert_eq!(read(&log, 10, 5), (vec![], 10));
    assert_eq!(read(&log, 99, 5), (vec![], 10), "never past the end");
    let mut out = Vec::new();
    assert_eq!(log.read(0, 10, 1, &mut out), 1, "one event always goes, then bytes count");
}

#[test]
fn offsets_are_not_sequence_numbers() {
    let log = filled(3);
    let info = log.info();
    assert_eq!(info.last_sequence, 2);
    assert_eq!(info.last_offset, "12");
    assert_eq!(info.last_enqueued, Some(1002));
    let tail = log.tail(7).unwrap();
    assert_eq!((tail.sequence, tail.offset.as_str(), tail.retrieved), (2, "12", 7));
}

#[test]
fn positions_are_exclusive_unless_they_say_so() {
    let log = filled(3); // offsets 0, 6, 12; times 1000, 1001, 1002
    let sequence = |number, inclusive| Start::Sequence { number, inclusive };
    let time = |millis, inclusive| Start::Time { millis, inclusive };
    let table = [
        (Start::Earliest, 0),
        (Start::Latest, 3),
        (sequence(0, false), 1),
        (sequence(0, true), 0),
        (sequence(2, false), 3),
        (sequence(-1, false), 0),
        (sequence(i64::MIN, true), 0),
        (offset("0", false), 1),
        (offset("0", true), 0),
        (offset("5", false), 1),
        (offset("6", true), 1),
        (offset("12", false), 3),
        (time(1001, false), 2),
        (time(1001, true), 1),
        (time(0, false), 0),
        (time(9999, true), 3),
    ];
    for (start, expected) in table {
        assert_eq!(log.resolve(&start), Ok(expected), "{start:?}");
    }
}

#[test]
fn positions_beyond_the_end_are_refused_in_the_services_words() {
    let log = filled(3);
    let text = |start: Start| log.resolve(&start).unwrap_err().to_string();
    assert_eq!(
        text(offset("13", false)),
        "The supplied offset '13' is invalid. The last offset in the system is '12'"
    );
    assert_eq!(
        text(offset("1:2:3", false)),
        "The supplied offset '1:2:3' is invalid. The last offset in the system is '12'"
    );
    assert_eq!(
        text(Start::Sequence { number: 3, inclusive: true }),
        "The supplied sequence number '3' is invalid. The last sequence number in the system is '2'"
    );
}

#[test]
fn the_oldest_go_first_and_positions_move_up() {
    let mut log = PartitionLog::new(Retention { bytes: 1 << 20, events: 4, millis: DAY });
    for number in 0..10 {
        append(&mut log, number, 0);
    }
    assert_eq!(log.info().begin_sequence, 6);
    assert_eq!(log.info().last_sequence, 9);
    assert_eq!(read(&log, 0, 10), (vec![6, 7, 8, 9], 10));
    assert_eq!(log.resolve(&Start::Sequence { number: 1, inclusive: false }), Ok(6));
    assert_eq!(log.resolve(&offset("0", true)), Ok(6));
}

#[test]
fn bytes_are_bounded_and_the_newest_event_stays() {
    let mut log = PartitionLog::new(Retention { bytes: 1, events: 1000, millis: DAY });
    for number in 0..5 {
        append(&mut log, number, 0);
        assert_eq!(read(&log, 0, 10).0, [number]);
    }
    let mut log = PartitionLog::new(Retention { bytes: 1000, events: usize::MAX, millis: DAY });
    for number in 0..200 {
        append(&mut log, number, 0);
        assert!(log.bytes <= 1000);
    }
    assert!(!log.info().is_empty);
}

#[test]
fn enqueued_time_never_steps_back() {
    let mut log = PartitionLog::new(ROOMY);
    for now in [5, 3, 9, 1] {
        append(&mut log, 0, now);
    }
    let mut out = Vec::new();
    log.read(0, 10, usize::MAX, &mut out);
    let times: Vec<_> = out.iter().map(|event| event.enqueued).collect();
    assert_eq!(times, [5, 5, 9, 9]);
}

proptest! {
    #[test]
    fn reading_in_pieces_gives_what_is_retained(
        counts in proptest::collection::vec(1usize..20, 1..20),
        keep in 1usize..50,
        piece in 1usize..7,
    ) {
        let mut log = PartitionLog::new(Retention { bytes: usize::MAX, events: keep, millis: DAY });
        let mut written = 0;
        for count in counts {
            let events: Vec<_> = (0..count)
                .flat_map(|_| Publication::parse(&message(b"x"), 0).unwrap().events)
                .collect();
            let staged = log.stage(&events, 0);
            log.commit(staged, 0);
            written += count;
        }
        let mut position = 0;
        let mut seen = 0;
        loop {
            let mut out = Vec::new();
            let next = log.read(position, piece, usize::MAX, &mut out);
            if out.is_empty() {
                break;
            }
            seen += out.len();
            position = next;
        }
        prop_assert_eq!(seen, written.min(keep));
        prop_assert_eq!(position, log.end());
    }
}

#[test]
fn events_go_when_they_have_reached_their_age() {
    let mut log = PartitionLog::new(Retention { millis: 100, ..ROOMY });
    for (number, now) in [(0, 1000), (1, 1050), (2, 1050)] {
        append(&mut log, number, now);
    }
    log.expire(1099);
    assert_eq!(log.begin(), 0);
    log.expire(1100);
    assert_eq!(read(&log, 0, 10), (vec![1, 2], 3), "whoever stood before them moves up");
    log.expire(1150);
    let info = log.info();
    assert_eq!((info.begin_sequence, info.last_sequence, info.is_empty), (3, 2, true));
    assert_eq!((info.last_offset.as_str(), info.last_enqueued), ("12", Some(1050)));
    assert_eq!(log.bytes, 0);
    assert_eq!(log.resolve(&Start::Earliest), Ok(3));
    assert_eq!(log.resolve(&offset("0", false)), Ok(3));
    assert_eq!(log.resolve(&Start::Sequence { number: 0, inclusive: true }), Ok(3));
    assert!(log.resolve(&Start::Sequence { number: 3, inclusive: true }).is_err());
    append(&mut log, 3, 1200);
    assert_eq!(read(&log, 0, 10), (vec![3], 4));
    assert_eq!(log.info().last_offset, "18", "offsets go on as well");
}

#[test]
fn trimming_moves_the_beginning_and_nothing_else() {
    let mut log = filled(5);
    for (before, begin) in [(-5, 0), (0, 0), (2, 2), (1, 2), (5, 5), (i64::MAX, 5)] {
        log.trim(before);
        assert_eq!(log.info().begin_sequence, begin, "before {before}");
        assert_eq!(log.info().last_sequence, 4);
    }
    assert!(log.info().is_empty);
}

#[test]
fn a_shorter_retention_applies_at_once() {
    let mut log = filled(5);
    log.retain(Retention { millis: 10, ..ROOMY }, 1012);
    assert_eq!(log.begin(), 3);
    log.retain(Retention { events: 1, ..ROOMY }, 1012);
    assert_eq!(log.begin(), 4);
}

/// Takes what is there in pieces, as a receiver that is at `from` does.
fn drain(log: &PartitionLog, mut from: i64, piece: usize) -> Vec<Stored> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        from = log.read(from, piece, 3 * MERGE_BYTES, &mut all);
        if all.len() == before {
            return all;
        }
    }
}

#[test]
fn what_is_lost_in_the_middle_is_a_gap_and_nothing_else() {
    let mut source = filled(6);
    let mut log = PartitionLog::new(ROOMY);
    for number in [0, 1, 4, 5] {
        let mut event = Vec::new();
        source.read(number, 1, usize::MAX, &mut event);
        let stored = event.remove(0);
        let slot =
            Slot { end: stored.message.len(), header_len: 0, offset: stored.offset, enqueued: 7 };
        let segment =
            Segment { first: stored.sequence, data: stored.message, slots: [slot].into() };
        log.restore(Staged { segment, next_offset: stored.offset + 6 });
    }
    let sequences = |from| drain(&log, from, 1).iter().map(|e| e.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(0), [0, 1, 4, 5]);
    assert_eq!(sequences(2), [4, 5], "whoever stood in the gap goes on behind it");
    assert_eq!(sequences(5), [5]);
    assert_eq!(log.resolve(&offset("6", false)), Ok(4));
    assert_eq!(log.resolve(&offset("24", true)), Ok(4));
    assert_eq!(
        log.head(),
        Head { next: 6, next_offset: 36, last: Some(Last { offset: 30, enqueued: 7 }) }
    );
    for (before, begin) in [(1, 1), (2, 4), (3, 4), (5, 5), (6, 6)] {
        log.trim(before);
        assert_eq!(log.begin(), begin, "before {before}");
    }
    source.trim(6);
    assert_eq!((log.events, log.bytes), (source.events, source.bytes));
}

#[derive(Debug, Clone)]
enum Step {
    Publish { events: usize, len: usize },
    Trim(usize),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..40, 1usize..300).prop_map(|(events, len)| Step::Publish { events, len }),
        1 => (1usize..200, 2000usize..9000).prop_map(|(events, len)| Step::Publish { events, len }),
        1 => (0usize..300).prop_map(Step::Trim),
        1 => (0i64..40).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// However segments are cut and merged, the log is a plain queue.
    #[test]
    fn it_is_a_queue(
        steps in proptest::collection::vec(step(), 1..40),
        keep_bytes in 1000usize..2_000_000,
        keep_events in 1usize..2000,
        piece in 1usize..50,
    ) {
        let retention = Retention { bytes: keep_bytes, events: keep_events, millis: 100 };
        let mut log = PartitionLog::new(retention);
        // Sequence number, time, and bytes of each retained event.
        let mut queue: VecDeque<(i64, i64, Bytes)> = VecDeque::new();
        let (mut now, mut next) = (1000, 0);
        for step in steps {
            match step {
                Step::Publish { events, len } => {
                    let raw: Vec<_> = (0..events)
                        .map(|index| Bytes::from(vec![index as u8; len]))
                        .collect();
                    let incoming: Vec<_> = raw.iter().cloned().map(Incoming::poison).collect();
                    let staged = log.stage(&incoming, now);
                    log.commit(staged, now);
                    for raw in raw {
                        queue.push_back((next, now, raw));
                        next += 1;
                    }
                    let weight = |queue: &VecDeque<(i64, i64, Bytes)>| -> usize {
                        queue.iter().map(|(.., raw)| Segment::weight(raw.len())).sum()
                    };
                    while queue.len() > 1
                        && (queue.len() > keep_events || weight(&queue) > keep_bytes)
                    {
                        queue.pop_front();
                    }
                }
                Step::Trim(count) => {
                    let before = log.begin() + count as i64;
                    log.trim(before);
                    queue.drain(..count.min(queue.len()));
                }
                Step::Pass(millis) => {
                    now += millis;
                    log.expire(now);
                    queue.retain(|(_, time, _)| *time > now - 100);
                }
            }
            let all = drain(&log, 0, piece);
            let found = all.iter().map(|e| (e.sequence, e.enqueued, e.message.clone()));
            // Raw bytes in which no section starts are kept as they are.
            prop_assert!(found.eq(queue.iter().cloned()), "{all:?}");
            prop_assert_eq!(log.begin(), queue.front().map_or(next, |(first, ..)| *first));
            prop_assert_eq!(log.end(), next);
            let bytes: usize = queue.iter().map(|(.., raw)| raw.len()).sum();
            prop_assert_eq!((log.view(now).events, log.view(now).bytes), (queue.len(), bytes));
            let held: usize = log.segments.iter().map(|segment| segment.data.len()).sum();
            let first = log.segments.front().map_or(0, |segment| segment.data.len());
            prop_assert!(held <= bytes + first, "at most the first segment is held in vain");
            let segments = log.segments.len();
            prop_assert!(segments <= MERGE_SEGMENTS + 2 * held / MERGE_BYTES + 1, "{segments}");
        }
    }
}

/// What is kept for an event besides its 100 bytes: section heads, its place in the system's
/// annotations, a slot, and its share of the segment.
#[test]
fn a_small_event_costs_little_however_it_came() {
    for per_publication in [1, 7, 5000] {
        let mut log =
            PartitionLog::new(Retention { bytes: usize::MAX, events: usize::MAX, millis: DAY });
        let mut count = 0;
        while count < 20_000 {
            let events: Vec<_> = (0..per_publication)
                .flat_map(|_| Publication::parse(&message(&[7; 100]), 0).unwrap().events)
                .collect();
            let staged = log.stage(&events, 1_700_000_000_000);
            log.commit(staged, 1_700_000_000_000);
            count += per_publication;
        }
        let segment = |segment: &Segment| {
            size_of::<Segment>() + segment.data.len() + segment.slots.len() * size_of::<Slot>()
        };
        let held: usize = log.segments.iter().map(segment).sum();
        assert!(held <= 280 * count, "{} bytes per event", held as f64 / count as f64);
    }
}
