//! The calls of `docs/faults.md`: all of them compile, each fault can strike, and the document has
//! these and no others.

use std::time::Duration;

use eventhubs_emulator::{
    Direction, Effect, Emulator, Fault, FaultId, Network, Performative, Point, TlsFault,
};

use crate::client::SECOND;
use crate::service_rows::{deliveries, ends_and_links, frames, sends, the_rest};

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md"));

/// A row of the matrix with its calls as they are written, without blanks.
pub(crate) type Row = (&'static str, Vec<String>);

macro_rules! row {
    ($row:literal, [$($fault:expr),* $(,)?], [$($call:expr),* $(,)?]) => {{
        let mut calls = Vec::new();
        $(
            assert_eq!(Fault::check(&$fault), Ok(()), $row);
            calls.push(plain(stringify!($fault)));
        )*
        $(
            // They have to compile; what they do is shown elsewhere.
            if std::hint::black_box(false) {
                let _ = $call;
            }
            calls.push(plain(stringify!($call)));
        )*
        ($row, calls)
    }};
}

pub(crate) use row;

/// Code without blanks and without the commas that a formatter adds.
pub(crate) fn plain(code: &str) -> String {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    code.replace(",)", ")").replace(",}", "}")
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each fault")]
#[expect(clippy::needless_borrow, reason = "the calls stand as a user writes them")]
fn network_rows(emulator: &Emulator, network: &Network) -> Vec<Row> {
    let fault = FaultId(0);
    let other = emulator;
    vec![
        row!(
            "N1",
            [],
            [
                network.inject(Fault::at(Point::Connect, Effect::refuse("", "Connection refused"))),
                network.inject(Fault::at(Point::Connect, Effect::Ignore)),
                network.inject(Fault::at(Point::Connect, Effect::Delay(7 * SECOND)))
            ]
        ),
        row!(
            "N2",
            [],
            [
                network.forget("one.example"),
                network.inject(Fault::at(
                    Point::Resolve,
                    Effect::refuse("", "Temporary failure in name resolution")
                ))
            ]
        ),
        row!(
            "N3",
            [
                Fault::at(Point::Accept, Effect::Ignore),
                Fault::at(Point::Accept, Effect::Delay(5 * SECOND))
            ],
            []
        ),
        row!(
            "N4",
            [Fault::at(Point::Accept, Effect::Ignore)],
            [
                emulator.set_tls_fault(Some(TlsFault::Stall)),
                emulator.set_tls_fault(Some(TlsFault::Expired)),
                emulator.set_tls_fault(Some(TlsFault::OtherName)),
                emulator.set_tls_fault(Some(TlsFault::UnknownAuthority))
            ]
        ),
        row!(
            "N5",
            [
                Fault::at(Point::Publish, Effect::Reset),
                Fault::at(
                    Point::Frame { direction: Direction::In, performative: Performative::Transfer },
                    Effect::Reset
                )
                .after(1),
                Fault::at(Point::Stored, Effect::Reset),
                Fault::at(
                    Point::Frame { direction: Direction::In, performative: Performative::Close },
                    Effect::Reset
                )
            ],
            []
        ),
        row!("N6", [Fault::now(Effect::Silence(Direction::Both))], []),
        row!("N7", [Fault::now(Effect::Silence(Direction::Both))], []),
        row!("N8", [Fault::now(Effect::Silence(Direction::Both))], [emulator.lift(fault)]),
        row!(
            "N9",
            [
                Fault::now(Effect::Silence(Direction::In)),
                Fault::now(Effect::Silence(Direction::Out))
            ],
            []
        ),
        row!("N10", [Fault::now(Effect::Bandwidth(1))], []),
        row!(
            "N11",
            [
                Fault::now(Effect::Bandwidth(64_000)),
                Fault::now(Effect::Latency {
                    delay: Duration::from_millis(500),
                    jitter: Duration::from_millis(100)
                })
            ],
            []
        ),
        row!("N12", [Fault::now(Effect::Chunks(7))], []),
        row!("N13", [Fault::at(Point::Stored, Effect::Truncate)], []),
        row!(
            "N14",
            [
                Fault::now(Effect::Reset),
                Fault::at(
                    Point::Frame { direction: Direction::Out, performative: Performative::Empty },
                    Effect::Swallow
                )
                .always()
            ],
            []
        ),
        row!("N15", [Fault::now(Effect::Reset)], []),
        row!("N16", [], [network.point("one.example", &other)]),
    ]
}

/// Row and calls of a line of the document's tables.
fn documented(line: &str) -> Option<(&str, Vec<String>)> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
    let is_row = |cell: &str| {
        cell.starts_with(['N', 'S'])
            && cell.len() > 1
            && cell[1..].bytes().all(|b| b.is_ascii_digit())
    };
    let row = cells.first().copied().filter(|cell| is_row(cell))?;
    let calls = cells.get(2)?.split("<br>").map(|call| plain(call.trim_matches('`')));
    Some((row, calls.collect()))
}

#[tokio::test(start_paused = true)]
async fn every_row_is_documented_with_calls_that_compile() {
    let (emulator, network) = (&crate::client::emulator().await, &Network::new());
    let groups = [network_rows, ends_and_links, sends, deliveries, frames, the_rest];
    let rows: Vec<Row> = groups.iter().flat_map(|group| group(emulator, network)).collect();
    let expected: Vec<String> = (1..=16)
        .map(|number| format!("N{number}"))
        .chain((1..=46).map(|number| format!("S{number}")))
        .collect();
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), expected);
    let documented: Vec<_> = DOCUMENT.lines().filter_map(documented).collect();
    for ((row, calls), written) in rows.iter().zip(&documented) {
        assert_eq!((*row, calls), (written.0, &written.1));
    }
    assert_eq!(rows.len(), documented.len());
}
