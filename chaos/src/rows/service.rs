//! Rows S1 to S46.

use std::time::Duration;

use bytes::Bytes;
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Fault, Lie, Outcome, Performative, Place, Point, Reason, Role,
    Scope, Stray,
};

use super::{Act, Ground, few, repeated, some};
use crate::random::Random;

/// How the service says that it is throttled, with a wait that suits a short run.
const BUSY: &str = "com.microsoft:server-busy";
const BUSY_TEXT: &str = "The request was terminated because the entity is being throttled. \
     Error code : 50002. Please wait 1 seconds and try again.";
/// A delivery that is no message.
const POISON: &[u8] = b"no message";

pub(super) fn acts(row: &str, random: &mut Random, ground: &Ground) -> Vec<Act> {
    let number: u32 = row.trim_start_matches('S').parse().unwrap_or(0);
    let fault = match number {
        1..=6 => endings(number, random),
        7..=11 => attaches(number, random, ground),
        12..=18 => sends(number, random, ground),
        20 | 21 | 26 | 27 | 35 => deliveries(number, random),
        22..=25 => credit(number, random, ground),
        19 | 28..=34 => Fault::now(frame(number, random)),
        36 if ground.tls => return vec![Act::Clock(ground.token_life)],
        42 if ground.tls => return vec![Act::Clock(Duration::from_secs(31 * 60))],
        37 | 38 => requests(number, random, ground),
        36 => lapse(),
        42 => {
            let text =
                "Detach origin: AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00";
            Fault::now(Effect::detach("amqp:link:detach-forced", text))
        }
        39 => {
            let performative = Performative::Transfer;
            let point = Point::Frame { direction: Direction::In, performative };
            few(Fault::at(point, Effect::detach("amqp:link:detach-forced", "moved")), random)
        }
        40 => {
            let all = [Performative::Detach, Performative::End, Performative::Close];
            let performative = random.pick(&all);
            let point = Point::Frame { direction: Direction::Out, performative };
            return vec![
                Act::Emulator(few(Fault::at(point, Effect::Swallow), random)),
                Act::Emulator(endings(random.pick(&[1, 3, 4]), random)),
            ];
        }
        41 => {
            let accept = Fault::at(Point::Accept, Effect::Reset).always();
            let text = "The service is being restarted.";
            let close = Fault::now(Effect::close("amqp:connection:forced", text));
            return vec![Act::Emulator(accept), Act::Emulator(close)];
        }
        46 => {
            let first = u32::MAX - random.below(200) as u32;
            let begin = Fault::at(Point::Begin, Effect::StartIds(first));
            let attach = Fault::at(Point::Attach, Effect::StartIds(first))
                .within(Scope::all().role(Role::Consumer));
            let start = random.pick(&[begin, attach]);
            return vec![
                Act::Emulator(repeated(start, random)),
                Act::Emulator(Fault::now(Effect::Reset)),
            ];
        }
        _ => return Vec::new(),
    };
    let waits = matches!(fault.point, Point::Attach | Point::Open | Point::Begin | Point::PutToken);
    let mut acts = vec![Act::Emulator(fault)];
    if waits && random.chance(60) {
        // Somebody is sent away and comes back to meet it.
        acts.push(Act::Emulator(endings(random.pick(&[1, 3, 4]), random)));
    }
    acts
}

/// A strike now, or at some message or delivery.
fn strike(effect: Effect, random: &mut Random) -> Fault {
    let point = random.pick(&[Point::Now, Point::Publish, Point::Stored, Point::Deliver]);
    few(Fault::at(point, effect), random)
}

/// S1 to S6.
fn endings(number: u32, random: &mut Random) -> Fault {
    let stolen = Effect::detach(
        "amqp:link:stolen",
        "New receiver 'b' with higher epoch of '1' is created hence current receiver is getting \
         disconnected.",
    );
    let consumers = Scope::all().role(Role::Consumer);
    match number {
        1 => strike(Effect::close("amqp:connection:forced", "moved"), random),
        2 => {
            let conditions = [
                "amqp:internal-error",
                "amqp:connection:framing-error",
                "amqp:connection:redirect",
            ];
            let reason = Reason::bare(random.pick(&conditions));
            strike(Effect::Close(random.pick(&[Some(reason), None])), random)
        }
        3 => {
            let conditions = [
                "amqp:session:window-violation",
                "amqp:session:errant-link",
                "amqp:session:handle-in-use",
                "amqp:session:unattached-handle",
            ];
            let reason = Reason::bare(random.pick(&conditions));
            strike(Effect::End(random.pick(&[Some(reason), None])), random)
        }
        4 => strike(Effect::detach("amqp:link:detach-forced", "moved"), random),
        5 => Fault::now(stolen).within(consumers),
        _ => Fault::now(stolen).within(consumers.group("$Default")),
    }
}

/// S7 to S11.
fn attaches(number: u32, random: &mut Random, ground: &Ground) -> Fault {
    let gone = "The messaging entity 'sb://x/hub' could not be found.";
    let full = "Exceeded the maximum number of allowed receivers per partition in a consumer group \
         which is 5. List of connected receivers - a, b, c, d, e.";
    let error = Reason::bare("amqp:internal-error");
    let at = |point, effect| Fault::at(point, effect);
    match number {
        7 => {
            let permanent = Effect::refuse("amqp:not-found", gone);
            let bare = Effect::Refuse(Reason::bare("amqp:not-found"));
            few(at(Point::Attach, random.pick(&[permanent, bare])), random)
        }
        8 => {
            let text = "ExpiredToken: The token is expired.";
            few(at(Point::Attach, Effect::refuse("amqp:unauthorized-access", text)), random)
        }
        9 => {
            let refuse = Effect::refuse("amqp:resource-limit-exceeded", full);
            at(Point::Attach, refuse).times(1 + random.below(2))
        }
        10 => {
            let late = Some(some(random, ground, 0.5));
            let after = random.pick(&[late, None]);
            few(at(Point::Attach, Effect::RefuseLate { error, after }), random)
        }
        _ => {
            let point = random.pick(&[Point::Attach, Point::Attach, Point::Open, Point::Begin]);
            let delay = Effect::Delay(some(random, ground, 5.0));
            few(at(point, random.pick(&[Effect::Ignore, delay])), random)
        }
    }
}

/// S12 to S18.
fn sends(number: u32, random: &mut Random, ground: &Ground) -> Fault {
    let publish = |effect| Fault::at(Point::Publish, effect);
    match number {
        12 => repeated(publish(Effect::reject(BUSY, BUSY_TEXT)), random),
        13 => {
            let refuse = Fault::at(Point::Attach, Effect::refuse(BUSY, BUSY_TEXT));
            let answer = |point| Fault::at(point, Effect::answer(503, BUSY, BUSY_TEXT));
            let all = [refuse, answer(Point::PutToken), answer(Point::Management)];
            repeated(random.pick(&all), random)
        }
        14 => {
            let text = "The received message exceeds the limit currently allowed on the link.";
            few(publish(Effect::reject("amqp:link:message-size-exceeded", text)), random)
        }
        15 => {
            let text = "The received message exceeds the limit currently allowed on the link.";
            few(publish(Effect::detach("amqp:link:message-size-exceeded", text)), random)
        }
        16 => {
            let outcome = random.pick(&[Outcome::Released, Outcome::Modified]);
            repeated(publish(Effect::Outcome(outcome)), random)
        }
        17 => {
            let lost = publish(Effect::LoseAcknowledgement);
            let reset = Fault::at(Point::Stored, Effect::Reset);
            let close = Fault::at(Point::Stored, Effect::Close(None));
            few(random.pick(&[lost, reset, close]), random)
        }
        _ => {
            let time = some(random, ground, 8.0);
            let effect = random.pick(&[Effect::DelayAcknowledgement(time), Effect::Delay(time)]);
            repeated(publish(effect), random)
        }
    }
}

/// S20, S21, S26, S27, S35.
fn deliveries(number: u32, random: &mut Random) -> Fault {
    let effect = match number {
        20 => Effect::Duplicate,
        21 => Effect::Drop,
        26 => random.pick(&[Effect::Abort, Effect::Unfinished]),
        27 => Effect::Replace(Bytes::from(vec![b'x'; 4 << 20])),
        _ => Effect::Replace(Bytes::from_static(POISON)),
    };
    match number {
        20 => repeated(Fault::at(Point::Deliver, effect), random),
        27 => Fault::at(Point::Deliver, effect).after(random.below(5)),
        _ => few(Fault::at(Point::Deliver, effect), random),
    }
}

/// S22 to S25.
fn credit(number: u32, random: &mut Random, ground: &Ground) -> Fault {
    let producers = Scope::all().role(Role::Producer);
    let attach = |effect| Fault::at(Point::Attach, effect).within(producers.clone());
    match number {
        22 => few(attach(Effect::WithholdCredit), random),
        23 => {
            let every = ground.second / 10;
            let each = 1 + random.below(3) as u32;
            match random.chance(50) {
                true => few(attach(Effect::TrickleCredit { each, every }), random),
                false => {
                    let effect = Effect::WithdrawCredit(some(random, ground, 3.0));
                    Fault::now(effect).within(producers)
                }
            }
        }
        24 => {
            let count = 1 + random.below(5) as u32;
            Fault::now(Effect::Overrun(count)).within(Scope::all().role(Role::Consumer))
        }
        _ => Fault::now(Effect::ShutWindow(some(random, ground, 5.0))),
    }
}

/// S19, S28 to S34.
fn frame(number: u32, random: &mut Random) -> Effect {
    let place = random.pick(&[Place::FlowProperties, Place::MessageAnnotations, Place::Body]);
    let strays = [Stray::Transfer, Stray::Flow, Stray::Detach];
    let stray = random.pick(&strays);
    let lies = [Lie::HugeString, Lie::HugeCount, Lie::OddMap, Lie::EmptyList, Lie::ShortArray];
    let frame = match number {
        // Never of something that was sent: that would be a lie about what is stored.
        19 => {
            let backward =
                BadFrame::Disposition { first: 3_000_000_009, last: Some(3_000_000_003) };
            let endless = BadFrame::Disposition { first: 3_000_000_000, last: Some(u32::MAX) };
            let unknown = BadFrame::Disposition { first: 3_000_000_007, last: None };
            random.pick(&[backward, endless, unknown])
        }
        28 => BadFrame::Size(random.below(8) as u32),
        29 => random.pick(&[BadFrame::SizeOverLimit, BadFrame::Size(1 << 31)]),
        30 => match random.below(2) {
            0 => return Effect::ExtendedHeaders,
            _ => BadFrame::DataOffset(random.pick(&[0, 1, 4, 255])),
        },
        31 => random.pick(&[
            BadFrame::UnknownPerformative(0x99),
            BadFrame::UnknownSection { link: None },
            BadFrame::FrameType(7),
        ]),
        32 => random.pick(&[
            BadFrame::SecondOpen,
            BadFrame::BeginInUse,
            BadFrame::UnknownChannel(stray),
            BadFrame::UnknownHandle(stray),
        ]),
        33 => match random.below(2) {
            0 => BadFrame::Nested { place, depth: 10_000, link: None },
            _ => BadFrame::NestedLists { place, depth: 10_000, link: None },
        },
        _ => BadFrame::Lie { lie: random.pick(&lies), place, link: None },
    };
    Effect::Write(frame)
}

/// S37, S38.
fn requests(number: u32, random: &mut Random, ground: &Ground) -> Fault {
    let delay = Effect::Delay(some(random, ground, 10.0));
    let token = |effect| Fault::at(Point::PutToken, effect);
    let question = |effect| Fault::at(Point::Management, effect);
    let all = match number {
        37 => vec![
            token(Effect::answer(401, "com.microsoft:auth-failed", "ExpiredToken")),
            token(Effect::answer(404, "amqp:not-found", "gone")),
            token(Effect::answer(503, BUSY, BUSY_TEXT)),
            token(Effect::Ignore),
            token(Effect::Twice),
            token(delay),
            token(Effect::detach("amqp:link:detach-forced", "moved")),
            Fault::now(Effect::Detach(None)).within(Scope::all().role(Role::Cbs)),
        ],
        _ => vec![
            question(Effect::answer(404, "amqp:not-found", "gone")),
            question(Effect::Ignore),
            question(Effect::Malformed),
            question(Effect::Omit("partition_ids".to_owned())),
            question(delay),
            Fault::now(Effect::Detach(None)).within(Scope::all().role(Role::Management)),
        ],
    };
    few(random.pick(&all), random)
}

/// What clients see of a token that has lapsed, where the clock cannot be moved.
fn lapse() -> Fault {
    let text = "ExpiredToken: The token is expired. Expiration time: '...'";
    Fault::now(Effect::detach("amqp:unauthorized-access", text))
}
