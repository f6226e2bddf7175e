//! Structs, enums, constants and default functions of a Rust file, as rustfmt lays them out.

use anyhow::{Context as _, Result, bail, ensure};

/// What a file declares outside its tests.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) types: Vec<Item>,
    pub(super) constants: Vec<Constant>,
    /// The file itself, for the bodies of functions.
    text: String,
}

/// A struct or an enum with its documented members.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) is_enum: bool,
    pub(super) serde: Serde,
    pub(super) members: Vec<Member>,
}

/// A field, or a variant (which has no type).
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) type_name: String,
    pub(super) serde: Serde,
    /// The variant that `Default` gives.
    pub(super) is_default: bool,
}

/// A named value and why it is what it is.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) value: String,
}

/// The serde attributes that bear on what can be written in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Serde {
    pub(super) default: Fallback,
    pub(super) rename: Option<String>,
    pub(super) is_snake_case: bool,
}

/// What stands in for a key that is absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Fallback {
    #[default]
    Nothing,
    /// `Default` of the type.
    OfType,
    /// What this function returns.
    Function(String),
}

impl Items {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut items = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut lines = text.lines();
        let mut above = Above::default();
        while let Some(line) = lines.next() {
            let line = line.trim();
            if above.takes(line, &mut lines) {
                continue;
            }
            let above = std::mem::take(&mut above);
            let line = without_visibility(line);
            if let Some((is_enum, name)) = opening(line) {
                items.types.push(Item::parse(name, is_enum, &above, &mut lines)?);
            } else if let Some(constant) = Constant::parse(line, &above, &mut lines) {
                items.constants.push(constant);
            }
        }
        Ok(items)
    }

    pub(super) fn type_named(&self, name: &str) -> Option<&Item> {
        self.types.iter().find(|item| item.name == name)
    }

    /// The one expression that a function consists of.
    pub(super) fn body_of(&self, function: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!("fn {function}() -> "))?;
        let (_, rest) = rest.split_once("{\n")?;
        Some(rest.split_once("\n}")?.0.trim())
    }

    /// What `impl Default` gives a field.
    pub(super) fn default_of(&self, item: &str, field: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!("impl Default for {item} {{"))?;
        let (body, _) = rest.split_once("\n}")?;
        let mut lines = body.lines().map(str::trim);
        let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))?;
        Some(value.trim_end_matches(','))
    }
}

impl Item {
    /// Reads the members up to the closing brace.
    fn parse<'a>(
        name: &str,
        is_enum: bool,
        above: &Above,
        lines: &mut impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut members = Vec::new();
        let mut own = Above::default();
        while let Some(line) = lines.next().map(str::trim).filter(|line| *line != "}") {
            if own.takes(line, lines) || line.is_empty() {
                continue;
            }
            let own = std::mem::take(&mut own);
            let line = without_visibility(line).trim_end_matches(',');
            let (member, type_name) = line.split_once(": ").unwrap_or((line, ""));
            ensure!(
                is_enum == type_name.is_empty() && member.chars().all(|it| it.is_alphanumeric() || it == '_'),
                "{name} has a member that the page cannot show: {line}"
            );
            members.push(Member {
                name: member.to_owned(),
                docs: own.docs(),
                type_name: type_name.to_owned(),
                serde: own.serde().with_context(|| format!("{name}.{member}"))?,
                is_default: own.attributes.iter().any(|it| it == "#[default]"),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            is_enum,
            serde: above.serde().with_context(|| name.to_owned())?,
            members,
        })
    }
}

impl Member {
    /// The name in the file.
    pub(super) fn written(&self, item: &Item) -> String {
        match &self.serde.rename {
            Some(name) => name.clone(),
            None if item.serde.is_snake_case => snake_case(&self.name),
            None => self.name.clone(),
        }
    }
}

impl Constant {
    fn parse<'a>(line: &str, above: &Above, lines: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        let (name, rest) = line.strip_prefix("const ")?.split_once(": ")?;
        let mut value = rest.split_once('=')?.1.trim().to_owned();
        while !value.ends_with(';') {
            value = format!("{value} {}", lines.next()?.trim());
        }
        Some(Self {
            name: name.to_owned(),
            docs: above.docs(),
            value: value.trim_end_matches(';').trim().to_owned(),
        })
    }
}

/// The doc comment and the attributes above something.
#[derive(Default)]
struct Above {
    docs: Vec<String>,
    attributes: Vec<String>,
}

impl Above {
    /// Whether the line (with those that complete it) belongs to what follows.
    fn takes<'a>(&mut self, line: &str, lines: &mut impl Iterator<Item = &'a str>) -> bool {
        if let Some(text) = line.strip_prefix("///") {
            self.docs.push(text.trim().to_owned());
            return true;
        }
        if !line.starts_with("#[") {
            return false;
        }
        let mut attribute = line.to_owned();
        while !attribute.ends_with(']') {
            let Some(more) = lines.next() else { break };
            attribute.push_str(more.trim());
        }
        self.attributes.push(attribute);
        true
    }

    fn docs(&self) -> String {
        self.docs.join(" ").trim().to_owned()
    }

    /// Fails on an attribute that may change the file in a way that the page would not show.
    fn serde(&self) -> Result<Serde> {
        let mut serde = Serde::default();
        let lists = self
            .attributes
            .iter()
            .filter_map(|it| it.strip_prefix("#[serde(")?.strip_suffix(")]"));
        for argument in lists.flat_map(|list| list.split(", ")) {
            let (name, value) = argument.split_once(" = ").unwrap_or((argument, ""));
            let value = value.trim_matches('"');
            match (name, value) {
                ("default", "") => serde.default = Fallback::OfType,
                ("default", function) => serde.default = Fallback::Function(function.to_owned()),
                ("rename", name) => serde.rename = Some(name.to_owned()),
                ("rename_all", "snake_case") => serde.is_snake_case = true,
                ("deny_unknown_fields" | "skip_serializing_if", _) => {}
                _ => bail!("the page does not know #[serde({argument})]"),
            }
        }
        Ok(serde)
    }
}

fn opening(line: &str) -> Option<(bool, &str)> {
    let (kind, rest) = line.split_once(' ')?;
    let name = rest.strip_suffix(" {")?;
    match kind {
        "struct" => Some((false, name)),
        "enum" => Some((true, name)),
        _ => None,
    }
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(") ").map_or(line, |(_, rest)| rest),
        None => rest.trim_start(),
    }
}

fn snake_case(name: &str) -> String {
    let mut written = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.extend(character.to_lowercase());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read() {
        let items = Items::parse(
            "/// Why\n/// four.\nconst FOUR: u64 = 4;\npub const LONG: A =\n    b(4);\n/// A.\n#[serde(rename_all = \"snake_case\")]\npub enum TwoWords {\n    /// First.\n    #[default]\n    OneTwo,\n    #[serde(rename = \"ES256\")]\n    Es,\n}\n#[serde(default)]\npub(crate) struct S {\n    /// It\n    /// is.\n    #[serde(default = \"four\", skip_serializing_if = \"x\")]\n    pub(crate) it: Option<u64>,\n}\nfn four() -> u64 {\n    FOUR\n}\nimpl Default for S {\n    fn default() -> Self {\n        Self {\n            it: None,\n        }\n    }\n}\n",
        )
        .unwrap();
        assert_eq!(
            items
                .constants
                .iter()
                .map(|it| (it.value.as_str(), it.docs.as_str()))
                .collect::<Vec<_>>(),
            [("4", "Why four."), ("b(4)", "")]
        );
        let words = items.type_named("TwoWords").unwrap();
        let written: Vec<String> = words.members.iter().map(|it| it.written(words)).collect();
        assert_eq!(written, ["one_two", "ES256"]);
        assert!(words.is_enum && words.members[0].is_default && !words.members[1].is_default);
        let fields = items.type_named("S").unwrap();
        assert_eq!(fields.serde.default, Fallback::OfType);
        let it = &fields.members[0];
        assert_eq!(
            (it.docs.as_str(), it.type_name.as_str()),
            ("It is.", "Option<u64>")
        );
        assert_eq!(it.serde.default, Fallback::Function("four".to_owned()));
        assert_eq!(
            (items.body_of("four"), items.default_of("S", "it")),
            (Some("FOUR"), Some("None"))
        );
    }

    #[test]
    fn what_the_page_cannot_show_is_an_error() {
        for text in [
            "struct S {\n    #[serde(flatten)]\n    a: u8,\n}\n",
            "#[serde(rename_all = \"kebab-case\")]\nenum E {\n    A,\n}\n",
            "enum E {\n    A(u8),\n}\n",
        ] {
            assert!(Items::parse(text).is_err(), "{text}");
        }
    }
}
