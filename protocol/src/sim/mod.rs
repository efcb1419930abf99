//! A seeded world around the two machines: a bus, a virtual clock, disks that keep what was synced.
//!
//! ```text
//! World ── events in the order of a virtual clock ──► Turn: take the inbox → handle → end_batch
//!   nodes: machine, journal (rows: durable, written), what may leave, what waits
//!   links: ordered frames with delays; cut, partitioned, tampered with
//! ```
//! The same seed gives the same run, byte for byte. Nodes are killed between any two outputs: what
//! was written and not durable is gone, what was to leave has not left. Time costs nothing: days
//! pass in milliseconds.
//!
//! | file | what it is |
//! |---|---|
//! | `world` | nodes, commands, time; what a test talks to |
//! | `node` | one process: a machine, its rows, its batches |
//! | `bus` | links between processes, and what happens to frames on them |
//! | `dht` | records that hosts hold, and give |
//! | `journal` | rows that survive a crash only once they are durable |
//! | `tamper` | what a lying host does with the envelopes that it serves |
//!
//! Source: TRUST, "How it is known", layer 2.

mod bus;
mod dht;
mod journal;
mod node;
mod reach;
mod tamper;
mod world;

pub use journal::Disk;
pub use node::NodeId;
pub use tamper::Lies;
pub use world::{Weather, World};
