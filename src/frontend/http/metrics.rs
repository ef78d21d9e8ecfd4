//! `/metrics`: the counters of this replica in the text format of Prometheus.
//!
//! Each metric begins with `kvstore_`. Counters begin at zero when the process starts. `peer` is the
//! ID of another replica.

use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::counters::{HttpCounters, get};
use super::sources::Sources;
use super::status::{role, seconds};
use crate::clock::BootTime;
use crate::frontend::redis_server::ServerCounters;
use crate::histogram::{BOUNDS_US, Buckets};
use crate::id::Id;
use crate::micros::Micros;
use crate::transport::tcp::{Direction, Flow, MeshView};
use crate::view::{DiskView, QueuesView, StagesView, View};

/// The media type of the text.
pub(super) const MEDIA_TYPE: &str = CONTENT_TYPE;

type Encoded = Result<(), Error>;

/// The labels of one line.
type Labels = Vec<(&'static str, String)>;

/// The metrics now, of a server that has run for so long.
pub(super) fn text(sources: &Sources, counters: &Arc<HttpCounters>, uptime: Duration) -> String {
    let mut registry = Registry::with_prefix("kvstore");
    let scrape = Scrape { sources: sources.clone(), counters: Arc::clone(counters), uptime };
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all text");
    text
}

#[derive(Debug)]
struct Scrape {
    sources: Sources,
    counters: Arc<HttpCounters>,
    uptime: Duration,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Encoded {
        let mut page = Page { encoder, now: BootTime::now().as_micros() };
        let view = self.sources.facts.view();
        page.process(self.uptime)?;
        page.role(&view)?;
        page.log(&view)?;
        page.followers(&view)?;
        page.elections(&view)?;
        page.queues(&view.queues, (self.sources.waiting)())?;
        page.stages(&view)?;
        view.disk.as_ref().map_or(Ok(()), |disk| page.disk(disk))?;
        page.network(&(self.sources.network)())?;
        page.http(&self.counters)?;
        self.sources.redis.as_ref().map_or(Ok(()), |redis| page.redis(redis))
    }
}

/// The page that is being written.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
    now: Micros,
}

impl Page<'_> {
    fn process(&mut self, uptime: Duration) -> Encoded {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.gauges("build_info", "The version of the program", [(version, 1.0)])?;
        self.gauge("uptime_seconds", "How long the HTTP server has run", uptime.as_secs_f64())
    }

    fn role(&mut self, view: &View) -> Encoded {
        let is_role = |name: &str| (vec![("role", name.to_owned())], f64::from(u8::from(role(view) == name)));
        let roles = ["leader", "follower", "searching"].map(is_role);
        self.gauges("role", "1 for the role that the replica has", roles)?;
        self.gauge("term", "The current term", view.term as f64)?;
        self.gauge("view_age_seconds", "The age of the facts about the replica", self.age(view.at))?;
        if let Some(contact) = view.leader_contact {
            let help = "The age of the last message of the leader";
            self.gauge("leader_contact_age_seconds", help, self.age(contact))?;
        }
        self.gauge("keys", "Keys that have not expired", view.keys as f64)?;
        self.gauge(
            "data_bytes",
            "Memory of keys and values, by the account of the store",
            view.data_bytes as f64,
        )?;
        if let Some(most) = view.max_data_bytes {
            self.gauge("max_data_bytes", "The limit of that memory, if there is one", most as f64)?;
        }
        self.gauge("sessions", "Sessions of clients", view.sessions as f64)?;
        self.gauge("pending_requests", "Requests that wait for their answer", view.pending as f64)?;
        let help = "Reads served from the own state by an index of the leader";
        self.counter("follower_reads", help, view.follower_reads)
    }

    fn log(&mut self, view: &View) -> Encoded {
        self.gauge("log_first_index", "The first index of the log", view.first_index as f64)?;
        self.gauge("log_last_index", "The last index of the log", view.last_index as f64)?;
        self.gauge("commit_index", "The last index known to be committed", view.commit_index as f64)?;
        self.gauge("applied_index", "The last index that is applied", view.applied as f64)?;
        self.gauge("snapshot_index", "The last index of the latest snapshot", view.snapshot_index as f64)?;
        let uncommitted = view.last_index.saturating_sub(view.commit_index);
        self.gauge("commit_lag_entries", "Entries of the log that are not committed", uncommitted as f64)?;
        let unapplied = view.commit_index.saturating_sub(view.applied);
        self.gauge("apply_lag_entries", "Committed entries that are not applied", unapplied as f64)?;
        self.counter("snapshots_saved", "Snapshots of the own state", view.snapshots_saved)?;
        self.counter("snapshots_installed", "Snapshots of a leader", view.snapshots_installed)
    }

    fn followers(&mut self, view: &View) -> Encoded {
        let lags = view.followers.iter().map(|follower| {
            let lag = view.last_index.saturating_sub(follower.match_index);
            (peer(follower.id), lag as f64)
        });
        let help = "Entries that a follower is not known to have; only at the leader";
        self.gauges("follower_lag_entries", help, lags)?;
        let now = self.now;
        let ages = view.followers.iter().filter_map(|follower| {
            let age = seconds(now.saturating_sub(follower.contact?));
            Some((peer(follower.id), age))
        });
        let help = "The age of the latest append that a follower has answered; only at the leader";
        self.gauges("follower_contact_age_seconds", help, ages)
    }

    fn elections(&mut self, view: &View) -> Encoded {
        self.counter("elections_started", "Elections in which it asked for votes", view.elections_started)?;
        self.counter("elections_won", "Elections that it won", view.elections_won)?;
        self.counter("leaderships_lost", "How often it stopped leading", view.lost_leads)?;
        self.counter("leader_changes", "How often it came to know another leader", view.leader_changes)?;
        let help = "How often messages to a follower had no answer in time and were given up";
        let given_up = view.given_up.iter().map(|(id, times)| (peer(*id), *times));
        self.counters("retransmissions", help, given_up)
    }

    fn queues(&mut self, queues: &QueuesView, waiting: usize) -> Encoded {
        let of = |name: &str, length: usize| (vec![("queue", name.to_owned())], length as f64);
        let lengths = [
            of("front_ends", waiting),
            of("inputs", queues.inputs),
            of("outputs", queues.outputs),
            of("log_writer", queues.changes),
        ];
        self.gauges("queue_length", "What waits for a stage of the replica", lengths)?;
        self.gauge(
            "queue_log_writer_bytes",
            "Bytes that wait for the log writer",
            queues.changes_bytes as f64,
        )?;
        self.gauge(
            "offloaded",
            "1 while the load needs several threads",
            f64::from(u8::from(queues.offloaded)),
        )?;
        self.counter("offloads", "How often the load was too much for one thread", queues.offloads)?;
        self.counter("messages_dropped", "Messages that found the sender stuck", queues.dropped)?;
        self.counter("datagrams_rejected", "Datagrams refused for their content", queues.rejected)
    }

    fn stages(&mut self, view: &View) -> Encoded {
        let StagesView { receive, consensus, apply, send } = &view.stages;
        let disk = view.disk.as_ref().map(|disk| ("disk", &disk.writes));
        let stages = [("receive", receive), ("consensus", consensus), ("apply", apply), ("send", send)];
        let stages = stages.into_iter().chain(disk);
        let times = stages.map(|(name, times)| (vec![("stage", name.to_owned())], times.clone()));
        self.histograms("stage_seconds", "The time that a stage takes for a batch", times)
    }

    fn disk(&mut self, disk: &DiskView) -> Encoded {
        let help = "Syncs that acknowledgements waited for";
        self.histograms("disk_sync_seconds", help, [(Vec::new(), disk.sync_times.clone())])?;
        self.counter("log_records", "Records of the log", disk.records)?;
        self.counter("log_bytes", "Bytes of records of the log", disk.log_bytes)?;
        self.counter("disk_other_bytes", "Bytes of new segments and snapshots", disk.other_bytes)
    }

    fn network(&mut self, MeshView { links, flows, strangers_refused, unroutable }: &MeshView) -> Encoded {
        let trips = links.iter().filter_map(|link| Some((peer(link.id), seconds(link.round_trip_us?))));
        self.gauges("peer_round_trip_seconds", "The smoothed round trip to a replica", trips)?;
        let queued = links.iter().map(|link| (peer(link.id), link.queued_bytes as f64));
        self.gauges("peer_queued_bytes", "Bytes that wait to be written to a replica", queued)?;
        let up = links.iter().map(|link| (peer(link.id), f64::from(u8::from(link.is_up))));
        self.gauges("peer_up", "1 while the connections to and from a replica are there", up)?;
        let datagrams = links.iter().flat_map(|link| {
            [(towards(link.id, "in"), link.messages_in), (towards(link.id, "out"), link.messages_out)]
        });
        self.counters(
            "peer_datagrams",
            "Datagrams from and to a replica, of one message or more",
            datagrams,
        )?;
        let bytes = links.iter().flat_map(|link| {
            [(towards(link.id, "in"), link.bytes_in), (towards(link.id, "out"), link.bytes_out)]
        });
        self.counters("peer_bytes", "Bytes of these datagrams", bytes)?;
        let messages = flows.iter().map(|flow| (of_kind(flow), flow.messages));
        self.counters("peer_messages", "Messages from and to a replica, by kind", messages)?;
        let bytes = flows.iter().map(|flow| (of_kind(flow), flow.bytes));
        self.counters("peer_message_bytes", "Bytes of these messages", bytes)?;
        let dropped = links.iter().map(|link| (peer(link.id), link.dropped));
        self.counters("peer_dropped", "Datagrams to a replica that were dropped", dropped)?;
        let help = "Connections at the port of the replicas that did not belong there";
        self.counter("strangers_refused", help, *strangers_refused)?;
        self.counter("answers_unroutable", "Answers whose connection had ended", *unroutable)?;
        let reconnects = links.iter().map(|link| (peer(link.id), link.reconnects));
        self.counters("peer_reconnects", "Connections to a replica that were made again", reconnects)
    }

    fn http(&mut self, counters: &HttpCounters) -> Encoded {
        self.gauge(
            "http_connections",
            "Open connections of HTTP clients",
            get(&counters.connections) as f64,
        )?;
        self.counter("http_accepted", "Connections of HTTP clients", get(&counters.accepted))?;
        self.counter("http_refused", "Connections beyond the limit", get(&counters.refused))?;
        self.counter("http_slow_clients", "Clients that took too long", get(&counters.slow_clients))?;
        let help = "Connections that sent bytes that are no request";
        self.counter("http_protocol_errors", help, get(&counters.protocol_errors))?;
        let answers = counters.answers().map(|(code, count)| (vec![("code", code.to_string())], count));
        self.counters("http_answers", "Answers to HTTP requests", answers)?;
        let latency = counters.latency();
        let latency = latency.map(|(method, buckets)| (vec![("method", method.to_owned())], buckets));
        self.histograms("http_key_seconds", "The time of HTTP requests for keys", latency)
    }

    fn redis(&mut self, counters: &ServerCounters) -> Encoded {
        self.gauge(
            "redis_connections",
            "Open connections of Redis clients",
            get(&counters.connections) as f64,
        )?;
        self.gauge("redis_buffer_bytes", "Bytes of their buffers", get(&counters.held_bytes) as f64)?;
        self.counter("redis_accepted", "Connections of Redis clients", get(&counters.accepted))?;
        self.counter("redis_refused", "Connections beyond the limit", get(&counters.refused))?;
        let dropped = [
            ("slow", &counters.slow_clients),
            ("memory", &counters.evicted),
            ("idle", &counters.idle_clients),
            ("protocol", &counters.protocol_errors),
        ];
        let dropped = dropped.map(|(why, counter)| (vec![("why", why.to_owned())], get(counter)));
        self.counters("redis_dropped", "Connections that the server closed", dropped)?;
        let bytes = [("in", &counters.bytes_in), ("out", &counters.bytes_out)];
        let bytes = bytes.map(|(way, counter)| (vec![("direction", way.to_owned())], get(counter)));
        self.counters("redis_bytes", "Bytes from and to Redis clients", bytes)?;
        self.counter("redis_unknown", "Writes of unknown outcome", get(&counters.unknown))?;
        self.counter("redis_failed", "Commands that the cluster did not do", get(&counters.failed))?;
        let times = counters.commands();
        let times = times.map(|(command, times)| (vec![("command", command.to_owned())], times));
        self.histograms("redis_command_seconds", "From a command to its reply", times)
    }

    fn age(&self, at: Micros) -> f64 {
        seconds(self.now.saturating_sub(at))
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Encoded {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) -> Encoded {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Encoded {
        self.counters(name, help, [(Vec::new(), value)])
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, u64)>,
    ) -> Encoded {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, Buckets)>,
    ) -> Encoded {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, buckets) in values {
            let bounds = BOUNDS_US.into_iter().map(seconds).chain([f64::INFINITY]);
            let counts: Vec<(f64, u64)> = bounds.zip(buckets.counts).collect();
            let sum = seconds(buckets.sum_us);
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(sum, buckets.total(), &counts, None)?;
        }
        Ok(())
    }
}

fn peer(id: Id) -> Labels {
    vec![("peer", id.to_string())]
}

fn of_kind(flow: &Flow) -> Labels {
    let mut labels = towards(flow.peer, if flow.direction == Direction::In { "in" } else { "out" });
    labels.push(("kind", flow.kind.to_owned()));
    labels
}

fn towards(id: Id, direction: &str) -> Labels {
    vec![("peer", id.to_string()), ("direction", direction.to_owned())]
}
