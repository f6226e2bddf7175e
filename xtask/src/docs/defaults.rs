//! What a key is when the file does not say it.

use anyhow::{Context as _, Result};

use super::items::{Constant, Fallback, Item, Items, Member};

/// A default as it would be written in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Default {
    pub(super) value: String,
    /// Why, from the constant that holds it.
    pub(super) reason: Option<String>,
}

/// The default of a field; nothing when the key is required. Fails when it cannot be told, rather than guess.
pub(super) fn of(items: &Items, item: &Item, field: &Member) -> Result<Option<Default>> {
    let unclear = || format!("cannot tell the default of {}.{}", item.name, field.name);
    let found = match (&field.serde.default, &item.serde.default) {
        (Fallback::Function(name), _) => {
            let body = items.body_of(name).with_context(unclear)?;
            evaluate(items, body)
        }
        (Fallback::OfType, _) => of_type(items, &field.type_name),
        (Fallback::Nothing, Fallback::Nothing) if field.type_name.starts_with("Option<") => none(),
        (Fallback::Nothing, Fallback::Nothing) => return Ok(None),
        (Fallback::Nothing, _) => match items.default_of(&item.name, &field.name) {
            Some(expression) => evaluate(items, expression),
            None => of_type(items, &field.type_name),
        },
    };
    found.with_context(unclear).map(Some)
}

fn none() -> Option<Default> {
    plain("none")
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several answers, the others can fail"
)]
fn plain(value: impl Into<String>) -> Option<Default> {
    Some(Default {
        value: value.into(),
        reason: None,
    })
}

fn of_type(items: &Items, type_name: &str) -> Option<Default> {
    match type_name {
        "bool" => plain("`false`"),
        _ if type_name.starts_with("Vec<") => plain("`[]`"),
        _ if type_name.starts_with("Option<") => none(),
        _ => {
            let item = items.type_named(type_name)?;
            if !item.is_enum {
                return plain("its defaults");
            }
            let variant = item.members.iter().find(|it| it.is_default)?;
            plain(format!("`\"{}\"`", variant.written(item)))
        }
    }
}

/// The few kinds of expression that defaults are written with.
fn evaluate(items: &Items, expression: &str) -> Option<Default> {
    let inner = expression.strip_suffix(".to_owned()").unwrap_or(expression);
    let inner = call(inner, "PathBuf::from(").unwrap_or(inner);
    if let Some(constant) = items.constants.iter().find(|it| it.name == inner) {
        let reason = Some(constant.docs.clone()).filter(|it| !it.is_empty());
        return literal(items, &constant.value).map(|value| Default {
            value: format!("`{value}`"),
            reason,
        });
    }
    if inner == "None" {
        return none();
    }
    literal(items, inner).and_then(|value| plain(format!("`{value}`")))
}

fn literal(items: &Items, expression: &str) -> Option<String> {
    let expression = expression.strip_suffix(".to_owned()").unwrap_or(expression);
    if let Some(list) = call_with(expression, "vec![", ']') {
        let values: Option<Vec<String>> = list.split(", ").map(|it| literal(items, it)).collect();
        return Some(format!("[{}]", values?.join(", ")));
    }
    if let Some(address) = call(expression, "SocketAddr::new(") {
        let port: u16 = address.rsplit(", ").next()?.parse().ok()?;
        return address
            .contains("Ipv4Addr::LOCALHOST")
            .then(|| format!("\"127.0.0.1:{port}\""));
    }
    let is_text = expression.len() > 1 && expression.starts_with('"') && expression.ends_with('"');
    if is_text || matches!(expression, "true" | "false") {
        return Some(expression.to_owned());
    }
    let named: Option<&Constant> = items.constants.iter().find(|it| it.name == expression);
    if let Some(constant) = named {
        return literal(items, &constant.value);
    }
    let factors = expression
        .split(" * ")
        .map(|it| it.replace('_', "").parse::<u64>().ok());
    let product = factors.reduce(|all, it| all?.checked_mul(it?))??;
    Some(product.to_string())
}

fn call<'a>(expression: &'a str, opening: &str) -> Option<&'a str> {
    call_with(expression, opening, ')')
}

fn call_with<'a>(expression: &'a str, opening: &str, closing: char) -> Option<&'a str> {
    expression.strip_prefix(opening)?.strip_suffix(closing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_of(field: &str, rest: &str) -> Result<Option<(String, Option<String>)>> {
        let items = Items::parse(&format!("struct S {{\n{field}\n}}\n{rest}")).unwrap();
        let item = items.type_named("S").unwrap();
        let default = of(&items, item, &item.members[0])?;
        Ok(default.map(|it| (it.value, it.reason)))
    }

    #[test]
    fn defaults_are_resolved() {
        let plain = |value: &str| Some((value.to_owned(), None));
        assert_eq!(default_of("a: u64,", "").unwrap(), None);
        assert_eq!(default_of("a: Option<u64>,", "").unwrap(), plain("none"));
        assert_eq!(
            default_of("#[serde(default)]\na: Vec<A>,", "").unwrap(),
            plain("`[]`")
        );
        assert_eq!(
            default_of("#[serde(default)]\na: bool,", "").unwrap(),
            plain("`false`")
        );
        let choice =
            "#[serde(rename_all = \"snake_case\")]\nenum E {\n    A,\n    #[default]\n    BigB,\n}\n";
        assert_eq!(
            default_of("#[serde(default)]\na: E,", choice).unwrap(),
            plain("`\"big_b\"`")
        );
        let field = "#[serde(default = \"f\")]\na: X,";
        for (body, value) in [
            ("6 * 60 * 1_0", "`3600`"),
            ("vec![\"at+jwt\".to_owned()]", "`[\"at+jwt\"]`"),
            ("\"x\".to_owned()", "`\"x\"`"),
            (
                "SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80)",
                "`\"127.0.0.1:80\"`",
            ),
        ] {
            let function = format!("fn f() -> X {{\n    {body}\n}}\n");
            assert_eq!(default_of(field, &function).unwrap(), plain(value), "{body}");
        }
        let named = "/// Why.\nconst D: &str = \"d\";\nfn f() -> X {\n    PathBuf::from(D)\n}\n";
        assert_eq!(
            default_of(field, named).unwrap(),
            Some(("`\"d\"`".to_owned(), Some("Why.".to_owned())))
        );
    }

    #[test]
    fn nothing_is_guessed() {
        for field in [
            "#[serde(default = \"f\")]\na: X,",
            "#[serde(default = \"none\")]\na: X,",
            "#[serde(default)]\na: u64,",
        ] {
            assert!(
                default_of(field, "fn f() -> X {\n    now()\n}\n").is_err(),
                "{field}"
            );
        }
    }
}
