//! What programs write to their logs.
//!
//! A line follows from the container and its number alone, so that nothing is stored and the same log is read twice
//! the same.

use crate::lab::apps::Voice;
use crate::lab::rng::Rng;

/// Lines a second.
pub(super) fn rate(voice: Voice) -> f64 {
    match voice {
        Voice::Access => 4.0,
        Voice::Json => 3.0,
        Voice::Java | Voice::Hostile => 2.0,
        Voice::Logfmt | Voice::Postgres => 1.0,
        Voice::Klog => 0.5,
        Voice::Flood => 200_000.0,
    }
}

/// What a line is about.
pub(super) struct About<'a> {
    pub app: &'a str,
    pub seed: u64,
    /// The line's time, as the program writes it.
    pub time: jiff::Timestamp,
}

/// One line, without its end.
pub(super) fn line(voice: Voice, about: &About<'_>, number: u64) -> String {
    if voice == Voice::Flood {
        return format!("line {number:010} of a flood that no reader may lose a drop of");
    }
    let mut rng = Rng::new(about.seed ^ number.wrapping_mul(0x9e37_79b9));
    rng.next();
    // Now and then somebody logs a whole payload.
    if number % 601 == 600 && !matches!(voice, Voice::Klog | Voice::Access) {
        let size = 8_000 + rng.below(24_000);
        let payload: String = (0..size / 16).map(|_| rng.hex(16)).collect();
        return format!("level=debug msg=\"request body\" bytes={size} body={payload}");
    }
    match voice {
        Voice::Access => access(about, &mut rng),
        Voice::Json => json(about, &mut rng, number),
        Voice::Java => java(about, &mut rng, number),
        Voice::Logfmt => logfmt(about, &mut rng),
        Voice::Klog => klog(about, &mut rng),
        Voice::Postgres => postgres(about, &mut rng),
        Voice::Hostile => hostile(about, &mut rng, number),
        Voice::Flood => String::new(),
    }
}

fn choose<'a>(rng: &mut Rng, items: &'a [&'a str]) -> &'a str {
    rng.pick(items).copied().unwrap_or_default()
}

const PATHS: &[&str] = &[
    "/",
    "/cart",
    "/api/v1/products",
    "/api/v1/products/4711",
    "/checkout",
    "/search?q=anchor",
    "/static/app.js",
    "/api/v1/orders",
    "/login",
    "/healthz",
    "/ready",
];

fn access(about: &About<'_>, rng: &mut Rng) -> String {
    let status = match rng.below(40) {
        0 => 500,
        1 => 404,
        2 => 302,
        3 => 499,
        _ => 200,
    };
    let method = if rng.one_in(5) { "POST" } else { "GET" };
    format!(
        "203.0.113.{} - - [{}] \"{method} {} HTTP/1.1\" {status} {} \"-\" \"Mozilla/5.0\" {:.3}",
        rng.between(1, 250),
        about.time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        choose(rng, PATHS),
        rng.between(120, 48_000),
        rng.between(1, 900) as f64 / 1000.0,
    )
}

fn json(about: &About<'_>, rng: &mut Rng, number: u64) -> String {
    let (level, message) = match rng.below(60) {
        0 => (
            "error",
            choose(rng, &["payment declined by provider", "upstream timed out", "cannot decode body"]),
        ),
        1..=4 => {
            ("warn", choose(rng, &["slow query", "retrying request", "cache miss storm", "rate limit near"]))
        }
        5..=14 => ("debug", choose(rng, &["cache hit", "lock acquired", "session refreshed"])),
        _ => (
            "info",
            choose(rng, &["request served", "order placed", "item added", "item removed", "stock reserved"]),
        ),
    };
    let trace = rng.hex(32);
    serde_json::json!({
        "ts": about.time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(), "level": level, "logger": about.app, "msg": message,
        "trace_id": trace, "path": choose(rng, PATHS), "status": if level == "error" { 502 } else { 200 },
        "duration_ms": rng.between(1, 900), "seq": number,
    })
    .to_string()
}

fn java(about: &About<'_>, rng: &mut Rng, number: u64) -> String {
    const FRAMES: &[&str] = &[
        "\tat com.example.shop.catalog.ProductRepository.findBySku(ProductRepository.java:118)",
        "\tat com.example.shop.catalog.CatalogService.load(CatalogService.java:64)",
        "\tat com.example.shop.web.CatalogController.get(CatalogController.java:41)",
        "\tat java.base/java.lang.reflect.Method.invoke(Method.java:580)",
        "Caused by: java.net.SocketTimeoutException: Read timed out",
        "\t... 27 more",
    ];
    let stamp = about.time.strftime("%Y-%m-%d %H:%M:%S.%3f");
    // Every 47th line is an error with its stack below it.
    let place = usize::try_from(number % 47).unwrap_or(0);
    if place == 0 {
        return format!(
            "{stamp} ERROR 1 --- [nio-8080-exec-{}] c.e.shop.{}.Handler : Request failed: java.util.concurrent.TimeoutException",
            rng.between(1, 10),
            about.app
        );
    }
    if let Some(frame) = FRAMES.get(place - 1).filter(|_| number > 6) {
        return (*frame).to_owned();
    }
    let (level, message) = match rng.below(20) {
        0 => ("WARN ", "HikariPool-1 - Connection is not available, request timed out after 2503ms."),
        1..=3 => ("DEBUG", "Executing prepared SQL query"),
        _ => (
            "INFO ",
            choose(
                rng,
                &["Loaded 240 products", "Index refreshed", "Token verified", "Message sent to topic orders"],
            ),
        ),
    };
    format!(
        "{stamp}  {level} 1 --- [nio-8080-exec-{}] c.e.shop.{}.Service : {message}",
        rng.between(1, 10),
        about.app
    )
}

fn logfmt(about: &About<'_>, rng: &mut Rng) -> String {
    let (level, message) = match rng.below(30) {
        0 => ("error", "cannot write batch: broken pipe"),
        1 | 2 => ("warn", "queue is filling up"),
        _ => (
            "info",
            choose(rng, &["batch flushed", "picture resized", "scrape done", "mail sent", "parcel scanned"]),
        ),
    };
    format!(
        "ts={} level={level} caller={}.go:{} msg=\"{message}\" count={} took={}ms",
        about.time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
        about.app,
        rng.between(20, 400),
        rng.between(1, 900),
        rng.between(1, 300)
    )
}

fn klog(about: &About<'_>, rng: &mut Rng) -> String {
    let (letter, message) = match rng.below(20) {
        0 => ('E', "\"Unhandled Error\" err=\"timed out waiting for the condition\""),
        1 | 2 => ('W', "watch of *v1.Service ended with: too old resource version"),
        _ => (
            'I',
            choose(
                rng,
                &["\"Synced\" duration=\"12ms\"", "\"Caches are synced\"", "\"Adding endpoints\" count=3"],
            ),
        ),
    };
    format!(
        "{letter}{} 1 {}.go:{}] {message}",
        about.time.strftime("%m%d %H:%M:%S.%6f"),
        about.app,
        rng.between(40, 700)
    )
}

fn postgres(about: &About<'_>, rng: &mut Rng) -> String {
    let message = choose(
        rng,
        &[
            "LOG:  checkpoint starting: time",
            "LOG:  checkpoint complete: wrote 912 buffers (5.6%); 0 WAL file(s) added, 1 removed, 0 recycled",
            "LOG:  duration: 1204.118 ms  statement: SELECT * FROM orders WHERE customer_id = $1 ORDER BY created_at DESC",
            "ERROR:  duplicate key value violates unique constraint \"orders_pkey\"",
            "LOG:  automatic vacuum of table \"shop.public.sessions\": index scans: 1",
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        ],
    );
    format!("{} UTC [{}] {message}", about.time.strftime("%Y-%m-%d %H:%M:%S.%3f"), rng.between(60, 9000))
}

/// What a guest book gets from the internet: text that would harm a terminal that prints it as it is.
fn hostile(about: &About<'_>, rng: &mut Rng, number: u64) -> String {
    let text = match number % 9 {
        0 => "\u{1b}[2J\u{1b}[H\u{1b}[31mYOUR TERMINAL IS MINE\u{1b}[0m",
        1 => "\u{1b}]52;c;cm0gLXJmIH4=\u{7} nothing to see here",
        2 => "invoice\u{202e}fdp.exe\u{202c} is attached",
        3 => "\u{9b}31mC1 controls too\u{9b}0m",
        4 => "\u{1b}]0;root@production\u{7}hello from your title bar",
        5 => "progress 10%\rprogress 90%\rdone",
        6 => "zero\u{200b}width\u{200b}joins and \u{feff}marks",
        7 => "\u{1b}]8;;https://example.com\u{1b}\\click me\u{1b}]8;;\u{1b}\\",
        _ => "thanks for the fish \u{1f41f} und schöne Grüße",
    };
    format!(
        "ts={} level=info guest={} msg=\"{text}\"",
        about.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        rng.suffix(6)
    )
}

/// The last words of a program that could not go on.
pub(super) fn last_words(app: &str, code: i64, reason: &str) -> Vec<String> {
    match (app, code, reason) {
        (_, 0, _) => vec!["level=info msg=\"done\"".into()],
        (_, _, "OOMKilled") => Vec::new(),
        ("checkout", ..) => vec![
            "{\"level\":\"error\",\"logger\":\"config\",\"msg\":\"DATABASE_URL is not set\"}".into(),
            "{\"level\":\"fatal\",\"logger\":\"main\",\"msg\":\"cannot start: missing configuration\",\"exit_code\":1}".into(),
        ],
        ("ledger", ..) => vec![
            "Exception in thread \"main\" java.lang.IllegalStateException: 3 bookings have no counterpart".into(),
            "\tat com.example.pay.Reconcile.run(Reconcile.java:77)".into(),
            "\tat com.example.pay.Reconcile.main(Reconcile.java:21)".into(),
        ],
        (_, code, _) => vec![format!("level=fatal msg=\"giving up\" exit_code={code}")],
    }
}
