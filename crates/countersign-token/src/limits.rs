//! How much input is looked at. Each limit is checked before any work that grows with the input.

/// Longest token in bytes, as sent. Above it a header line would not reach a server behind the usual proxies.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Longest header segment in bytes, as sent. An honest header is below 200.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Longest key id in bytes. A key id is a name; whatever is longer tries something.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// How deep JSON may nest. Role claims of the common providers reach 4.
pub const JSON_DEPTH_MAX: usize = 16;

/// How many members one JSON object may have. Bounds the search for duplicates.
pub const JSON_MEMBERS_MAX: usize = 256;

/// Largest key set document in bytes. The largest public one seen (Entra) is below 20 KiB.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// How many keys one set may hold.
pub const KEY_SET_KEYS_MAX: usize = 512;

/// Clock difference between an issuer and us that is forgiven unless the issuer's record says otherwise, in
/// seconds. Servers keep time by NTP; more would only prolong a stolen token's life.
pub const CLOCK_SKEW_DEFAULT: u64 = 30;

/// Longest life of a client's assertion unless the policy says otherwise, in seconds. It is made for one request.
pub const ASSERTION_LIFETIME_MAX_DEFAULT: u64 = 300;

/// Longest address of a request in bytes, for the comparison with a DPoP proof's `htu`.
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Longest `jti` of a DPoP proof in bytes. It is hashed before it is stored, so this bounds work, not memory.
pub const PROOF_ID_BYTES_MAX: usize = 256;

/// How old a DPoP proof may be unless the request says otherwise, in seconds. A proof is made for one request, and
/// the time to send it is all it needs.
pub const PROOF_AGE_MAX_DEFAULT: u64 = 60;
