//! From a request to its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{self, Failed, HttpAnswer};
use super::ask::Asker;
use super::backup::Backups;
use super::conditions::{self, Condition};
use super::counters::HttpCounters;
use super::options::HttpOptions;
use super::sources::Sources;
use super::status::Status;
use super::{keys, metrics, password, target};
use crate::bytes::Bytes;
use crate::frontend::store::{Freshness, Store};
use crate::operation::Operation;
use crate::request::{Outcome, RequestId};

/// The methods of the pages for operators.
const PAGE_METHODS: &str = "GET, HEAD";

/// The methods of keys.
const KEY_METHODS: &str = "GET, HEAD, PUT, DELETE";

/// How many bytes of a body that is too long are read, so that the client reads its answer before the
/// connection ends.
const DISCARDED_BYTES: usize = 16 << 20;

/// A server without its connections.
pub(super) struct Service {
    pub options: HttpOptions,
    pub counters: Arc<HttpCounters>,
    sources: Sources,
    keys: Asker,
    readiness: Asker,
    backups: Backups,
    began: Instant,
    bodies: Semaphore, // bytes of bodies that may arrive now
}

impl Service {
    pub fn new(
        options: HttpOptions,
        counters: Arc<HttpCounters>,
        sources: Sources,
        store: &Arc<dyn Store>,
    ) -> Self {
        let bodies_bytes = options.bodies_bytes.max(options.max_value_bytes).min(Semaphore::MAX_PERMITS);
        Self {
            keys: Asker::new(Arc::clone(store), options.store_limit),
            readiness: Asker::new(Arc::clone(store), options.ready_limit),
            backups: Backups::new(sources.board.clone()),
            options,
            counters,
            sources,
            began: Instant::now(),
            bodies: Semaphore::new(bodies_bytes),
        }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>) -> HttpAnswer {
        let answer = match request.uri().path() {
            "/livez" => page(&request, || answer::line(StatusCode::OK, "ok")),
            "/readyz" if is_page(&request) => self.readyz().await,
            "/readyz" => answer::other_method(PAGE_METHODS),
            "/status" => page(&request, || self.status()),
            "/metrics" => page(&request, || self.metrics()),
            "/backup" => self.backup(&request).await,
            path => match target::encoded_key(path).map(target::key) {
                Some(Some(key)) => self.answer_for_key(request, key).await,
                Some(None) => answer::line(StatusCode::BAD_REQUEST, "the key has a % without two digits"),
                None => answer::line(StatusCode::NOT_FOUND, "there is no such page"),
            },
        };
        self.counters.note_answer(answer.status());
        answer
    }

    /// The whole state, so it needs the password as all keys do.
    async fn backup(&self, request: &Request<Incoming>) -> HttpAnswer {
        if !password::is_right(self.options.password.as_deref(), request.headers()) {
            return answer::stranger();
        }
        if request.method() != Method::GET {
            return answer::other_method("GET");
        }
        self.backups.begin().await.unwrap_or_else(Failed::answer)
    }

    /// Ready means that a linearizable read works now, and that the replica is not about to stop.
    async fn readyz(&self) -> HttpAnswer {
        if self.sources.board.retires() {
            return answer::line(StatusCode::SERVICE_UNAVAILABLE, "the replica stops");
        }
        let read = Operation::Strlen { key: Bytes::default() };
        let outcome = self.readiness.read(read, Freshness::Linearizable).await;
        let why = match outcome {
            Outcome::Done(_) => return answer::line(StatusCode::OK, "ready"),
            Outcome::Redirect => "no leader is known",
            Outcome::Fail => "the replica refuses reads",
            Outcome::Unknown => "no leader has served a read in time",
        };
        answer::line(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    fn status(&self) -> HttpAnswer {
        let status = Status::now(&self.sources, self.began.elapsed());
        let mut json = serde_json::to_vec_pretty(&status).expect("a status has a JSON form");
        json.push(b'\n');
        answer::content(StatusCode::OK, "application/json", json)
    }

    fn metrics(&self) -> HttpAnswer {
        let text = metrics::text(&self.sources, &self.counters, self.began.elapsed());
        answer::content(StatusCode::OK, metrics::MEDIA_TYPE, text)
    }

    async fn answer_for_key(&self, request: Request<Incoming>, key: Bytes) -> HttpAnswer {
        let (began, method) = (Instant::now(), request.method().clone());
        if !password::is_right(self.options.password.as_deref(), request.headers()) {
            return answer::stranger();
        }
        let answer = match method {
            Method::GET | Method::HEAD => self.get(&request, key).await,
            Method::PUT | Method::DELETE => self.write(request, key).await,
            _ => answer::other_method(KEY_METHODS),
        };
        self.counters.note_latency(method.as_str(), began.elapsed().as_micros() as u64);
        answer
    }

    async fn get(&self, request: &Request<Incoming>, key: Bytes) -> HttpAnswer {
        match target::freshness(request.uri().query()) {
            Ok(freshness) => keys::get(&self.keys, key, freshness, request.headers()).await,
            Err(why) => answer::line(StatusCode::BAD_REQUEST, why),
        }
    }

    async fn write(&self, request: Request<Incoming>, key: Bytes) -> HttpAnswer {
        if request.uri().query().is_some() {
            return answer::line(StatusCode::BAD_REQUEST, "a write takes no query");
        }
        let (condition, name) = match self.decisions(request.headers()) {
            Ok(decisions) => decisions,
            Err(why) => return answer::line(StatusCode::BAD_REQUEST, why),
        };
        if request.method() == Method::DELETE {
            return keys::delete(&self.keys, key, condition, name).await;
        }
        // The body holds its part of the memory until the store has taken it.
        let bytes = self.length_at_most(&request);
        if bytes > self.options.max_value_bytes {
            return self.refuse_long(request.into_body()).await.answer();
        }
        let Ok(_permit) = self.bodies.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX)) else {
            let text = "too many values arrive at once";
            return Failed::new(StatusCode::SERVICE_UNAVAILABLE, text).and_close().answer();
        };
        match self.receive(request.into_body()).await {
            Ok(value) => keys::put(&self.keys, key, value, condition, name).await,
            Err(failed) => failed.answer(),
        }
    }

    /// The condition of a write, and its name.
    fn decisions(&self, headers: &HeaderMap) -> Result<(Condition, Option<RequestId>), &'static str> {
        let (condition, name) = (conditions::of_write(headers)?, conditions::name(headers)?);
        let is_replica = |id: &RequestId| {
            // A replica names the requests of its own clients under its own ID.
            self.sources.facts.members().iter().any(|member| member.id == id.client)
        };
        if name.as_ref().is_some_and(is_replica) {
            return Err("the client of the Idempotency-Key has the ID of a replica");
        }
        Ok((condition, name))
    }

    /// How long the body of a request may be: as it says, or as the longest value.
    fn length_at_most(&self, request: &Request<Incoming>) -> usize {
        let exact = request.body().size_hint().exact().map(usize::try_from);
        exact.map_or(self.options.max_value_bytes, |length| length.unwrap_or(usize::MAX))
    }

    /// Receives a body that must not be longer than a value.
    async fn receive(&self, mut body: Incoming) -> Result<Bytes, Failed> {
        let limited = Limited::new(&mut body, self.options.max_value_bytes);
        match timeout(self.options.body_limit, limited.collect()).await {
            Ok(Ok(collected)) => Ok(Bytes::from(&*collected.to_bytes())),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(self.refuse_long(body).await)
            }
            Ok(Err(_)) => Err(Failed::new(StatusCode::BAD_REQUEST, "the body is cut off").and_close()),
            Err(_) => {
                self.counters.slow_clients.fetch_add(1, Ordering::Relaxed);
                Err(Failed::new(StatusCode::REQUEST_TIMEOUT, "the body takes too long").and_close())
            }
        }
    }

    /// Refuses a body that is too long, after the client has sent it or a good part of it: an end of
    /// the connection before that could lose the answer.
    async fn refuse_long(&self, mut body: Incoming) -> Failed {
        let discard = async {
            let mut left = DISCARDED_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, |data| data.len());
                let Some(rest) = left.checked_sub(length) else { return };
                left = rest;
            }
        };
        let _in_time = timeout(self.options.body_limit.min(Duration::from_secs(5)), discard).await;
        let most = self.options.max_value_bytes;
        let text = format!("a value has at most {most} bytes");
        Failed::new(StatusCode::PAYLOAD_TOO_LARGE, text).and_close()
    }
}

fn is_page(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn page(request: &Request<Incoming>, show: impl FnOnce() -> HttpAnswer) -> HttpAnswer {
    if is_page(request) { show() } else { answer::other_method(PAGE_METHODS) }
}
