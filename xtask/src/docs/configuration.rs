//! `docs/configuration.md`: every table and key of the configuration, and one whole example.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::defaults;
use super::items::{Item, Items, Member};
use crate::workspace::Workspace;

/// Where `Config` of each crate stands; the first is the whole file.
const SOURCES: &[(&str, &str)] = &[
    ("countersign", "crates/countersign/src/config.rs"),
    (
        "countersign_authority",
        "crates/countersign-authority/src/config.rs",
    ),
    ("countersign_gate", "crates/countersign-gate/src/config.rs"),
];

/// The output of `countersign config show`, which a test of that crate keeps up to date.
const EXAMPLE: &str = "crates/countersign/tests/it/config_show.toml";

const HEAD: &str = "\
# Configuration

One TOML file, read by `countersign serve --config FILE`. Each table but `[server]` is a role: what the file does not name does not run.
Without a file everything runs on loopback, with the demonstration realms of the [example](#a-whole-example) below.

- `countersign config check FILE` reports every problem at once, each with its line. Unknown tables and keys are refused.
- `countersign config show` prints the configuration that runs when none is given.
- Secrets are paths to files, never values. A relative path starts in the data directory, and `data` itself where the process starts.
- A key without a default is required.

This page is made from the doc comments of the config structs by `cargo xtask docs`; `cargo xtask tidy` fails when it is stale.

";

const EXAMPLE_HEAD: &str = "\
## A whole example

What runs without a file, as `countersign config show` prints it, with a comment where a table first appears.

";

/// The page, or why it cannot be made from these sources.
pub(super) fn page(checkout: &Workspace) -> Result<String> {
    let mut sources = Vec::new();
    for (crate_name, path) in SOURCES {
        let file = checkout
            .file(path)
            .with_context(|| format!("{path} is missing"))?;
        let items = Items::parse(&file.text).with_context(|| (*path).to_owned())?;
        sources.push((*crate_name, items));
    }
    let example = checkout
        .file(EXAMPLE)
        .with_context(|| format!("{EXAMPLE} is missing"))?;
    let reader = Reader { sources: &sources };
    let (_, root) = sources.first().context("there are no sources")?;
    let mut tables = Vec::new();
    let whole = root.type_named("Config").context("there is no Config")?;
    reader.tables(root, whole, "", &mut tables)?;
    let mut page = HEAD.to_owned();
    for table in &tables {
        writeln!(
            page,
            "- [`{}`](#{}): {}",
            table.heading(),
            table.anchor(),
            table.docs
        )?;
    }
    for table in &tables {
        write!(page, "\n{}", reader.section(table)?)?;
    }
    let toml = commented(&example.text, &tables);
    write!(page, "\n{EXAMPLE_HEAD}```toml\n{}\n```\n", toml.trim_end())?;
    Ok(page)
}

/// One TOML table.
struct Table<'a> {
    /// `authority.realms`
    path: String,
    is_array: bool,
    docs: &'a str,
    items: &'a Items,
    item: &'a Item,
}

impl Table<'_> {
    fn heading(&self) -> String {
        if self.is_array {
            format!("[[{}]]", self.path)
        } else {
            format!("[{}]", self.path)
        }
    }

    /// As Markdown renderers make it of the heading.
    fn anchor(&self) -> String {
        self.path.replace('.', "")
    }
}

struct Reader<'a> {
    sources: &'a [(&'static str, Items)],
}

/// What stands below the rows of a section.
#[derive(Default)]
struct Below {
    choices: String,
    reasons: String,
}

/// What a key holds.
enum Kind<'a> {
    Plain(&'static str),
    Choice(&'a Item),
    Table {
        items: &'a Items,
        item: &'a Item,
        is_array: bool,
    },
}

impl<'a> Reader<'a> {
    /// The tables below `item`, each before those inside it.
    fn tables(
        &self,
        items: &'a Items,
        item: &'a Item,
        above: &str,
        found: &mut Vec<Table<'a>>,
    ) -> Result<()> {
        for field in &item.members {
            if let Kind::Table {
                items,
                item: inner,
                is_array,
            } = self.kind(items, &field.type_name)?
            {
                let path = format!("{above}{}", field.written(item));
                let below = format!("{path}.");
                found.push(Table {
                    path,
                    is_array,
                    docs: &field.docs,
                    items,
                    item: inner,
                });
                self.tables(items, inner, &below, found)?;
            }
        }
        Ok(())
    }

    fn kind(&self, items: &'a Items, type_name: &str) -> Result<Kind<'a>> {
        let inside = |outer: &str| type_name.strip_prefix(outer)?.strip_suffix('>');
        if let Some(inner) = inside("Option<") {
            return self.kind(items, inner);
        }
        if let Some(inner) = inside("Vec<") {
            return match self.kind(items, inner)? {
                Kind::Table { items, item, .. } => Ok(Kind::Table {
                    items,
                    item,
                    is_array: true,
                }),
                Kind::Plain("text") => Ok(Kind::Plain("list of texts")),
                _ => bail!("the page has no word for {type_name}"),
            };
        }
        Ok(match type_name {
            "String" => Kind::Plain("text"),
            "PathBuf" => Kind::Plain("path"),
            "bool" => Kind::Plain("`true` or `false`"),
            "u64" => Kind::Plain("whole number"),
            "SocketAddr" => Kind::Plain("address and port"),
            _ => {
                let (items, item) = self.item(items, type_name)?;
                if item.is_enum {
                    Kind::Choice(item)
                } else {
                    Kind::Table {
                        items,
                        item,
                        is_array: false,
                    }
                }
            }
        })
    }

    /// Finds `Name` in the same file and `crate_name::Name` in its own.
    fn item(&self, items: &'a Items, name: &str) -> Result<(&'a Items, &'a Item)> {
        let (items, local) = match name.split_once("::") {
            Some((crate_name, local)) => {
                let source = self.sources.iter().find(|(it, _)| *it == crate_name);
                (&source.with_context(|| format!("no source for {name}"))?.1, local)
            }
            None => (items, name),
        };
        let item = items.type_named(local);
        Ok((items, item.with_context(|| format!("no declaration of {name}"))?))
    }

    fn section(&self, table: &Table<'a>) -> Result<String> {
        let mut text = format!("## `{}`\n\n{}\n\n", table.heading(), table.docs);
        text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        let mut below = Below::default();
        for field in &table.item.members {
            let row = self.row(table, field, &mut below);
            text.push_str(&row.with_context(|| format!("{}.{}", table.path, field.name))?);
        }
        text.push_str(&below.choices);
        if !below.reasons.is_empty() {
            write!(text, "\nWhy these defaults:\n\n{}", below.reasons)?;
        }
        Ok(text)
    }

    /// One key, with its values and the reason for its default below the table.
    fn row(&self, table: &Table<'a>, field: &Member, below: &mut Below) -> Result<String> {
        if field.docs.is_empty() {
            bail!("has no doc comment");
        }
        let key = field.written(table.item);
        let default = defaults::of(table.items, table.item, field)?;
        let type_text = match self.kind(table.items, &field.type_name)? {
            Kind::Plain(word) => word.to_owned(),
            Kind::Table {
                is_array,
                item,
                items,
            } => {
                let path = format!("{}.{key}", table.path);
                let inner = Table {
                    path,
                    is_array,
                    docs: "",
                    items,
                    item,
                };
                format!("tables [`{}`](#{})", inner.heading(), inner.anchor())
            }
            Kind::Choice(item) => {
                write!(below.choices, "\n`{key}` is one of:\n\n")?;
                for variant in &item.members {
                    let value = variant.written(item);
                    writeln!(below.choices, "- `\"{value}\"`: {}", variant.docs)?;
                }
                "one of the values below".to_owned()
            }
        };
        if let Some(defaults::Default {
            value,
            reason: Some(reason),
        }) = &default
        {
            writeln!(below.reasons, "- `{key}` = {value}: {reason}")?;
        }
        let default = default.map_or_else(|| "required".to_owned(), |it| it.value);
        let cells = [format!("`{key}`"), type_text, default, field.docs.clone()];
        let cells = cells.map(|it| it.replace('|', "\\|"));
        Ok(format!("| {} |\n", cells.join(" | ")))
    }
}

/// The example with a comment line where a table, or one around it, first appears.
fn commented(example: &str, tables: &[Table<'_>]) -> String {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for line in example.lines() {
        let path = line.trim_matches(['[', ']']);
        if line.starts_with('[') {
            let shown = |table: &&Table<'_>| {
                path == table.path
                    || path
                        .strip_prefix(&table.path)
                        .is_some_and(|it| it.starts_with('.'))
            };
            for table in tables.iter().filter(shown) {
                if seen.insert(&table.path) {
                    text.push_str("# ");
                    text.push_str(first_sentence(table.docs));
                    text.push('\n');
                }
            }
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "pub(crate) struct Config {\n    /// Where. And more.\n    #[serde(default)]\n    pub(crate) server: Server,\n    /// Present: it issues.\n    pub(crate) authority: Option<countersign_authority::Config>,\n}\n#[serde(default)]\npub(crate) struct Server {\n    /// A | b.\n    pub(crate) name: Option<String>,\n}\n";
    const AUTHORITY: &str = "pub struct Config {\n    /// All realms.\n    #[serde(default)]\n    pub realms: Vec<Realm>,\n}\npub struct Realm {\n    /// Its name.\n    pub name: String,\n    /// How.\n    #[serde(default)]\n    pub mode: Mode,\n    /// Long.\n    #[serde(default = \"life\")]\n    pub life: u64,\n}\n#[serde(rename_all = \"snake_case\")]\npub enum Mode {\n    /// Not.\n    #[default]\n    Off,\n    /// Yes.\n    On,\n}\n/// A minute.\nconst LIFE: u64 = 60;\nfn life() -> u64 {\n    LIFE\n}\n";

    fn made(whole: &str, authority: &str) -> Result<String> {
        let example =
            "[server]\nname = \"a\"\n\n[[authority.realms]]\nname = \"b\"\n\n[[authority.realms]]\n";
        page(&Workspace::of(&[
            (SOURCES[0].1, whole),
            (SOURCES[1].1, authority),
            (SOURCES[2].1, ""),
            (EXAMPLE, example),
        ]))
    }

    #[test]
    fn every_table_and_key_is_on_the_page() {
        let page = made(WHOLE, AUTHORITY).unwrap();
        for wanted in [
            "- [`[[authority.realms]]`](#authorityrealms): All realms.\n",
            "\n## `[server]`\n\nWhere. And more.\n\n| key |",
            "| `name` | text | none | A \\| b. |\n",
            "| `realms` | tables [`[[authority.realms]]`](#authorityrealms) | `[]` | All realms. |\n",
            "| `name` | text | required | Its name. |\n",
            "| `mode` | one of the values below | `\"off\"` | How. |\n",
            "\n`mode` is one of:\n\n- `\"off\"`: Not.\n- `\"on\"`: Yes.\n",
            "\nWhy these defaults:\n\n- `life` = `60`: A minute.\n",
            "```toml\n# Where.\n[server]\n",
            "# Present: it issues.\n# All realms.\n[[authority.realms]]\nname = \"b\"\n\n[[authority.realms]]\n```\n",
        ] {
            assert!(page.contains(wanted), "{wanted}\n---\n{page}");
        }
    }

    #[test]
    fn what_is_not_described_has_no_page() {
        assert!(made(&WHOLE.replace("    /// A | b.\n", ""), AUTHORITY).is_err());
        assert!(made(WHOLE, &AUTHORITY.replace("u64,", "Duration,")).is_err());
        assert!(made(WHOLE, &AUTHORITY.replace("    LIFE", "    now()")).is_err());
        assert!(page(&Workspace::default()).is_err());
    }
}
