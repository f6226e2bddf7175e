//! F framing and B base64url.

use super::super::case::{Basis, Cases, claims};
use super::super::keys::encode;

const FRAME: &str = "segment_count_wrong";
const CODED: &str = "base64url_invalid";

/// Header, claims and signature of a good token whose first two segments end in characters with unused bits.
fn parts(cases: &mut Cases) -> [String; 3] {
    let unaligned = |mut text: String| {
        while text.len() % 3 != 1 {
            text.push(' ');
        }
        encode(text)
    };
    let (header, payload) = (
        unaligned(cases.header("ent-shared").text()),
        unaligned(claims().text()),
    );
    let signature = cases
        .keys
        .sign("ent-shared", format!("{header}.{payload}").as_bytes());
    [header, payload, encode(signature)]
}

pub(super) fn framing(cases: &mut Cases) {
    let [header, payload, signature] = parts(cases);
    let good = format!("{header}.{payload}.{signature}");
    cases.admit("F00-good", "the good token that this class changes", good.clone());
    for (id, title, token) in frames(&header, &payload, &signature) {
        cases.refuse(Basis::Rfc, id, title, token, FRAME);
    }
    let empty_signature = format!("{header}.{payload}.");
    cases.refuse(
        Basis::Rfc,
        "F02-empty-signature",
        "an empty signature segment",
        empty_signature,
        "signature_invalid",
    );
    let polyglot = format!(r#"{{"payload":"{good}"}}"#);
    cases.refuse(
        Basis::Rfc,
        "F07-polyglot",
        "JSON that holds two dots",
        polyglot,
        CODED,
    );
    let protected =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}","x":"{good}"}}"#);
    cases.refuse(
        Basis::Rfc,
        "F07-both",
        "JSON serialisation and two dots in it",
        protected,
        CODED,
    );
    sizes(cases, &payload, &signature);
    spaces(cases, &[header, payload, signature]);
}

/// Everything that has not three segments with something in them.
fn frames(header: &str, payload: &str, signature: &str) -> [(&'static str, &'static str, String); 16] {
    let good = format!("{header}.{payload}.{signature}");
    [
        ("F01-empty", "the empty string", String::new()),
        ("F02-dot", "one dot", ".".to_owned()),
        ("F02-two-dots", "two dots: three empty segments", "..".into()),
        ("F02-header-only", "a header and nothing else", header.to_owned()),
        (
            "F02-no-signature",
            "no signature, and no dot for it",
            format!("{header}.{payload}"),
        ),
        (
            "F02-no-header",
            "an empty header segment",
            format!(".{payload}.{signature}"),
        ),
        (
            "F02-no-header-no-dot",
            "the header and its dot are missing",
            format!("{payload}.{signature}"),
        ),
        (
            "F02-no-payload",
            "an empty payload segment",
            format!("{header}..{signature}"),
        ),
        (
            "F02-no-payload-no-dot",
            "the payload and its dot are missing",
            format!("{header}.{signature}"),
        ),
        (
            "F03-trailing-dot",
            "four segments, the fourth empty",
            format!("{good}."),
        ),
        (
            "F04-four-segments",
            "four segments",
            format!("{good}.{signature}"),
        ),
        (
            "F04-five-segments",
            "five segments, as an encrypted token has",
            format!("{good}.{payload}.{signature}"),
        ),
        ("F05-leading-dots", "two dots in front", format!("..{good}")),
        ("F05-leading-dot", "one dot in front", format!(".{good}")),
        (
            "F06-flattened",
            "the flattened JSON serialisation",
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        ),
        (
            "F06-general",
            "the general JSON serialisation",
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
            ),
        ),
    ]
}

fn sizes(cases: &mut Cases, payload: &str, signature: &str) {
    let padded = cases.with_claims(&claims().with("x", format!("\"{}\"", "x".repeat(12_400))));
    cases.refuse(
        Basis::Policy,
        "F08-token",
        "a good token of more than 16 KiB",
        padded,
        "token_too_large",
    );
    let header = cases
        .header("ent-shared")
        .with("x", format!("\"{}\"", "x".repeat(3_100)));
    let large = cases.with_header(&header);
    cases.refuse(
        Basis::Policy,
        "F08-header",
        "a good token with a header of more than 4 KiB",
        large,
        "header_too_large",
    );
    let dots = ".".repeat(16_000);
    cases.refuse(Basis::Rfc, "F08-dots", "sixteen thousand dots", dots, FRAME);
    let dots = format!("{}{payload}.{signature}", ".".repeat(17_000));
    cases.refuse(
        Basis::Rfc,
        "F08-more-dots",
        "more dots than a token may have bytes",
        dots,
        "token_too_large",
    );
}

/// `(id, title, text)`
const SPACES: &[(&str, &str, &str)] = &[
    ("space", "a space", " "),
    ("tab", "a tab", "\t"),
    ("cr", "a carriage return", "\r"),
    ("lf", "a line feed", "\n"),
    ("nul", "a NUL", "\0"),
];

fn spaces(cases: &mut Cases, parts: &[String; 3]) {
    let [header, payload, signature] = parts;
    let good = parts.join(".");
    for (id, title, space) in SPACES {
        for (place, words, token) in [
            ("before", "before the token", format!("{space}{good}")),
            ("behind", "behind the token", format!("{good}{space}")),
            (
                "beside-dot",
                "behind a dot",
                format!("{header}.{space}{payload}.{signature}"),
            ),
            (
                "before-dot",
                "before a dot",
                format!("{header}.{payload}{space}.{signature}"),
            ),
        ] {
            cases.refuse(
                Basis::Rfc,
                &format!("F09-{id}-{place}"),
                &format!("{title} {words}"),
                token,
                CODED,
            );
        }
    }
    let marked = format!("\u{feff}{good}");
    cases.refuse(
        Basis::Rfc,
        "F09-bom",
        "a byte order mark before the token",
        marked,
        CODED,
    );
    let wide = format!("{header}\u{ff0e}{payload}.{signature}");
    cases.refuse(Basis::Rfc, "F09-fullwidth-dot", "a dot that is none", wide, FRAME);
    let other = cases.with_claims(&claims().with("jti", "\"token-2\""));
    let list = [
        (
            "F10-comma",
            "two tokens joined by a comma",
            format!("{good},{other}"),
        ),
        (
            "F10-comma-space",
            "two tokens joined by comma and space",
            format!("{good}, {other}"),
        ),
        (
            "F10-second-scheme",
            "two header values in one",
            format!("{good}, Bearer {other}"),
        ),
    ];
    for (id, title, token) in list {
        cases.refuse(Basis::Rfc, id, title, token, FRAME);
    }
    let scheme = format!("Bearer {good}");
    cases.refuse(
        Basis::Rfc,
        "F10-scheme",
        "the scheme is taken for a part of the token",
        scheme,
        CODED,
    );
}

/// A change of one segment.
type Change = fn(&str) -> String;

/// `(id, title, basis, change)`
const CHANGES: &[(&str, &str, Basis, Change)] = &[
    ("B01-padding", "padded with `==`", Basis::Rfc, |text| {
        format!("{text}==")
    }),
    ("B01-half-padding", "padded with `=`", Basis::Rfc, |text| {
        format!("{text}=")
    }),
    ("B02-plus", "`+` of the other alphabet", Basis::Rfc, |text| {
        replaced(text, "+")
    }),
    ("B02-slash", "`/` of the other alphabet", Basis::Rfc, |text| {
        replaced(text, "/")
    }),
    (
        "B03-unused-bits",
        "unused bits set in the last character",
        Basis::Policy,
        unused_bits,
    ),
    ("B04-padding-inside", "`=` inside", Basis::Rfc, |text| {
        inserted(text, "=")
    }),
    (
        "B04-padding-ends-it",
        "`==` inside, where a lax reader stops",
        Basis::Rfc,
        |text| inserted(text, "=="),
    ),
    ("B05-line-feed", "a line feed inside", Basis::Rfc, |text| {
        inserted(text, "\n")
    }),
    ("B05-line-end", "a line end inside", Basis::Rfc, |text| {
        inserted(text, "\r\n")
    }),
    ("B06-question-mark", "`?` inside", Basis::Rfc, |text| {
        inserted(text, "?")
    }),
    ("B06-number-sign", "`#` inside", Basis::Rfc, |text| {
        inserted(text, "#")
    }),
    (
        "B06-percent",
        "a percent-encoded character inside",
        Basis::Rfc,
        |text| inserted(text, "%2D"),
    ),
    (
        "B06-cyrillic",
        "a letter that looks like one of the alphabet",
        Basis::Rfc,
        |text| inserted(text, "\u{410}"),
    ),
    (
        "B06-replaced",
        "a character replaced by `!`",
        Basis::Rfc,
        |text| replaced(text, "!"),
    ),
    ("B08-length", "a length that no bytes have", Basis::Rfc, |text| {
        format!("{text}AAA")
    }),
];

fn inserted(text: &str, what: &str) -> String {
    let (start, end) = text.split_at_checked(8).unwrap_or((text, ""));
    format!("{start}{what}{end}")
}

fn replaced(text: &str, what: &str) -> String {
    format!("{what}{}", text.get(1..).unwrap_or_default())
}

/// The next character decodes to the same bytes, since only unused bits differ.
fn unused_bits(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text
        .split_at_checked(text.len().saturating_sub(1))
        .unwrap_or((text, ""));
    let next = ALPHABET
        .split_once(last)
        .and_then(|(_, behind)| behind.chars().next())
        .unwrap_or('A');
    format!("{rest}{next}")
}

pub(super) fn base64url(cases: &mut Cases) {
    let good = parts(cases);
    let [header, payload, signature] = &good;
    for (id, title, basis, change) in CHANGES {
        for (segment, token) in [
            ("header", [change(header).as_str(), payload, signature].join(".")),
            ("payload", [header, change(payload).as_str(), signature].join(".")),
            (
                "signature",
                [header, payload, change(signature).as_str()].join("."),
            ),
        ] {
            let title = format!("{segment}: {title}");
            cases.refuse(*basis, &format!("{id}-{segment}"), &title, token, CODED);
        }
        // B07: signed as it is spelt.
        for (segment, input) in [
            ("header", format!("{}.{payload}", change(header))),
            ("payload", format!("{header}.{}", change(payload))),
        ] {
            let token = cases.signed("ent-shared", &input);
            let row = id.get(3..).unwrap_or_default();
            let title = format!("{segment}: {title}, and the signature is made over that");
            cases.refuse(*basis, &format!("B07{row}-{segment}"), &title, token, CODED);
        }
    }
}
