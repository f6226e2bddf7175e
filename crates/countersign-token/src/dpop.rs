//! DPoP proofs (RFC 9449): that whoever sends a request holds the key its token is bound to.
//!
//! A proof comes in the `DPoP` header, made for one request and one token. Beside a token it is checked by
//! [`verify`](crate::verify()), with [`Proofs`](crate::Proofs) in the [`Check`](crate::Check); a token endpoint, where
//! there is no token yet, checks it alone:
//!
//! ```
//! use countersign_token::dpop::{MemoryReplayStore, Proof, ProofCheck, Request, RequestUrl};
//! use countersign_token::Reason;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The example of RFC 9449 §4.1, made at 1562262616.
//! let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
//!              VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
//!              nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
//!              QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
//!              oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
//!              WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
//!              4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
//! let used = MemoryReplayStore::new(100_000);
//! let url = RequestUrl::from_parts("https", "server.example.com", "/token")?;
//! let check = ProofCheck::new(Request::new("POST", &url, &used), 1_562_262_620);
//! let verified = Proof::parse(proof)?.verify(&check)?;
//! assert_eq!(verified.key().to_base64url(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
//!
//! let again = Proof::parse(proof)?.verify(&check);
//! assert_eq!(again.unwrap_err().reason, Reason::ProofReplayed);
//! # Ok(())
//! # }
//! ```

mod proof;
mod replay;
mod url;

pub use proof::{Proof, ProofCheck, Request, VerifiedProof};
pub use replay::{MemoryReplayStore, ReplayKey, ReplayStore};
pub use url::{RequestUrl, RequestUrlError};
