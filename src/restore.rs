//! `kvstore restore` and `kvstore recover`: a directory for a replica of a new cluster, from a backup,
//! or from the directory of a replica whose cluster has lost its quorum for good.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kvstore::id::Id;
use kvstore::state_machine::Settings;
use kvstore::state_machine::snapshot::Decoder;
use kvstore::storage::{
    self, Directory, Files, Identity, MAX_NAME_BYTES, OpenError, Opened, Origin, Reason, read_backup, rebuild,
};
use raft::types::EntryId;

use crate::{EXIT_USAGE, Failure, say, storage_failure, usage};

/// Nothing was done, because the operator did not insist.
const EXIT_NOT_DONE: u8 = 1;

/// The end of the name of a directory or backup that is not complete.
pub const UNFINISHED: &str = ".unfinished";

/// The replica that gets the directory.
#[derive(Debug, Args)]
pub struct NewReplica {
    /// The directory of the new replica; it must not exist, or be empty.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The ID of the new replica.
    #[arg(long, value_name = "ID")]
    pub id: Id,

    /// The IDs of all replicas of the new cluster, this one included.
    #[arg(long, value_name = "ID,...", value_delimiter = ',', required = true)]
    pub members: Vec<Id>,

    /// The name of the new cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: String,
}

/// A backup, and the replica that gets it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP_OF_RESTORE)]
pub struct RestoreOptions {
    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub backup: PathBuf,

    /// The replica that gets it.
    #[command(flatten)]
    pub new: NewReplica,
}

/// The directory of a replica, and the replica that gets its data.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP_OF_RECOVER)]
pub struct RecoverOptions {
    /// The directory of a replica of the old cluster, which must not run.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,

    /// The replica that gets its data.
    #[command(flatten)]
    pub new: NewReplica,

    /// Says that the old cluster will never have a quorum again.
    #[arg(long)]
    pub force_new_cluster: bool,
}

const AFTER_HELP_OF_RESTORE: &str = "\
Makes the directory of one replica of a new cluster from a backup. Do this for every
member, each time with the same backup: a replica with an empty directory in their
midst could lead, and the data would be gone.

The new cluster goes on with the revisions of the backup. Revisions that the old
cluster gave out after the backup can come again.

Exit codes: 0 done; 1 the disk failed; 2 the backup is damaged, or the directory has
data.";

const AFTER_HELP_OF_RECOVER: &str = "\
Makes the directory of one replica of a new cluster from the directory of a replica
whose cluster has lost its quorum for good. The old directory stays as it is. Without
--force-new-cluster the command says what it would do and what may be lost, and does
nothing. Do this for every member of the new cluster, each time from the same old
directory: the one whose log has the greatest last term, and among those the greatest
last index.

Exit codes: 0 done; 1 nothing was done, or the disk failed; 2 a directory is not what
it should be.";

/// A backup, by its directory and its name there.
pub struct BackupFile<'a> {
    /// The directory.
    pub files: Directory,
    name: &'a str,
}

impl<'a> BackupFile<'a> {
    /// The file with this path.
    pub fn at(path: &'a Path) -> Result<Self, Failure> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(usage(&format!("{} is no file", path.display())));
        };
        let files = Directory::open(parent).map_err(|error| Failure(EXIT_USAGE, error.to_string()))?;
        Ok(Self { files, name })
    }

    /// Its last entry, and how many keys it has. A backup may be whole and still make no sense to this
    /// version, so all of it is decoded.
    pub fn examine(&self) -> Result<(EntryId, usize), OpenError> {
        let mut decoder = Decoder::new(Settings::default());
        let take = |chunk: &[u8]| decoder.push(chunk).map_err(|_| Reason::Contents);
        let id = read_backup(&self.files, self.name, take)?;
        let keys = decoder.finish().map_err(|_| damaged(&self.files, self.name))?.len();
        Ok((id, keys))
    }
}

/// Makes a directory from a backup.
pub fn restore(options: &RestoreOptions) -> Result<ExitCode, Failure> {
    let identity = options.new.identity()?;
    let backup = BackupFile::at(&options.backup)?;
    let (snapshot, keys) = backup.examine().map_err(|error| refusal(&error))?;
    let origin = Origin { snapshot, term: snapshot.term, entries: Vec::new() };
    options.new.make(&identity, origin, |take| read_backup(&backup.files, backup.name, take).map(drop))?;
    let (id, place) = (identity.own, options.new.data_dir.display());
    say(&format!("{place} is the directory of replica {id}: {keys} keys, up to entry {}.", snapshot.index))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a directory from that of a replica of another cluster, if the operator insists.
pub fn recover(options: &RecoverOptions) -> Result<ExitCode, Failure> {
    let identity = options.new.identity()?;
    let files = Directory::open(&options.from).map_err(|error| Failure(EXIT_USAGE, error.to_string()))?;
    let old = storage::identity_of(&files).map_err(|error| refusal(&error))?;
    if old.cluster == identity.cluster {
        let name = &old.cluster;
        return Err(usage(&format!(
            "the new cluster needs another name than {name:?}, which keeps the old replicas out"
        )));
    }
    let opened = storage::open(&files, &old, &storage::Settings::default(), &mut |_, _| {});
    let Opened { snapshots, state, log, .. } = opened.map_err(|error| refusal(&error))?;
    let last = state.last();
    let place = options.from.display();
    say(&format!(
        "{place} has the data of replica {} of cluster {}: a snapshot up to entry {}, and the log up to entry \
         {} of term {}.\n{CONSEQUENCES}",
        old.own,
        old.describe_cluster(),
        state.snapshot.index,
        last.index,
        last.term
    ))?;
    if !options.force_new_cluster {
        say("Nothing was done. --force-new-cluster does it.")?;
        return Ok(ExitCode::from(EXIT_NOT_DONE));
    }
    let entries = state.entries.into_iter().filter(|entry| entry.index > state.snapshot.index).collect();
    let origin = Origin { snapshot: state.snapshot, term: state.hard_state.current_term, entries };
    options.new.make(&identity, origin, |take| snapshots.load(take))?;
    drop(log);
    let (id, place) = (identity.own, options.new.data_dir.display());
    say(&format!("{place} is the directory of replica {id} of the new cluster."))?;
    Ok(ExitCode::SUCCESS)
}

const CONSEQUENCES: &str = "
A new cluster from these data can lose: every write that the old cluster acknowledged and this
replica did not have. Compare the last entries of all directories that are left, and take the one
with the greatest term, then the greatest index. It can also do writes whose clients never heard of
success. If a quorum of the old replicas can run again, start them, and do not do this.
";

impl NewReplica {
    fn identity(&self) -> Result<Identity, Failure> {
        let identity = Identity {
            cluster: self.cluster.clone(),
            own: self.id,
            members: self.members.iter().copied().collect(),
        };
        if identity.cluster.len() > MAX_NAME_BYTES {
            return Err(usage(&format!("the name of the cluster has more than {MAX_NAME_BYTES} bytes")));
        }
        if identity.members.len() != self.members.len() {
            return Err(usage("a member is named twice"));
        }
        if !identity.members.contains(&identity.own) {
            return Err(usage(&format!("{} is no member", identity.own)));
        }
        Ok(identity)
    }

    /// Makes the directory under another name first, so a crash leaves none that looks complete.
    fn make(
        &self,
        identity: &Identity,
        origin: Origin,
        load: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), OpenError>,
    ) -> Result<(), Failure> {
        let said = |what: &str, path: &Path, error: io::Error| {
            Failure(EXIT_USAGE, format!("cannot {what} {}: {error}", path.display()))
        };
        if self.data_dir.exists()
            && fs::read_dir(&self.data_dir).is_ok_and(|mut files| files.next().is_some())
        {
            return Err(usage(&format!("{} is not empty", self.data_dir.display())));
        }
        let mut name = self.data_dir.clone().into_os_string();
        name.push(UNFINISHED);
        let unfinished = PathBuf::from(name);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|error| said("remove", &unfinished, error))?;
        }
        let files = Directory::create(&unfinished).map_err(|error| storage_failure(&error.into()))?;
        rebuild(&files, identity, &storage::Settings::default(), origin, load)
            .map_err(|error| storage_failure(&error))?;
        fs::rename(&unfinished, &self.data_dir).map_err(|error| said("create", &self.data_dir, error))?;
        let place = Directory::open(&self.data_dir).map_err(|error| storage_failure(&error.into()))?;
        place.sync_parent().map_err(|error| storage_failure(&error.into()))
    }
}

fn damaged(files: &Directory, name: &str) -> OpenError {
    OpenError::Damaged { file: files.path(name), offset: 0, reason: Reason::Contents }
}

/// Why the data cannot be used; nothing was changed.
fn refusal(error: &OpenError) -> Failure {
    match error {
        OpenError::Damaged { file, offset, reason } => {
            Failure(EXIT_USAGE, format!("{file} is damaged at byte {offset}: {reason}"))
        }
        _ => storage_failure(error),
    }
}
