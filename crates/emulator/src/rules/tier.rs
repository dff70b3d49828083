//! The service's pricing tiers, and what each of them allows.

use std::time::Duration;

use crate::config::ConfigError;
use crate::config::hub_config::HubConfig;

/// A tier of the service. Sets the most that a hub may have and the largest publication.
///
/// The default is [`Dedicated`](Self::Dedicated), the widest: whatever is right on some tier is
/// right on it. Take the tier that an application runs on to find out here, and not there, that it
/// asks for too much.
///
/// ```
/// use eventhubs_emulator::{Config, Tier};
///
/// let config = Config::default().with_tier(Tier::Basic).with_hub("orders", 33);
/// assert!(config.validate().is_err());
/// assert_eq!(Tier::Basic.max_publication(), 256 * 1024);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// 256 KiB per publication, `$Default` as the only consumer group, retention of one day.
    Basic,
    /// 1 MiB per publication, 20 consumer groups, 32 partitions, seven days.
    Standard,
    /// 1 MiB per publication, 100 consumer groups, 100 partitions, 90 days.
    Premium,
    /// Up to 20 MiB per publication, 1 000 consumer groups, 1 024 partitions, 90 days.
    #[default]
    Dedicated,
}

const DAY: u64 = 24 * 60 * 60;

impl Tier {
    /// Every tier, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Standard, Self::Premium, Self::Dedicated];

    /// Largest publication in bytes, one event or one batch, as documented by the service.
    /// [`Limits::max_message_size`](crate::Limits::max_message_size) narrows it further.
    pub fn max_publication(self) -> u64 {
        match self {
            Self::Basic => 256 << 10,
            Self::Standard | Self::Premium => 1 << 20,
            // Self-serve clusters; 1 MiB unless it is asked for.
            Self::Dedicated => 20 << 20,
        }
    }

    /// Most consumer groups of a hub, `$Default` among them.
    pub fn consumer_groups(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Standard => 20,
            Self::Premium => 100,
            Self::Dedicated => 1000,
        }
    }

    /// Most partitions of a hub.
    pub fn partitions(self) -> u32 {
        match self {
            Self::Basic | Self::Standard => 32,
            Self::Premium => 100,
            Self::Dedicated => 1024,
        }
    }

    /// Longest retention of a hub's events; a longer one is cut to it.
    pub fn retention(self) -> Duration {
        match self {
            Self::Basic => Duration::from_secs(DAY),
            Self::Standard => Duration::from_secs(7 * DAY),
            Self::Premium | Self::Dedicated => Duration::from_secs(90 * DAY),
        }
    }

    /// Most connections of a namespace: those of one processing or capacity unit where the service
    /// counts by unit. [`Limits::connections`](crate::Limits::connections) narrows it further.
    pub fn connections(self) -> usize {
        match self {
            Self::Basic => 100,
            Self::Standard => 5_000,
            Self::Premium => 10_000,
            Self::Dedicated => 100_000,
        }
    }

    /// Name in lower case, as a command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Premium => "premium",
            Self::Dedicated => "dedicated",
        }
    }

    /// The tier of a name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(name))
    }

    /// Whether the number of a hub's partitions may be changed later.
    pub fn scales(self) -> bool {
        matches!(self, Self::Premium | Self::Dedicated)
    }

    /// A hub that keeps its events no longer than the tier does.
    pub(crate) fn cut(self, hub: HubConfig) -> HubConfig {
        HubConfig { retention: hub.retention.min(self.retention()), ..hub }
    }

    /// Whether a hub of this tier may be what it is configured to be.
    pub(crate) fn check(self, hub: &HubConfig) -> Result<(), ConfigError> {
        self.check_partitions(&hub.name, hub.partitions)?;
        self.check_groups(&hub.name, hub.consumer_groups.len() + 1)
    }

    /// Whether a hub of this tier may have that many partitions.
    pub(crate) fn check_partitions(self, hub: &str, wanted: u32) -> Result<(), ConfigError> {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        self.fit(hub, "partitions", count(wanted), count(self.partitions()))
    }

    /// Whether a hub of this tier may have that many consumer groups, `$Default` among them.
    pub(crate) fn check_groups(self, hub: &str, wanted: usize) -> Result<(), ConfigError> {
        self.fit(hub, "consumer groups", wanted, self.consumer_groups())
    }

    /// Whether a hub of this tier may get another number of partitions.
    pub(crate) fn check_scaling(
        self,
        hub: &str,
        present: u32,
        wanted: u32,
    ) -> Result<(), ConfigError> {
        match present == wanted || self.scales() {
            true => self.check_partitions(hub, wanted),
            false => Err(ConfigError::FixedPartitions { hub: hub.to_owned(), tier: self }),
        }
    }

    fn fit(
        self,
        hub: &str,
        what: &'static str,
        wanted: usize,
        most: usize,
    ) -> Result<(), ConfigError> {
        match wanted > most {
            true => {
                let hub = hub.to_owned();
                Err(ConfigError::Tier { hub, what, wanted, most, tier: self })
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_documentation() {
        use Tier::{Basic, Dedicated, Premium, Standard};
        let of = |tier: Tier| {
            let days = tier.retention().as_secs() / DAY;
            let (size, groups) = (tier.max_publication(), tier.consumer_groups());
            (size, groups, tier.partitions(), days, tier.connections())
        };
        assert_eq!(of(Basic), (262_144, 1, 32, 1, 100));
        assert_eq!(of(Standard), (1_048_576, 20, 32, 7, 5_000));
        assert_eq!(of(Premium), (1_048_576, 100, 100, 90, 10_000));
        assert_eq!(of(Dedicated), (20_971_520, 1000, 1024, 90, 100_000));
        assert!(Tier::ALL.iter().all(|tier| Tier::from_name(tier.name()) == Some(*tier)));
        assert_eq!(Tier::from_name("STANDARD"), Some(Standard));
        assert_eq!(Tier::from_name("free"), None);
    }

    #[test]
    fn a_hub_has_to_fit_its_tier() {
        let hub = |partitions, groups: usize| {
            (0..groups).fold(HubConfig::new("h", partitions), |hub, number| {
                hub.with_consumer_group(format!("g{number}"))
            })
        };
        for tier in Tier::ALL {
            let (partitions, groups) = (tier.partitions(), tier.consumer_groups() - 1);
            assert_eq!(tier.check(&hub(partitions, groups)), Ok(()), "$Default is one of them");
            let error = tier.check(&hub(partitions + 1, groups)).unwrap_err().to_string();
            assert!(error.contains(tier.name()) && error.contains("partitions"), "{error}");
            let error = tier.check(&hub(partitions, groups + 1)).unwrap_err().to_string();
            assert!(error.contains("consumer groups"), "{error}");
            assert_eq!(tier.check_scaling("h", 4, 4), Ok(()));
            assert_eq!(tier.check_scaling("h", 4, 5).is_ok(), tier.scales());
        }
    }
}
