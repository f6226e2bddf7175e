//! The machine that a measurement belongs to.

use crate::process::command;

/// A few lines of Markdown: processor, cores, memory, kernel, compiler. Nothing that names the machine.
pub(super) fn description() -> String {
    let processor = output("lscpu", &[]);
    let field = |name: &str| {
        let value = processor
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map_or("unknown", str::trim).to_owned()
    };
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let gigabytes = memory
        .and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default()
        >> 20;
    format!(
        "- Processor: {}, {} logical cores, {}\n- Memory: {gigabytes} GiB\n- Kernel: {}\n- Compiler: {}\n",
        field("Model name"),
        field("CPU(s)"),
        if field("Hypervisor vendor") == "unknown" {
            "no hypervisor"
        } else {
            "virtual machine"
        },
        output("uname", &["-sr"]).trim(),
        output("rustc", &["--version"]).trim(),
    )
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = command(program).args(arguments).output();
    output
        .map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_is_described() {
        let text = super::description();
        assert!(text.contains("Compiler: rustc"), "{text}");
        assert!(!text.contains("Kernel: \n"), "{text}");
    }
}
