//! What a process with a host is told before it begins, and how its clock is set.

use std::fmt;
use std::io::{self, BufRead, Write as _};
use std::path::PathBuf;

use crate::chronicle::Manner;
use crate::run::clock::Clock;
use crate::run::{Failure, failed};

/// How often the clocks are compared; the closest comparison counts.
const COMPARISONS: u32 = 8;
/// What a process says to have the parent's clock, and what it is answered with the time.
pub(super) const CLOCK: &str = "clock";

/// What a process is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duty {
    pub(super) host: u16,
    pub(super) turn: u16,
    pub(super) manner: Manner,
    /// What its events say which run they are of.
    pub(super) run: u64,
    pub(super) seed: u64,
    pub(super) threads: usize,
    /// Where the store is.
    pub(super) folder: PathBuf,
    /// The emulator.
    pub(super) connection: String,
}

const MANNERS: [(&str, Manner); 3] =
    [("each", Manner::Each), ("batch", Manner::Batch), ("keys", Manner::Keys)];

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, turn, manner, run, seed, threads, folder, connection } = self;
        let manner = MANNERS.iter().find(|(_, one)| one == manner).map_or("", |(name, _)| name);
        writeln!(f, "{host} {turn} {manner} {run} {seed} {threads}")?;
        writeln!(f, "{}", folder.display())?;
        writeln!(f, "{connection}")
    }
}

impl Duty {
    /// Reads what the parent says first.
    pub(super) fn read(from: &mut impl BufRead) -> Result<Self, Failure> {
        let mut line = || {
            let mut line = String::new();
            from.read_line(&mut line).map_err(failed)?;
            Ok::<_, Failure>(line.trim_end().to_owned())
        };
        let (first, folder, connection) = (line()?, line()?, line()?);
        let words: Vec<_> = first.split(' ').collect();
        let wrong = || failed(format_args!("'{first}' is no duty"));
        let [host, turn, manner, run, seed, threads] = words[..] else { return Err(wrong()) };
        let manner = MANNERS.iter().find(|(name, _)| *name == manner).ok_or_else(wrong)?.1;
        Ok(Self {
            host: host.parse().map_err(|_| wrong())?,
            turn: turn.parse().map_err(|_| wrong())?,
            manner,
            run: run.parse().map_err(|_| wrong())?,
            seed: seed.parse().map_err(|_| wrong())?,
            threads: threads.parse().map_err(|_| wrong())?,
            folder: PathBuf::from(folder),
            connection,
        })
    }
}

/// How far the parent's clock is ahead of this one, in microseconds, and orders that came meanwhile.
/// The parent's clock began earlier.
///
/// The answer was given between asking and hearing it, so the shortest such time tells best.
pub(super) fn compare(
    clock: Clock,
    from: &mut impl BufRead,
) -> Result<(u64, Vec<String>), Failure> {
    let mut best = (u64::MAX, 0);
    let mut orders = Vec::new();
    for _ in 0..COMPARISONS {
        let asked = clock.micros();
        io::stdout().write_all(format!("{CLOCK}\n").as_bytes()).map_err(failed)?;
        io::stdout().flush().map_err(failed)?;
        let told: u64 = loop {
            let mut line = String::new();
            if from.read_line(&mut line).map_err(failed)? == 0 {
                return Err(failed("the parent is gone"));
            }
            match line.trim().parse() {
                Ok(told) => break told,
                Err(_) => orders.push(line.trim().to_owned()),
            }
        };
        let heard = clock.micros();
        let ahead = told.saturating_sub(asked.midpoint(heard));
        best = best.min((heard - asked, ahead));
    }
    Ok((best.1, orders))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_is_read_as_it_was_written() {
        for (_, manner) in MANNERS {
            let duty = Duty {
                host: 2,
                turn: 7,
                manner,
                run: u64::MAX,
                seed: 3,
                threads: 1,
                folder: "/a folder/b".into(),
                connection: "Endpoint=sb://x/;EntityPath=hub".to_owned(),
            };
            let text = duty.to_string();
            assert_eq!(Duty::read(&mut text.as_bytes()).ok(), Some(duty));
        }
        assert!(Duty::read(&mut &b"1 2 each 3\nx\ny\n"[..]).is_err());
    }

    #[test]
    fn the_clock_is_ahead_by_what_the_parent_tells() {
        let clock = Clock::start();
        let text = format!("lift 3\n{}", "5000000\n".repeat(COMPARISONS as usize));
        let (ahead, orders) = compare(clock, &mut text.as_bytes()).expect("it tells the time");
        assert!((4_000_000..=5_000_000).contains(&ahead), "{ahead}");
        assert_eq!(orders, ["lift 3"]);
        assert!(compare(clock, &mut &b"5000000\n"[..]).is_err(), "the parent is gone");
    }
}
