//! TLS to an engine, in which both sides show a certificate.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};

/// Who may vouch for the engine.
const AUTHORITIES: &str = "ca.pem";
/// What this side shows.
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// As the files of this folder say. The error says which is wrong.
pub fn config(folder: &Path) -> Result<ClientConfig, String> {
    let wrong = |file: &str, why: &dyn std::fmt::Display| {
        format!(
            "{}: {why}; the folder of certificates has {AUTHORITIES}, {CERTIFICATE} and {KEY}, as that of the docker command",
            folder.join(file).display()
        )
    };
    let read = |file: &str| std::fs::read(folder.join(file)).map_err(|error| wrong(file, &error));
    let certificates = |file: &str| {
        let text = read(file)?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match all {
            Ok(all) if all.is_empty() => Err(wrong(file, &"it holds no certificate")),
            Ok(all) => Ok(all),
            Err(error) => Err(wrong(file, &error)),
        }
    };
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(AUTHORITIES)? {
        authorities
            .add(certificate)
            .map_err(|error| wrong(AUTHORITIES, &error))?;
    }
    let key = PrivateKeyDer::from_pem_slice(&read(KEY)?).map_err(|error| wrong(KEY, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(authorities)
        .with_client_auth_cert(certificates(CERTIFICATE)?, key)
        .map_err(|error| wrong(KEY, &error))
}

/// Why there is no connection, in words, if TLS is what it is about.
pub fn why(error: &io::Error, host: &str, folder: &Path) -> Option<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!(
                "its certificate is signed by nobody in {}: it is another engine, or somebody is in between",
                file(AUTHORITIES)
            )
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            format!(
                "its certificate is not made out to {host}; reach it by a name or address that stands in there"
            )
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; renew it there".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied,
        ) => format!(
            "it does not take the certificate {}: {error}; use one that is signed by the authority that the engine was given by --tlscacert",
            file(CERTIFICATE)
        ),
        Error::InvalidMessage(_) => {
            "what listens there speaks no TLS; check the port, or leave out the certificates".to_owned()
        }
        _ => format!("no TLS with it: {error}"),
    })
}
