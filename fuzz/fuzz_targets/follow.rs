//! The follow stream from a hostile server: frames however they are cut, heads, and what a follower makes of them.
#![no_main]

use countersign_ledger::frame::{Frame, Frames};
use countersign_ledger::head::Head;
use countersign_ledger::note::{NoteSigner, Verifier};
use countersign_ledger::replica::Replica;
use libfuzzer_sys::fuzz_target;

const ORIGIN: &str = "fuzz.example/ledger";

fuzz_target!(|data: &[u8]| {
    let signer = NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap();
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(head) = Head::parse(text)
    {
        assert_eq!(head.encode(), text);
    }
    let _ = Head::open(data, signer.verifier());
    // The first byte says how the rest is cut.
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let mut cut_frames = Vec::new();
    let mut reader = Frames::default();
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        reader.push(piece);
        while let Ok(Some(frame)) = reader.next() {
            cut_frames.push(frame.encode());
        }
    }
    let mut rest = stream;
    let mut whole_frames = Vec::new();
    while let Ok(Some(frame)) = Frame::decode(&mut rest) {
        whole_frames.push(frame.encode());
    }
    assert_eq!(cut_frames, whole_frames);
    assert_eq!(whole_frames.concat(), &stream[..stream.len() - rest.len()]);
    follow(&whole_frames, signer.verifier(), &signer);
});

/// Nothing the fuzzer makes is signed, so nothing is proved; an honest head over what was heard proves all of it.
fn follow(frames: &[Vec<u8>], verifier: &Verifier, signer: &NoteSigner) {
    let mut replica = Replica::new(verifier.clone());
    for frame in frames {
        match Frame::decode(&mut frame.as_slice()) {
            Ok(Some(Frame::Entries { first, bundle })) => {
                let _ = replica.hear(first, bundle);
            }
            Ok(Some(Frame::Head(note))) => assert!(replica.head(note, None).is_err()),
            _ => {}
        }
        assert_eq!(replica.proved(), 0);
    }
    let honest = Head {
        origin: ORIGIN.to_owned(),
        size: replica.heard(),
        root: replica.root(),
        nonce: Some([7; 16]),
    };
    let count = replica.heard();
    let proved = replica.head(&honest.sign(signer), Some([7; 16])).unwrap();
    assert_eq!(proved.entries().count() as u64, count);
}
