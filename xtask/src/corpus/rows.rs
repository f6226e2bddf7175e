//! The rows of the corpus, each with its cases.

mod claim;
mod form;
mod header;
mod json;
mod key;
mod post_quantum;
mod proof;
mod realm;
mod signature;

use super::case::Cases;

/// Makes every case.
pub(super) fn make(cases: &mut Cases) {
    form::framing(cases);
    form::base64url(cases);
    json::strict(cases);
    header::headers(cases);
    key::keys(cases);
    post_quantum::keys_and_signatures(cases);
    signature::signatures(cases);
    claim::claim_values(cases);
    realm::realms(cases);
    proof::proofs(cases);
}
