//! The calls of `docs/faults.md` about the service; see `table.rs`.

use std::time::Duration;

use bytes::Bytes;
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Emulator, Fault, FaultId, HubConfig, Lie, Network, Outcome,
    Performative, Place, Point, Reason, Role, Scope, Stray,
};

use crate::client::SECOND;
use crate::table::{Row, plain, row};

#[expect(clippy::too_many_lines, reason = "a table: a row for each fault")]
pub(crate) fn ends_and_links(_: &Emulator, _: &Network) -> Vec<Row> {
    vec![
        row!(
            "S1",
            [
                Fault::now(Effect::close(
                    "amqp:connection:forced",
                    "inactive for more than 300000 milliseconds"
                )),
                Fault::at(Point::Publish, Effect::close("amqp:connection:forced", "moved"))
            ],
            []
        ),
        row!(
            "S2",
            [
                Fault::now(Effect::close("amqp:internal-error", "broken")),
                Fault::now(Effect::Close(Some(Reason::bare("amqp:connection:redirect")))),
                Fault::now(Effect::Close(None))
            ],
            []
        ),
        row!(
            "S3",
            [
                Fault::now(Effect::end("amqp:session:window-violation", "shut"))
                    .within(Scope::all().partition("0")),
                Fault::now(Effect::End(None))
            ],
            []
        ),
        row!(
            "S4",
            [
                Fault::now(Effect::detach("amqp:link:detach-forced", "Idle timeout: 00:30:00"))
                    .within(Scope::all().partition("0")),
                Fault::at(Point::Publish, Effect::detach("amqp:link:detach-forced", "moved"))
                    .after(1)
            ],
            []
        ),
        row!(
            "S5",
            [Fault::now(Effect::detach(
                "amqp:link:stolen",
                "New receiver 'b' with higher epoch of '1' is created"
            ))
            .within(Scope::all().role(Role::Consumer))],
            []
        ),
        row!(
            "S6",
            [Fault::now(Effect::detach("amqp:link:stolen", "x"))
                .within(Scope::all().role(Role::Consumer).group("$Default"))],
            []
        ),
        row!(
            "S7",
            [
                Fault::at(
                    Point::Attach,
                    Effect::refuse(
                        "amqp:not-found",
                        "The messaging entity 'sb://x/hub' could not be found."
                    )
                ),
                Fault::at(Point::Attach, Effect::Refuse(Reason::bare("amqp:not-found")))
            ],
            []
        ),
        row!(
            "S8",
            [Fault::at(Point::Attach, Effect::refuse("amqp:unauthorized-access", "ExpiredToken"))],
            []
        ),
        row!(
            "S9",
            [Fault::at(
                Point::Attach,
                Effect::refuse(
                    "amqp:resource-limit-exceeded",
                    "List of connected receivers - a, b, c, d, e."
                )
            )],
            []
        ),
        row!(
            "S10",
            [
                Fault::at(
                    Point::Attach,
                    Effect::RefuseLate {
                        error: Reason::bare("amqp:internal-error"),
                        after: Some(Duration::from_millis(500))
                    }
                ),
                Fault::at(
                    Point::Attach,
                    Effect::RefuseLate { error: Reason::bare("amqp:internal-error"), after: None }
                )
            ],
            []
        ),
        row!(
            "S11",
            [
                Fault::at(Point::Attach, Effect::Ignore),
                Fault::at(Point::Attach, Effect::Delay(40 * SECOND)),
                Fault::at(Point::Open, Effect::Ignore),
                Fault::at(Point::Begin, Effect::Delay(5 * SECOND))
            ],
            []
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each fault")]
pub(crate) fn sends(emulator: &Emulator, _: &Network) -> Vec<Row> {
    let fault = FaultId(0);
    vec![
        row!(
            "S12",
            [
                Fault::at(
                    Point::Publish,
                    Effect::reject(
                        "com.microsoft:server-busy",
                        "Please wait 4 seconds and try again."
                    )
                ),
                Fault::at(
                    Point::Publish,
                    Effect::reject(
                        "com.microsoft:server-busy",
                        "Please wait 4 seconds and try again."
                    )
                )
                .always()
            ],
            [emulator.lift(fault)]
        ),
        row!(
            "S13",
            [
                Fault::at(
                    Point::Attach,
                    Effect::refuse("com.microsoft:server-busy", "wait 4 seconds")
                ),
                Fault::at(
                    Point::PutToken,
                    Effect::answer(503, "com.microsoft:server-busy", "wait 4 seconds")
                ),
                Fault::at(
                    Point::Management,
                    Effect::answer(503, "com.microsoft:server-busy", "wait 4 seconds")
                )
            ],
            []
        ),
        row!(
            "S14",
            [Fault::at(
                Point::Publish,
                Effect::reject("amqp:link:message-size-exceeded", "exceeds the limit")
            )],
            []
        ),
        row!(
            "S15",
            [Fault::at(
                Point::Publish,
                Effect::detach("amqp:link:message-size-exceeded", "exceeds the limit")
            )
            .after(2)],
            []
        ),
        row!(
            "S16",
            [
                Fault::at(Point::Publish, Effect::Outcome(Outcome::Released)),
                Fault::at(Point::Publish, Effect::Outcome(Outcome::Modified))
            ],
            []
        ),
        row!(
            "S17",
            [
                Fault::at(Point::Publish, Effect::LoseAcknowledgement),
                Fault::at(Point::Stored, Effect::Reset),
                Fault::at(Point::Stored, Effect::Close(None))
            ],
            []
        ),
        row!(
            "S18",
            [
                Fault::at(Point::Publish, Effect::DelayAcknowledgement(90 * SECOND)),
                Fault::at(Point::Publish, Effect::Delay(10 * SECOND))
            ],
            []
        ),
        row!(
            "S19",
            [
                Fault::now(Effect::Write(BadFrame::Disposition { first: 7, last: None })),
                Fault::now(Effect::Write(BadFrame::Disposition { first: 9, last: Some(3) })),
                Fault::now(Effect::Write(BadFrame::Disposition { first: 0, last: Some(u32::MAX) }))
            ],
            []
        ),
    ]
}

pub(crate) fn deliveries(_: &Emulator, _: &Network) -> Vec<Row> {
    let large = Bytes::new();
    vec![
        row!("S20", [Fault::at(Point::Deliver, Effect::Duplicate).after(1)], []),
        row!(
            "S21",
            [
                Fault::at(Point::Deliver, Effect::Drop).times(2),
                Fault::at(Point::Deliver, Effect::Delay(20 * SECOND))
            ],
            []
        ),
        row!(
            "S22",
            [Fault::at(Point::Attach, Effect::WithholdCredit)
                .within(Scope::all().role(Role::Producer))],
            []
        ),
        row!(
            "S23",
            [
                Fault::at(Point::Attach, Effect::TrickleCredit { each: 1, every: 2 * SECOND }),
                Fault::now(Effect::WithdrawCredit(30 * SECOND))
            ],
            []
        ),
        row!(
            "S24",
            [
                Fault::now(Effect::Overrun(2)),
                Fault::now(Effect::Write(BadFrame::Transfers {
                    count: 20_000,
                    bytes: 60_000,
                    link: None
                }))
            ],
            []
        ),
        row!("S25", [Fault::now(Effect::ShutWindow(10 * SECOND))], []),
        row!(
            "S26",
            [
                Fault::at(Point::Deliver, Effect::Abort),
                Fault::at(Point::Deliver, Effect::Unfinished)
            ],
            []
        ),
        row!("S27", [Fault::at(Point::Deliver, Effect::Replace(large.clone()))], []),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each fault")]
pub(crate) fn frames(_: &Emulator, _: &Network) -> Vec<Row> {
    vec![
        row!("S28", [Fault::now(Effect::Write(BadFrame::Size(7)))], []),
        row!(
            "S29",
            [
                Fault::now(Effect::Write(BadFrame::SizeOverLimit)),
                Fault::now(Effect::Write(BadFrame::Size(1 << 31)))
            ],
            []
        ),
        row!(
            "S30",
            [
                Fault::now(Effect::ExtendedHeaders),
                Fault::now(Effect::Write(BadFrame::DataOffset(4))),
                Fault::now(Effect::Write(BadFrame::DataOffset(255)))
            ],
            []
        ),
        row!(
            "S31",
            [
                Fault::now(Effect::Write(BadFrame::UnknownPerformative(0x99))),
                Fault::now(Effect::Write(BadFrame::UnknownSection { link: None })),
                Fault::now(Effect::Write(BadFrame::FrameType(7)))
            ],
            []
        ),
        row!(
            "S32",
            [
                Fault::now(Effect::Write(BadFrame::SecondOpen)),
                Fault::now(Effect::Write(BadFrame::BeginInUse)),
                Fault::now(Effect::Write(BadFrame::UnknownChannel(Stray::Transfer))),
                Fault::now(Effect::Write(BadFrame::UnknownHandle(Stray::Flow)))
            ],
            []
        ),
        row!(
            "S33",
            [
                Fault::now(Effect::Write(BadFrame::Nested {
                    place: Place::FlowProperties,
                    depth: 10_000,
                    link: None
                })),
                Fault::now(Effect::Write(BadFrame::NestedLists {
                    place: Place::Body,
                    depth: 10_000,
                    link: None
                }))
            ],
            []
        ),
        row!(
            "S34",
            [
                Fault::now(Effect::Write(BadFrame::Lie {
                    lie: Lie::HugeString,
                    place: Place::MessageAnnotations,
                    link: None
                })),
                Fault::now(Effect::Write(BadFrame::Lie {
                    lie: Lie::OddMap,
                    place: Place::FlowProperties,
                    link: None
                }))
            ],
            []
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table: a row for each fault")]
pub(crate) fn the_rest(emulator: &Emulator, network: &Network) -> Vec<Row> {
    let poison = Bytes::new();
    vec![
        row!(
            "S35",
            [Fault::at(Point::Deliver, Effect::Replace(poison.clone()))],
            [emulator.append("hub", 0, poison.clone())]
        ),
        row!("S36", [], [emulator.advance_clock(Duration::from_secs(3600))]),
        row!(
            "S37",
            [
                Fault::at(
                    Point::PutToken,
                    Effect::answer(401, "com.microsoft:auth-failed", "ExpiredToken")
                ),
                Fault::at(Point::PutToken, Effect::Ignore),
                Fault::at(Point::PutToken, Effect::Twice),
                Fault::at(Point::PutToken, Effect::detach("amqp:link:detach-forced", "moved")),
                Fault::now(Effect::Detach(None)).within(Scope::all().role(Role::Cbs))
            ],
            []
        ),
        row!(
            "S38",
            [
                Fault::at(Point::Management, Effect::answer(404, "amqp:not-found", "gone")),
                Fault::at(Point::Management, Effect::Ignore),
                Fault::at(Point::Management, Effect::Malformed),
                Fault::at(Point::Management, Effect::Omit("partition_ids".to_owned())),
                Fault::at(Point::Management, Effect::Delay(70 * SECOND))
            ],
            []
        ),
        row!(
            "S39",
            [Fault::at(
                Point::Frame { direction: Direction::In, performative: Performative::Transfer },
                Effect::detach("amqp:link:detach-forced", "moved")
            )
            .after(1)],
            []
        ),
        row!(
            "S40",
            [
                Fault::at(
                    Point::Frame { direction: Direction::Out, performative: Performative::Detach },
                    Effect::Swallow
                ),
                Fault::at(
                    Point::Frame { direction: Direction::Out, performative: Performative::End },
                    Effect::Swallow
                ),
                Fault::at(
                    Point::Frame { direction: Direction::Out, performative: Performative::Close },
                    Effect::Swallow
                )
            ],
            []
        ),
        row!(
            "S41",
            [
                Fault::at(Point::Accept, Effect::Reset).always(),
                Fault::now(Effect::close(
                    "amqp:connection:forced",
                    "The service is being restarted."
                ))
            ],
            [network.inject(
                Fault::at(Point::Connect, Effect::refuse("", "Connection refused")).always()
            )]
        ),
        row!("S42", [], [emulator.advance_clock(Duration::from_secs(31 * 60))]),
        row!(
            "S43",
            [],
            [emulator.delete_hub("hub"), emulator.create_hub(HubConfig::new("hub", 4))]
        ),
        row!("S44", [], [emulator.trim("hub", 0, 7)]),
        row!("S45", [], [emulator.set_partitions("hub", 6)]),
        row!(
            "S46",
            [
                Fault::at(Point::Begin, Effect::StartIds(u32::MAX - 2)),
                Fault::at(Point::Attach, Effect::StartIds(u32::MAX - 2))
                    .within(Scope::all().role(Role::Consumer))
            ],
            []
        ),
    ]
}
