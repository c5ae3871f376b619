//! TLS between a release binary as it is shipped and a stand-in on this machine.
//!
//! The binary trusts Mozilla's roots and nothing else, and no setting changes that. So a copy of it gets another public
//! key in the place of one root's: 65 bytes of data, and the same code to the last instruction.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The root whose place is taken. Its key is of the kind that [`KeyPair::generate`] makes, ECDSA on P-256.
const ROOT: [(DnType, &str); 3] =
    [(DnType::CountryName, "US"), (DnType::OrganizationName, "Amazon"), (DnType::CommonName, "Amazon Root CA 3")];

/// Bytes of a public key on P-256: two coordinates, and what form they have.
const PUBLIC_KEY_BYTES: usize = 65;

/// A certificate authority that takes the place of a public one.
pub struct Authority {
    key: KeyPair,
    root: CertificateParams,
}

impl Authority {
    /// Makes one, with a key of its own.
    pub fn new() -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name = DistinguishedName::new();
        for (kind, text) in ROOT {
            root.distinguished_name.push(kind, DnValue::PrintableString(text.try_into().unwrap()));
        }
        Self { key: KeyPair::generate().unwrap(), root }
    }

    /// Its certificate, for programs that read one from a file.
    pub fn certificate(&self) -> String {
        self.root.self_signed(&self.key).unwrap().pem()
    }

    /// Writes a copy of `binary` to `copy` that trusts this authority.
    pub fn make_trusted_by(&self, binary: &Path, copy: &Path) {
        let name = ROOT[2].1.as_bytes();
        let root = webpki_roots::TLS_SERVER_ROOTS.iter().find(|root| root.subject.ends_with(name)).unwrap();
        let key = &root.subject_public_key_info[root.subject_public_key_info.len() - PUBLIC_KEY_BYTES..];
        let mut bytes = fs::read(binary).unwrap();
        let places: Vec<_> =
            bytes.windows(key.len()).enumerate().filter_map(|(at, window)| (window == key).then_some(at)).collect();
        assert!(!places.is_empty(), "{} does not hold the key of {}", binary.display(), ROOT[2].1);
        for at in places {
            bytes[at..at + key.len()].copy_from_slice(self.key.public_key_raw());
        }
        fs::write(copy, bytes).unwrap();
        fs::set_permissions(copy, fs::metadata(binary).unwrap().permissions()).unwrap();
    }

    /// A server's set-up for `localhost`: a certificate by an intermediate one by this authority, as public ones are.
    fn server(&self) -> ServerConfig {
        let mut middle = CertificateParams::default();
        middle.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        middle.distinguished_name.push(DnType::CommonName, "Intermediate of a stand-in");
        let middle_key = KeyPair::generate().unwrap();
        let middle_certificate = middle.signed_by(&middle_key, &Issuer::from_params(&self.root, &self.key)).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&middle, &middle_key)).unwrap();
        let chain = vec![leaf.der().clone(), middle_certificate.der().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, leaf_key.serialize_der().try_into().unwrap())
            .unwrap()
    }
}

/// Takes the TLS off connections, and hands what is in them to a server on this machine.
pub struct Terminator {
    port: u16,
    server: JoinHandle<()>,
}

impl Terminator {
    /// Starts listening on a port of its own, in front of the server on `behind`.
    pub async fn start(authority: &Authority, behind: u16) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(terminate(stream, acceptor.clone(), behind));
            }
        });
        Self { port, server }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves one connection. However it ends, the other side sees it end.
async fn terminate(stream: TcpStream, acceptor: TlsAcceptor, behind: u16) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut plain = TcpStream::connect(("127.0.0.1", behind)).await?;
    plain.set_nodelay(true)?;
    let mut encrypted = acceptor.accept(stream).await?;
    copy_bidirectional(&mut encrypted, &mut plain).await?;
    Ok(())
}
