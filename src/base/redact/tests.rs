use super::*;

fn shaped(text: &str) -> String {
    Redactor::default().text(text).into_owned()
}

#[test]
fn credentials_are_masked_by_their_shape_and_the_rest_stays() {
    for (text, masked) in [
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer «redacted»"),
        ("key AKIAIOSFODNN7EXAMPLE in use", "key «redacted» in use"),
        ("password=hunter2&x=1", "password=«redacted»&x=1"),
        ("db_password: s3cr3t\nhost: a", "db_password: «redacted»\nhost: a"),
        (r#"{"password":"a b c","x":1}"#, r#"{"password":"«redacted»","x":1}"#),
        (r#"{\"password\":\"abc\"}"#, r#"{\"password\":\"«redacted»\"}"#),
        ("password: '***secret'", "password: '«redacted»'"),
        ("postgres://app:pw@db:5432/x", "postgres://app:«redacted»@db:5432/x"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\nb", "a\n«redacted»\nb"),
    ] {
        assert_eq!(shaped(text), masked);
    }
    for text in [
        "GET http://api:8080/health 200",
        "see https://example.org/a@b",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "wrong password for user ana",
        "password: null",
        "password: $DB_PASSWORD",
        "password: '*** (7 bytes)'",
        r#"{"password":"*** (7 bytes)"}"#,
        "the bearer of this",
        "BAKIAIOSFODNN7EXAMPLE",
    ] {
        assert!(matches!(Redactor::default().text(text), Cow::Borrowed(_)), "{text}");
    }
}

#[test]
fn a_live_secret_is_found_in_every_form() {
    let r = Redactor::default();
    let secret = "pä\"ss/w+rd 42";
    r.register(secret);
    let within = |prefix: &str| {
        let encoded = STANDARD_NO_PAD.encode(format!("{prefix}{secret}-and-more"));
        (encoded.clone(), r.text(&encoded).into_owned())
    };
    for prefix in ["", "a", "ab", "abc"] {
        let (encoded, masked) = within(prefix);
        assert_ne!(encoded, masked, "base64 after {prefix:?}");
    }
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for text in [secret.to_owned(), percent, serde_json::to_string(secret).unwrap()] {
        assert!(r.text(&format!("x {text} y")).contains(MASK), "{text}");
    }
    r.forget(secret);
    assert!(!r.finds(secret));
}

#[test]
fn a_thousand_planted_secrets_are_all_masked() {
    let r = Redactor::default();
    let secrets: Vec<String> = (0..1000).map(|i| format!("canary-{i:04}-{}", i * 7919)).collect();
    r.register_all(secrets.iter().map(String::as_str));
    let mut value = serde_json::json!({ "lines": secrets, "deep": { "er": [secrets.join(",")] } });
    r.value(&mut value);
    assert!(!value.to_string().contains("canary-"));
}

#[test]
fn fields_that_are_named_for_credentials_and_the_data_of_secrets_are_masked() {
    let mut value = serde_json::json!({
        "kind": "Secret", "metadata": { "name": "db" }, "data": { "x": "aGVsbG8=" },
        "clientSecret": "abc", "secretName": "db", "token": "next-page", "access-token": "t",
    });
    Redactor::default().value(&mut value);
    let expected = serde_json::json!({
        "kind": "Secret", "metadata": { "name": "db" }, "data": { "x": MASK },
        "clientSecret": MASK, "secretName": "db", "token": "next-page", "access-token": MASK,
    });
    assert_eq!(value, expected);
    assert!(holds_mask(&value));
}

#[test]
fn a_stream_is_redacted_across_every_cut() {
    let r = Arc::new(Redactor::default());
    r.register("correct-horse-battery");
    let text = "one correct-horse-battery two\nAuthorization: Bearer abcdefghijklmnopqrst\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend";
    for cut in 1..text.len() {
        let mut stream = StreamRedactor::new(r.clone());
        let mut out = stream.push(&text[..cut]);
        out += &stream.push(&text[cut..]);
        out += &stream.finish();
        assert_eq!(
            out, "one «redacted» two\nAuthorization: Bearer «redacted»\n«redacted»\nend",
            "cut at {cut}"
        );
    }
}

#[test]
fn key_lines_are_hidden_from_begin_to_end_only() {
    let mut lines = KeyLines::default();
    let text = ["a", "-----BEGIN EC PRIVATE KEY-----", "MHcCAQ", "-----END EC PRIVATE KEY-----", "b"];
    assert_eq!(text.map(|l| lines.hides(l)), [false, true, true, true, false]);
    lines.hides("-----BEGIN EC PRIVATE KEY-----");
    assert!(!lines.hides("12:00:01 INFO started the server"));
}

#[test]
fn values_that_are_secret_by_their_name_are_masked_wherever_they_stand() {
    let arguments = serde_json::json!({"name": "db", "secret_values": ["user=al=ice", "pin=1", "2"]});
    let masked = serde_json::json!({"name": "db", "secret_values": [format!("user={MASK}"), format!("pin={MASK}"), MASK]});
    let mut batch = serde_json::json!({"targets": [arguments]});
    let mut own = batch.clone();
    Redactor::default().value(&mut batch);
    mask_secret_values(&mut own);
    assert_eq!(batch["targets"][0], masked);
    assert_eq!(own, batch);
}
