//! Our tree against one that we did not write.

use countersign_ledger::Verifier;
use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::proof::{TlogProof, consistency, verify_consistency};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use sha2::Sha256;

use crate::support::{append_all, issuance, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ct_merkle_agrees_on_root_and_proofs() {
    const SIZE: u64 = 1_300;
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, SIZE).await;
    ledger.close();
    let verifier = Verifier::parse(ledger.verifier_key()).unwrap();
    let checkpoint = Checkpoint::open(&ledger.checkpoint(), &verifier).unwrap();

    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = vec![theirs.root()];
    for entry in ledger.read(0, usize::MAX).unwrap() {
        theirs.push(entry.encode().unwrap());
        roots.push(theirs.root());
    }
    let root = theirs.root();
    assert_eq!(root.as_bytes()[..], checkpoint.root);
    assert_eq!(root.num_leaves(), checkpoint.size);

    for index in [
        0,
        1,
        255,
        256,
        257,
        511,
        512,
        1_023,
        1_024,
        1_279,
        1_280,
        SIZE - 1,
    ] {
        let position = usize::try_from(index).unwrap();
        let proof = ledger.prove(index).unwrap();
        assert_eq!(proof.path.concat(), theirs.prove_inclusion(position).as_bytes());
        let as_theirs = InclusionProof::try_from_bytes(proof.path.concat()).unwrap();
        root.verify_inclusion(&theirs.items()[position], index, &as_theirs)
            .unwrap();

        let read_back = TlogProof::parse(&proof.encode()).unwrap();
        assert_eq!(
            read_back
                .verify(&theirs.items()[position], &verifier)
                .unwrap()
                .size,
            SIZE
        );
        assert!(
            read_back
                .verify(&issuance(123_456).encode().unwrap(), &verifier)
                .is_err()
        );
    }
    for old in [1, 2, 255, 256, 257, 512, 1_000, 1_024, SIZE - 1] {
        let position = usize::try_from(old).unwrap();
        let proof = consistency(&ledger, old, SIZE).unwrap();
        let as_theirs = ConsistencyProof::try_from_bytes(proof.concat()).unwrap();
        root.verify_consistency(&roots[position], &as_theirs).unwrap();
        let old_root = (*roots[position].as_bytes()).into();
        verify_consistency(old, SIZE, &proof, &old_root, &checkpoint.root).unwrap();
    }
}
