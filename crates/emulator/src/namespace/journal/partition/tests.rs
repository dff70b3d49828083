use super::*;
use crate::namespace::log::Retention;
use crate::namespace::sequencer::{Claim, Verdict};
use crate::rules::event::Incoming;
use std::io::{Seek, SeekFrom};

const RETENTION: Retention = Retention { bytes: 1 << 30, events: 1 << 30, millis: i64::MAX };

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0");
    Place { _folder: folder, path }
}

/// A partition as it is used: staged, written, committed.
struct Used {
    log: PartitionLog,
    sequencers: Sequencers,
    journal: PartitionJournal,
    damage: Vec<Damage>,
}

impl Place {
    fn open(&self) -> Used {
        let (mut log, mut damage) = (PartitionLog::new(RETENTION), Vec::new());
        let (path, mut sequencers) = (self.path.clone(), Sequencers::default());
        let known = (&mut log, &mut sequencers);
        let journal = PartitionJournal::recover(path, Durability::None, known, &mut damage);
        Used { log, sequencers, journal: journal.unwrap(), damage }
    }

    /// Opens a sound folder.
    fn sound(&self) -> Used {
        let used = self.open();
        assert_eq!(used.damage, []);
        used
    }

    fn files(&self) -> Vec<PathBuf> {
        files(&self.path).unwrap().into_iter().map(|(_, path)| path).collect()
    }

    /// The only file.
    fn file(&self) -> PathBuf {
        let [file] = self.files().try_into().unwrap();
        file
    }
}

impl Used {
    fn publish(&mut self, bodies: &[&'static str]) {
        let events: Vec<_> = bodies
            .iter()
            .map(|body| Incoming::poison(Bytes::from_static(body.as_bytes())))
            .collect();
        let staged = self.log.stage(&events, 1000);
        let before = Before { head: self.log.head(), sequencers: &self.sequencers };
        self.journal.append(before, &staged, None).unwrap();
        self.log.commit(staged, 1000);
    }

    fn write_trim(&mut self, events: i64) {
        let before = Before { head: self.log.head(), sequencers: &self.sequencers };
        self.journal.trim(before, events).unwrap();
    }

    /// Sequence number and body of each event.
    fn events(&self) -> Vec<(i64, String)> {
        let mut out = Vec::new();
        self.log.read(0, usize::MAX, usize::MAX, &mut out);
        let text = |message: &Bytes| String::from_utf8(message.to_vec()).unwrap();
        out.iter().map(|event| (event.sequence, text(&event.message))).collect()
    }

    fn bodies(&self) -> Vec<String> {
        self.events().into_iter().map(|(_, body)| body).collect()
    }

    /// Goes on with a new file at the next publication.
    fn fill(&mut self) {
        self.journal.active.as_mut().unwrap().len = FILE_BYTES;
    }
}

#[test]
fn sequence_numbers_offsets_and_times_go_on() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a", "bb"]);
    used.publish(&["c"]);
    let (events, head) = (used.events(), used.log.head());
    drop(used);
    let mut used = place.sound();
    assert_eq!(used.events(), events);
    assert_eq!(used.log.head(), head);
    assert_eq!((head.next, head.next_offset), (3, 4));
    used.publish(&["d"]);
    drop(used);
    let used = place.sound();
    assert_eq!(used.bodies(), ["a", "bb", "c", "d"]);
    assert_eq!(place.files().len(), 1);
}

#[test]
fn files_go_with_their_events_and_the_place_stays() {
    let place = place();
    let mut used = place.sound();
    for body in ["a", "b", "c"] {
        used.publish(&[body]);
        used.fill();
    }
    assert_eq!(place.files().len(), 3);
    used.log.trim(1);
    used.journal.drop_before(used.log.begin());
    assert_eq!(place.files().len(), 2);
    used.log.trim(3);
    used.journal.drop_before(used.log.begin());
    assert_eq!(place.files().len(), 1, "the newest file says where to go on");
    let head = used.log.head();
    used.write_trim(3);
    drop(used);
    let mut used = place.sound();
    assert_eq!(used.events(), []);
    assert_eq!(used.log.head(), head);
    used.publish(&["d"]);
    assert_eq!(used.events(), [(3, "d".to_owned())]);
}

#[test]
fn what_was_let_go_by_hand_stays_gone() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a", "b", "c"]);
    used.write_trim(2);
    used.publish(&["d"]);
    drop(used);
    assert_eq!(place.sound().bodies(), ["c", "d"]);
}

#[test]
fn bounds_hold_for_what_is_read_back() {
    let place = place();
    let mut used = place.sound();
    for body in ["a", "b", "c"] {
        used.publish(&[body]);
        used.fill();
    }
    drop(used);
    let mut log = PartitionLog::new(Retention { events: 1, ..RETENTION });
    let path = place.path.clone();
    let known = (&mut log, &mut Sequencers::default());
    PartitionJournal::recover(path, Durability::None, known, &mut Vec::new()).unwrap();
    assert_eq!((log.begin(), log.end()), (2, 3));
}

#[test]
fn an_unfinished_write_is_cut_off_and_reported() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    let whole = fs::metadata(place.file()).unwrap().len();
    used.publish(&["b"]);
    drop(used);
    let end = fs::metadata(place.file()).unwrap().len();
    for cut in [whole + 1, whole + 11, whole + 12, end - 1] {
        let copy = fs::read(place.file()).unwrap();
        File::options().write(true).open(place.file()).unwrap().set_len(cut).unwrap();
        let mut used = place.open();
        let (file, bytes) = (place.file(), cut - whole);
        assert_eq!(used.damage, [Damage::Unfinished { file, position: whole, bytes }]);
        assert_eq!(used.bodies(), ["a"]);
        used.publish(&["B"]);
        drop(used);
        assert_eq!(place.sound().bodies(), ["a", "B"], "cut at {cut}");
        fs::write(place.file(), copy).unwrap();
    }
}

#[test]
fn a_file_that_was_only_made_is_made_again() {
    for len in [0, 1, 20] {
        let place = place();
        let mut used = place.sound();
        used.publish(&["a"]);
        used.fill();
        used.publish(&["b"]);
        drop(used);
        let last = place.files().pop().unwrap();
        File::options().write(true).open(last).unwrap().set_len(len).unwrap();
        let mut used = place.sound();
        assert_eq!(used.bodies(), ["a"]);
        used.publish(&["B"]);
        drop(used);
        assert_eq!(place.sound().bodies(), ["a", "B"], "{len} bytes left");
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_kept() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    let start = fs::metadata(place.file()).unwrap().len();
    used.publish(&["b", "c"]);
    let end = fs::metadata(place.file()).unwrap().len();
    used.publish(&["d"]);
    drop(used);
    let mut file = File::options().write(true).open(place.file()).unwrap();
    file.seek(SeekFrom::Start(end - 1)).unwrap();
    file.write_all(b"X").unwrap();
    let broken = fs::read(place.file()).unwrap();
    let mut used = place.open();
    assert_eq!(used.events(), [(0, "a".to_owned()), (3, "d".to_owned())]);
    let kept = place.file().with_extension("damaged-1");
    assert_eq!(
        used.damage,
        [
            Damage::Unreadable {
                file: place.file(),
                position: start,
                bytes: end - start,
                kept: kept.clone(),
            },
            Damage::Missing { partition: place.path.clone(), from: 1, to: 3 },
        ]
    );
    assert_eq!(fs::read(kept).unwrap(), broken);
    used.publish(&["e"]);
    drop(used);
    let used = place.open();
    assert_eq!(used.bodies(), ["a", "d", "e"]);
    assert_eq!(used.damage.len(), 1, "the events stay missing, the file is whole again");
}

#[test]
fn a_damaged_end_is_kept_too() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    used.publish(&["b"]);
    drop(used);
    let mut bytes = fs::read(place.file()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(place.file(), &bytes).unwrap();
    let used = place.open();
    assert_eq!(used.bodies(), ["a"]);
    assert!(matches!(used.damage[..], [Damage::Unreadable { .. }]), "{:?}", used.damage);
    drop(used);
    // Zeros are what a loss of power leaves of a file that grew.
    let mut bytes = fs::read(place.file()).unwrap();
    bytes.extend([0; 64]);
    fs::write(place.file(), &bytes).unwrap();
    let used = place.open();
    assert_eq!(used.bodies(), ["a"]);
    let [Damage::Unreadable { kept, bytes: 64, .. }] = &used.damage[..] else {
        panic!("{:?}", used.damage);
    };
    assert!(kept.ends_with("00000000000000000000-00000000000000000000.damaged-2"));
}

#[test]
fn a_file_that_is_gone_leaves_a_gap() {
    let place = place();
    let mut used = place.sound();
    for body in ["a", "b", "c"] {
        used.publish(&[body]);
        used.fill();
    }
    drop(used);
    fs::remove_file(&place.files()[1]).unwrap();
    let used = place.open();
    assert_eq!(used.events(), [(0, "a".to_owned()), (2, "c".to_owned())]);
    let partition = place.path.clone();
    assert_eq!(used.damage, [Damage::Missing { partition, from: 1, to: 2 }]);
    drop(used);
    // The oldest one may be gone: its events could have been let go.
    fs::remove_file(&place.files()[0]).unwrap();
    let used = place.sound();
    assert_eq!(used.events(), [(2, "c".to_owned())]);
}

#[test]
fn a_damaged_beginning_is_made_up_from_the_name() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    used.fill();
    used.publish(&["b"]);
    drop(used);
    fs::remove_file(&place.files()[0]).unwrap();
    let mut bytes = fs::read(place.file()).unwrap();
    bytes[0] ^= 1;
    fs::write(place.file(), &bytes).unwrap();
    let used = place.open();
    assert_eq!(used.events(), [(1, "b".to_owned())]);
    assert!(matches!(used.damage[..], [Damage::Unreadable { position: 0, .. }]));
    drop(used);
    assert_eq!(place.sound().log.head().next_offset, 2);
}

/// A disk that is full takes nothing, and nothing of it stays.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_stores_nothing() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    let good = used.journal.active.take().unwrap();
    let len = good.len;
    let full = Arc::new(File::options().append(true).open("/dev/full").unwrap());
    used.journal.active = Some(Active { file: full, len, torn: false });
    let staged = used.log.stage(&[Incoming::poison(Bytes::from_static(b"b"))], 1000);
    let before = Before { head: used.log.head(), sequencers: &used.sequencers };
    let error = used.journal.append(before, &staged, None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let again = used.journal.append(before, &staged, None);
    assert!(again.is_err(), "not before it is whole again");
    // Room again, but a part of the record had got in.
    (&*good.file).write_all(b"part of a record").unwrap();
    used.journal.active = Some(Active { torn: true, ..good });
    used.journal.append(before, &staged, None).unwrap();
    used.log.commit(staged, 1000);
    drop(used);
    assert_eq!(place.sound().bodies(), ["a", "b"]);
}

#[test]
fn other_files_are_left_alone() {
    let place = place();
    let mut used = place.sound();
    used.publish(&["a"]);
    drop(used);
    for name in ["notes.txt", "1-2.log", "00000000000000000009-0.log", "x.log"] {
        fs::write(place.path.join(name), "something").unwrap();
    }
    assert_eq!(place.sound().bodies(), ["a"]);
}

#[test]
fn without_events_there_is_no_file() {
    let place = place();
    let mut used = place.sound();
    used.write_trim(5);
    assert!(!place.path.exists());
}

#[test]
fn what_was_written_is_synchronised_once() {
    let place = place();
    let mut used = place.sound();
    assert!(used.journal.take_dirty().is_none());
    used.publish(&["a"]);
    assert!(used.journal.take_dirty().is_some());
    assert!(used.journal.take_dirty().is_none());
    used.publish(&["b"]);
    used.fill();
    used.publish(&["c"]);
    assert!(used.journal.take_dirty().is_some());
    used.journal.durability = Durability::Each;
    used.publish(&["d"]);
    assert!(used.journal.take_dirty().is_none(), "it is there already");
}

/// Publishes in the name of an idempotent producer; `false` when it was there already.
fn publish_numbered(used: &mut Used, id: i64, first: i32) -> bool {
    let numbering = Numbering { id, epoch: 0, first, count: 1 };
    if used.sequencers.judge(numbering).unwrap() == Verdict::Duplicate {
        return false;
    }
    let staged = used.log.stage(&[Incoming::poison(Bytes::from_static(b"n"))], 1000);
    let before = Before { head: used.log.head(), sequencers: &used.sequencers };
    used.journal.append(before, &staged, Some(numbering)).unwrap();
    used.log.commit(staged, 1000);
    used.sequencers.note(numbering);
    true
}

#[test]
fn idempotent_producers_are_known_again() {
    let place = place();
    let mut used = place.sound();
    for _ in 0..2 {
        let identity = used.sequencers.attach(Claim::default()).unwrap();
        let producer = used.sequencers.producer(identity.id).cloned().unwrap();
        let before = Before { head: used.log.head(), sequencers: &used.sequencers };
        used.journal.attach(before, producer).unwrap();
    }
    assert!(publish_numbered(&mut used, 1, 0));
    drop(used);
    let mut used = place.sound();
    assert!(!publish_numbered(&mut used, 1, 0), "its outcome may have been lost with the process");
    assert!(publish_numbered(&mut used, 1, 1));
    assert!(publish_numbered(&mut used, 2, 0), "let in, and not heard of since");
    used.fill();
    used.publish(&["next file"]);
    used.log.trim(3);
    used.journal.drop_before(used.log.begin());
    assert_eq!(place.files().len(), 1);
    let known: Vec<_> = used.sequencers.producers().cloned().collect();
    drop(used);
    let mut used = place.sound();
    assert!(used.sequencers.producers().eq(&known), "each file begins with what is known");
    assert!(!publish_numbered(&mut used, 1, 1));
    assert_eq!(used.sequencers.attach(Claim::default()).unwrap().id, 3, "ids are not given twice");
}
