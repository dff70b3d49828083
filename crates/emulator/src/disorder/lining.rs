//! Faults that the byte layer performs or looks out for.

use eventhubs_amqp::engine::Connection;

use super::Standing;
use crate::broker::Broker;
use crate::fault::{Direction, Effect, Fault, FaultId, Performative, Point, Registry, SHAPES};
use crate::line::{FrameKind, LineControl, Shaping, Trip, Verdict, Way};

impl Broker {
    /// Brings the byte layer up to date with the faults there are: what was lifted ends, trips
    /// and shapes are set.
    pub(crate) fn align_line(&mut self) {
        let (trips, lifted) = self.namespace.faults.read(|registry| {
            let gone = |id: &FaultId| registry.hits(*id).is_none();
            let lifted: Vec<_> = self.disorder.on_line.iter().copied().filter(gone).collect();
            (registry.of_the_line(), lifted)
        });
        for id in lifted {
            self.disorder.on_line.remove(&id);
            self.line.lift(id.0);
        }
        for struck in trips {
            if self.disorder.on_line.insert(struck.id) {
                trip(&self.line, struck.id, struck.fault.point);
            }
        }
        self.shape();
    }

    /// Puts those shapes in force that concern this connection as far as it is known by now.
    pub(super) fn shape(&mut self) {
        if !self.namespace.faults.is_armed(SHAPES) {
            return;
        }
        for struck in self.namespace.faults.read(Registry::shapes) {
            if !self.disorder.on_line.contains(&struck.id) && self.concerns(&struck.fault) {
                self.perform_on_line(struck.id, struck.effect());
                self.namespace.faults.count(struck.id, 1);
            }
        }
    }

    /// Whether a fault is about this connection, or a link that it has.
    fn concerns(&self, fault: &Fault) -> bool {
        let scope = &fault.scope;
        let matches = |standing: &Standing| scope.matches_link(&standing.facts);
        scope.matches_connection(&self.disorder.facts)
            && (!scope.is_about_links() || self.disorder.links.values().any(matches))
    }

    /// The byte layer has seen what a fault waits for, and stands still.
    pub(crate) fn handle_rings(&mut self, engine: &mut Connection) {
        if !self.line.has_rung() {
            return;
        }
        let mut rings = Vec::new();
        self.line.take_rings(&mut rings);
        for key in rings {
            let id = FaultId(key);
            let fault = self.namespace.faults.read(|registry| registry.fault(id));
            let Some(fault) = fault.filter(|fault| fault.point.is_of_the_line()) else {
                continue;
            };
            let targets = self.targets(&fault);
            if targets.is_empty() {
                continue;
            }
            let (struck, is_spent) = self.namespace.faults.ring(id);
            if is_spent {
                self.line.lift(key);
            }
            if struck {
                self.perform_on(engine, (id, &fault.effect), targets);
            }
        }
    }

    /// Performs what is the byte layer's. Answers whether what was struck still happens.
    pub(super) fn perform_on_line(&mut self, id: FaultId, effect: &Effect) -> bool {
        let key = id.0;
        let mut last = |shaping| {
            self.disorder.on_line.insert(id);
            self.line.apply(key, shaping);
        };
        match effect {
            Effect::Silence(direction) => {
                for way in ways(*direction) {
                    last(Shaping::Silence(*way));
                }
            }
            Effect::Latency { delay, jitter } => {
                last(Shaping::Latency { delay: *delay, jitter: *jitter, seed: key });
            }
            Effect::Bandwidth(bytes) => {
                for way in ways(Direction::Both) {
                    last(Shaping::Bandwidth(*way, *bytes));
                }
            }
            Effect::Chunks(bytes) => last(Shaping::Chunks(*bytes)),
            Effect::ExtendedHeaders => last(Shaping::ExtendedHeaders),
            Effect::Write(frame) => self.line.write(vec![frame.clone()]),
            Effect::Truncate => self.line.truncate(),
            Effect::Swallow => self.line.judge(Verdict::Swallow),
            Effect::Duplicate => self.line.judge(Verdict::Duplicate),
            Effect::Delay(delay) => self.line.judge(Verdict::Delay(*delay)),
            Effect::Eof | Effect::Reset => {
                // Nothing that came with the struck thing is looked at any more.
                self.links.clear();
                match effect {
                    Effect::Eof => self.line.eof(),
                    _ => self.line.reset(),
                }
                return false;
            }
            _ => {}
        }
        true
    }
}

fn ways(direction: Direction) -> &'static [Way] {
    match direction {
        Direction::In => &[Way::In],
        Direction::Out => &[Way::Out],
        Direction::Both => &[Way::In, Way::Out],
    }
}

/// Has the line ring at a point.
fn trip(line: &LineControl, id: FaultId, point: Point) {
    match point {
        Point::FramesIn(count) => line.trip(id.0, Trip::FramesIn(count)),
        Point::FramesOut(count) => line.trip(id.0, Trip::FramesOut(count)),
        Point::BytesIn(count) => line.trip(id.0, Trip::BytesIn(count)),
        Point::BytesOut(count) => line.trip(id.0, Trip::BytesOut(count)),
        Point::Frame { direction, performative } => {
            for way in ways(direction) {
                line.trip(id.0, Trip::Frame(*way, kind(performative)));
            }
        }
        _ => {}
    }
}

fn kind(performative: Performative) -> FrameKind {
    match performative {
        Performative::Open => FrameKind::Open,
        Performative::Begin => FrameKind::Begin,
        Performative::Attach => FrameKind::Attach,
        Performative::Flow => FrameKind::Flow,
        Performative::Transfer => FrameKind::Transfer,
        Performative::Disposition => FrameKind::Disposition,
        Performative::Detach => FrameKind::Detach,
        Performative::End => FrameKind::End,
        Performative::Close => FrameKind::Close,
        Performative::Empty => FrameKind::Empty,
    }
}
