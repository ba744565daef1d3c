//! A certificate authority of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Signs the certificates of a test's origins; programs trust it through a bundle file.
#[derive(Clone)]
pub struct TestAuthority {
    issuer: Arc<CertifiedIssuer<'static, KeyPair>>,
}

impl TestAuthority {
    /// A fresh authority, P-256.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Remit test origins");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a root can be signed");
        Self { issuer: Arc::new(issuer) }
    }

    /// The root certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a trust bundle: this root and the system's, as `SSL_CERT_FILE` wants it.
    pub fn write_bundle(&self, folder: &Path) -> PathBuf {
        let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        let path = folder.join("origins.pem");
        fs::write(&path, format!("{}{system}", self.pem())).expect("a bundle can be written");
        path
    }

    /// TLS settings of a server that answers to `names`, offering HTTP/2 and HTTP/1.1.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (leaf, key) = self.leaf(names);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], secret)
            .expect("key and certificate belong together");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Certificate and key of such a server, for one that is another program.
    pub fn server_pem(&self, names: &[&str]) -> (String, String) {
        let (leaf, key) = self.leaf(names);
        (leaf.pem(), key.serialize_pem())
    }

    fn leaf(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names are host names or addresses");
        let key = KeyPair::generate().expect("a key can be made");
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf can be signed");
        (leaf, key)
    }
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}
