//! The floor: the messages and the syncs of a put, without any other work.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::Command;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};

use crate::clients::{MID, MID_OF_OK};
use crate::network::{DST, FIRST_CLIENT, SRC, read_hex, write_hex};

/// The first argument of a process of the floor.
pub const WORD: &str = "floor";
/// The length of the file, as that of the log's segments.
const FILE_BYTES: u64 = 16 << 20;
/// The zeros that are written at once. Longer ones make larger units of the system's cache, whose
/// length each later write costs.
const PIECE_BYTES: u64 = 64 << 10;
const HEADER: &[u8] = br#"{"src":"0000","dst":"0000","leader":"0000","type":"ok","MID":""#;

/// The bytes of each message and of a record.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub append: usize,
    pub acknowledgement: usize,
    pub answer: usize,
    pub leader_record: usize,
    pub follower_record: usize,
}

/// The command of a process of the floor.
pub fn command(own: u16, sizes: Sizes) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let record = if own == 0 { sizes.leader_record } else { sizes.follower_record };
    let numbers = [usize::from(own), sizes.append, sizes.acknowledgement, sizes.answer, record];
    command.arg(WORD).args(numbers.map(|number| number.to_string()));
    command
}

/// Runs a process of the floor until the bench closes its connection.
pub fn run(arguments: &[String]) {
    let numbers: Vec<usize> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    let [own, append, acknowledgement, answer, record] = numbers[..] else { panic!("{arguments:?}") };
    let own = own as u16;
    let floor = Floor { own, fd: join(own), log: Log::create(own, record) };
    if own == 0 { floor.lead(append, answer) } else { floor.follow(acknowledgement) }
}

struct Floor {
    own: u16,
    fd: OwnedFd,
    log: Log,
}

impl Floor {
    /// Sends each put to one follower, and to the other one the next time, as a replica does; then
    /// makes its own record durable, waits for the follower, and answers.
    fn lead(mut self, append: usize, answer: usize) {
        let (mut append, mut answer) = (message(append, self.own), message(answer, self.own));
        let mut request = [0; 4_096];
        let mut follower = 1u16;
        while self.receive(&mut request) {
            append[MID].copy_from_slice(&request[MID]);
            write_hex(&mut append[DST], follower);
            self.send(&append);
            follower = 3 - follower;
            self.log.append();
            answer[MID_OF_OK].copy_from_slice(&request[MID]);
            answer[DST].copy_from_slice(&request[SRC]);
            let mut acknowledgement = [0; 4_096];
            if !self.receive(&mut acknowledgement) {
                return;
            }
            assert!(read_hex(&acknowledgement[SRC]) < FIRST_CLIENT, "one put at a time");
            self.send(&answer);
        }
    }

    fn follow(mut self, acknowledgement: usize) {
        let acknowledgement = message(acknowledgement, self.own);
        let mut append = [0; 4_096];
        while self.receive(&mut append) {
            self.log.append();
            self.send(&acknowledgement);
        }
    }

    /// False at the end of the connection.
    fn receive(&self, buffer: &mut [u8]) -> bool {
        recv(&self.fd, buffer, RecvFlags::empty()).is_ok_and(|(_, length)| length > 0)
    }

    fn send(&self, message: &[u8]) {
        let _closed = send(&self.fd, message, SendFlags::NOSIGNAL);
    }
}

/// A message of this size to 0000.
fn message(bytes: usize, own: u16) -> Vec<u8> {
    let mut message = HEADER.to_vec();
    message.resize(bytes.max(MID.end), b'0');
    write_hex(&mut message[SRC], own);
    message
}

fn join(own: u16) -> OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("fd");
    let path = format!("./{own:04X}");
    connect(&fd, &SocketAddrUnix::new(path).expect("a short path")).expect("the bench listens");
    fd
}

/// A file whose blocks were written before.
struct Log {
    file: File,
    record: Vec<u8>,
    offset: u64,
}

impl Log {
    fn create(own: u16, record: usize) -> Self {
        let mut options = OpenOptions::new();
        let name = format!("floor-{own:04X}");
        let mut file = options.create(true).truncate(true).write(true).open(name).expect("a file");
        (0..FILE_BYTES / PIECE_BYTES).for_each(|_| file.write_all(&[0; PIECE_BYTES as usize]).expect("room"));
        file.sync_all().expect("it is synced");
        Self { file, record: vec![b'r'; record], offset: 0 }
    }

    fn append(&mut self) {
        if self.offset + self.record.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(&self.record, self.offset).expect("there is room");
        self.file.sync_data().expect("it is synced");
        self.offset += self.record.len() as u64;
    }
}
