//! The list of hubs in a data folder, as text.
//!
//! ```text
//! eventhubs-emulator data 1
//! next 3
//! hub 1 1700000000000 1700000000000 604800000 active 4 orders
//! group 1700000000000 billing
//! end 0a1b2c3d
//! ```
//!
//! A hub's line holds id, created and updated (milliseconds since 1970), retention in milliseconds,
//! status, partitions and name; its groups follow. The last line holds the CRC-32 of those before.

use std::fmt::Write;
use std::time::Duration;

use crate::config::hub_config::{HubConfig, HubStatus};
use crate::config::{Config, ConfigError};

const FIRST_LINE: &str = "eventhubs-emulator data 1";

/// The list of hubs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Id of the next hub; ids are never used again, so that a hub never finds the events of
    /// another one that had its name.
    pub(crate) next_id: u64,
    pub(crate) hubs: Vec<HubRecord>,
}

/// What is known of a hub besides its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubRecord {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) retention: Duration,
    pub(crate) status: HubStatus,
    pub(crate) partitions: u32,
    /// Besides `$Default`, with the time of their creation.
    pub(crate) groups: Vec<(String, i64)>,
}

/// Why a manifest cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ManifestError {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

impl HubRecord {
    /// A new hub.
    pub(crate) fn new(id: u64, config: HubConfig, now: i64) -> Self {
        Self {
            id,
            name: config.name,
            created: now,
            updated: now,
            retention: config.retention,
            status: config.status,
            partitions: config.partitions,
            groups: config.consumer_groups.into_iter().map(|group| (group, now)).collect(),
        }
    }

    /// Whether this is the hub of that name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Adds what a configuration names and the hub does not have yet. What it has stays: it may
    /// have been changed while the emulator ran.
    fn extend(&mut self, config: &HubConfig, now: i64) {
        self.partitions = self.partitions.max(config.partitions);
        for group in &config.consumer_groups {
            if self.group(group).is_none() {
                self.groups.push((group.clone(), now));
            }
        }
    }

    /// Where a consumer group is, whatever the case its name is asked in.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|(group, _)| group.eq_ignore_ascii_case(name))
    }

    fn config(&self) -> HubConfig {
        HubConfig {
            consumer_groups: self.groups.iter().map(|(name, _)| name.clone()).collect(),
            ..HubConfig::new(self.name.as_str(), self.partitions)
                .with_retention(self.retention)
                .with_status(self.status)
        }
    }
}

impl Manifest {
    /// Adds what is configured. The hub that exists when none is configured is not added to others.
    pub(crate) fn extend(&mut self, config: &Config, now: i64) -> Result<(), ConfigError> {
        let configured = match config.hubs.is_empty() && !self.hubs.is_empty() {
            true => Vec::new(),
            false => config.effective_hubs(),
        };
        for hub in configured {
            match self.hubs.iter_mut().find(|record| record.is(&hub.name)) {
                Some(record) => record.extend(&hub, now),
                None => {
                    self.hubs.push(HubRecord::new(self.next_id, hub, now));
                    self.next_id += 1;
                }
            }
        }
        for record in &mut self.hubs {
            record.retention = record.retention.min(config.tier.retention());
        }
        let hubs = self.hubs.iter().map(HubRecord::config).collect();
        Config { hubs, ..config.clone() }.validate()
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nnext {}\n", self.next_id);
        for hub in &self.hubs {
            let HubRecord { id, name, created, updated, partitions, .. } = hub;
            let (retention, status) = (hub.retention.as_millis(), word(hub.status));
            let _ = writeln!(
                text,
                "hub {id} {created} {updated} {retention} {status} {partitions} {name}"
            );
            for (group, created) in &hub.groups {
                let _ = writeln!(text, "group {created} {group}");
            }
        }
        let crc = crc32fast::hash(text.as_bytes());
        let _ = writeln!(text, "end {crc:08x}");
        text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ManifestError> {
        let lines = text.lines().count();
        let fail = |line: usize, reason| ManifestError { line, reason };
        let cut = fail(lines.max(1), "the last line is not 'end' and a checksum: it was cut short");
        let (body, crc) = text.trim_end_matches('\n').rsplit_once("\nend ").ok_or(cut)?;
        let body = text.get(..=body.len()).ok_or(cut)?;
        if format!("{:08x}", crc32fast::hash(body.as_bytes())) != crc {
            return Err(fail(lines, "the checksum does not fit: the file was changed"));
        }
        let mut manifest = Self::default();
        for (line, text) in (1..).zip(body.lines()) {
            let fields: Vec<_> = text.split(' ').collect();
            manifest.read_line(line, &fields).map_err(|reason| fail(line, reason))?;
        }
        Ok(manifest)
    }

    fn read_line(&mut self, line: usize, fields: &[&str]) -> Result<(), &'static str> {
        match (line, fields) {
            (1, _) if fields.join(" ") == FIRST_LINE => Ok(()),
            (1, _) => Err("this is no data folder, or one of another version"),
            (2, ["next", id]) => {
                self.next_id = number(id)?;
                Ok(())
            }
            (3.., ["hub", id, created, updated, retention, status, partitions, name]) => {
                self.hubs.push(HubRecord {
                    id: number(id)?,
                    name: (*name).to_owned(),
                    created: number(created)?,
                    updated: number(updated)?,
                    retention: Duration::from_millis(number(retention)?),
                    status: status_of(status).ok_or("the status is not one of a hub")?,
                    partitions: number(partitions)?,
                    groups: Vec::new(),
                });
                self.check_last()
            }
            (3.., ["group", created, name]) => {
                let hub = self.hubs.last_mut().ok_or("a group without a hub")?;
                hub.groups.push(((*name).to_owned(), number(created)?));
                self.check_last()
            }
            _ => Err("this is neither a hub nor a group"),
        }
    }

    /// Whether the last hub is valid by itself and among the others.
    fn check_last(&self) -> Result<(), &'static str> {
        let Some((last, others)) = self.hubs.split_last() else { return Ok(()) };
        last.config().validate().map_err(|_| "a name or number is not valid")?;
        let twice = others.iter().any(|other| other.id == last.id || other.is(&last.name));
        match twice || last.id >= self.next_id {
            true => Err("an id or a name is there twice"),
            false => Ok(()),
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "a field is not a number in its range")
}

const STATUSES: [(HubStatus, &str); 4] = [
    (HubStatus::Active, "active"),
    (HubStatus::Disabled, "disabled"),
    (HubStatus::SendDisabled, "send-disabled"),
    (HubStatus::ReceiveDisabled, "receive-disabled"),
];

fn word(status: HubStatus) -> &'static str {
    STATUSES.iter().find(|(known, _)| *known == status).map_or("active", |(_, word)| word)
}

fn status_of(text: &str) -> Option<HubStatus> {
    STATUSES.iter().find(|(_, word)| *word == text).map(|(status, _)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let orders = HubConfig::new("Orders", 4)
            .with_consumer_group("g1")
            .with_consumer_group("g.2")
            .with_retention(Duration::from_millis(1500))
            .with_status(HubStatus::SendDisabled);
        Manifest {
            next_id: 8,
            hubs: vec![
                HubRecord::new(3, orders, 1_700_000_000_000),
                HubRecord { updated: 9, ..HubRecord::new(7, HubConfig::new("b", 1), 5) },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for manifest in [manifest(), Manifest::default()] {
            assert_eq!(Manifest::parse(&manifest.to_text()), Ok(manifest));
        }
        let text = manifest().to_text();
        assert!(text.starts_with(
            "eventhubs-emulator data 1\nnext 8\n\
             hub 3 1700000000000 1700000000000 1500 send-disabled 4 Orders\n\
             group 1700000000000 g1\n"
        ));
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_line() {
        let sealed = |body: &str| format!("{body}end {:08x}\n", crc32fast::hash(body.as_bytes()));
        let check = |body: &str| Manifest::parse(&sealed(body)).unwrap_err();
        let start = "eventhubs-emulator data 1\nnext 2\n";
        assert_eq!(check("other 1\n").line, 1);
        assert!(check("eventhubs-emulator data 2\n").reason.contains("version"));
        assert_eq!(check("eventhubs-emulator data 1\nnext x\n").line, 2);
        let hub = |line: &str| check(&format!("{start}{line}\n"));
        assert!(hub("group 1 g").reason.contains("without a hub"));
        assert!(hub("hub 1 1 1 1 active 0 a").reason.contains("not valid"));
        assert!(hub("hub 1 1 1 1 active 1 ../a").reason.contains("not valid"));
        assert!(hub("hub 2 1 1 1 active 1 a").reason.contains("twice"));
        assert!(hub("hub 1 1 1 1 sleeping 1 a").reason.contains("status"));
        let twice = hub("hub 0 1 1 1 active 1 a\nhub 1 1 1 1 active 1 A");
        assert_eq!((twice.line, twice.reason), (4, "an id or a name is there twice"));
        assert_eq!(hub("hub 1 1 1 1 active 1 a\ngroup 1 $default").line, 4);
    }

    #[test]
    fn a_changed_manifest_is_refused() {
        let text = manifest().to_text();
        for end in 0..text.len() - 1 {
            assert!(Manifest::parse(&text[..end]).is_err(), "cut at {end}");
        }
        for index in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Manifest::parse(&changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_configuration_adds_and_takes_nothing_away() {
        let before = manifest();
        let mut manifest = before.clone();
        manifest.extend(&Config::default(), 1).unwrap();
        assert_eq!(manifest, before, "no default hub beside others");
        let config = Config::default()
            .with_hub_config(HubConfig::new("orders", 2).with_consumer_group("G1"))
            .with_hub_config(HubConfig::new("B", 6).with_consumer_group("g3"))
            .with_hub("c", 1);
        manifest.extend(&config, 1).unwrap();
        assert_eq!(manifest.hubs[0], before.hubs[0]);
        assert_eq!(manifest.hubs[1].partitions, 6);
        assert_eq!(manifest.hubs[1].groups, [("g3".to_owned(), 1)]);
        assert_eq!((manifest.hubs[2].id, manifest.next_id), (8, 9));
        let mut none = Manifest::default();
        none.extend(&Config::default(), 1).unwrap();
        assert_eq!(none.hubs[0].name, "hub");
        let limits = Limits { hubs: 2, ..Limits::default() };
        assert!(manifest.extend(&Config::default().with_limits(limits), 1).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = Manifest::parse(&text);
        }
    }
}
