//! What is shown of the rows, beside the machine: from stored facts alone, the same after a restart.

use super::contacts::{contact_view, find_contact};
use super::{Change, Code, ContactView, MessageState, MessageView, Refusal, Step, StepKind, Why};
use crate::content::{Kind, Text};
use crate::conversation::{Mode, direct};
use crate::id::{AccountId, DeviceId, HostId, MessageId};
use crate::identity::{Chain, safety_number};
use crate::limits::MAX_SCAN;
use crate::rows::contact::{CONTACTS, ContactRow, DeviceRow};
use crate::rows::evidence::{BROKEN, BrokenRow, LEFT, LeftRow};
use crate::rows::home::{CHANGES, ChangesRow};
use crate::rows::message::{MESSAGES, MessageKey, MessageRow, TIMELINE};
use crate::rows::typed::{load, load_all, parse};
use crate::rows::{Direction, ReadRows, RowsError, prefix_end};
use crate::time::UnixMillis;

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct InboxQuery {
    /// Only with this contact.
    pub with: Option<AccountId>,
    /// Only what comes after this message.
    pub since: Option<MessageId>,
    /// Only what comes after this place, if no message is named.
    pub after: Option<(u64, MessageId)>,
    /// The newest this many (after `since`: the first this many).
    pub limit: usize,
    /// Only what came and was not read.
    pub unread: bool,
}

/// Every contact, by account.
///
/// # Errors
/// [`RowsError`] if the store cannot be read.
pub fn contacts(rows: &dyn ReadRows, own: AccountId) -> Result<Vec<ContactView>, RowsError> {
    let all = load_all::<ContactRow>(rows, &CONTACTS, &[])?;
    Ok(all
        .into_iter()
        .filter_map(|(key, row)| {
            let account = AccountId::from_slice(&key)?;
            Some(contact_view(account, &row, direct(Mode::Sealed, own, account)))
        })
        .collect())
}

/// Finds a contact as commands do.
///
/// # Errors
/// [`RowsError`] if the store cannot be read; inside, `E_NO_CONTACT` or `E_AMBIGUOUS`.
pub fn contact(
    rows: &dyn ReadRows,
    own: AccountId,
    who: &str,
) -> Result<Result<ContactView, Refusal>, RowsError> {
    let all = contacts(rows, own)?;
    let found = find_contact(all.iter().map(|view| (&view.account, view.name.as_str())), who);
    Ok(found.and_then(|account| {
        let view = all.iter().find(|view| view.account == account).cloned();
        view.ok_or_else(|| Refusal::new(Code::NoContact, "no such contact", "godwit contact list"))
    }))
}

/// A device of a contact as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// Which.
    pub device: DeviceId,
    /// The node that it was last heard from, or that it named.
    pub peer: Option<HostId>,
    /// When it was last heard.
    pub heard_at: Option<UnixMillis>,
}

/// What more is known of a contact: the safety number, once its chain is known, and its devices.
///
/// # Errors
/// As [`contacts`].
pub fn contact_details(
    rows: &dyn ReadRows,
    own: &Chain,
    account: AccountId,
) -> Result<(Option<String>, Vec<DeviceView>), RowsError> {
    let row: Option<ContactRow> = load(rows, &CONTACTS, account.as_bytes())?;
    let Some(row) = row else { return Ok((None, Vec::new())) };
    let number = Chain::from_bytes(&row.chain).ok().map(|chain| safety_number(own, &chain));
    let device =
        |it: &DeviceRow| DeviceView { device: it.device, peer: it.peer, heard_at: it.heard_at };
    Ok((number, row.devices.iter().map(device).collect()))
}

/// Messages in their order, oldest first.
///
/// # Errors
/// As [`contacts`].
pub fn inbox(
    rows: &dyn ReadRows,
    own: AccountId,
    query: &InboxQuery,
) -> Result<Vec<MessageView>, RowsError> {
    let all = contacts(rows, own)?;
    let wanted = all.iter().filter(|view| query.with.is_none_or(|with| with == view.account));
    let since = match query.since {
        Some(id) => order_of(rows, id)?,
        None => query.after,
    };
    let mut found = Vec::new();
    for contact in wanted {
        let mut part = conversation(rows, own, contact, since, query)?;
        found.append(&mut part);
    }
    found.sort_by_key(|(order, view)| (*order, view.id));
    let count = found.len();
    let views = found.into_iter().map(|(_, view)| view);
    Ok(if since.is_some() {
        views.take(query.limit).collect()
    } else {
        views.skip(count.saturating_sub(query.limit)).collect()
    })
}

/// The place after which the newest `count` messages come, so that they can be read page by page;
/// the very beginning if there are no more. Keeps the places of `count` messages, not the messages.
///
/// # Errors
/// As [`contacts`].
pub fn place_of_newest(
    rows: &dyn ReadRows,
    own: AccountId,
    query: &InboxQuery,
    count: usize,
) -> Result<(u64, MessageId), RowsError> {
    let mut places: Vec<(u64, MessageId)> = Vec::new();
    for contact in contacts(rows, own)? {
        if query.with.is_some_and(|with| with != contact.account) {
            continue;
        }
        let from = contact.conversation.as_bytes();
        let (mut to, mut left) = (prefix_end(from), count.saturating_add(1));
        while left > 0 {
            let page = rows.scan(&TIMELINE, from, &to, MAX_SCAN, Direction::Backward)?;
            for (key, _) in page.iter().take(left) {
                if let Some((order, key)) = MessageKey::parse_timeline(key) {
                    places.push((order, key.id));
                }
            }
            left = left.saturating_sub(page.len());
            match page.last() {
                Some((last, _)) if page.len() == MAX_SCAN => to.clone_from(last),
                _ => break,
            }
        }
    }
    places.sort_unstable_by(|a, b| b.cmp(a));
    Ok(places.get(count).copied().unwrap_or((0, MessageId([0; 16]))))
}

fn conversation(
    rows: &dyn ReadRows,
    own: AccountId,
    contact: &ContactView,
    since: Option<(u64, MessageId)>,
    query: &InboxQuery,
) -> Result<Vec<(u64, MessageView)>, RowsError> {
    let prefix = contact.conversation.as_bytes().to_vec();
    let (mut from, mut to) = (prefix.clone(), prefix_end(&prefix));
    let direction = if let Some((order, _)) = since {
        from.extend_from_slice(&order.to_be_bytes());
        Direction::Forward
    } else {
        Direction::Backward
    };
    let mut found = Vec::new();
    loop {
        let page = rows.scan(&TIMELINE, &from, &to, MAX_SCAN, direction)?;
        let full = page.len() == MAX_SCAN;
        for (key, _) in &page {
            match direction {
                Direction::Forward => from = [key.as_slice(), &[0]].concat(),
                Direction::Backward => to.clone_from(key),
            }
            let Some((order, key)) = MessageKey::parse_timeline(key) else { continue };
            if since.is_some_and(|since| (order, key.id) <= since) {
                continue;
            }
            let Some(row) = load::<MessageRow>(rows, &MESSAGES, &key.bytes())? else { continue };
            if query.unread && row.state != MessageState::Received {
                continue;
            }
            found.push((order, message_view(own, contact, key, row)));
            if found.len() >= query.limit {
                return Ok(found);
            }
        }
        if !full {
            return Ok(found);
        }
    }
}

fn message_view(
    own: AccountId,
    contact: &ContactView,
    key: MessageKey,
    row: MessageRow,
) -> MessageView {
    let outgoing = key.sender == own;
    let (kind, body) = match Text::from_bytes(&row.body) {
        Ok(text) if row.kind == Kind::TEXT.0 => ("text".to_owned(), text.as_str().to_owned()),
        _ => ("unsupported".to_owned(), format!("unsupported kind {}", row.kind)),
    };
    MessageView {
        id: key.id,
        conversation: key.conversation,
        from: if outgoing { "me".to_owned() } else { contact.name.clone() },
        from_account: key.sender,
        outgoing,
        sent_at: row.sent_at,
        received_at: row.received_at,
        kind,
        body,
        state: row.state,
        reason: row.reason,
    }
}

/// One message by its key.
///
/// # Errors
/// As [`contacts`].
pub fn message(
    rows: &dyn ReadRows,
    own: AccountId,
    key: MessageKey,
) -> Result<Option<MessageView>, RowsError> {
    let all = contacts(rows, own)?;
    let Some(contact) = all.iter().find(|view| view.conversation == key.conversation) else {
        return Ok(None);
    };
    let row = load::<MessageRow>(rows, &MESSAGES, &key.bytes())?;
    Ok(row.map(|row| message_view(own, contact, key, row)))
}

fn by_id(
    rows: &dyn ReadRows,
    id: MessageId,
) -> Result<Option<(MessageKey, MessageRow)>, RowsError> {
    let end = prefix_end(id.as_bytes());
    let page = rows.scan(&MESSAGES, id.as_bytes(), &end, 1, Direction::Forward)?;
    let Some((key, value)) = page.first() else { return Ok(None) };
    let row = parse(&MESSAGES, value)?;
    Ok(MessageKey::parse(key).map(|key| (key, row)))
}

fn order_of(rows: &dyn ReadRows, id: MessageId) -> Result<Option<(u64, MessageId)>, RowsError> {
    Ok(by_id(rows, id)?.map(|(_, row)| (row.order, id)))
}

/// The life of one message.
///
/// # Errors
/// As [`contacts`]; inside, `E_NO_MESSAGE`.
pub fn why(rows: &dyn ReadRows, id: MessageId) -> Result<Result<Why, Refusal>, RowsError> {
    Ok(match by_id(rows, id)? {
        Some((_, row)) => {
            let mut steps = row.steps;
            let broken = broken_words(rows, None)?;
            let broken = broken.into_iter().filter(|row| row.evidence.message == id);
            steps.extend(broken.map(|row| Step {
                at: row.at,
                kind: StepKind::BrokenWord,
                host: Some(row.evidence.proof.receipt.host),
                result: "not served".to_owned(),
                count: 1,
            }));
            steps.sort_by_key(|step| step.at);
            Ok(Why { id, state: row.state, reason: row.reason, steps })
        }
        None => Err(Refusal::new(Code::NoMessage, "no message of that id", "godwit inbox --json")),
    })
}

/// The words that hosts broke, of one host or of all: what they signed for and did not serve.
///
/// # Errors
/// As [`contacts`].
pub fn broken_words(
    rows: &dyn ReadRows,
    host: Option<HostId>,
) -> Result<Vec<BrokenRow>, RowsError> {
    let prefix = host.map(|host| host.as_bytes().to_vec()).unwrap_or_default();
    let all = load_all::<BrokenRow>(rows, &BROKEN, &prefix)?;
    Ok(all.into_iter().map(|(_, row)| row).collect())
}

/// The hosts that were left in the last 35 d, and their words for what they have erased.
///
/// # Errors
/// As [`contacts`].
pub fn left_hosts(rows: &dyn ReadRows) -> Result<Vec<(HostId, LeftRow)>, RowsError> {
    let all = load_all::<LeftRow>(rows, &LEFT, &[])?;
    Ok(all.into_iter().filter_map(|(key, row)| Some((HostId::from_slice(&key)?, row))).collect())
}

/// The number of the last change that is kept.
///
/// # Errors
/// As [`contacts`].
pub fn last_change(rows: &dyn ReadRows) -> Result<u64, RowsError> {
    let page = rows.scan(&CHANGES, &[], &[], 1, Direction::Backward)?;
    let Some((key, value)) = page.first() else { return Ok(0) };
    let row: ChangesRow = parse(&CHANGES, value)?;
    let count = u64::try_from(row.changes.len()).unwrap_or(0);
    Ok(first_of(key).saturating_add(count).saturating_sub(1))
}

/// The changes after a number, oldest first, with theirs; at most 512 batches of them.
///
/// # Errors
/// As [`contacts`].
pub fn changes(rows: &dyn ReadRows, after: u64) -> Result<Vec<(u64, Change)>, RowsError> {
    let wanted = after.saturating_add(1);
    // The batch that holds the first wanted change may begin before it.
    let to = wanted.saturating_add(1).to_be_bytes();
    let begin = rows.scan(&CHANGES, &[], &to, 1, Direction::Backward)?;
    let from = begin.first().map_or_else(|| wanted.to_be_bytes().to_vec(), |(key, _)| key.clone());
    let mut found = Vec::new();
    for (key, value) in rows.scan(&CHANGES, &from, &[], MAX_SCAN, Direction::Forward)? {
        let row: ChangesRow = parse(&CHANGES, &value)?;
        let numbers = first_of(&key)..;
        found.extend(numbers.zip(row.changes).filter(|(number, _)| *number > after));
    }
    Ok(found)
}

fn first_of(key: &[u8]) -> u64 {
    key.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
