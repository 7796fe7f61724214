//! Binds requests of a producer to whoever began its session, with `--secret`.
//!
//! ```text
//! POST /producers/p3/init   {}                                       {"epoch":3,"index":132,"token":"5f0c…"}
//! POST /streams/out/send    {"producer":"p3","epoch":3,"token":"5f0c…",…}
//! ```
//!
//! The token is an HMAC (RFC 2104) with SHA-256 over producer and epoch, under the secret that all nodes are given: any of them can check
//! it, and nothing has to be kept. A request without it, or with that of another producer or session, is refused as `bad-token`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a token.
const BYTES: usize = 32;

/// Makes and checks tokens.
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// A signer with this secret.
    pub fn new(secret: &str) -> Self {
        let mac = Hmac::new_from_slice(secret.as_bytes());
        Self(mac.expect("an HMAC takes keys of every length"))
    }

    /// The token of a session: 64 hexadecimal digits.
    pub fn token(&self, producer: &str, epoch: u64) -> String {
        let bytes = self.mac(producer, epoch).finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether this is the token of that session. Takes as long for a wrong one as for the right one.
    pub fn admits(&self, producer: &str, epoch: u64, token: &str) -> bool {
        let bytes = unhex(token);
        bytes.is_some_and(|bytes| self.mac(producer, epoch).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, producer: &str, epoch: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // Of a fixed length, so that it can't run into the name.
        mac.update(&epoch.to_le_bytes());
        mac.update(producer.as_bytes());
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * BYTES)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_session_of_one_producer_under_one_secret() {
        let signer = Signer::new("secret");
        let token = signer.token("p", 3);
        assert_eq!(token.len(), 2 * BYTES);
        assert!(signer.admits("p", 3, &token) && Signer::new("secret").admits("p", 3, &token));
        assert!(!signer.admits("p", 4, &token) && !signer.admits("q", 3, &token));
        assert!(!Signer::new("other").admits("p", 3, &token));
        assert!(
            !signer.admits("p", 3, &token[2..]) && !signer.admits("p", 3, "") && !signer.admits("p", 3, "é")
        );
    }

    #[test]
    fn it_is_the_hmac_of_the_standard() {
        // RFC 4231, test case 2, of which only the key and the data are ours to give.
        let mac = Signer::new("Jefe").0.chain_update("what do ya want for nothing?");
        let bytes = mac.finalize().into_bytes();
        assert_eq!(bytes[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
