//! The settings of one replica of a real cluster, checked and complete.

use std::path::{Path, PathBuf};

use kvstore::id::Id;
use kvstore::micros::Micros;
use kvstore::replica::LogLimits;
use kvstore::storage::MAX_NAME_BYTES;
use kvstore::tuning::Tuning;

use super::address::{HostPort, Members};
use super::given::{Given, read_text};
use crate::cli::{Detection, LogFormat, LogLevel, Reads};

/// Redis's own port, on this machine only, as Redis has it.
const REDIS_PORT: u16 = 6379;
/// 2,000 above it, as `kvstore dev` has it.
const HTTP_PORT: u16 = 8379;
/// The longest value, unless the operator sets another limit.
const MAX_VALUE_BYTES: u64 = 1 << 20;
/// The greatest limit. A message between replicas has room for a compare-and-set of two such values.
const GREATEST_VALUE_BYTES: u64 = 4 << 20;
/// The default of Redis.
const MAX_CONNECTIONS: u64 = 10_000;
/// Longer than an election that must be repeated, and the usual patience of Redis clients.
const REQUEST_TIMEOUT_MS: u64 = 5_000;
/// A replica that is cut off from its leader goes on serving READONLY clients for so long.
const READONLY_MAX_AGE_MS: u64 = 10_000;
/// No password or secret is longer.
const MAX_SECRET_BYTES: usize = 1_024;

/// A replica as the others and its clients reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its ID.
    pub id: Id,
    /// Where it listens for other replicas.
    pub peer: HostPort,
    /// Where it listens for Redis clients.
    pub redis: HostPort,
    /// Where it listens for HTTP.
    pub http: HostPort,
}

/// The settings of one replica.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This replica.
    pub own: Id,
    /// The name of the cluster.
    pub cluster: String,
    /// All replicas by ID, this one included.
    pub members: Vec<Member>,
    /// The directory of the state.
    pub data_dir: PathBuf,
    /// Where it listens for other replicas.
    pub listen: HostPort,
    /// Where it listens for Redis clients.
    pub redis_listen: HostPort,
    /// Where it listens for HTTP.
    pub http_listen: HostPort,
    /// The password of clients.
    pub password: Option<String>,
    /// The secret of the replicas.
    pub secret: Option<String>,
    /// The least severe level of the records of the log.
    pub log_level: LogLevel,
    /// The form of these records.
    pub log_format: LogFormat,
    /// The switches of Raft.
    pub tuning: Tuning,
    /// The bounds of the log of Raft.
    pub log: LogLimits,
    /// The most bytes of all keys and values, if there is a limit.
    pub max_data_bytes: Option<usize>,
    /// The most bytes of a value.
    pub max_value_bytes: usize,
    /// How many Redis clients may be connected.
    pub max_connections: usize,
    /// The most bytes that the buffers of all Redis clients take.
    pub connection_memory_bytes: usize,
    /// How long a request may wait for its answer.
    pub request_timeout_us: Micros,
    /// How old the state may be that READONLY clients read.
    pub readonly_max_age_us: Micros,
}

impl Settings {
    /// Checks the settings, and completes them. Reads the files of the password and the secret. The
    /// error is one line.
    pub fn new(given: Given) -> Result<Self, String> {
        let own = given.id.ok_or("no ID given: --id or KVSTORE_ID")?;
        let Members(peers) = given.peers.ok_or("no replicas given: --peers or KVSTORE_PEERS")?;
        let data_dir = given.data_dir.ok_or("no directory given: --data-dir or KVSTORE_DATA_DIR")?;
        let own_address =
            peers.get(&own).ok_or_else(|| format!("peers have no {own}, which is this replica"))?;
        let cluster = given.cluster.unwrap_or_else(|| "kvstore".to_owned());
        if cluster.len() > MAX_NAME_BYTES {
            return Err(format!("the name of the cluster has more than {MAX_NAME_BYTES} bytes"));
        }
        let local = |port| HostPort { host: "127.0.0.1".to_owned(), port };
        let listen = given.listen.unwrap_or_else(|| own_address.clone());
        let redis_listen = given.redis_listen.unwrap_or_else(|| local(REDIS_PORT));
        let http_listen = given.http_listen.unwrap_or_else(|| local(HTTP_PORT));
        let redis = given.redis_addresses.unwrap_or_default();
        let http = given.http_addresses.unwrap_or_default();
        for (name, Members(addresses)) in [("redis-addresses", &redis), ("http-addresses", &http)] {
            if let Some(id) = addresses.keys().find(|id| !peers.contains_key(id)) {
                return Err(format!("{name} have {id}, and peers do not"));
            }
        }
        let on = |peer: &HostPort, port| HostPort { host: peer.host.clone(), port };
        let member = |(&id, peer): (&Id, &HostPort)| Member {
            id,
            peer: peer.clone(),
            redis: redis.0.get(&id).cloned().unwrap_or_else(|| on(peer, redis_listen.port)),
            http: http.0.get(&id).cloned().unwrap_or_else(|| on(peer, http_listen.port)),
        };
        let tuning = Tuning {
            reads: given.reads.unwrap_or(Reads::Lease).into(),
            detection: given.detection.unwrap_or(Detection::Combined).into(),
            ..Tuning::DEFAULT
        };
        let megabytes = |name: &str, given: Option<u64>, default: u64, least: u64| {
            within(name, given, default, least, 1 << 20).map(|number| number << 20)
        };
        let log = LogLimits {
            snapshot_after_bytes: megabytes("snapshot-after", given.snapshot_after, 64, 1)?,
            tail_bytes: megabytes("log-tail", given.log_tail, 16, 0)?,
            max_uncommitted_bytes: megabytes("max-uncommitted", given.max_uncommitted, 64, 1)?,
            ..LogLimits::default()
        };
        let millis = |name: &str, given: Option<u64>, default: u64| {
            within(name, given, default, 1, 3_600_000).map(|number| number * 1_000)
        };
        let values =
            within("max-value-bytes", given.max_value_bytes, MAX_VALUE_BYTES, 1, GREATEST_VALUE_BYTES)?;
        let connections = within("max-connections", given.max_connections, MAX_CONNECTIONS, 1, 1 << 20)?;
        Ok(Self {
            own,
            cluster,
            members: peers.iter().map(member).collect(),
            data_dir,
            listen,
            redis_listen: redis_listen.clone(),
            http_listen: http_listen.clone(),
            password: secret("password", given.password, given.password_file.as_deref())?,
            secret: secret("secret", given.secret, given.secret_file.as_deref())?,
            log_level: given.log_level.unwrap_or(LogLevel::Info),
            log_format: given.log_format.unwrap_or(LogFormat::Text),
            tuning,
            log,
            max_data_bytes: Some(megabytes("max-memory", given.max_memory, 0, 0)? as usize)
                .filter(|most| *most > 0),
            max_value_bytes: values as usize,
            max_connections: connections as usize,
            connection_memory_bytes: megabytes("connection-memory", given.connection_memory, 256, 1)?
                as usize,
            request_timeout_us: millis("request-timeout", given.request_timeout, REQUEST_TIMEOUT_MS)?,
            readonly_max_age_us: millis("readonly-max-age", given.readonly_max_age, READONLY_MAX_AGE_MS)?,
        })
    }

    /// The other replicas.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.id != self.own)
    }

    /// The settings that CONFIG GET shows, by the names of their keys; neither password nor secret.
    pub fn shown(&self) -> Vec<(String, String)> {
        let megabytes = |bytes: u64| (bytes >> 20).to_string();
        let millis = |micros: Micros| (micros / 1_000).to_string();
        let shown = [
            ("id", self.own.to_string()),
            ("cluster", self.cluster.clone()),
            ("data-dir", self.data_dir.display().to_string()),
            ("listen", self.listen.to_string()),
            ("redis-listen", self.redis_listen.to_string()),
            ("http-listen", self.http_listen.to_string()),
            ("snapshot-after", megabytes(self.log.snapshot_after_bytes)),
            ("log-tail", megabytes(self.log.tail_bytes)),
            ("max-uncommitted", megabytes(self.log.max_uncommitted_bytes)),
            ("max-memory", megabytes(self.max_data_bytes.unwrap_or(0) as u64)),
            ("max-value-bytes", self.max_value_bytes.to_string()),
            ("max-connections", self.max_connections.to_string()),
            ("connection-memory", megabytes(self.connection_memory_bytes as u64)),
            ("request-timeout", millis(self.request_timeout_us)),
            ("readonly-max-age", millis(self.readonly_max_age_us)),
        ];
        shown.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn within(name: &str, given: Option<u64>, default: u64, least: u64, most: u64) -> Result<u64, String> {
    let number = given.unwrap_or(default);
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(format!("{name} must be {least} to {most}, not {number}"))
}

/// A password that is given itself or in a file.
fn secret(name: &str, given: Option<String>, file: Option<&Path>) -> Result<Option<String>, String> {
    let (text, place) = match (given, file) {
        (Some(_), Some(_)) => return Err(format!("{name} and {name}-file are both given")),
        (None, None) => return Ok(None),
        (Some(text), None) => (text, name.to_owned()),
        (None, Some(path)) => {
            let place = path.display().to_string();
            let text = read_text(path, 1 << 16).map_err(|error| format!("can't read {place}: {error}"))?;
            (text.lines().next().unwrap_or_default().to_owned(), place)
        }
    };
    match text.len() {
        0 => Err(format!("{place} is empty")),
        1..=MAX_SECRET_BYTES => Ok(Some(text)),
        _ => Err(format!("{place} has more than {MAX_SECRET_BYTES} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    fn given() -> Given {
        Given {
            id: Some(id(2)),
            peers: "0001=a:7001,0002=b:7002,0003=c:7003".parse().ok(),
            data_dir: Some("data".into()),
            ..Given::default()
        }
    }

    fn refusal(given: Given) -> String {
        Settings::new(given).expect_err("refused")
    }

    #[test]
    fn addresses_follow_from_the_peers() {
        let settings = Settings::new(given()).expect("good");
        assert_eq!(settings.others().map(|member| member.id).collect::<Vec<_>>(), [id(1), id(3)]);
        assert_eq!(settings.listen.to_string(), "b:7002");
        assert_eq!(settings.redis_listen.to_string(), "127.0.0.1:6379");
        let shown = |member: &Member| [&member.peer, &member.redis, &member.http].map(HostPort::to_string);
        assert_eq!(shown(&settings.members[2]), ["c:7003", "c:6379", "c:8379"]);
    }

    #[test]
    fn addresses_that_are_given_replace_those_of_the_peers() {
        let given = Given {
            listen: "0.0.0.0:1".parse().ok(),
            redis_listen: "0.0.0.0:2".parse().ok(),
            redis_addresses: "0001=x:3".parse().ok(),
            ..given()
        };
        let settings = Settings::new(given).expect("good");
        assert_eq!(settings.listen.to_string(), "0.0.0.0:1");
        assert_eq!(settings.members[0].redis.to_string(), "x:3");
        assert_eq!(settings.members[1].redis.to_string(), "b:2");
    }

    #[test]
    fn settings_that_are_missing_or_out_of_range_are_refused_by_name() {
        assert_eq!(refusal(Given { id: None, ..given() }), "no ID given: --id or KVSTORE_ID");
        assert_eq!(refusal(Given { peers: None, ..given() }), "no replicas given: --peers or KVSTORE_PEERS");
        assert_eq!(
            refusal(Given { data_dir: None, ..given() }),
            "no directory given: --data-dir or KVSTORE_DATA_DIR"
        );
        assert_eq!(
            refusal(Given { id: Some(id(4)), ..given() }),
            "peers have no 0004, which is this replica"
        );
        assert_eq!(
            refusal(Given { http_addresses: "0004=d:4".parse().ok(), ..given() }),
            "http-addresses have 0004, and peers do not"
        );
        assert_eq!(
            refusal(Given { snapshot_after: Some(0), ..given() }),
            "snapshot-after must be 1 to 1048576, not 0"
        );
        assert_eq!(
            refusal(Given { max_value_bytes: Some((4 << 20) + 1), ..given() }),
            "max-value-bytes must be 1 to 4194304, not 4194305"
        );
        assert_eq!(
            refusal(Given { cluster: Some("x".repeat(256)), ..given() }),
            "the name of the cluster has more than 255 bytes"
        );
    }

    #[test]
    fn secret_comes_from_the_first_line_of_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        std::fs::write(&path, "open sesame\r\nrest\n").expect("writable");
        let with = |path: &Path| Given { secret_file: Some(path.to_owned()), ..given() };
        assert_eq!(Settings::new(with(&path)).expect("good").secret.as_deref(), Some("open sesame"));

        let both = Given { secret: Some("x".into()), ..with(&path) };
        assert_eq!(refusal(both), "secret and secret-file are both given");
        std::fs::write(&path, "\n").expect("writable");
        assert_eq!(refusal(with(&path)), format!("{} is empty", path.display()));
        let missing = directory.path().join("missing");
        assert!(refusal(with(&missing)).starts_with(&format!("can't read {}: ", missing.display())));
        assert_eq!(refusal(Given { password: Some(String::new()), ..given() }), "password is empty");
    }
}
