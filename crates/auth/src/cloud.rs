//! The clouds and their host names.

use crate::error::Error;
use std::str::FromStr;

pub(crate) const KNOWN_NAMES: &str = "AzureCloud, AzurePublicCloud, AzureChinaCloud, \
     AzureUSGovernment, AzureUSGovernmentCloud, AzureGermanCloud";

/// A cloud, for the host names that follow from it.
///
/// A cloud of one's own (Azure Stack) has no entry: give the full host name instead of a namespace.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::Cloud;
///
/// let cloud: Cloud = "AzureChinaCloud".parse()?;
/// assert_eq!(cloud.host("ns"), "ns.servicebus.chinacloudapi.cn");
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Cloud {
    /// The public cloud.
    #[default]
    Public,
    /// China, operated by 21Vianet.
    China,
    /// United States government.
    UsGovernment,
    /// Germany. Closed in 2021; its names stay reserved.
    Germany,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Public, Self::China, Self::UsGovernment, Self::Germany];

    /// What follows the namespace in a host name of Event Hubs.
    #[must_use]
    pub const fn service_bus_suffix(self) -> &'static str {
        match self {
            Self::Public => "servicebus.windows.net",
            Self::China => "servicebus.chinacloudapi.cn",
            Self::UsGovernment => "servicebus.usgovcloudapi.net",
            Self::Germany => "servicebus.cloudapi.de",
        }
    }

    /// What follows the account and the kind of store in a host name of Azure Storage.
    #[must_use]
    pub const fn storage_suffix(self) -> &'static str {
        match self {
            Self::Public => "core.windows.net",
            Self::China => "core.chinacloudapi.cn",
            Self::UsGovernment => "core.usgovcloudapi.net",
            Self::Germany => "core.cloudapi.de",
        }
    }

    /// Where Entra ID issues tokens.
    #[must_use]
    pub const fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com/",
            Self::China => "https://login.chinacloudapi.cn/",
            Self::UsGovernment => "https://login.microsoftonline.us/",
            Self::Germany => "https://login.microsoftonline.de/",
        }
    }

    /// Where Azure resources are managed.
    #[must_use]
    pub const fn resource_manager(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com/",
            Self::China => "https://management.chinacloudapi.cn/",
            Self::UsGovernment => "https://management.usgovcloudapi.net/",
            Self::Germany => "https://management.microsoftazure.de/",
        }
    }

    /// Host name of a namespace in this cloud.
    #[must_use]
    pub fn host(self, namespace: &str) -> String {
        format!("{namespace}.{}", self.service_bus_suffix())
    }

    /// The cloud whose Event Hubs a host belongs to, whatever its letter case and with or without
    /// the dot that ends an absolute name.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.strip_suffix('.').unwrap_or(host);
        Self::ALL.into_iter().find(|cloud| {
            let suffix = cloud.service_bus_suffix();
            let Some(start) = host.len().checked_sub(suffix.len()) else {
                return false;
            };
            let (before, tail) = host.as_bytes().split_at(start);
            tail.eq_ignore_ascii_case(suffix.as_bytes()) && before.last().is_none_or(|&b| b == b'.')
        })
    }
}

impl FromStr for Cloud {
    type Err = Error;

    /// Reads the names `AZURE_ENVIRONMENT` takes, in any letter case.
    fn from_str(name: &str) -> Result<Self, Error> {
        match name.trim().to_ascii_uppercase().as_str() {
            "AZURECLOUD" | "AZUREPUBLICCLOUD" => Ok(Self::Public),
            "AZURECHINACLOUD" => Ok(Self::China),
            "AZUREUSGOVERNMENT" | "AZUREUSGOVERNMENTCLOUD" => Ok(Self::UsGovernment),
            "AZUREGERMANCLOUD" => Ok(Self::Germany),
            _ => Err(Error::UnknownCloud),
        }
    }
}
