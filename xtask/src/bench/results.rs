//! What criterion left in `target/criterion`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One measured function.
#[derive(Debug, PartialEq)]
pub(super) struct Measured {
    /// As criterion prints it: group, function and parameter.
    pub(super) id: String,
    /// Operations a second; elements a second where the bench declares them. Elsewhere in the unit of its comparison.
    pub(super) per_second: f64,
    pub(super) written: SystemTime,
}

impl Measured {
    /// What something else than criterion has measured, now.
    pub(super) fn of(id: &str, value: f64) -> Self {
        Self {
            id: id.to_owned(),
            per_second: value,
            written: SystemTime::UNIX_EPOCH,
        }
    }
}

/// All results below the folder that are newer than this.
pub(super) fn measured_since(folder: &Path, since: Option<SystemTime>) -> Result<Vec<Measured>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.context("cannot list criterion's results")?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name == "new") {
                found.extend(read(&path).with_context(|| format!("cannot read {}", path.display()))?);
            } else if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.retain(|it| since.is_none_or(|since| it.written > since));
    Ok(found)
}

fn read(folder: &Path) -> Result<Option<Measured>> {
    let (benchmark, sample) = (folder.join("benchmark.json"), folder.join("sample.json"));
    if !benchmark.exists() || !sample.exists() {
        return Ok(None);
    }
    let json = |path: &PathBuf| -> Result<Value> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
    let mut measured = parse(&json(&benchmark)?, &json(&sample)?);
    if let Some(measured) = &mut measured {
        measured.written = sample.metadata()?.modified()?;
    }
    Ok(measured)
}

/// The fastest sample counts. Other work on the machine only ever makes a sample slower, and it does not make ours and
/// theirs slower alike: medians of one run swing by a third, the fastest samples by a few hundredths.
fn parse(benchmark: &Value, sample: &Value) -> Option<Measured> {
    let id = benchmark.get("full_id")?.as_str()?.to_owned();
    let numbers = |name: &str| {
        sample
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
    };
    let each = numbers("times")
        .zip(numbers("iters"))
        .map(|(nanoseconds, times)| nanoseconds / times);
    let nanoseconds = each.min_by(f64::total_cmp)?;
    let elements = benchmark
        .get("throughput")
        .and_then(|it| it.get("Elements"))
        .and_then(Value::as_f64);
    let per_second = elements.unwrap_or(1.0) * 1e9 / nanoseconds;
    Some(Measured {
        id,
        per_second,
        written: SystemTime::UNIX_EPOCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Scratch, write};

    #[test]
    fn results_are_read_from_criterions_folder() {
        let scratch = Scratch::create("criterion-test").unwrap();
        let new = scratch.path.join("verify/countersign/new");
        std::fs::create_dir_all(&new).unwrap();
        let benchmark = r#"{"group_id":"verify","full_id":"verify/us/ES256","throughput":{"Elements":4}}"#;
        write(&new.join("benchmark.json"), benchmark).unwrap();
        write(
            &new.join("sample.json"),
            r#"{"iters":[1.0,2.0,4.0],"times":[9000.0,4000.0,9000.0]}"#,
        )
        .unwrap();
        let found = measured_since(&scratch.path, None).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, "verify/us/ES256");
        assert!((found[0].per_second - 2e6).abs() < 1.0);
        assert_eq!(measured_since(&scratch.path, Some(found[0].written)).unwrap(), []);
    }
}
