//! Who may vouch for nodes, and where nodes' names lead.
//!
//! Certificates are made out to names, and nodes are known by address. So an `https:` address has the node's name in it,
//! which is asked of no name server: [`Client::is_at`](crate::Client::is_at) says where it leads.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Those whose signature under a node's certificate is trusted. Nobody else's is, not even those that this machine trusts.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

/// Why a text holds no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAuthorities(String);

impl Authorities {
    /// Nobody: for plain HTTP.
    pub fn none() -> Self {
        Authorities(Arc::new(RootCertStore::empty()))
    }

    /// The certificates of a PEM file, one at least.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoAuthorities> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| NoAuthorities(error.to_string()))?;
            (store.add(certificate)).map_err(|error| NoAuthorities(error.to_string()))?;
        }
        match store.is_empty() {
            true => Err(NoAuthorities(
                "it holds no certificate; one begins with -----BEGIN CERTIFICATE-----".to_owned(),
            )),
            false => Ok(Authorities(Arc::new(store))),
        }
    }

    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(self.0.clone())
            .with_no_client_auth()
    }
}

/// Where names lead. Those that are not known lead nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes(Arc<RwLock<BTreeMap<String, IpAddr>>>);

impl Nodes {
    pub fn set(&self, name: &str, address: IpAddr) {
        let name = name.to_ascii_lowercase();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name) == Some(&address);
        if !known {
            self.0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(name, address);
        }
    }
}

impl Resolve for Nodes {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let address = known.get(&name.as_str().to_ascii_lowercase()).copied();
        Box::pin(async move {
            match address {
                // The port is that of the URL.
                Some(address) => Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as Addrs),
                None => Err(format!("{} is no node of the cluster", name.as_str()).into()),
            }
        })
    }
}
