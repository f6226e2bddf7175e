//! Which names the page answers to.

use std::net::Ipv6Addr;

/// Whether `authority` (the Host header: a name or address, maybe with a port) may be answered.
///
/// DNS rebinding needs a name of the attacker's choosing; addresses and `localhost` are not his to give.
pub(crate) fn is_allowed(authority: &str, names: &[String]) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port.strip_prefix(':')));
    }
    let (name, port) = authority
        .split_once(':')
        .map_or((authority, None), |(name, port)| (name, Some(port)));
    if port.is_some() && !is_port(port) {
        return false;
    }
    let own = ["localhost"].into_iter().chain(names.iter().map(String::as_str));
    name.parse::<std::net::Ipv4Addr>().is_ok() || own.into_iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_named_hosts() {
        let names = ["console.example".to_owned()];
        for good in [
            "127.0.0.1:8420",
            "127.0.0.1",
            "[::1]:8420",
            "[::1]",
            "localhost:1",
            "LOCALHOST",
            "console.example:443",
        ] {
            assert!(is_allowed(good, &names), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8420",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:",
            "localhost:x",
            "localhost:80:80",
            "127.0.0.1:99999",
            "user@localhost",
            "[::1",
            "[::1]x",
            "[evil.example]",
            "2130706433",
        ] {
            assert!(!is_allowed(bad, &names), "{bad}");
        }
    }
}
