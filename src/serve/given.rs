//! The settings as the operator gives them. Each one is a flag, an environment variable and a key
//! of a TOML file, all of one name: `--data-dir`, `KVSTORE_DATA_DIR`, `data-dir`. A flag goes before
//! the environment, and the environment before the file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use kvstore::id::Id;
use serde::{Deserialize, Deserializer};

use super::address::{HostPort, Members};
use crate::cli::{Detection, LogFormat, LogLevel, Reads};

/// No file of settings is longer.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings that are given; [`settings`](super::settings) has the defaults of all others.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Given {
    /// The ID of this replica, one of those in --peers.
    #[arg(long, value_name = "ID", env = "KVSTORE_ID")]
    #[serde(deserialize_with = "id")]
    pub id: Option<Id>,

    /// All replicas of the cluster, this one included: its IDs, and where they listen for each other.
    #[arg(long, value_name = "ID=HOST:PORT,...", env = "KVSTORE_PEERS")]
    pub peers: Option<Members>,

    /// The name of the cluster, at most 255 bytes [default: kvstore].
    #[arg(long, value_name = "NAME", env = "KVSTORE_CLUSTER")]
    pub cluster: Option<String>,

    /// The directory of this replica's state.
    #[arg(long, value_name = "DIRECTORY", env = "KVSTORE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where this replica listens for the others [default: its own address in --peers].
    #[arg(long, value_name = "HOST:PORT", env = "KVSTORE_LISTEN", help_heading = ADDRESSES)]
    pub listen: Option<HostPort>,

    /// Where it listens for Redis clients [default: 127.0.0.1:6379].
    #[arg(long, value_name = "HOST:PORT", env = "KVSTORE_REDIS_LISTEN", help_heading = ADDRESSES)]
    pub redis_listen: Option<HostPort>,

    /// Where it listens for HTTP [default: 127.0.0.1:8379].
    #[arg(long, value_name = "HOST:PORT", env = "KVSTORE_HTTP_LISTEN", help_heading = ADDRESSES)]
    pub http_listen: Option<HostPort>,

    /// Where Redis clients reach the replicas [default: the hosts of --peers, the port of
    /// --redis-listen].
    #[arg(long, value_name = "ID=HOST:PORT,...", env = "KVSTORE_REDIS_ADDRESSES", help_heading = ADDRESSES)]
    pub redis_addresses: Option<Members>,

    /// Where HTTP reaches the replicas [default: the hosts of --peers, the port of --http-listen].
    #[arg(long, value_name = "ID=HOST:PORT,...", env = "KVSTORE_HTTP_ADDRESSES", help_heading = ADDRESSES)]
    pub http_addresses: Option<Members>,

    /// The password of clients. Other users of the machine see command lines; see --password-file.
    #[arg(long, value_name = "PASSWORD", env = "KVSTORE_PASSWORD", help_heading = SECRETS)]
    #[arg(hide_env_values = true)]
    pub password: Option<String>,

    /// A file whose first line is the password of clients.
    #[arg(long, value_name = "FILE", env = "KVSTORE_PASSWORD_FILE", help_heading = SECRETS)]
    pub password_file: Option<PathBuf>,

    /// The secret that the replicas share. Other users of the machine see command lines; see
    /// --secret-file.
    #[arg(long, value_name = "SECRET", env = "KVSTORE_SECRET", help_heading = SECRETS)]
    #[arg(hide_env_values = true)]
    pub secret: Option<String>,

    /// A file whose first line is the secret that the replicas share.
    #[arg(long, value_name = "FILE", env = "KVSTORE_SECRET_FILE", help_heading = SECRETS)]
    pub secret_file: Option<PathBuf>,

    /// The least severe level of the records that go to stderr [default: info].
    #[arg(long, value_enum, value_name = "LEVEL", env = "KVSTORE_LOG_LEVEL", help_heading = LOG)]
    pub log_level: Option<LogLevel>,

    /// The form of these records [default: text].
    #[arg(long, value_enum, value_name = "FORMAT", env = "KVSTORE_LOG_FORMAT", help_heading = LOG)]
    pub log_format: Option<LogFormat>,

    /// How the leader serves a read; all three ways are linearizable [default: lease].
    #[arg(long, value_enum, value_name = "HOW", env = "KVSTORE_READS", help_heading = RAFT)]
    pub reads: Option<Reads>,

    /// How followers detect a dead leader [default: combined].
    #[arg(long, value_enum, value_name = "HOW", env = "KVSTORE_DETECTION", help_heading = RAFT)]
    pub detection: Option<Detection>,

    /// Take a snapshot when the log has grown by so many megabytes of memory [default: 64].
    #[arg(long, value_name = "MEGABYTES", env = "KVSTORE_SNAPSHOT_AFTER", help_heading = RAFT)]
    pub snapshot_after: Option<u64>,

    /// Keep so many megabytes of the log behind a snapshot for slow followers [default: 16].
    #[arg(long, value_name = "MEGABYTES", env = "KVSTORE_LOG_TAIL", help_heading = RAFT)]
    pub log_tail: Option<u64>,

    /// Refuse writes while so many megabytes of the log are not committed [default: 64].
    #[arg(long, value_name = "MEGABYTES", env = "KVSTORE_MAX_UNCOMMITTED", help_heading = LIMITS)]
    pub max_uncommitted: Option<u64>,

    /// Refuse writes while keys and values take more than so many megabytes; 0 allows all [default: 0].
    #[arg(long, value_name = "MEGABYTES", env = "KVSTORE_MAX_MEMORY", help_heading = LIMITS)]
    pub max_memory: Option<u64>,

    /// The most bytes of a value, up to 4194304, the same at all replicas [default: 1048576].
    #[arg(long, value_name = "BYTES", env = "KVSTORE_MAX_VALUE_BYTES", help_heading = LIMITS)]
    pub max_value_bytes: Option<u64>,

    /// How many Redis clients may be connected [default: 10000].
    #[arg(long, value_name = "NUMBER", env = "KVSTORE_MAX_CONNECTIONS", help_heading = LIMITS)]
    pub max_connections: Option<u64>,

    /// The most megabytes that the buffers of all Redis clients take [default: 256].
    #[arg(long, value_name = "MEGABYTES", env = "KVSTORE_CONNECTION_MEMORY", help_heading = LIMITS)]
    pub connection_memory: Option<u64>,

    /// How long a request may wait for its answer [default: 5000].
    #[arg(long, value_name = "MILLISECONDS", env = "KVSTORE_REQUEST_TIMEOUT", help_heading = LIMITS)]
    pub request_timeout: Option<u64>,

    /// How old the state may be that a replica serves after READONLY [default: 10000].
    #[arg(long, value_name = "MILLISECONDS", env = "KVSTORE_READONLY_MAX_AGE", help_heading = LIMITS)]
    pub readonly_max_age: Option<u64>,
}

const ADDRESSES: &str = "Addresses";
const SECRETS: &str = "Secrets";
const LOG: &str = "Log";
const RAFT: &str = "Raft";
const LIMITS: &str = "Limits";

impl Given {
    /// These settings, and of those that are missing here the ones of a file.
    pub fn or(self, file: Self) -> Self {
        // A password of the command line replaces one of the file in either form.
        let (has_password, has_secret) = (
            self.password.is_some() || self.password_file.is_some(),
            self.secret.is_some() || self.secret_file.is_some(),
        );
        Self {
            id: self.id.or(file.id),
            peers: self.peers.or(file.peers),
            cluster: self.cluster.or(file.cluster),
            data_dir: self.data_dir.or(file.data_dir),
            listen: self.listen.or(file.listen),
            redis_listen: self.redis_listen.or(file.redis_listen),
            http_listen: self.http_listen.or(file.http_listen),
            redis_addresses: self.redis_addresses.or(file.redis_addresses),
            http_addresses: self.http_addresses.or(file.http_addresses),
            password: if has_password { self.password } else { file.password },
            password_file: if has_password { self.password_file } else { file.password_file },
            secret: if has_secret { self.secret } else { file.secret },
            secret_file: if has_secret { self.secret_file } else { file.secret_file },
            log_level: self.log_level.or(file.log_level),
            log_format: self.log_format.or(file.log_format),
            reads: self.reads.or(file.reads),
            detection: self.detection.or(file.detection),
            snapshot_after: self.snapshot_after.or(file.snapshot_after),
            log_tail: self.log_tail.or(file.log_tail),
            max_uncommitted: self.max_uncommitted.or(file.max_uncommitted),
            max_memory: self.max_memory.or(file.max_memory),
            max_value_bytes: self.max_value_bytes.or(file.max_value_bytes),
            max_connections: self.max_connections.or(file.max_connections),
            connection_memory: self.connection_memory.or(file.connection_memory),
            request_timeout: self.request_timeout.or(file.request_timeout),
            readonly_max_age: self.readonly_max_age.or(file.readonly_max_age),
        }
    }

    /// Reads a file of settings. The error is one line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = read_text(path, MAX_FILE_BYTES).map_err(|error| format!("can't read {name}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{name}, {error}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(text.len(), |span| span.start.min(text.len()));
            let line = text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let message: Vec<&str> = error.message().lines().map(str::trim).collect();
            format!("line {line}: {}", message.join(" "))
        })
    }
}

/// Reads a file of a bounded length.
pub fn read_text(path: &Path, most_bytes: u64) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most_bytes + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most_bytes {
        return Err(std::io::Error::other(format!("it has more than {most_bytes} bytes")));
    }
    Ok(text)
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    let word = String::deserialize(deserializer)?;
    let refuse = |reason| serde::de::Error::custom(format!("{word:?} is not an ID: {reason}"));
    word.parse().map(Some).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;
    use crate::testkit;

    /// The documentation of the settings.
    const DOCUMENTATION: &str = include_str!("../../docs/cluster.md");

    #[test]
    fn each_setting_is_a_flag_a_variable_a_key_and_a_row_of_the_documentation() {
        let command = Given::augment_args(Command::new("serve"));
        let flags: Vec<_> = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg))).collect();
        assert_eq!(flags.len(), 26);
        for (flag, arg) in flags {
            let variable = format!("KVSTORE_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
            let refusal = Given::parse(&format!("{flag} = {{}}")).expect_err("no setting is a table");
            assert!(refusal.starts_with("line 1: ") && !refusal.contains("unknown"), "{flag}: {refusal}");
            let row = format!("| `--{flag}` |");
            assert!(DOCUMENTATION.contains(&row), "docs/cluster.md has no row for {flag}");
            assert!(DOCUMENTATION.contains(&format!("`{variable}`")), "docs/cluster.md lacks {variable}");
        }
    }

    #[test]
    fn file_sets_what_flags_leave_open() {
        let file = "id = '0002'\npeers = ['0001=a:1', '0002=b:2']\ncluster = 'x'\nlog-level = 'debug'\n\
                    reads = 'read-index'\nmax-connections = 7\nhttp-listen = '[::1]:80'\n";
        let file = Given::parse(file).expect("good");
        let flags = Given { id: Some(testkit::id(1)), max_connections: Some(8), ..Given::default() };
        let both = flags.or(file);
        assert_eq!(both.id, Some(testkit::id(1)));
        assert_eq!(both.max_connections, Some(8));
        assert_eq!(both.cluster.as_deref(), Some("x"));
        assert_eq!(both.peers, "0001=a:1,0002=b:2".parse().ok());
        assert_eq!(both.http_listen, "[::1]:80".parse().ok());
        assert!(matches!(both.log_level, Some(LogLevel::Debug)));
        assert!(matches!(both.reads, Some(Reads::ReadIndex)));
    }

    #[test]
    fn password_of_a_flag_replaces_the_password_file_of_the_file() {
        let file = Given::parse("password-file = '/p'\nsecret-file = '/s'\n").expect("good");
        let both = Given { password: Some("x".into()), ..Given::default() }.or(file);
        assert_eq!((both.password.as_deref(), both.password_file), (Some("x"), None));
        assert_eq!((both.secret, both.secret_file), (None, Some("/s".into())));
    }

    #[test]
    fn mistake_in_a_file_is_one_line_with_its_number() {
        for (text, expected) in [
            ("\n\nport = 1\n", "line 3: unknown field `port`, expected one of `id`, "),
            ("id = '1'\n", "line 1: \"1\" is not an ID: "),
            ("\nmax-connections = 'many'\n", "line 2: invalid type: string \"many\", expected u64"),
            ("max-connections = -1\n", "line 1: invalid value: integer `-1`, expected u64"),
            ("reads = 'never'\n", "line 1: unknown variant `never`, expected one of `lease`, "),
            ("peers = '0001=a:1'\n", "line 1: invalid type: string \"0001=a:1\", expected a sequence"),
            ("peers = [\n'0001=a:1',\n'0001=b:1']\n", "line 1: 0001 is given twice"),
            ("cluster = 'a'\ncluster = 'b'\n", "line 2: duplicate key"),
            ("cluster = 'a\n", "line 1: "),
            ("[serve]\nid = '0001'\n", "line 1: unknown field `serve`"),
        ] {
            let refusal = Given::parse(text).expect_err("a mistake");
            assert!(refusal.starts_with(expected), "{text:?}: {refusal}");
            assert_eq!(refusal.lines().count(), 1, "{refusal}");
        }
    }
}
