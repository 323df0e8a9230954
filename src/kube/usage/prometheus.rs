//! A Prometheus, or what speaks its HTTP API, as the source of a longer past.
//!
//! Source: prometheus.io/docs/prometheus/latest/querying/api, `GET /api/v1/query_range`. The series are those that the
//! kubelet's cAdvisor gives: `container_cpu_usage_seconds_total` and `container_memory_working_set_bytes`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use url::form_urlencoded;

use super::Sample;
use crate::base::config;
use crate::base::{Code, Error, Result};

/// A large answer: thousands of series of hundreds of points.
const BODY_LIMIT: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Points of one series: as many as say enough and are quickly computed.
const POINTS: i64 = 400;
/// Rates over less say nothing where targets are scraped every minute.
const SHORTEST_RATE: i64 = 300;

/// One cluster's Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    url: String,
    token_file: std::path::PathBuf,
    matchers: String,
}

/// Samples by pod and container.
pub type Series = HashMap<(CompactString, CompactString), Vec<Sample>>;

/// What to read.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    pub namespace: &'a str,
    /// A regular expression of pod names, whole.
    pub pods: &'a str,
    /// Seconds since the epoch.
    pub from: i64,
    pub to: i64,
}

impl Prometheus {
    pub fn new(source: &config::Prometheus) -> Self {
        Self {
            url: source.url.trim_end_matches('/').to_owned(),
            token_file: source.token_file.clone(),
            matchers: source.matchers.clone(),
        }
    }

    /// Reads the CPU and the memory of containers over a range.
    pub async fn read(&self, range: &Range<'_>) -> Result<Series> {
        let step = ((range.to - range.from) / POINTS).max(30);
        let rate = SHORTEST_RATE.max(step);
        let place = self.place(range);
        let cpu =
            format!("sum by (pod, container) (rate(container_cpu_usage_seconds_total{{{place}}}[{rate}s]))");
        // Of each step the most: what kills a container may have lasted a moment.
        let memory = format!(
            "max by (pod, container) (max_over_time(container_memory_working_set_bytes{{{place}}}[{rate}s]))"
        );
        let (cpu, memory) =
            tokio::try_join!(self.query(&cpu, range, step), self.query(&memory, range, step))?;
        Ok(join(&cpu, &memory))
    }

    /// The matchers of the series: of containers, and not of a pod as a whole or its sandbox.
    fn place(&self, range: &Range<'_>) -> String {
        let mut place = format!(
            "namespace={},pod=~{},container!=\"\",container!=\"POD\"",
            quoted(range.namespace),
            quoted(range.pods)
        );
        if !self.matchers.is_empty() {
            place.push(',');
            place.push_str(&self.matchers);
        }
        place
    }

    async fn query(&self, query: &str, range: &Range<'_>, step: i64) -> Result<Vec<Matrix>> {
        let arguments = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", query)
            .append_pair("start", &range.from.to_string())
            .append_pair("end", &range.to.to_string())
            .append_pair("step", &step.to_string())
            .finish();
        let mut request = Request::get(format!("{}/api/v1/query_range?{arguments}", self.url))
            .header(ACCEPT, "application/json")
            .body(Full::<Bytes>::default())
            .map_err(|e| self.wrong(&e.to_string()))?;
        if let Some(token) = self.token().await? {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let (status, body) = match tokio::time::timeout(TIMEOUT, send(request)).await {
            Ok(answer) => answer.map_err(|reason| self.failed(Code::Unavailable, &reason))?,
            Err(_) => {
                return Err(self.failed(Code::Timeout, &format!("no answer within {} s", TIMEOUT.as_secs())));
            }
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|e| match status {
            200 => self.failed(Code::Unsupported, &format!("its answer is not of its API: {e}")),
            _ => self.failed(code(status), &format!("it answered with {status}")),
        })?;
        match answer.data {
            Some(data) if answer.status == "success" => Ok(data.result),
            _ => Err(self.failed(code(status), &format!("{}: {}", answer.error_type, answer.error))),
        }
    }

    /// Read anew each time: tokens are renewed in their files.
    async fn token(&self) -> Result<Option<HeaderValue>> {
        if self.token_file.as_os_str().is_empty() {
            return Ok(None);
        }
        let text = tokio::fs::read_to_string(&self.token_file)
            .await
            .map_err(|e| self.wrong(&format!("cannot read {}: {e}", self.token_file.display())))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| self.wrong(&format!("{} holds no token", self.token_file.display())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn failed(&self, code: Code, reason: &str) -> Error {
        let next = match code {
            Code::Unauthenticated | Code::PermissionDenied => {
                "Check the token in the file that kubernetes.prometheus names."
            }
            _ => "Check the address in kubernetes.prometheus, and that the Prometheus is up.",
        };
        Error::new(code, format!("the Prometheus at {}: {reason}", self.url)).next(next)
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::invalid(format!("the Prometheus at {}: {reason}", self.url))
            .next("Correct kubernetes.prometheus in the configuration.")
    }
}

fn code(status: u16) -> Code {
    match status {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        400 | 422 => Code::Unsupported,
        _ => Code::Unavailable,
    }
}

async fn send(request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|e| format!("the system's certificates cannot be read: {e}"))?
        .https_or_http()
        .enable_all_versions()
        .build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let answer = client.request(request).await.map_err(|e| causes(&e))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|e| e.to_string())?;
    Ok((status, body.to_bytes()))
}

/// An error with what lies below it: hyper's own text says no more than "client error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Matrix>,
}

#[derive(Deserialize)]
struct Matrix {
    metric: Metric,
    /// A time in seconds and a value as text.
    #[serde(default)]
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(default)]
    pod: CompactString,
    #[serde(default)]
    container: CompactString,
}

/// Puts CPU and memory of the same container and time together. What has one of them only is left out.
fn join(cpu: &[Matrix], memory: &[Matrix]) -> Series {
    let key = |m: &Matrix| (m.metric.pod.clone(), m.metric.container.clone());
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    // A cast from floating point saturates, which is what is wanted.
    let small = |n: f64| n.round() as u32;
    let mut found: BTreeMap<_, HashMap<u32, u32>> = BTreeMap::new();
    for series in memory {
        let points =
            series.values.iter().filter_map(|(at, v)| Some((small(*at), small(number(v)? / 1024.0))));
        found.entry(key(series)).or_default().extend(points);
    }
    let mut all = Series::new();
    for series in cpu {
        let key = key(series);
        let Some(memory) = found.get(&key) else { continue };
        let points = series.values.iter().filter_map(|(at, v)| {
            let at = small(*at);
            Some(Sample { at, microcores: small(number(v)? * 1e6), kibibytes: *memory.get(&at)? })
        });
        all.entry(key).or_default().extend(points);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::Query;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;

    /// The HTTP API as far as it is used: two pods of one point a step, with a token.
    async fn fake() -> String {
        let answer = |headers: HeaderMap, Query(query): Query<HashMap<String, String>>| async move {
            if headers.get("authorization").is_none_or(|v| v != "Bearer t0ken") {
                return (StatusCode::UNAUTHORIZED, "no".to_owned());
            }
            let text = &query["query"];
            if !text.contains(
                r#"namespace="shop",pod=~"web-[a-z0-9]+",container!="",container!="POD",cluster="eu""#,
            ) {
                let body = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
                return (StatusCode::BAD_REQUEST, body.to_owned());
            }
            let (start, end, step) = (
                query["start"].parse::<i64>().unwrap(),
                query["end"].parse::<i64>().unwrap(),
                query["step"].parse::<usize>().unwrap(),
            );
            let value =
                if text.contains("rate(container_cpu_usage_seconds_total") { "0.25" } else { "134217728" };
            let points: Vec<_> =
                (start..=end).step_by(step).map(|at| serde_json::json!([at, value])).collect();
            let series = |pod: &str| serde_json::json!({"metric": {"pod": pod, "container": "main"}, "values": points});
            let body = serde_json::json!({"status": "success", "data": {"resultType": "matrix", "result": [series("web-a"), series("web-b")]}});
            (StatusCode::OK, body.to_string())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/prom/api/v1/query_range", get(answer))).await
        });
        url
    }

    fn source(url: &str, token_file: &std::path::Path) -> Prometheus {
        Prometheus::new(&config::Prometheus {
            cluster: "eu-1".into(),
            url: format!("{url}/prom/"),
            token_file: token_file.to_owned(),
            matchers: r#"cluster="eu""#.into(),
        })
    }

    #[tokio::test]
    async fn a_range_of_cpu_and_memory_is_read_with_a_token_and_errors_say_what_to_do() {
        let url = fake().await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t0ken\n").unwrap();
        let range = Range { namespace: "shop", pods: "web-[a-z0-9]+", from: 1_000_000, to: 1_086_400 };
        let series = source(&url, &token).read(&range).await.unwrap();
        assert_eq!(series.len(), 2);
        let samples = &series[&("web-a".into(), "main".into())];
        assert_eq!((samples.len(), samples[1].at - samples[0].at), (401, 216));
        assert_eq!((samples[0].microcores, samples[0].kibibytes), (250_000, 131_072));

        std::fs::write(&token, "old").unwrap();
        let error = source(&url, &token).read(&range).await.unwrap_err();
        assert_eq!((error.code, error.next_step().contains("token")), (Code::Unauthenticated, true));
        std::fs::write(&token, "t0ken").unwrap();
        let error = source(&url, &token).read(&Range { pods: "(", ..range.clone() }).await.unwrap_err();
        assert!(error.message.contains("bad_data: parse error"), "{}", error.message);
        let error = source(&url, &folder.path().join("none")).read(&range).await.unwrap_err();
        assert!(error.message.contains("cannot read"), "{}", error.message);
        let error = source("http://127.0.0.1:1", &token).read(&range).await.unwrap_err();
        assert!(error.code == Code::Unavailable && error.message.contains("refused"), "{}", error.message);
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
