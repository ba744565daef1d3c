//! Whom the proxy trusts when it speaks to servers.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::authority::provider;

/// Why the trusted roots cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM, or holds no certificate.
    #[error("the extra CA file holds no PEM certificate")]
    NoCertificate,
    /// A certificate is not usable as a root.
    #[error("a certificate of the extra CA file cannot be a root: {0}")]
    Root(rustls::Error),
}

/// Root certificates for upstream connections.
#[derive(Clone, Debug)]
pub struct UpstreamTrust {
    /// Whether the system's store is part of it; read when first needed.
    system: bool,
    extra: RootCertStore,
}

impl UpstreamTrust {
    /// The host's store, or the files that `SSL_CERT_FILE`/`SSL_CERT_DIR` of Remit's own
    /// environment name. Unreadable parts of the store are left out: less is trusted, not more.
    pub const fn system() -> Self {
        Self { system: true, extra: RootCertStore { roots: Vec::new() } }
    }

    /// No roots at all; for hosts that trust one authority only, with [`Self::with_pem`].
    pub const fn none() -> Self {
        Self { system: false, extra: RootCertStore { roots: Vec::new() } }
    }

    /// The same and the certificates of a PEM text.
    ///
    /// # Errors
    /// [`TrustError`] when one of them cannot be used.
    pub fn with_pem(mut self, pem: &str) -> Result<Self, TrustError> {
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| TrustError::NoCertificate)?;
            self.extra.add(certificate).map_err(TrustError::Root)?;
            any = true;
        }
        if any { Ok(self) } else { Err(TrustError::NoCertificate) }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = self.extra.clone();
        if self.system {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "part of the system's certificate store cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
        roots
    }

    /// A client configuration that offers `alpn`, in order.
    pub(crate) fn client(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}
