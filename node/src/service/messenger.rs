//! The loop around the endpoint: an OS thread, no rule of its own.
//!
//! ```text
//! take ≤ 1,024 inputs → handle each → end_batch → commit
//! `Now` leaves at once; `After` leaves, in order, when its batch is durable
//! ```
//! At most two batches are under way; what comes meanwhile waits in the channel.
//! Source: ARCHITECTURE, "The contract", "Threads and tasks".

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use godwit_protocol::endpoint::{Command, Effect, Endpoint, Input, Person, Refusal, Reply};
use godwit_protocol::limits::MAX_BATCH_INPUTS;
use godwit_protocol::machine::{NetworkInput, Output};
use godwit_protocol::time::Millis;
use godwit_store::{Store, View};

use super::gate::Gate;
use crate::clock::{Clock, system_rng};
use crate::error::Error;
use crate::network::Network;

/// Inputs that wait for the loop.
const MAX_WAITING: usize = 4_096;
/// Batches that are not durable yet.
const MAX_UNDER_WAY: usize = 2;

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
}

type Answers = Mutex<HashMap<u64, oneshot::Sender<Result<Reply, Refusal>>>>;

/// The sending side of the loop.
pub struct Messenger {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
}

struct Shared {
    sender: Sender<Event>,
    gate: Gate,
    answers: Answers,
    next: std::sync::atomic::AtomicU64,
}

enum Event {
    Input(Input),
    Durable(u64),
    Failed(String),
    End,
}

impl Messenger {
    /// Opens the machine and starts its thread; `ended` is called when the thread ends.
    ///
    /// # Errors
    /// [`Error`] if the rows cannot be read or the thread not be started.
    pub fn start(
        parts: MessengerParts,
        ended: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, events) = mpsc::channel();
        let (changes, changed) = watch::channel(0);
        let shared = Arc::new(Shared {
            sender,
            gate: Gate::new(MAX_WAITING),
            answers: Mutex::default(),
            next: std::sync::atomic::AtomicU64::new(1),
        });
        let clock = Clock::start();
        let mut view = parts.store.view();
        let machine = Endpoint::open(parts.person, clock.now(), &mut system_rng(), &mut view)
            .map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let mut work = Loop {
            machine,
            view,
            clock,
            store: parts.store,
            network: parts.network,
            shared: Arc::clone(&shared),
            changes,
            wake: None,
            under_way: VecDeque::new(),
            ending: false,
        };
        std::thread::Builder::new()
            .name("messenger".to_owned())
            .spawn(move || ended(work.run(&events)))
            .map_err(|error| Error::Io(error.to_string()))?;
        Ok(Self { shared, changed })
    }

    /// Gives an input that must not be lost; waits for a place.
    pub fn give(&self, input: Input) {
        self.shared.gate.enter();
        // A loop that has ended takes nothing.
        let _ = self.shared.sender.send(Event::Input(input));
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
        if !self.shared.gate.try_enter() {
            return Err(Busy);
        }
        let request = self.shared.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.answers().insert(request, answer);
        let _ = self.shared.sender.send(Event::Input(Input::Command { request, command }));
        answered.await.map_err(|_| Busy)
    }

    /// The number of the last change that is on disk.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Lets the loop end when everything given so far is durable.
    pub fn end(&self) {
        let _ = self.shared.sender.send(Event::End);
    }

    fn answers(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Reply, Refusal>>>> {
        self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Loop {
    machine: Endpoint,
    view: View,
    clock: Clock,
    store: Arc<Store>,
    network: Network,
    shared: Arc<Shared>,
    changes: watch::Sender<u64>,
    wake: Option<Millis>,
    /// Batches by number, with what leaves when they are durable; 0 for a batch without rows.
    under_way: VecDeque<(u64, Vec<Effect>)>,
    ending: bool,
}

impl Loop {
    fn run(&mut self, events: &Receiver<Event>) -> Result<(), Error> {
        let mut waiting = VecDeque::new();
        loop {
            let full = self.under_way.len() >= MAX_UNDER_WAY;
            let idle = full || (waiting.is_empty() && !self.is_time());
            if idle {
                if self.ending && waiting.is_empty() && self.under_way.is_empty() {
                    return Ok(());
                }
                match events.recv_timeout(self.patience(full)) {
                    Ok(event) => self.event(event, &mut waiting)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            while waiting.len() < MAX_BATCH_INPUTS {
                let Ok(event) = events.try_recv() else { break };
                self.event(event, &mut waiting)?;
            }
            let work = !waiting.is_empty() || self.is_time();
            if work && self.under_way.len() < MAX_UNDER_WAY {
                self.batch(&mut waiting)?;
            }
        }
    }

    fn event(&mut self, event: Event, waiting: &mut VecDeque<Input>) -> Result<(), Error> {
        match event {
            Event::Input(input) => waiting.push_back(input),
            Event::Durable(number) => self.durable(number),
            Event::Failed(message) => return Err(Error::Inner(message)),
            Event::End => self.ending = true,
        }
        Ok(())
    }

    fn batch(&mut self, waiting: &mut VecDeque<Input>) -> Result<(), Error> {
        let mut out = Vec::new();
        let mut rng = system_rng();
        let now = self.clock.now();
        if self.is_time() {
            self.wake = None;
        }
        let taken = waiting.len().min(MAX_BATCH_INPUTS);
        let failed = |error: godwit_protocol::rows::RowsError| Error::Inner(error.to_string());
        for input in waiting.drain(..taken) {
            self.machine.handle(input, now, &mut rng, &mut self.view, &mut out).map_err(failed)?;
        }
        self.shared.gate.leave(taken);
        self.machine.end_batch(now, &mut rng, &mut self.view, &mut out).map_err(failed)?;
        let sealed = self.view.take().map_err(failed)?;
        let mut after = Vec::new();
        for output in out {
            match output {
                Output::Now(effect) => self.leave(effect),
                Output::After(effect) => after.push(effect),
            }
        }
        match sealed {
            Some(sealed) => {
                let number = sealed.number();
                self.under_way.push_back((number, after));
                let sender = self.shared.sender.clone();
                self.store.commit(sealed, move |result| {
                    let event = match result {
                        Ok(_) => Event::Durable(number),
                        Err(error) => Event::Failed(error.to_string()),
                    };
                    let _ = sender.send(event);
                });
            }
            // Nothing was written: it leaves behind the batches before it.
            None => match self.under_way.back_mut() {
                Some((_, effects)) => effects.append(&mut after),
                None => after.into_iter().for_each(|effect| self.leave(effect)),
            },
        }
        Ok(())
    }

    fn durable(&mut self, number: u64) {
        self.view.durable(number);
        while self.under_way.front().is_some_and(|(first, _)| *first <= number) {
            for effect in self.under_way.pop_front().map(|(_, effects)| effects).unwrap_or_default()
            {
                self.leave(effect);
            }
        }
    }

    fn leave(&mut self, effect: Effect) {
        match effect {
            Effect::Network(output) => self.network.output(output),
            Effect::WakeAt(at) => self.wake = Some(at),
            Effect::Reply { request, result } => {
                let mut answers =
                    self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = answers.remove(&request) {
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
            }
            Effect::Changed(number) => drop(self.changes.send_replace(number)),
            // No machine of this version asks for a search, and the card is written at the start.
            Effect::Search(_) | Effect::Link(_) => {}
        }
    }

    fn is_time(&self) -> bool {
        self.wake.is_some_and(|at| at <= self.clock.since_start())
    }

    fn patience(&self, full: bool) -> Duration {
        let longest = Duration::from_secs(60);
        match self.wake.filter(|_| !full) {
            Some(at) => {
                let left = at.saturating_sub(self.clock.since_start()).saturating_add(Millis(1));
                Duration::from_millis(left.0).min(longest)
            }
            None => longest,
        }
    }
}
