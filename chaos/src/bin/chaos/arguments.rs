//! What the command line says.

use std::fmt;
use std::time::Duration;

use eventhubs_chaos::run::{Settings, Transport};
use eventhubs_chaos::tamper::Bug;

pub(crate) const USAGE: &str = "chaos [--profile client|soak|eph] [--seconds N] [--seed S] \
     [--transport memory|tcp|tls] [--rows N5,S17] [--bug NAME]";

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Client,
    Soak,
    Eph,
}

impl Profile {
    const ALL: [(&str, Self); 3] =
        [("client", Self::Client), ("soak", Self::Soak), ("eph", Self::Eph)];

    /// Seconds unless told otherwise.
    fn seconds(self) -> u64 {
        match self {
            Self::Client | Self::Eph => 120,
            Self::Soak => 600,
        }
    }
}

const TRANSPORTS: [(&str, Transport); 3] =
    [("memory", Transport::Memory), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];

/// The arguments.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) profile: Profile,
    pub(crate) settings: Settings,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments;
        let (mut profile, mut seconds, mut seed) = (Profile::Client, None, None);
        let (mut transport, mut rows, mut bug) = (None, Vec::new(), None);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--profile" => profile = named(&Profile::ALL, &name, &value)?,
                "--seconds" => seconds = Some(number(&name, &value)?.max(1)),
                "--seed" => seed = Some(number(&name, &value)?),
                "--transport" => transport = Some(named(&TRANSPORTS, &name, &value)?),
                "--rows" => rows = value.split(',').map(str::to_owned).collect(),
                "--bug" => bug = Some(named(&Bug::ALL, &name, &value)?),
                _ => return Err(format!("there is no argument {name}")),
            }
        }
        let seconds = seconds.unwrap_or_else(|| profile.seconds());
        let seed = seed.unwrap_or_else(seed_of_the_process);
        let mut settings = Settings::new(seed, Duration::from_secs(seconds));
        settings.transport = match (transport, profile) {
            (Some(transport), _) => transport,
            (None, Profile::Client) => settings.transport,
            (None, Profile::Soak) => Transport::Tls,
            (None, Profile::Eph) => Transport::Tcp,
        };
        if profile == Profile::Eph && settings.transport != Transport::Tcp {
            return Err("--transport: processes of their own come over tcp".to_owned());
        }
        settings.rows = rows;
        settings.bug = bug;
        Ok(Self { profile, settings })
    }

    /// Whether the run has one thread; by the seed.
    pub(crate) fn is_single_threaded(&self) -> bool {
        self.profile == Profile::Client && (self.settings.seed / 3).is_multiple_of(2)
    }
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { seed, length, transport, rows, bug, .. } = &self.settings;
        let profile = name_of(&Profile::ALL, self.profile);
        let transport = name_of(&TRANSPORTS, *transport);
        write!(f, "chaos --profile {profile} --seconds {} --seed {seed}", length.as_secs())?;
        write!(f, " --transport {transport}")?;
        if !rows.is_empty() {
            write!(f, " --rows {}", rows.join(","))?;
        }
        match bug {
            Some(bug) => write!(f, " --bug {}", name_of(&Bug::ALL, *bug)),
            None => Ok(()),
        }
    }
}

fn name_of<T: PartialEq + Copy>(all: &[(&'static str, T)], one: T) -> &'static str {
    all.iter().find(|(_, have)| *have == one).map_or("", |(name, _)| name)
}

fn named<T: Copy>(all: &[(&str, T)], argument: &str, value: &str) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == value).map(|(_, one)| *one);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("{argument}: '{value}' is none of {}", names.join(", "))
    })
}

fn number(argument: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{argument}: '{value}' is no number"))
}

/// Another one for each process; it is printed.
fn seed_of_the_process() -> u64 {
    u64::from(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, String> {
        Arguments::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_printed_is_what_replays() {
        for text in [
            "chaos --profile client --seconds 20 --seed 7 --transport tcp",
            "chaos --profile soak --seconds 600 --seed 1 --transport tls",
            "chaos --profile eph --seconds 120 --seed 3 --transport tcp",
            "chaos --profile client --seconds 5 --seed 0 --transport memory --rows N5,S17 --bug lose",
        ] {
            let arguments = text.strip_prefix("chaos ").expect("it is there");
            assert_eq!(
                parse(arguments).map(|arguments| arguments.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, named) in [
            ("--seconds x", "--seconds"),
            ("--seed", "--seed"),
            ("--profile blob", "client, soak, eph"),
            ("--bug none", "lose"),
            ("--speed 3", "--speed"),
            ("--profile eph --transport memory", "tcp"),
        ] {
            let problem = parse(text).map(|_| ()).expect_err("it is nonsense");
            assert!(problem.contains(named), "{problem}");
        }
    }

    #[test]
    fn a_run_has_the_length_of_its_profile() {
        let length = |text| parse(text).map(|arguments| arguments.settings.length.as_secs());
        assert_eq!((length(""), length("--profile soak")), (Ok(120), Ok(600)));
        assert_eq!(length("--profile eph"), Ok(120));
        assert_eq!(length("--profile soak --seconds 5"), Ok(5));
    }
}
