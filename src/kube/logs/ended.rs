//! The logs of the instances before the current ones: read to their end, and given in the order of their times.

use std::sync::Arc;

use futures::StreamExt as _;

use super::filter::Grep;
use super::filters::Filters;
use super::follow::{Query, Sink, check_container};
use super::pods;
use super::reader::{self, Ask, Lines};
use super::scope::{Finder, Scope, find_all};
use crate::base;
use crate::kube::Error;
use crate::rows::{Line, LineSource, Merger};

/// Containers read at the same time: eight spare the server.
const AT_ONCE: usize = 8;
/// No more containers are read.
const MOST: usize = 300;

/// Finds the containers that have ended once and reads what they said. The sink ends when all is given.
pub async fn start<T: Send + 'static>(finders: Vec<Finder>, query: Query, sink: Sink<T>) -> base::Result<()> {
    Grep::new(query.grep.as_deref(), query.context)
        .map_err(|e| base::Error::invalid(format!("grep: {e}")))?;
    let (scopes, mut failures) = find_all(&finders).await?;
    let mut wanted = Vec::new();
    for scope in &scopes {
        match ended(scope, &query).await {
            Ok(found) => wanted.extend(found.into_iter().map(|(pod, name)| (scope.clone(), pod, name))),
            Err(error) if scopes.len() == 1 => return Err(error),
            Err(error) => failures.push(error.message),
        }
    }
    wanted.truncate(MOST);
    if wanted.is_empty() {
        return Err(base::Error::not_found(failures.join("; ")).next("Read the log of the one that runs."));
    }
    tokio::spawn(async move {
        let reads = wanted.into_iter().map(|(scope, pod, container)| one(scope, &query, pod, container));
        let read: Vec<_> = futures::stream::iter(reads).buffered(AT_ONCE).collect().await;
        let all_failed = read.iter().all(|(_, error)| error.is_some());
        let mut merger = Merger::default();
        let now = std::time::Instant::now();
        let marks = failures.into_iter().map(|text| Line::Mark { source: None, text }).collect();
        let _ = sink.send(marks).await;
        for (lines, error) in read {
            let lane = merger.join(usize::MAX, now);
            if let Some(error) = error {
                if all_failed {
                    let _ = sink.channel.send((sink.wrap)(Err(error.into()))).await;
                    return;
                }
                merger.push(lane, [Line::Mark { source: None, text: error.to_string() }], now);
            }
            merger.push(lane, lines, now);
        }
        // Whoever asked may have gone meanwhile: then nobody is left to be told.
        let mut all = Vec::new();
        merger.drain(|_, line| all.push(line));
        let _ = sink.send(all).await;
    });
    Ok(())
}

/// The containers of a scope that have an earlier instance.
async fn ended(scope: &Scope, query: &Query) -> base::Result<Vec<(String, String)>> {
    let (views, _) = pods::read(scope).await?;
    if views.is_empty() {
        return Err(base::Error::not_found(format!("there is no {}", scope.words())));
    }
    if let Some(container) = &query.container {
        check_container(&views, container)?;
    }
    let meant = |name: &str| query.container.as_deref().is_none_or(|c| c == name);
    let wanted: Vec<_> = views
        .iter()
        .flat_map(|pod| pod.containers.iter().map(move |c| (pod, c)))
        .filter(|(_, c)| c.has_previous && meant(&c.name))
        .map(|(pod, c)| (pod.name.clone(), c.name.clone()))
        .collect();
    if wanted.is_empty() {
        return Err(base::Error::not_found(format!(
            "no container of {} has an earlier instance: none has restarted",
            scope.words()
        ))
        .next("Read the log of the one that runs."));
    }
    Ok(wanted)
}

async fn one(scope: Scope, query: &Query, pod: String, container: String) -> (Vec<Line>, Option<Error>) {
    let source = Arc::new(LineSource {
        cluster: (**scope.cluster.name()).into(),
        namespace: scope.namespace.as_str().into(),
        pod: pod.as_str().into(),
        container: container.as_str().into(),
    });
    let ask = Ask {
        container,
        previous: true,
        tail: query.tail,
        since_seconds: query.since_seconds,
        ..Ask::default()
    };
    let mut stream = match reader::open(&scope, &pod, &ask).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let (mut reading, mut batch, mut out) = (Lines::new(source), Vec::new(), Vec::new());
    let mut filters = Filters::new(query);
    loop {
        let chunk = stream.next().await;
        let mut failed = None;
        match &chunk {
            Some(Ok(bytes)) => reading.feed(bytes, &mut batch),
            Some(Err(error)) => failed = Some(error.clone()),
            None => reading.finish(&mut batch),
        }
        filters.ending = !matches!(chunk, Some(Ok(_)));
        out.append(&mut filters.pass(std::mem::take(&mut batch)));
        if !matches!(chunk, Some(Ok(_))) {
            return (out, failed);
        }
    }
}
