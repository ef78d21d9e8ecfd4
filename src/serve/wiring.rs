//! One replica of a real cluster: its parts, how they hang together, and how they end.
//!
//! ```text
//!   Redis clients --> RedisServer --+                  +--> mesh --> other replicas
//!                                   |--> Gateway --> mesh <--> pipeline --> directory
//!   HTTP clients  --> HttpServer ---+                               |
//!                        ^                                          v
//!                        +---------------- view <----------------- Board
//! ```
//!
//! The end, so that no request of any client fails but those that come at that moment:
//!
//! 1. The replica is not ready any more (`/readyz`), and hands its leadership over. Requests wait
//!    meanwhile, and then go to the new leader.
//! 2. The front ends take no more requests, and answer those that they have.
//! 3. The other replicas send no more. This one answers what they had sent, or returns it.
//! 4. The mesh stops, and with it, stage by stage, the pipeline.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use kvstore::clock::BootTime;
use kvstore::frontend::gateway::Gateway;
use kvstore::frontend::http::{self, HttpOptions, HttpServer, Sources};
use kvstore::frontend::redis::connection::Settings as ConnectionSettings;
use kvstore::frontend::redis_server::{self, RedisServer, ServerOptions};
use kvstore::pipeline::Setup;
use kvstore::state_machine;
use kvstore::storage::Identity;
use kvstore::transport::Transport;
use kvstore::transport::tcp::{Mesh, MeshLimits, MeshOptions};
use kvstore::view::Board;
use kvstore::{cluster, replica};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use super::address::HostPort;
use super::facts::Facts;
use super::settings::Settings;
use crate::{
    EXIT_SOFTWARE, EXIT_UNREACHABLE, Failure, open_directory, random_seed, run_pipeline, stop_on_signal,
};

/// How long the front ends may take to answer the requests that they have.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the replica may take to hand its leadership over: some attempts of an election time-out.
const HAND_OVER: Duration = Duration::from_secs(2);
/// How long the other replicas may take to end their connections, and this one to answer them.
const LEAVE: Duration = Duration::from_secs(1);
/// How often the end looks how far the replica is.
const LOOK: Duration = Duration::from_millis(2);
/// After this time, the replica answers those that wait for a leader in vain.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a replica until a signal stops it.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let members = settings.members.iter().map(|member| member.id).collect();
    let identity = Identity { cluster: settings.cluster.clone(), own: settings.own, members };
    let files = open_directory(&settings.data_dir, &identity)?;
    let signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure(EXIT_SOFTWARE, format!("can't listen for signals: {error}")))?;
    let [peers, redis, http] = [&settings.listen, &settings.redis_listen, &settings.http_listen];
    let (peers, redis, http) = (listen(peers)?, listen(redis)?, listen(http)?);
    warn_of_open_doors(settings);

    let options = replica_options(settings);
    let gateway = Gateway::new(settings.own, &options.peers, settings.request_timeout_us);
    gateway.keep_time().map_err(not_started)?;
    let mesh = Mesh::start(mesh_options(settings, peers), Arc::clone(&gateway) as _).map_err(not_started)?;
    let submits = Arc::clone(&mesh);
    gateway.connect(move |datagram| submits.submit(datagram));
    let board = Board::default();
    let facts = Arc::new(Facts::new(settings, Arc::clone(&mesh), board.clone()));
    let redis = RedisServer::start(
        redis,
        redis_options(settings),
        Arc::clone(&gateway) as _,
        Arc::clone(&facts) as _,
    )
    .map_err(not_started)?;
    let (viewed, asked) = (Arc::clone(&mesh), Arc::clone(&gateway));
    let sources = Sources {
        facts,
        network: Arc::new(move || viewed.view()),
        waiting: Arc::new(move || asked.waiting()),
        redis: Some(redis.counters()),
        board: board.clone(),
    };
    let http = HttpServer::start(http, http_options(settings), gateway, sources).map_err(not_started)?;
    let (ended, ends) = bounded(0);
    let parts = Parts { redis, http, mesh: Arc::clone(&mesh), board: board.clone() };
    stop_on_signal(signals, move || drain(parts, ended))?;

    let dialect = cluster::counting_dialect(options.own, &options.peers, mesh.traffic());
    info!(
        id = %settings.own, cluster = settings.cluster, peers = %settings.listen, redis = %settings.redis_listen,
        http = %settings.http_listen, "starts"
    );
    let setup = Setup { dialect, transport: Arc::clone(&mesh) as _, files: Some(files), board: Some(board) };
    run_pipeline(setup, &options)?;
    mesh.finish();
    // The answers of the pipeline's end reach the clients before the process ends.
    let _ended = ends.recv_timeout(DRAIN);
    Ok(())
}

fn listen(address: &HostPort) -> Result<TcpListener, Failure> {
    TcpListener::bind(address.to_string())
        .map_err(|error| Failure(EXIT_UNREACHABLE, format!("can't listen on {address}: {error}")))
}

fn not_started(error: std::io::Error) -> Failure {
    Failure(EXIT_SOFTWARE, format!("can't start: {error}"))
}

/// Says what a stranger could do.
fn warn_of_open_doors(settings: &Settings) {
    let is_open = |address: &HostPort| !is_local(&address.host);
    if settings.secret.is_none() && is_open(&settings.listen) {
        warn!("no secret: any process that reaches {} can pass for a replica", settings.listen);
    }
    for address in [&settings.redis_listen, &settings.http_listen] {
        if settings.password.is_none() && is_open(address) {
            warn!("no password: any process that reaches {address} can read and write");
        }
    }
}

/// Whether only processes of this machine reach a host.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn mesh_options(settings: &Settings, listen: TcpListener) -> MeshOptions {
    MeshOptions {
        own: settings.own,
        cluster: settings.cluster.clone(),
        secret: settings.secret.clone(),
        listen,
        peers: settings.others().map(|member| (member.id, member.peer.to_string())).collect(),
        seed: random_seed(settings.own),
        limits: MeshLimits::default(),
    }
}

fn redis_options(settings: &Settings) -> ServerOptions {
    let defaults = ServerOptions::default();
    ServerOptions {
        connection: ConnectionSettings {
            password: settings.password.as_deref().map(Into::into),
            cluster: settings.cluster.clone(),
            ..defaults.connection
        }
        .for_values(settings.max_value_bytes),
        max_connections: settings.max_connections,
        memory_bytes: settings.connection_memory_bytes,
        max_stale_us: settings.readonly_max_age_us,
        ..defaults
    }
}

fn http_options(settings: &Settings) -> HttpOptions {
    HttpOptions {
        password: settings.password.as_deref().map(Into::into),
        max_value_bytes: settings.max_value_bytes,
        // The gateway answers every question before.
        store_limit: Duration::from_micros(settings.request_timeout_us) + DRAIN,
        ..HttpOptions::default()
    }
}

fn replica_options(settings: &Settings) -> replica::Options {
    let others = settings.others().map(|member| member.id).collect();
    let max_value_bytes = settings.max_value_bytes;
    replica::Options {
        tuning: settings.tuning,
        log: settings.log,
        max_data_bytes: settings.max_data_bytes,
        state_machine: state_machine::Settings { max_value_bytes, ..Default::default() },
        forwards: true,
        // A request that waits for a leader in vain is answered before its time is over: then its
        // client knows that it has no effect.
        hold_us: settings.request_timeout_us / 10 * 9,
        ..replica::Options::new(settings.own, others, random_seed(settings.own))
    }
}

/// The parts of a replica that end one after the other.
struct Parts {
    redis: redis_server::Handle,
    http: http::Handle,
    mesh: Arc<Mesh>,
    board: Board,
}

/// Ends the parts on threads of their own: a second signal must not wait. The end of the pipeline
/// answers the requests that wait longer than the others. `ended` is dropped when the front ends have
/// ended.
fn drain(parts: Parts, ended: Sender<()>) {
    let Parts { redis, http, mesh, board } = parts;
    board.retire();
    mesh.retire();
    mesh.waker().wake();
    let end = move || {
        let is_alone = || mesh.links().iter().all(|link| !link.is_up);
        wait(HAND_OVER, || !board.view().leads || is_alone());
        let (drained, quiet) = bounded::<()>(0);
        let stop_redis = {
            let guards = (drained.clone(), ended.clone());
            move || {
                redis.stop(DRAIN);
                drop(guards);
            }
        };
        let stop_http = move || {
            http.stop(DRAIN);
            drop((drained, ended));
        };
        start("redis-end", stop_redis);
        start("http-end", stop_http);
        let _late = quiet.recv_timeout(PATIENCE);
        let was_alone = is_alone();
        mesh.leave(LEAVE);
        let left_at = BootTime::now().as_micros();
        wait(LEAVE, || {
            let view = board.view();
            was_alone || view.at > left_at && view.pending == 0
        });
        mesh.stop();
    };
    start("end", end);
}

/// Waits until something is so, but not beyond a limit.
fn wait(limit: Duration, is_so: impl Fn() -> bool) {
    let until = BootTime::now() + limit;
    while !is_so() && !until.left().is_zero() {
        thread::sleep(LOOK);
    }
}

/// Starts a thread. Work that has no thread is dropped, which stops its part at once.
fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        warn!(%error, "can't stop in order: no thread");
    }
}
