//! The protocol of Redis: one connection of a Redis client, without sockets, threads or clocks.
//!
//! # The path of a request
//!
//! A [`Connection`](connection::Connection) takes bytes. `request` finds the next request in them,
//! `table` its command. A command on keys becomes a command of the store (`strings`, `keys`) and an
//! [`Ask`](ask::Ask), which the caller hands to a replica. The reply of the replica becomes the
//! reply of Redis (`translate`) and waits in `replies` until all earlier ones are out. A command
//! that needs no store has its reply at once.
//!
//! # Order
//!
//! Commands of one connection take effect in their order, as in Redis, and replies leave in that
//! order. Reads in a row are under way at once, and so are writes; a read waits for the writes
//! before it, and a write for the reads (`ask`).
//!
//! # Transactions
//!
//! WATCH reads the revisions of its keys. EXEC is one batch with these revisions, so it takes
//! effect at one index of the log, or not at all (`transaction`).
//!
//! # Errors
//!
//! Texts are those of Redis 7, where it has one. A write that may or may not take effect is
//! answered with `-UNKNOWN`, and never repeated here. `-CLUSTERDOWN` means that nothing was
//! changed. `docs/redis.md` lists all differences from Redis.
//!
//! | file | job |
//! |---|---|
//! | `connection` | one connection: runs requests, keeps its bounds |
//! | `request` | bytes to requests, whatever their pieces |
//! | `inline` | a request in words on a line |
//! | `value` | replies to bytes, in RESP2 and RESP3 |
//! | `table` | all commands, and what each of them does |
//! | `arguments` | a command's words: numbers and options |
//! | `strings` | commands on values as operations of the store |
//! | `keys` | commands on keys as operations of the store |
//! | `translate` | the store's replies as those of Redis |
//! | `named` | KV.DO: requests with a name |
//! | `scripts` | EVALSHA: the scripts of one client library's locks |
//! | `transaction` | MULTI, EXEC, WATCH |
//! | `ask` | asks for the store, and their order |
//! | `pending` | replies that wait for answers of the store |
//! | `replies` | replies in the order of their requests |
//! | `local` | commands that need no store: greeting, password, ping |
//! | `client` | a client as its connection knows it; CLIENT |
//! | `server` | INFO, CONFIG GET, ROLE, TIME |
//! | `sentinel` | SENTINEL, for clients that look for the master |
//! | `subscriptions` | SUBSCRIBE, for clients that wait for events of a sentinel |
//! | `describe` | COMMAND |
//! | `facts` | facts from outside that replies need |
//! | `failure` | errors |

pub mod arguments;
pub mod ask;
pub mod client;
pub mod connection;
pub mod describe;
pub mod facts;
pub mod failure;
pub mod inline;
pub mod keys;
pub mod local;
pub mod named;
pub mod pending;
pub mod replies;
pub mod request;
pub mod scripts;
pub mod sentinel;
pub mod server;
pub mod strings;
pub mod subscriptions;
pub mod table;
pub mod transaction;
pub mod translate;
pub mod value;
