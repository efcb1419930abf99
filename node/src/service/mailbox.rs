//! The mailbox host's thread.

use std::sync::Arc;

use rand_core::CryptoRng;

use godwit_protocol::machine::{NetworkInput, Output, WakeAt};
use godwit_protocol::mailbox::host::{
    HostCommand, HostEffect, HostInput, HostMachine, HostReply, HostSetup,
};
use godwit_protocol::rows::{Rows, RowsError};
use godwit_protocol::time::Time;
use godwit_store::Store;

use super::answers::Answers;
use super::drive::{self, Driven, Feed};
use super::messenger::Busy;
use crate::clock::{Clock, system_rng};
use crate::error::Error;
use crate::network::{Handled, Network};

/// The sending side of the loop.
pub struct Mailbox {
    feed: Feed<HostInput>,
    answers: Arc<Answers<HostReply>>,
}

impl Mailbox {
    /// Opens the machine and starts its thread; `ended` is called when the thread ends.
    ///
    /// # Errors
    /// [`Error`] if the rows cannot be read or the thread not be started.
    pub fn start(
        setup: HostSetup,
        (store, network): (Arc<Store>, Network),
        ended: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Self, Error> {
        let (feed, taking) = drive::channel();
        let answers = Arc::new(Answers::default());
        let clock = Clock::start();
        let mut view = store.view();
        let machine = HostMachine::open(setup, clock.now(), &mut system_rng(), &mut view)
            .map_err(|error| Error::StoreDamaged(error.to_string()))?;
        let work = Work { machine, network, answers: Arc::clone(&answers) };
        drive::start("mailbox", work, (store, view, clock), taking, ended)?;
        Ok(Self { feed, answers })
    }

    /// Gives what the network tells; waits for a place, so that peers are slowed.
    pub fn network(&self, input: NetworkInput) {
        self.feed.give(HostInput::Network(input));
    }

    /// Says whether the disk has less room than its floor.
    pub fn space(&self, low: bool) {
        self.feed.give(HostInput::Space { low });
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Busy`] if no place is free or the loop has ended.
    pub async fn ask(&self, command: HostCommand) -> Result<HostReply, Busy> {
        let (request, answered) = self.answers.await_one();
        if !self.feed.try_give(HostInput::Command { request, command }) {
            self.answers.forget(request);
            return Err(Busy);
        }
        answered.await.map_err(|_| Busy)
    }

    /// Lets the loop end when everything given so far is durable.
    pub fn end(&self) {
        self.feed.end();
    }
}

struct Work {
    machine: HostMachine,
    network: Network,
    answers: Arc<Answers<HostReply>>,
}

impl Driven for Work {
    type Input = HostInput;
    type Effect = HostEffect;

    fn handle(
        &mut self,
        input: HostInput,
        (now, rng, rows): (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<HostEffect>>,
    ) -> Result<(), RowsError> {
        let network = match &input {
            HostInput::Network(input) => Handled::from(input),
            _ => Handled::Other,
        };
        let before = self.machine.refusals();
        self.machine.handle(input, now, rng, rows, out)?;
        if self.machine.refusals() == before {
            self.network.handled(network);
        } else {
            self.network.refused(network);
        }
        Ok(())
    }

    fn end_batch(
        &mut self,
        (now, rng, rows): (Time, &mut dyn CryptoRng, &mut dyn Rows),
        out: &mut Vec<Output<HostEffect>>,
    ) -> Result<(), RowsError> {
        self.machine.end_batch(now, rng, rows, out)
    }

    fn leave(&mut self, effect: HostEffect) -> Option<WakeAt> {
        match effect {
            HostEffect::Network(output) => self.network.output(output),
            HostEffect::WakeAt(at) => return Some(at),
            HostEffect::Reply { request, reply } => self.answers.answer(request, reply),
        }
        None
    }
}
