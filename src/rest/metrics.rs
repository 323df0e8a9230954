//! A few counters, in Prometheus's text form.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// Answers by the class of their status.
#[derive(Default)]
pub struct Metrics {
    answers: [AtomicU64; 5],
}

impl Metrics {
    pub fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    pub fn text(&self) -> String {
        let mut out = String::from(
            "# HELP quarterdeck_http_answers_total Calls answered over HTTP, by class of status.\n\
             # TYPE quarterdeck_http_answers_total counter\n",
        );
        for (i, count) in self.answers.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            out.push_str(&format!("quarterdeck_http_answers_total{{status=\"{}xx\"}} {count}\n", i + 1));
        }
        out
    }
}
