//! Requests to a witness, and what a monitor remembers: both are read from whoever wrote them.
#![no_main]

use std::sync::LazyLock;

use countersign_ledger::monitor::Monitor;
use countersign_ledger::policy::Policy;
use countersign_ledger::witness::AddCheckpoint;
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(include_bytes!("../corpus/policy/own")).unwrap());

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(AddCheckpoint::parse(&request.encode()), Ok(request.clone()));
        let _ = POLICY.check(&request.checkpoint);
    }
    if let Ok(monitor) = Monitor::resume(POLICY.clone(), data) {
        assert_eq!(monitor.state().as_deref(), Some(data));
    }
});
