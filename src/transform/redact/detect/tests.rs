//! What is found and what is not.

use super::*;

fn found(name: &str, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    Detector::build(name)
        .unwrap()
        .find(text.as_bytes(), &mut |range| {
            all.push(text[range].to_owned());
        });
    all
}

#[test]
fn each_detector_finds_its_kind() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    for (name, text, expected) in [
        (
            "email",
            "from ann@example.com, bob.b+x@mail.example.co.uk.",
            &["ann@example.com", "bob.b+x@mail.example.co.uk"][..],
        ),
        ("email", "jürgen@münchen.de", &["jürgen@münchen.de"]),
        ("email", "user@host a@ @b.c", &[]),
        ("card", "4111111111111111", &["4111111111111111"]),
        (
            "card",
            "12 4111 1111 1111 1111, 5500-0000-0000-0004.",
            &["4111 1111 1111 1111", "5500-0000-0000-0004"],
        ),
        (
            "card",
            "378282246310005 6011111111111117",
            &["378282246310005", "6011111111111117"],
        ),
        (
            "card",
            "4111111111111112 x4111111111111111 4111111111111111z",
            &[],
        ),
        (
            "card",
            "1795440762000 0.4111111111111111 41111111111111110000000",
            &[],
        ),
        (
            "ipv4",
            "10.0.0.1:80, (192.168.1.254).",
            &["10.0.0.1", "192.168.1.254"],
        ),
        ("ipv4", "1.2.3 1.2.3.4.5 256.1.1.1 v1.2.3.4", &[]),
        (
            "ipv6",
            "[::1]:80 2001:db8::ff00:42:8329 fe80::1.",
            &["::1", "2001:db8::ff00:42:8329", "fe80::1"],
        ),
        ("ipv6", "13:32:42 std::fmt a::zed ::", &[]),
        ("jwt", &format!("token={jwt};"), &[jwt]),
        ("jwt", "eyJ.a.b", &[]),
        (
            "aws",
            "key AKIAIOSFODNN7EXAMPLE!",
            &["AKIAIOSFODNN7EXAMPLE"],
        ),
        (
            "aws",
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            &["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
        ),
        (
            "bearer",
            "Authorization: Bearer abc.def== x",
            &["abc.def=="],
        ),
        ("bearer", "the bearer", &[]),
        ("/id=([0-9]+)/", "id=12 id=x id=345", &["12", "345"]),
        ("/^whole$/", "whole", &["whole"]),
    ] {
        assert_eq!(found(name, text), expected, "{name}: {text}");
    }
}

#[test]
fn what_is_no_detector_is_refused() {
    for name in ["mail", "/(/", ""] {
        assert!(Detector::build(name).is_err(), "{name}");
    }
    for name in Detector::NAMES {
        assert_eq!(found(name, ""), [""; 0]);
    }
}

#[test]
fn hostile_text_takes_linear_time() {
    let digits = "4 ".repeat(200_000) + &"4-".repeat(100_000) + &"4".repeat(100_000);
    let colons = ":a".repeat(200_000) + &"@a.".repeat(100_000);
    for name in Detector::NAMES {
        let mut finds = 0;
        for text in [&digits, &colons] {
            Detector::build(name)
                .unwrap()
                .find(text.as_bytes(), &mut |_| finds += 1);
        }
        assert!(finds <= digits.len());
    }
}
