//! The published corpus, `testdata/tokens`, through `countersign verify --batch`.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::countersign;

#[test]
fn every_case_is_answered_as_published() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokens");
    let cases = std::fs::read_to_string(folder.join("cases.ndjson")).unwrap();
    // Where we answer otherwise than published; the case stays as it is.
    let different = std::fs::read_to_string(folder.join("different.json")).unwrap();
    let different: Value = serde_json::from_str(&different).unwrap();
    let cases: Vec<Value> = cases
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // A batch line has these members only.
    let batch: Vec<String> = cases
        .iter()
        .map(|it| {
            json!({
                "id": it["id"], "token": it["token"], "at": it["at"], "resource": it["resource"],
                "request": it["request"],
            })
            .to_string()
        })
        .collect();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("batch.ndjson");
    std::fs::write(&file, batch.join("\n")).unwrap();
    let output = countersign()
        .args(["verify", "--policy"])
        .arg(folder.join("policy.toml"))
        .arg("--batch")
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(1), "some are refused");
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(answer["id"], case["id"]);
        let id = case["id"].as_str().unwrap();
        let expected = match different[id].as_str() {
            None => [case["expect"].clone(), case["reason"].clone()],
            Some("admitted") => [json!("admit"), Value::Null],
            Some(reason) => [json!("refuse"), json!(reason)],
        };
        if [answer["decision"].clone(), answer["reason"].clone()] != expected {
            wrong.push(format!(
                "{id}: {} {}, expected {expected:?}",
                answer["decision"], answer["reason"]
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
