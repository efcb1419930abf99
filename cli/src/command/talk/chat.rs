//! `chat`: where people type; through the control API only.
//!
//! A line goes to whom the prompt names; what begins with `/` is a command.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use godwit_node::home::Passphrase;
use godwit_protocol::endpoint::{Code, Refusal};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::background;
use crate::command::keep::join;
use crate::exit::Failure;
use crate::feed::Feed;
use crate::node::{InboxQuery, Node};
use crate::output::{self, Format, message, safe, text};
use crate::terminal::{Print, Terminal, Typed, Words};

/// Talk: type a line to send it; `/help` shows what else
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// With whom
    with: Option<String>,
}

/// Messages shown at the beginning.
const SHOWN: u32 = 20;
/// The widest name in a prompt, in cells.
const NAME: usize = 24;
const HELP: &str = "\
/add LINK [NAME]   ask the owner of a contact link
/accept NAME       accept who asks
/invite            a link for one friend: accepted at once
/join HOSTLINK     keep mail at a community's host
/to NAME           talk with somebody else
/who               everybody you know
/why               how far your last message is
/quit              leave; the node goes on (godwit down ends it)";

/// With whom one talks.
#[derive(Debug, Clone)]
struct Partner {
    name: String,
    conversation: String,
}

/// What both threads know.
#[derive(Clone, Default)]
struct Shared {
    partner: Arc<Mutex<Option<Partner>>>,
    names: Words,
}

/// Talks until the person leaves.
pub(crate) fn run(args: Args, home: &Path, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let message = "chat is for people";
        return Err(Refusal::new(Code::Usage, message, "godwit send, godwit watch --json").into());
    }
    talk(args.with.as_deref(), home, None)
}

/// The same; the passphrase, if it is known, opens the home where no node runs.
pub(crate) fn talk(
    with: Option<&str>,
    home: &Path,
    passphrase: Option<Passphrase>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if runtime.block_on(background::running(home))?.is_none() {
        background::start(home, passphrase, None)?;
    }
    let node = runtime.block_on(Node::connect(home))?;
    let shared = Shared::default();
    let mut chat =
        Chat { runtime, node, home: home.to_owned(), shared: shared.clone(), last: None };
    chat.learn_names()?;
    if let Some(who) = with {
        chat.talk_with(who)?;
    }
    let (mut terminal, print) = Terminal::open(&shared.names)?;
    chat.show_last()?;
    listen(home, shared, print)?;
    loop {
        match terminal.read(&chat.prompt()) {
            Typed::End => return Ok(()),
            Typed::Interrupted => output::talk("/quit or Ctrl-D leaves"),
            Typed::Line(line) if line.trim().is_empty() => {}
            Typed::Line(line) if line.trim() == "/quit" => return Ok(()),
            Typed::Line(line) => match chat.typed(&line) {
                Err(Failure::Refused(refusal)) => output::talk(&text::refusal(&refusal)),
                other => other?,
            },
        }
    }
}

/// The typing side.
struct Chat {
    runtime: Runtime,
    node: Node,
    home: PathBuf,
    shared: Shared,
    /// The message that was sent last.
    last: Option<String>,
}

impl Chat {
    fn prompt(&self) -> String {
        let partner = lock(&self.shared.partner);
        let name = partner.as_ref().map(|partner| safe::line(&partner.name, NAME));
        format!("{}> ", name.unwrap_or_default())
    }

    fn typed(&mut self, line: &str) -> Result<(), Failure> {
        // A node that was started again has another socket.
        self.node = self.runtime.block_on(Node::connect(&self.home))?;
        let Some(command) = line.trim().strip_prefix('/') else { return self.send(line) };
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match (verb, rest) {
            ("help", _) => Ok(output::line(HELP)?),
            ("who", _) => self.who(),
            ("to", who) if !who.is_empty() => {
                self.talk_with(who)?;
                self.show_last()
            }
            ("add", link) if !link.is_empty() => {
                let (link, name) = link.split_once(' ').unwrap_or((link, ""));
                let name = Some(name.trim()).filter(|name| !name.is_empty());
                let added = self.runtime.block_on(self.node.add_contact(link, name))?;
                self.added(&added)
            }
            ("accept", who) if !who.is_empty() => {
                let accepted = self.runtime.block_on(self.node.accept_contact(who, None))?;
                self.added(&accepted)
            }
            ("invite", _) => {
                let invite = self.runtime.block_on(self.node.invite())?;
                Ok(output::line(&text::field(&invite, "link"))?)
            }
            ("join", link) if !link.is_empty() => {
                let args = join::Args { link: link.to_owned() };
                self.runtime.block_on(join::run(&args, &self.home, Format::Text))
            }
            ("why", _) => self.why(),
            _ => {
                let message = format!("\"/{}\" is no command here", safe::line(command, NAME));
                Err(Refusal::new(Code::Usage, message, "/help").into())
            }
        }
    }

    fn send(&mut self, line: &str) -> Result<(), Failure> {
        let partner = lock(&self.shared.partner).clone();
        let Some(partner) = partner else {
            return Err(Refusal::new(Code::Usage, "to whom?", "/to NAME, or /add LINK").into());
        };
        let sent = self.runtime.block_on(self.node.send(&partner.name, line, None))?;
        self.last = Some(text::field(&sent, "id"));
        Ok(())
    }

    fn added(&mut self, contact: &Value) -> Result<(), Failure> {
        let name = text::field(contact, "name");
        output::talk(&format!("{}  {}", safe::line(&name, NAME), text::field(contact, "state")));
        self.learn_names()?;
        self.talk_with(&name)
    }

    fn talk_with(&mut self, who: &str) -> Result<(), Failure> {
        let contact = self.runtime.block_on(self.node.contact(who))?;
        *lock(&self.shared.partner) = Some(Partner {
            name: text::field(&contact, "name"),
            conversation: text::field(&contact, "conversation"),
        });
        Ok(())
    }

    fn learn_names(&mut self) -> Result<(), Failure> {
        let contacts = self.runtime.block_on(self.node.contacts())?;
        let names = contacts.iter().map(|contact| safe::line(&text::field(contact, "name"), 64));
        *lock(&self.shared.names) = names.collect();
        Ok(())
    }

    fn who(&mut self) -> Result<(), Failure> {
        let contacts = self.runtime.block_on(self.node.contacts())?;
        if contacts.is_empty() {
            output::talk("nobody yet: /invite makes a link for a friend, /add takes theirs");
        }
        for contact in &contacts {
            let name = safe::line(&text::field(contact, "name"), NAME);
            output::line(&format!("{name}  {}", text::field(contact, "state")))?;
        }
        Ok(())
    }

    fn why(&mut self) -> Result<(), Failure> {
        let id = self.last.as_deref().and_then(|id| id.parse().ok());
        let Some(id) = id else {
            return Err(Refusal::new(Code::NoMessage, "nothing was sent here yet", "/help").into());
        };
        let why = self.runtime.block_on(self.node.why(id))?;
        let reason = text::field(&why, "reason");
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Ok(output::line(&format!("{}{reason}", text::field(&why, "state")))?)
    }

    /// The newest messages with the partner, or with everybody.
    fn show_last(&mut self) -> Result<(), Failure> {
        let with = lock(&self.shared.partner).as_ref().map(|partner| partner.name.clone());
        let query = InboxQuery { with, since: None, limit: SHOWN, unread: false, peek: false };
        for line in self.runtime.block_on(self.node.inbox(&query))? {
            output::line(&message::render(&line, output::width()))?;
        }
        Ok(())
    }
}

/// Prints what comes, on a thread of its own, until the process ends.
fn listen(home: &Path, shared: Shared, mut print: Print) -> Result<(), Failure> {
    let home = home.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut feed = runtime.block_on(Feed::open(&home))?;
    let work = move || {
        runtime.block_on(async {
            loop {
                let event = feed.next().await;
                if let Some(line) = shown(&event, &home, &shared).await {
                    print(&line);
                }
            }
        })
    };
    std::thread::Builder::new().name("chat-feed".to_owned()).spawn(work)?;
    Ok(())
}

/// What is printed of an event.
async fn shown(event: &Value, home: &Path, shared: &Shared) -> Option<String> {
    match text::field(event, "event").as_str() {
        "message" if text::field(event, "direction") == "in" => {
            let partner = lock(&shared.partner).clone();
            let here = partner
                .filter(|partner| partner.conversation == text::field(event, "conversation"));
            if let Some(partner) = here {
                read(home, partner.name).await;
            }
            Some(message::render(event, output::width()))
        }
        "contact" => {
            let account = text::field(event, "account");
            let contacts = Node::connect(home).await.ok()?.contacts().await.ok()?;
            let contact = contacts.iter().find(|it| text::field(it, "account") == account)?;
            let name = safe::line(&text::field(contact, "name"), NAME);
            lock(&shared.names).push(name.clone());
            match text::field(event, "state").as_str() {
                "pending" => Some(format!("{name} asks to talk with you: /accept {name}")),
                "accepted" => Some(format!("{name} is connected: /to {name}")),
                _ => None,
            }
        }
        "warning" => Some(format!("warning: {}", text::field(event, "code"))),
        _ => None,
    }
}

/// Marks what came from the partner as read: it is on the screen.
async fn read(home: &Path, with: String) {
    let query = InboxQuery { with: Some(with), since: None, limit: 50, unread: true, peek: false };
    if let Ok(mut node) = Node::connect(home).await {
        // What stays unread is shown as such: nothing is lost.
        let _ = node.inbox(&query).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
