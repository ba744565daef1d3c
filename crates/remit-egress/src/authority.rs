//! The certificate authority that a session trusts, and the leaf certificates it mints.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use remit_core::Host;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use time::OffsetDateTime;

use crate::error::AuthorityError;

/// Certificates of one authority. Keys live in memory only; the leaf key is never the CA's key.
///
/// Leaves are P-256, valid for at most [`Authority::VALIDITY`], one per host, minted once also
/// when many connections ask at the same time.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    leaf_key: KeyPair,
    leaf_signer: Arc<dyn SigningKey>,
    /// The end of a generated CA; a loaded one is its owner's to renew.
    not_after: Option<OffsetDateTime>,
    leaves: moka::sync::Cache<Host, Arc<ServerConfig>>,
}

impl Authority {
    /// How long generated certificates are valid.
    pub const VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);

    /// A fresh P-256 authority in memory; `label` (a session id, say) is part of its name, so
    /// that two sessions' authorities are told apart by people and by programs.
    ///
    /// # Errors
    /// When keys cannot be generated.
    pub fn new(label: &str) -> Result<Self, AuthorityError> {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Remit");
        let label: String = label.chars().filter(|c| c.is_ascii_graphic()).take(32).collect();
        params.distinguished_name.push(DnType::CommonName, format!("Remit session {label}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(random_serial());
        params.not_before = now - SKEW;
        params.not_after = now - SKEW + Self::VALIDITY;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let not_after = params.not_after;
        Self::assemble(Issuer::new(params, key), certificate.pem(), Some(not_after))
    }

    /// An authority from PEM texts: a CA certificate and its private key (PKCS#8, RSA or EC).
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together, or the certificate may not
    /// sign others.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| AuthorityError::NoCertificate)?;
        if !may_sign(&der) {
            return Err(AuthorityError::NotAuthority);
        }
        let issuer = Issuer::from_ca_cert_der(&der, KeyPair::from_pem(key)?)?;
        let authority = Self::assemble(issuer, certificate.to_owned(), None)?;
        authority.prove(&der)?;
        Ok(authority)
    }

    /// The CA certificate, PEM, for the session's trust stores.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The TLS configuration that speaks for `host`.
    pub(crate) fn server_config(&self, host: &Host) -> Result<Arc<ServerConfig>, AuthorityError> {
        if let Some(config) = self.leaves.get(host) {
            return Ok(config);
        }
        self.leaves.try_get_with_by_ref(host, || self.mint(host).map(Arc::new)).map_err(
            |error: Arc<AuthorityError>| {
                // moka shares one error between all who waited for the same leaf.
                Arc::try_unwrap(error)
                    .unwrap_or_else(|shared| rustls::Error::General(shared.to_string()).into())
            },
        )
    }

    fn assemble(
        issuer: Issuer<'static, KeyPair>,
        ca_pem: String,
        not_after: Option<OffsetDateTime>,
    ) -> Result<Self, AuthorityError> {
        let leaf_key = KeyPair::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let leaf_signer = aws_lc_rs::sign::any_ecdsa_type(&der)?;
        let leaves = moka::sync::Cache::builder()
            .max_capacity(1024)
            .time_to_live(Duration::from_secs(12 * 3600))
            .build();
        Ok(Self { issuer, ca_pem, leaf_key, leaf_signer, not_after, leaves })
    }

    fn leaf(&self, host: &Host) -> Result<CertificateDer<'static>, AuthorityError> {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.to_string().try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        }];
        params.distinguished_name = DistinguishedName::new();
        // X.520 limits a common name to 64 characters; the SAN is what counts.
        let text = host.to_string();
        let common = if text.len() <= 64 { text } else { "Remit leaf".to_owned() };
        params.distinguished_name.push(DnType::CommonName, common);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(random_serial());
        params.not_before = now - SKEW;
        let week = now - SKEW + Self::VALIDITY;
        params.not_after = self.not_after.map_or(week, |end| end.min(week));
        Ok(params.signed_by(&self.leaf_key, &self.issuer)?.der().clone())
    }

    fn mint(&self, host: &Host) -> Result<ServerConfig, AuthorityError> {
        let leaf = self.leaf(host)?;
        let certified = CertifiedKey::new(vec![leaf], Arc::clone(&self.leaf_signer));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Single(Arc::new(certified))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.send_tls13_tickets = 1;
        Ok(config)
    }

    /// Verifies a leaf of ours under the loaded CA, so that a wrong key is found at start and not
    /// as a puzzle in every client.
    fn prove(&self, ca: &CertificateDer<'_>) -> Result<(), AuthorityError> {
        use rustls::{CertificateError, Error, client::WebPkiServerVerifier, pki_types::UnixTime};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone().into_owned()).map_err(AuthorityError::Mismatch)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let host = Host::Address(IpAddr::from([127, 0, 0, 1]));
        let leaf = self.leaf(&host)?;
        let name = rustls::pki_types::ServerName::from(IpAddr::from([127, 0, 0, 1]));
        use rustls::client::danger::ServerCertVerifier;
        match verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()) {
            // A CA of the user's may be constrained to names; that is theirs to choose.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(AuthorityError::Mismatch(error)),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Whether clients will accept certificates that this one signed. Asked here, since verifiers do
/// not look at the constraints of a root that they were told to trust, and clients differ.
fn may_sign(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return false;
    };
    // Without the extension any use is permitted.
    let usage = certificate
        .key_usage()
        .ok()
        .is_some_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    certificate.is_ca() && usage
}

/// The one cryptography provider of the crate.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// Certificates are valid a little earlier than they were made: clocks differ.
const SKEW: Duration = Duration::from_secs(3600);

/// Issuer and serial together name a certificate (RFC 5280, 4.1.2.2), and all leaves share a key:
/// each needs a serial of its own.
fn random_serial() -> SerialNumber {
    let mut bytes = [0u8; 16];
    // Without randomness no handshake would work either; uniqueness is all that is asked here.
    let _ = provider().secure_random.fill(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// The name was decided before the handshake, so there is one certificate to give.
#[derive(Debug)]
struct Single(Arc<CertifiedKey>);

impl ResolvesServerCert for Single {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
