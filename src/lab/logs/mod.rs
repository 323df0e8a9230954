//! Logs of containers, as the kubelet serves them: whole, from the end, since a time, followed.

mod voice;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::voice::About;
use super::apps::{self, Voice};
use super::cluster::State;
use super::failure::{Cause, Failure, Outcome};
use super::object::{at, items, parse_stamp, text};
use super::reply;
use super::rng::Rng;
use super::route::Ask;

/// Older lines have been rotated away.
const KEPT: u64 = 20_000;

/// Lines sent in one piece.
const BATCH: usize = 512;

/// What of a log is wanted.
#[derive(Debug)]
struct Wish {
    container: String,
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail: Option<u64>,
    since: Option<Timestamp>,
    limit: Option<usize>,
}

impl Wish {
    fn read(ask: &Ask) -> Outcome<Self> {
        let mut causes = Vec::new();
        let mut amount = |key: &str, least: i64| -> Outcome<Option<i64>> {
            let number = ask.query.number(key)?;
            if let Some(n) = number.filter(|n| *n < least) {
                let rule = format!("must be greater than or equal to {least}");
                causes.push(Cause::invalid(key, &n.into(), &rule));
            }
            Ok(number)
        };
        let (tail, seconds) = (amount("tailLines", 0)?, amount("sinceSeconds", 1)?);
        let limit = amount("limitBytes", 1)?;
        let time = match ask.query.get("sinceTime") {
            Some(t) => Some(t.parse::<Timestamp>().map_err(|e| Failure::bad_request(e.to_string()))?),
            None => None,
        };
        if seconds.is_some() && time.is_some() {
            let rule = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            causes.push(Cause::forbidden("sinceSeconds", rule));
        }
        if !causes.is_empty() {
            return Err(Failure::invalid("", "PodLogOptions", &ask.name, &causes));
        }
        let back = |s: i64| Timestamp::now().checked_sub(SignedDuration::from_secs(s)).ok();
        Ok(Self {
            container: ask.query.text("container").to_owned(),
            follow: ask.query.flag("follow"),
            previous: ask.query.flag("previous"),
            timestamps: ask.query.flag("timestamps"),
            tail: tail.and_then(|n| u64::try_from(n).ok()),
            since: time.or_else(|| seconds.and_then(back)),
            limit: limit.and_then(|n| usize::try_from(n).ok()),
        })
    }
}

pub(super) fn request(ask: &Ask) -> Outcome<Response<Body>> {
    let wish = Wish::read(ask)?;
    let object = ask
        .state
        .store
        .get(ask.kind.id, &ask.namespace, &ask.name)
        .ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))?;
    let pod = object.value();
    let name = container_name(&pod, &wish, &ask.name)?;
    let run = Run::find(&pod, &name, wish.previous, &ask.name)?;
    let end = run.count(Timestamp::now());
    let mut next = if run.voice == Voice::Flood { 0 } else { end.saturating_sub(KEPT) };
    if let Some(since) = wish.since {
        next = next.max(run.first_from(since));
    }
    if let Some(tail) = wish.tail {
        next = next.max(end.saturating_sub(tail));
    }
    let follow = wish.follow && !wish.previous;
    let reader = Reader {
        state: ask.state.clone(),
        kind: ask.kind.id,
        place: (ask.namespace.to_string(), ask.name.to_string()),
        container: name,
        run,
        next,
        follow,
        timestamps: wish.timestamps,
        left: wish.limit,
    };
    let steps = stream::unfold(reader, |mut reader| async move {
        let piece = reader.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), reader))
    });
    Ok(reply::with_body(200, "text/plain", Body::from_stream(steps)))
}

/// Which container is meant.
fn container_name(pod: &Value, wish: &Wish, pod_name: &str) -> Outcome<String> {
    let names = |list: &str| -> Vec<&str> { items(pod, list).iter().map(|c| text(c, "name")).collect() };
    let (main, init) = (names("spec.containers"), names("spec.initContainers"));
    if wish.container.is_empty() {
        if let [one] = main.as_slice() {
            return Ok((*one).to_owned());
        }
        let mut message = format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            main.join(" ")
        );
        if !init.is_empty() {
            message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
        }
        return Err(Failure::bad_request(message));
    }
    if main.iter().chain(&init).any(|n| *n == wish.container) {
        return Ok(wish.container.clone());
    }
    Err(Failure::bad_request(format!("container {} is not valid for pod {pod_name}", wish.container)))
}

/// One run of a container: from its start to its end, if it has ended.
#[derive(Debug, Clone)]
struct Run {
    app: &'static str,
    voice: Voice,
    image: String,
    seed: u64,
    start: Timestamp,
    end: Option<Timestamp>,
    last_words: Vec<String>,
    /// Lines a second.
    rate: f64,
    /// It writes no more lines than these.
    most: u64,
}

impl Run {
    fn find(pod: &Value, container: &str, previous: bool, pod_name: &str) -> Outcome<Self> {
        let spec = ["spec.containers", "spec.initContainers"]
            .iter()
            .flat_map(|l| items(pod, l))
            .find(|c| text(c, "name") == container);
        let status = ["status.containerStatuses", "status.initContainerStatuses"]
            .iter()
            .flat_map(|l| items(pod, l))
            .find(|c| text(c, "name") == container);
        let (Some(spec), Some(status)) = (spec, status) else {
            return Err(Failure::bad_request(format!(
                "container \"{container}\" in pod \"{pod_name}\" is not available"
            )));
        };
        let last = at(status, "lastState.terminated");
        let (running, ended) = (at(status, "state.running"), at(status, "state.terminated"));
        let waiting = text(status, "state.waiting.reason");
        let chosen = if previous {
            last
        } else if running.is_object() {
            running
        } else if ended.is_object() {
            ended
        } else {
            // Between two runs of a crashing container the log is that of the last one.
            last
        };
        if !chosen.is_object() {
            let message = if previous {
                format!("previous terminated container \"{container}\" in pod \"{pod_name}\" not found")
            } else {
                let why = match waiting {
                    "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
                    other => other,
                };
                format!("container \"{container}\" in pod \"{pod_name}\" is waiting to start: {why}")
            };
            return Err(Failure::bad_request(message));
        }
        let image = text(spec, "image").to_owned();
        let app = apps::find(&image);
        let start = parse_stamp(&chosen["startedAt"]).unwrap_or_else(Timestamp::now);
        let end = parse_stamp(&chosen["finishedAt"]);
        let name = app.map_or("app", |a| a.image);
        let code = chosen["exitCode"].as_i64().unwrap_or_default();
        let last_words =
            if end.is_some() { voice::last_words(name, code, text(chosen, "reason")) } else { Vec::new() };
        let voice = app.map_or(Voice::Logfmt, |a| a.voice);
        let number = |name: &str| {
            let named = items(spec, "env").iter().find(|variable| text(variable, "name") == name);
            named.and_then(|variable| text(variable, "value").parse::<u64>().ok())
        };
        let (rate, most) =
            if voice == Voice::Flood { (number("RATE"), number("LINES")) } else { (None, None) };
        let seed = Rng::for_topic(
            start.as_second().unsigned_abs(),
            &format!("{}{container}", text(pod, "metadata.uid")),
        );
        Ok(Self {
            app: name,
            voice,
            rate: rate.map_or_else(|| voice::rate(voice), |rate| rate.max(1) as f64),
            most: most.unwrap_or(u64::MAX),
            image,
            seed: seed.clone().next(),
            start,
            end,
            last_words,
        })
    }

    /// When a line is written.
    fn time(&self, number: u64) -> Timestamp {
        let usual = self.usual();
        if number >= usual
            && let Some(end) = self.end
        {
            return end;
        }
        let nanos = (number as f64 / self.rate * 1e9) as i64;
        let is_even = self.voice == Voice::Flood;
        let jitter = if is_even { 0 } else { Rng::new(self.seed ^ number).between(0, 90_000_000) };
        let time = self.start + SignedDuration::from_nanos(nanos + jitter);
        self.end.map_or(time, |end| time.min(end))
    }

    /// Lines before the last words.
    fn usual(&self) -> u64 {
        match self.end {
            Some(end) => self.elapsed(end).max(1),
            None => u64::MAX,
        }
    }

    fn elapsed(&self, time: Timestamp) -> u64 {
        let seconds = time.duration_since(self.start).as_secs_f64();
        if seconds <= 0.0 { 0 } else { ((seconds * self.rate) as u64 + 1).min(self.most) }
    }

    /// The first line that is not older than a time, as a kubelet compares them.
    fn first_from(&self, time: Timestamp) -> u64 {
        let near = self.count(time).saturating_sub(2);
        (near..near + 4).find(|number| self.time(*number) >= time).unwrap_or(near + 4)
    }

    /// Lines written up to a time.
    fn count(&self, time: Timestamp) -> u64 {
        match self.end {
            Some(end) if time >= end => self.usual() + self.last_words.len() as u64,
            _ => self.elapsed(time).min(self.usual()),
        }
    }

    fn line(&self, number: u64) -> String {
        if number == 0 && self.voice != Voice::Flood {
            return format!("starting {} ({})", self.app, self.image);
        }
        if let Some(word) =
            usize::try_from(number.wrapping_sub(self.usual())).ok().and_then(|i| self.last_words.get(i))
        {
            return word.clone();
        }
        let about = About { app: self.app, seed: self.seed, time: self.time(number) };
        voice::line(self.voice, &about, number)
    }
}

struct Reader {
    state: Arc<State>,
    kind: usize,
    place: (String, String),
    container: String,
    run: Run,
    next: u64,
    follow: bool,
    timestamps: bool,
    /// Bytes that may still be sent.
    left: Option<usize>,
}

impl Reader {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            self.state.faults.delay().await;
            if self.left == Some(0) {
                return None;
            }
            let end = self.run.count(Timestamp::now());
            if self.next < end {
                return Some(self.piece(end));
            }
            if !self.follow || self.run.end.is_some() {
                return None;
            }
            let due = self.run.time(self.next).duration_since(Timestamp::now());
            let wait = Duration::try_from(due)
                .unwrap_or_default()
                .clamp(Duration::from_millis(20), Duration::from_secs(2));
            tokio::time::sleep(wait).await;
            self.look_again();
        }
    }

    fn piece(&mut self, end: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..BATCH {
            if self.next >= end {
                break;
            }
            if self.timestamps {
                let stamp = self.run.time(self.next).strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string();
                out.extend_from_slice(stamp.as_bytes());
            }
            out.extend_from_slice(self.run.line(self.next).as_bytes());
            out.push(b'\n');
            self.next += 1;
        }
        if let Some(left) = &mut self.left {
            out.truncate(*left);
            *left -= out.len();
        }
        out
    }

    /// Whether the container still runs; if it has ended, its last lines are still to come.
    fn look_again(&mut self) {
        let Some(object) = self.state.store.get(self.kind, &self.place.0, &self.place.1) else {
            self.run.end = Some(Timestamp::now());
            return;
        };
        let pod = object.value();
        // The same run, now over: as the current state or as the last one.
        for previous in [false, true] {
            if let Ok(run) = Run::find(&pod, &self.container, previous, &self.place.1)
                && run.start == self.run.start
            {
                self.run = run;
                return;
            }
        }
        self.run.end = Some(Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(state: Value, last: Value, previous: bool) -> Outcome<Run> {
        let pod = json!({
            "metadata": {"uid": "u"},
            "spec": {"containers": [{"name": "m", "image": "registry.shop.example/shop/checkout:1.2.3"}]},
            "status": {"containerStatuses": [{"name": "m", "state": state, "lastState": last}]},
        });
        Run::find(&pod, "m", previous, "p")
    }

    #[test]
    fn a_log_is_the_same_whenever_it_is_read_and_ends_with_the_last_words() {
        let ended = json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-01-01T00:00:00Z",
                           "finishedAt": "2026-01-01T00:00:04Z"}});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let log = run(waiting.clone(), ended.clone(), false).unwrap();
        let again = run(waiting.clone(), ended, true).unwrap();
        let count = log.count("2026-01-01T01:00:00Z".parse().unwrap());
        let lines: Vec<String> = (0..count).map(|i| log.line(i)).collect();
        assert_eq!(lines, (0..count).map(|i| again.line(i)).collect::<Vec<_>>());
        assert!(lines[0].starts_with("starting checkout"));
        assert!(lines[lines.len() - 2].contains("DATABASE_URL is not set"));
        assert!((1..count).all(|i| log.time(i) >= log.time(i - 1)));
        let none = run(waiting, json!({}), true).unwrap_err();
        assert_eq!(none.message, "previous terminated container \"m\" in pod \"p\" not found");
        let pulling = run(json!({"waiting": {"reason": "ImagePullBackOff"}}), json!({}), false).unwrap_err();
        assert!(pulling.message.ends_with("is waiting to start: trying and failing to pull image"));
    }
}
