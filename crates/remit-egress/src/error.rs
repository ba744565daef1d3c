//! Errors of setting up; refusals of traffic are the guard's denials instead.

/// Why a certificate authority could not be made or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Keys or certificates could not be generated or read.
    #[error("the certificate authority cannot be used: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refused the generated chain.
    #[error("the certificate authority does not work for TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The key does not belong to the certificate.
    #[error("the key and the certificate do not form an authority: {0}")]
    Mismatch(rustls::Error),
    /// The certificate may not sign others (RFC 5280, 4.2.1.3 and 4.2.1.9).
    #[error("the certificate is not an authority's: it may not sign others")]
    NotAuthority,
    /// The text holds no certificate.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
}
