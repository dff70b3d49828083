//! A hub that is opened with a credential of the Azure SDK. Behind the feature `entra`.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use eventhubs_auth::EntraTokenProvider;

use crate::error::Error;
use crate::hub::Hub;
use crate::options::HubOptions;

impl Hub {
    /// A hub of the namespace or host `namespace`, with tokens of Entra ID from `credential`. A bare
    /// namespace such as `my-namespace` is one of the public cloud; for another cloud give the full
    /// host name here and the cloud to the credential. Needs the feature `entra`.
    ///
    /// The credential is asked when the first connection is made, and again before its token ends. It
    /// needs one of the roles "Azure Event Hubs Data Sender", "Data Receiver" or "Data Owner". For
    /// another scope than `https://eventhubs.azure.net/.default` there is [`Hub::new`] with an
    /// [`EntraTokenProvider`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) as [`Hub::new`]. A credential that
    /// fails is an error of the call that needed the token, of kind
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use azure_core::credentials::TokenCredential;
    /// use eventhubs_client::{Error, Hub, HubOptions};
    ///
    /// fn telemetry(credential: Arc<dyn TokenCredential>) -> Result<Hub, Error> {
    ///     Hub::from_credential("my-namespace", "telemetry", credential, HubOptions::default())
    /// }
    /// ```
    pub fn from_credential(
        namespace: &str,
        hub: &str,
        credential: Arc<dyn TokenCredential>,
        options: HubOptions,
    ) -> Result<Self, Error> {
        Self::new(namespace, hub, Arc::new(EntraTokenProvider::new(credential)), options)
    }
}
