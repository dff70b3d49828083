//! Rows N1 to N15.

use std::time::Duration;

use eventhubs_emulator::{Direction, Effect, Fault, Performative, Point, TlsFault};

use super::{Act, Ground, few, repeated, some};
use crate::random::Random;

pub(super) fn acts(row: &str, random: &mut Random, ground: &Ground) -> Vec<Act> {
    let frame = |direction, performative| Point::Frame { direction, performative };
    let transfer = frame(Direction::In, Performative::Transfer);
    let fault = match row {
        "N1" | "N2" if ground.memory => {
            return vec![Act::Network(connect(row, random, ground)), Act::Emulator(return_to_it())];
        }
        "N4" if ground.tls => {
            let all = [
                TlsFault::Stall,
                TlsFault::Expired,
                TlsFault::OtherName,
                TlsFault::UnknownAuthority,
            ];
            return vec![Act::Tls(random.pick(&all)), Act::Emulator(return_to_it())];
        }
        // Without a network of its own, a connection that ends at once stands for one refused.
        "N1" | "N2" => {
            let accept = few(Fault::at(Point::Accept, Effect::Reset), random);
            return vec![Act::Emulator(accept), Act::Emulator(return_to_it())];
        }
        "N3" | "N4" => {
            let delay = Effect::Delay(some(random, ground, 2.0));
            let effect = random.pick(&[Effect::Ignore, delay]);
            let accept = few(Fault::at(Point::Accept, effect), random);
            return vec![Act::Emulator(accept), Act::Emulator(return_to_it())];
        }
        "N5" => {
            let close = frame(Direction::In, Performative::Close);
            let point = random.pick(&[Point::Publish, transfer, Point::Stored, close]);
            few(Fault::at(point, Effect::Reset), random)
        }
        "N6" | "N7" | "N8" => Fault::now(Effect::Silence(Direction::Both)),
        "N9" => Fault::now(Effect::Silence(random.pick(&[Direction::In, Direction::Out]))),
        "N10" => Fault::now(Effect::Bandwidth(1)),
        "N11" => {
            let delay = ground.second / 2;
            let latency = Effect::Latency { delay, jitter: delay / 5 };
            Fault::now(random.pick(&[latency, Effect::Bandwidth(64_000)]))
        }
        "N12" => Fault::now(Effect::Chunks(1 + random.below(7) as usize)),
        "N13" => few(Fault::at(Point::Stored, Effect::Truncate), random),
        "N14" => {
            let empty = frame(Direction::Out, Performative::Empty);
            let swallow = Fault::at(empty, Effect::Swallow).always();
            let reset = Fault::now(Effect::Reset);
            return vec![Act::Emulator(swallow), Act::Emulator(reset)];
        }
        "N15" => Fault::now(Effect::Reset),
        _ => return Vec::new(),
    };
    vec![Act::Emulator(fault)]
}

/// Sends clients away, so that they come back and meet what waits for them.
fn return_to_it() -> Fault {
    Fault::now(Effect::Reset)
}

/// A name that cannot be resolved or a connect that fails, hangs or takes its time.
fn connect(row: &str, random: &mut Random, ground: &Ground) -> Fault {
    let delay = Effect::Delay(some(random, ground, 3.0).min(Duration::from_secs(30)));
    match row {
        "N1" => {
            let refuse = Effect::refuse("", "Connection refused");
            let effect = random.pick(&[refuse, Effect::Ignore, delay]);
            repeated(Fault::at(Point::Connect, effect), random)
        }
        _ => {
            let text = "Temporary failure in name resolution";
            repeated(Fault::at(Point::Resolve, Effect::refuse("", text)), random)
        }
    }
}
