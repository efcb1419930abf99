//! The loop around a machine: an OS thread, no rule of its own.
//!
//! ```text
//! take ≤ 1,024 inputs → handle each → end_batch → commit
//! `Now` leaves at once; `After` leaves, in order, when its batch is durable
//! ```
//! At most two batches are under way; what comes meanwhile waits in the channel. Where nothing is
//! under way and nothing waits, the loop writes its batch itself.
//! A batch of which nobody is told anything rides in the next one, or goes alone after 100 ms: a
//! crash may lose it without harm.
//! Source: ARCHITECTURE, "The contract", "Threads and tasks".

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use rand_core::CryptoRng;

use godwit_protocol::limits::MAX_BATCH_INPUTS;
use godwit_protocol::machine::{Output, WakeAt};
use godwit_protocol::rows::{Rows, RowsError};
use godwit_protocol::time::{Millis, Time};
use godwit_store::{Store, View};

use super::gate::Gate;
use crate::clock::{Clock, system_rng};
use crate::error::Error;

/// Inputs that wait for a loop.
const MAX_WAITING: usize = 4_096;
/// Batches that are not durable yet.
const MAX_UNDER_WAY: usize = 2;

/// How long what nobody was told may wait for the disk.
const LAZY: Millis = Millis(100);

/// A machine with where its outputs go.
pub(super) trait Driven: Send + 'static {
    type Input: Send + 'static;
    type Effect: Send + 'static;

    fn handle(
        &mut self,
        input: Self::Input,
        at: (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<Self::Effect>>,
    ) -> Result<(), RowsError>;

    fn end_batch(
        &mut self,
        at: (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<Self::Effect>>,
    ) -> Result<(), RowsError>;

    /// Does what may be done ahead while nothing waits; whether there may be more.
    fn rest(&mut self, _rng: &mut dyn CryptoRng) -> bool {
        false
    }

    /// Carries an output out; a time to be woken at is returned.
    fn leave(&mut self, effect: Self::Effect) -> Option<WakeAt>;
}

enum Event<I> {
    Input(I),
    Durable(u64),
    Failed(String),
    End,
}

/// The sending side of a loop.
pub(super) struct Feed<I> {
    sender: Sender<Event<I>>,
    gate: Arc<Gate>,
}

impl<I> Clone for Feed<I> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), gate: Arc::clone(&self.gate) }
    }
}

impl<I: Send + 'static> Feed<I> {
    /// Gives an input that must not be lost; waits for a place. A loop that has ended takes nothing.
    pub(super) fn give(&self, input: I) {
        self.gate.enter();
        let _ = self.sender.send(Event::Input(input));
    }

    /// Gives an input if there is a place.
    pub(super) fn try_give(&self, input: I) -> bool {
        self.gate.try_enter() && self.sender.send(Event::Input(input)).is_ok()
    }

    /// Lets the loop end when everything given so far is durable.
    pub(super) fn end(&self) {
        let _ = self.sender.send(Event::End);
    }
}

/// What a loop waits on.
pub(super) struct Taking<I> {
    events: Receiver<Event<I>>,
    feed: Feed<I>,
}

/// A loop's two ends.
pub(super) fn channel<I>() -> (Feed<I>, Taking<I>) {
    let (sender, events) = mpsc::channel();
    let feed = Feed { sender, gate: Arc::new(Gate::new(MAX_WAITING)) };
    (feed.clone(), Taking { events, feed })
}

/// Runs a machine on a thread of that name; `ended` is called when the thread ends.
pub(super) fn start<D: Driven>(
    name: &str,
    machine: D,
    (store, view, clock): (Arc<Store>, View, Clock),
    taking: Taking<D::Input>,
    ended: impl FnOnce(Result<(), Error>) + Send + 'static,
) -> Result<(), Error> {
    let Taking { events, feed } = taking;
    let under_way = VecDeque::new();
    let mut work = Loop {
        machine,
        view,
        clock,
        store,
        feed,
        wake: None,
        under_way,
        lazy: None,
        ending: false,
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || ended(work.run(&events)))
        .map(drop)
        .map_err(|error| Error::Io(error.to_string()))
}

struct Loop<D: Driven> {
    machine: D,
    view: View,
    clock: Clock,
    store: Arc<Store>,
    feed: Feed<D::Input>,
    wake: Option<Millis>,
    /// Batches by number, with what leaves when they are durable.
    under_way: VecDeque<(u64, Vec<D::Effect>)>,
    /// Until when what is written and was not taken may wait.
    lazy: Option<Millis>,
    ending: bool,
}

impl<D: Driven> Loop<D> {
    fn run(&mut self, events: &Receiver<Event<D::Input>>) -> Result<(), Error> {
        let mut waiting = VecDeque::new();
        loop {
            let full = self.under_way.len() >= MAX_UNDER_WAY;
            let idle = full || (waiting.is_empty() && !self.is_time());
            if idle {
                if self.ending && waiting.is_empty() && self.lazy.is_some() && !full {
                    self.commit(Vec::new())?;
                    continue;
                }
                if self.ending && waiting.is_empty() && self.under_way.is_empty() {
                    return Ok(());
                }
                if self.under_way.is_empty() && self.feed.gate.is_empty() {
                    while self.machine.rest(&mut system_rng()) && self.feed.gate.is_empty() {}
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

    fn event(
        &mut self,
        event: Event<D::Input>,
        waiting: &mut VecDeque<D::Input>,
    ) -> Result<(), Error> {
        match event {
            Event::Input(input) => waiting.push_back(input),
            Event::Durable(number) => self.durable(number),
            Event::Failed(message) => return Err(fault(&self.store, message)),
            Event::End => self.ending = true,
        }
        Ok(())
    }

    fn batch(&mut self, waiting: &mut VecDeque<D::Input>) -> Result<(), Error> {
        let mut out = Vec::new();
        let mut rng = system_rng();
        let now = self.clock.now();
        if self.is_time() {
            self.wake = None;
        }
        let taken = waiting.len().min(MAX_BATCH_INPUTS);
        let store = Arc::clone(&self.store);
        let failed = |error: RowsError| fault(&store, error.to_string());
        for input in waiting.drain(..taken) {
            let at: (Time, &mut dyn CryptoRng, &mut dyn Rows) = (now, &mut rng, &mut self.view);
            self.machine.handle(input, at, &mut out).map_err(failed)?;
        }
        self.feed.gate.leave(taken);
        self.machine.end_batch((now, &mut rng, &mut self.view), &mut out).map_err(failed)?;
        let mut after = Vec::new();
        for output in out {
            match output {
                Output::Now(effect) => self.leave(effect),
                Output::After(effect) => after.push(effect),
            }
        }
        let due = self.lazy.is_some_and(|at| at <= now.since_start);
        if !after.is_empty() || due {
            return self.commit(after);
        }
        if !self.view.is_clean() {
            self.lazy = self.lazy.or(Some(now.since_start.saturating_add(LAZY)));
        }
        Ok(())
    }

    /// Hands over what was written; `after` leaves when it is durable.
    fn commit(&mut self, mut after: Vec<D::Effect>) -> Result<(), Error> {
        self.lazy = None;
        let taken = self.view.take();
        let Some(sealed) = taken.map_err(|error| fault(&self.store, error.to_string()))? else {
            // Nothing was written: it leaves behind the batches before it.
            match self.under_way.back_mut() {
                Some((_, effects)) => effects.append(&mut after),
                None => after.into_iter().for_each(|effect| self.leave(effect)),
            }
            return Ok(());
        };
        let number = sealed.number();
        let is_alone = self.under_way.is_empty() && self.feed.gate.is_empty();
        self.under_way.push_back((number, after));
        let sealed = if is_alone {
            match self.store.commit_here(sealed) {
                Ok(Ok(_)) => {
                    self.durable(number);
                    return Ok(());
                }
                Ok(Err(error)) => return Err(fault(&self.store, error.to_string())),
                Err(sealed) => sealed,
            }
        } else {
            sealed
        };
        let sender = self.feed.sender.clone();
        self.store.commit(sealed, move |result| {
            let event = match result {
                Ok(_) => Event::Durable(number),
                Err(error) => Event::Failed(error.to_string()),
            };
            let _ = sender.send(event);
        });
        Ok(())
    }

    fn durable(&mut self, number: u64) {
        self.view.durable(number);
        while self.under_way.front().is_some_and(|(first, _)| *first <= number) {
            let done = self.under_way.pop_front();
            for effect in done.map(|(_, effects)| effects).unwrap_or_default() {
                self.leave(effect);
            }
        }
    }

    fn leave(&mut self, effect: D::Effect) {
        if let Some(at) = self.machine.leave(effect) {
            self.wake = Some(at);
        }
    }

    fn is_time(&self) -> bool {
        let now = self.clock.since_start();
        self.wake.is_some_and(|at| at <= now) || self.lazy.is_some_and(|at| at <= now)
    }

    fn patience(&self, full: bool) -> Duration {
        let longest = Duration::from_secs(60);
        match self.wake.into_iter().chain(self.lazy).min().filter(|_| !full) {
            Some(at) => {
                let left = at.saturating_sub(self.clock.since_start()).saturating_add(Millis(1));
                Duration::from_millis(left.0).min(longest)
            }
            None => longest,
        }
    }
}
/// Whether the engine has stopped over its disk, which may take again, or what is stored makes no sense.
fn fault(store: &Store, said: String) -> Error {
    if store.stats().is_err() { Error::Store(said) } else { Error::StoreDamaged(said) }
}
