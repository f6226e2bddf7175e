//! The body of `add-checkpoint`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::tree::Hash;

/// No tree needs a longer consistency proof.
pub const PROOF_LINES_MAX: usize = 63;

/// A checkpoint, brought to a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness cosigned last.
    pub old: u64,
    /// Consistency proof from there to the checkpoint.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Vec<u8>,
}

impl AddCheckpoint {
    /// The request body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut head = format!("old {}\n", self.old);
        for hash in &self.proof {
            head.push_str(&STANDARD.encode(hash));
            head.push('\n');
        }
        head.push('\n');
        [head.as_bytes(), &self.checkpoint].concat()
    }

    /// Reads a request body. The checkpoint is not looked at.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let end = body.windows(2).position(|pair| pair == b"\n\n");
        let (head, rest) = end
            .and_then(|end| body.split_at_checked(end))
            .ok_or(RequestError::Malformed)?;
        let checkpoint = rest.strip_prefix(b"\n\n").ok_or(RequestError::Malformed)?;
        let mut lines = std::str::from_utf8(head)
            .map_err(|_| RequestError::Malformed)?
            .split('\n');
        let digits = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .ok_or(RequestError::OldSize)?;
        let old: u64 = digits.parse().map_err(|_| RequestError::OldSize)?;
        if old.to_string() != digits {
            return Err(RequestError::OldSize);
        }
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_LINES_MAX {
                return Err(RequestError::ProofTooLong);
            }
            let hash = STANDARD.decode(line).ok();
            proof.push(
                hash.and_then(|hash| hash.try_into().ok())
                    .ok_or(RequestError::Proof)?,
            );
        }
        Ok(Self {
            old,
            proof,
            checkpoint: checkpoint.to_vec(),
        })
    }
}

/// Why bytes are not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not lines, an empty line, and a checkpoint.
    #[error("the request is not lines, an empty line and a checkpoint")]
    Malformed,
    /// The first line is not `old <size>`.
    #[error("the first line is not `old` and a decimal size")]
    OldSize,
    /// A proof line is not base64 of 32 bytes.
    #[error("a proof line is not base64 of 32 bytes")]
    Proof,
    /// More proof lines than any tree needs.
    #[error("more than 63 proof lines")]
    ProofTooLong,
    /// What follows the empty line is not a signed checkpoint.
    #[error("what follows the empty line is not a signed checkpoint")]
    Checkpoint,
}

impl RequestError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "witness_request_malformed",
            Self::OldSize => "witness_request_old_size",
            Self::Proof => "witness_request_proof",
            Self::ProofTooLong => "witness_request_proof_too_long",
            Self::Checkpoint => "witness_request_checkpoint",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let body = "old 20852014\n\
            PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
            jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
            5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
            /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
            \n\
            example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let request = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert!(request.checkpoint.starts_with(b"example.com/behind-the-sofa\n"));
        assert_eq!(request.encode(), body.as_bytes());
    }

    #[test]
    fn other_forms_are_refused() {
        let check = |body: String, expect| {
            assert_eq!(AddCheckpoint::parse(body.as_bytes()), Err(expect), "{body:?}");
        };
        check(String::new(), RequestError::Malformed);
        check("old 1\n".into(), RequestError::Malformed);
        check("old 1\nx".into(), RequestError::Malformed);
        check("\n\nx".into(), RequestError::OldSize);
        check("old\n\nx".into(), RequestError::OldSize);
        check("old  1\n\nx".into(), RequestError::OldSize);
        check("old 01\n\nx".into(), RequestError::OldSize);
        check("old -1\n\nx".into(), RequestError::OldSize);
        check("old +1\n\nx".into(), RequestError::OldSize);
        check("old 18446744073709551616\n\nx".into(), RequestError::OldSize);
        check("old 1\r\n\nx".into(), RequestError::OldSize);
        check("Old 1\n\nx".into(), RequestError::OldSize);
        check("old 1\nAAAA\n\nx".into(), RequestError::Proof);
        let hash = STANDARD.encode([0; 32]) + "\n";
        check(format!("old 1\n{} \n\nx", hash.trim_end()), RequestError::Proof);
        check(
            format!("old 1\n{}\nx", hash.repeat(64)),
            RequestError::ProofTooLong,
        );
        let most = format!("old 1\n{}\nx", hash.repeat(63));
        assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().proof.len(), 63);
    }
}
