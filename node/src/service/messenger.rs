//! The endpoint's thread, and the one that searches stamps for it.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use rand_core::CryptoRng;
use tokio::sync::watch;

use godwit_protocol::endpoint::{
    Command, Effect, Endpoint, Input, Person, Refusal, Reply, StampJob,
};
use godwit_protocol::machine::{NetworkInput, Output, WakeAt};
use godwit_protocol::mailbox::{Stamped, search_stamp};
use godwit_protocol::rows::{Rows, RowsError};
use godwit_protocol::time::Time;
use godwit_store::Store;

use super::answers::Answers;
use super::drive::{self, Driven, Feed};
use crate::clock::{Clock, system_rng};
use crate::error::Error;
use crate::network::{Handled, Network};

/// No place is free, or the node is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// What the loop needs.
pub struct MessengerParts {
    /// Whose node it is.
    pub person: Person,
    /// Where the rows are.
    pub store: Arc<Store>,
    /// Where outputs go.
    pub network: Network,
    /// What is done with a new contact link.
    pub on_link: Box<dyn Fn(&str) + Send>,
}

/// What a command brings.
type Answer = Result<Reply, Refusal>;

/// The sending side of the loop.
pub struct Messenger {
    feed: Feed<Input>,
    answers: Arc<Answers<Answer>>,
    changed: watch::Receiver<u64>,
}

impl Messenger {
    /// Opens the machine and starts its thread; `ended` is called when the thread ends.
    ///
    /// # Errors
    /// [`Error`] if the rows cannot be read or a thread not be started.
    pub fn start(
        parts: MessengerParts,
        ended: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Self, Error> {
        let MessengerParts { person, store, network, on_link } = parts;
        let (feed, taking) = drive::channel();
        let (changes, changed) = watch::channel(0);
        let answers = Arc::new(Answers::default());
        let clock = Clock::start();
        let mut view = store.view();
        let machine = Endpoint::open(person, clock.now(), &mut system_rng(), &mut view)
            .map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let stamps = searcher(feed.clone())?;
        let work =
            Work { machine, network, answers: Arc::clone(&answers), changes, stamps, on_link };
        drive::start("messenger", work, (store, view, clock), taking, ended)?;
        Ok(Self { feed, answers, changed })
    }

    /// Gives an input that must not be lost; waits for a place.
    pub fn give(&self, input: Input) {
        self.feed.give(input);
    }

    /// Gives what the network tells; waits for a place, so that peers are slowed.
    pub fn network(&self, input: NetworkInput) {
        self.give(Input::Network(input));
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Busy`] if no place is free or the loop has ended.
    pub async fn ask(&self, command: Command) -> Result<Result<Reply, Refusal>, Busy> {
        let (request, answered) = self.answers.await_one();
        if !self.feed.try_give(Input::Command { request, command }) {
            self.answers.forget(request);
            return Err(Busy);
        }
        answered.await.map_err(|_| Busy)
    }

    /// The number of the last change that is on disk.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Lets the loop end when everything given so far is durable.
    pub fn end(&self) {
        self.feed.end();
    }
}

struct Work {
    machine: Endpoint,
    network: Network,
    answers: Arc<Answers<Answer>>,
    changes: watch::Sender<u64>,
    stamps: Sender<StampJob>,
    on_link: Box<dyn Fn(&str) + Send>,
}

impl Driven for Work {
    type Input = Input;
    type Effect = Effect;

    fn handle(
        &mut self,
        input: Input,
        (now, rng, rows): (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<Effect>>,
    ) -> Result<(), RowsError> {
        let network = match &input {
            Input::Network(input) => Handled::from(input),
            _ => Handled::Other,
        };
        self.machine.handle(input, now, rng, rows, out)?;
        self.network.handled(network);
        Ok(())
    }

    fn end_batch(
        &mut self,
        (now, rng, rows): (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<Effect>>,
    ) -> Result<(), RowsError> {
        self.machine.end_batch(now, rng, rows, out)
    }

    fn rest(&mut self, rng: &mut dyn CryptoRng) -> bool {
        self.machine.rest(rng)
    }

    fn leave(&mut self, effect: Effect) -> Option<WakeAt> {
        match effect {
            Effect::Network(output) => self.network.output(output),
            Effect::WakeAt(at) => return Some(at),
            Effect::Reply { request, result } => self.answers.answer(request, result),
            Effect::Changed(number) => drop(self.changes.send_replace(number)),
            // The searcher lives as long as this thread.
            Effect::Search(job) => drop(self.stamps.send(job)),
            Effect::Link(link) => (self.on_link)(&link),
        }
        None
    }
}

/// Searches stamps one after the other; ends with the loop that asks for them.
fn searcher(feed: Feed<Input>) -> Result<Sender<StampJob>, Error> {
    let (sender, jobs) = mpsc::channel::<StampJob>();
    std::thread::Builder::new()
        .name("stamps".to_owned())
        .spawn(move || {
            for StampJob { job, host, queue, bytes_hash, challenge, difficulty } in jobs {
                let what = Stamped { host, queue, bytes_hash, challenge };
                if let Some(stamp) = search_stamp(&what, difficulty, &|| false) {
                    feed.give(Input::StampFound { job, stamp });
                }
            }
        })
        .map_err(|error| Error::Io(error.to_string()))?;
    Ok(sender)
}
