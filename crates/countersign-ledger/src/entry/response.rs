//! Steps of a response to an incident.

use super::EntryError;
use super::field::{Fields, Writing, codes};

pub(super) const TYPE_RESPONSE: u8 = 9;

/// A step of a playbook was approved, executed, acknowledged or proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseAction {
    /// What was done.
    pub action: ActionCode,
    /// How far it has come.
    pub stage: StageCode,
    /// When, in unix seconds.
    pub at: u64,
    /// The case: 16 random bytes, the same in all its entries.
    pub case: [u8; 16],
    /// What it was done to, as the action defines it.
    pub target: [u8; 32],
}

codes! {
    /// What a step of a playbook does, and what its target is.
    ActionCode, "response action" {
        /// Exchange and refresh are off; target: the realm.
        StopRenewal = 1, "stop_renewal";
        /// A key became suspect; target: its thumbprint.
        SuspectKey = 2, "suspect_key";
        /// A key was revoked; target: its thumbprint.
        RevokeKey = 3, "revoke_key";
        /// The keys of a realm were replaced; target: the realm.
        ReplaceKeys = 4, "replace_keys";
        /// What remained was denied; target: the fingerprint, root, session or thumbprint of the denial.
        DenyTokens = 5, "deny_tokens";
        /// A realm was fenced; target: the realm.
        FenceRealm = 6, "fence_realm";
        /// The case is closed; target: SHA-256 of its report.
        CloseCase = 7, "close_case";
    }
}

codes! {
    /// How far a step of a playbook has come.
    StageCode, "response stage" {
        /// A second person agreed.
        Approved = 1, "approved";
        /// It was done.
        Executed = 2, "executed";
        /// Every gate has said that it follows.
        Acknowledged = 3, "acknowledged";
        /// A probe token was refused where it had to be, and a good one admitted.
        Proved = 4, "proved";
        /// It could not be done.
        Failed = 5, "failed";
    }
}

impl ResponseAction {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut out = Writing::begin(TYPE_RESPONSE, 57);
        out.u8(self.action.code());
        out.u8(self.stage.code());
        out.u40("the time", self.at)?;
        out.bytes(&self.case);
        out.bytes(&self.target);
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        Ok(Self {
            action: ActionCode::take(fields)?,
            stage: StageCode::take(fields)?,
            at: fields.u40()?,
            case: fields.bytes()?,
            target: fields.bytes()?,
        })
    }
}
