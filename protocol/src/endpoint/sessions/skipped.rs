//! Skipped keys and old header keys as rows: found, used up, kept within their bounds, erased.

use crate::crypto::Secret;
use crate::id::{DeviceId, SessionId};
use crate::limits::{MAX_HEADER_KEYS, MAX_SKIPPED_KEYS, SESSION_GRACE, SKIPPED_RUN};
use crate::rows::session::{
    HEADER_KEYS, HeaderKeyRow, SESSIONS, SKIPPED, SessionRow, SkippedRow, header_key, session_key,
    skipped_first, skipped_key, skipped_prefix,
};
use crate::rows::typed::{load_all, parse, save};
use crate::rows::{Direction, ReadRows, Rows, RowsError, Table, prefix_end};
use crate::session::{KeyKind, OldHeaderKey, Position, SkippedAt, SkippedKeys, SkippedRun};
use crate::time::UnixMillis;

/// Rows that one look at the oldest reads.
const PAGE: usize = 16;

/// The keys that a position asks for.
pub(super) fn keys(
    rows: &dyn ReadRows,
    session: SessionId,
    position: &Position,
) -> Result<SkippedKeys, RowsError> {
    let find = |at: Option<SkippedAt>| -> Result<Option<Secret<32>>, RowsError> {
        let Some(at) = at else { return Ok(None) };
        let found = find(rows, session, at)?;
        Ok(found.and_then(|(_, row, index)| row.get(index)))
    };
    Ok(SkippedKeys { ec: find(position.ec_key())?, pq: find(position.pq_key())? })
}

/// The row that holds a key, its own key, and the index in it.
fn find(
    rows: &dyn ReadRows,
    session: SessionId,
    at: SkippedAt,
) -> Result<Option<(Vec<u8>, SkippedRow, usize)>, RowsError> {
    let from = skipped_key(&session, SkippedAt { n: 0, ..at });
    let mut to = skipped_key(&session, at);
    to.push(0);
    let found = rows.scan(&SKIPPED, &from, &to, 1, Direction::Backward)?;
    let Some((key, bytes)) = found.into_iter().next() else { return Ok(None) };
    let index = skipped_first(&key).and_then(|first| at.n.checked_sub(first));
    let Some(index) = index.and_then(|index| usize::try_from(index).ok()) else { return Ok(None) };
    Ok(Some((key, parse(&SKIPPED, &bytes)?, index)))
}

/// Wipes keys that were used.
pub(super) fn use_up(
    rows: &mut dyn Rows,
    row: &mut SessionRow,
    used: &[SkippedAt],
) -> Result<(), RowsError> {
    for at in used {
        let Some((key, mut run, index)) = find(rows, row.session.id(), *at)? else { continue };
        if run.wipe(index) {
            let count = count(row, at.kind);
            *count = count.saturating_sub(1);
        }
        put_or_delete(rows, &key, &run)?;
    }
    Ok(())
}

fn put_or_delete(rows: &mut dyn Rows, key: &[u8], run: &SkippedRow) -> Result<(), RowsError> {
    if run.left() == 0 {
        rows.delete(&SKIPPED, key);
        return Ok(());
    }
    save(rows, &SKIPPED, key, run)
}

fn count(row: &mut SessionRow, kind: KeyKind) -> &mut u32 {
    match kind {
        KeyKind::Ec => &mut row.skipped_ec,
        KeyKind::Pq => &mut row.skipped_pq,
    }
}

/// Stores keys that were passed over, and drops the oldest above the bound.
pub(super) fn keep(
    rows: &mut dyn Rows,
    now: UnixMillis,
    row: &mut SessionRow,
    runs: &[SkippedRun],
) -> Result<(), RowsError> {
    let session = row.session.id();
    for run in runs {
        let mut at = run.first;
        for keys in run.keys.chunks(SKIPPED_RUN) {
            save(rows, &SKIPPED, &skipped_key(&session, at), &SkippedRow::new(keys, now))?;
            let length = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            at.n = at.n.saturating_add(length);
            let count = count(row, at.kind);
            *count = count.saturating_add(length);
        }
    }
    let most = u32::try_from(MAX_SKIPPED_KEYS).unwrap_or(u32::MAX);
    for kind in [KeyKind::Ec, KeyKind::Pq] {
        drop_oldest(rows, row, kind, |left, _| left > most)?;
    }
    Ok(())
}

/// Drops the oldest rows of a ratchet as long as `too_old(keys left, since)` says so.
fn drop_oldest(
    rows: &mut dyn Rows,
    row: &mut SessionRow,
    kind: KeyKind,
    too_old: impl Fn(u32, UnixMillis) -> bool,
) -> Result<bool, RowsError> {
    let prefix = skipped_prefix(&row.session.id(), kind);
    let (end, mut dropped) = (prefix_end(&prefix), false);
    while *count(row, kind) > 0 {
        let page = rows.scan(&SKIPPED, &prefix, &end, PAGE, Direction::Forward)?;
        if page.is_empty() {
            *count(row, kind) = 0;
        }
        for (key, bytes) in page {
            let run: SkippedRow = parse(&SKIPPED, &bytes)?;
            let left = count(row, kind);
            if !too_old(*left, run.since) {
                return Ok(dropped);
            }
            *left = left.saturating_sub(run.left());
            rows.delete(&SKIPPED, &key);
            dropped = true;
        }
    }
    Ok(dropped)
}

/// The old header keys of a session, newest first.
pub(super) fn headers(
    rows: &dyn ReadRows,
    session: SessionId,
) -> Result<Vec<OldHeaderKey>, RowsError> {
    let stored = load_all::<HeaderKeyRow>(rows, &HEADER_KEYS, session.as_bytes())?;
    Ok(stored.into_iter().rev().map(|(_, row)| row.key).collect())
}

/// Stores the header key of a chain that ended, and drops the oldest above the bound.
pub(super) fn keep_header(
    rows: &mut dyn Rows,
    now: UnixMillis,
    row: &mut SessionRow,
    key: OldHeaderKey,
) -> Result<(), RowsError> {
    let session = row.session.id();
    let at = header_key(&session, key.chain);
    save(rows, &HEADER_KEYS, &at, &HeaderKeyRow { since: now, key })?;
    row.headers = row.headers.saturating_add(1);
    let most = u32::try_from(MAX_HEADER_KEYS).unwrap_or(u32::MAX);
    drop_oldest_headers(rows, row, |left, _| left > most).map(|_| ())
}

fn drop_oldest_headers(
    rows: &mut dyn Rows,
    row: &mut SessionRow,
    too_old: impl Fn(u32, UnixMillis) -> bool,
) -> Result<bool, RowsError> {
    let prefix = row.session.id().as_bytes().to_vec();
    let (end, mut dropped) = (prefix_end(&prefix), false);
    while row.headers > 0 {
        let page = rows.scan(&HEADER_KEYS, &prefix, &end, PAGE, Direction::Forward)?;
        if page.is_empty() {
            row.headers = 0;
        }
        for (key, bytes) in page {
            let header: HeaderKeyRow = parse(&HEADER_KEYS, &bytes)?;
            if !too_old(row.headers, header.since) {
                return Ok(dropped);
            }
            row.headers = row.headers.saturating_sub(1);
            rows.delete(&HEADER_KEYS, &key);
            dropped = true;
        }
    }
    Ok(dropped)
}

/// Erases what has been kept for 35 days. Returns whether the session's row changed.
pub(super) fn expire(
    rows: &mut dyn Rows,
    now: UnixMillis,
    row: &mut SessionRow,
) -> Result<bool, RowsError> {
    let old = |_: u32, since: UnixMillis| now.since(since) >= SESSION_GRACE;
    let ec = drop_oldest(rows, row, KeyKind::Ec, old)?;
    let pq = drop_oldest(rows, row, KeyKind::Pq, old)?;
    let headers = drop_oldest_headers(rows, row, old)?;
    Ok(ec || pq || headers)
}

/// Deletes every row of a session.
pub(super) fn erase(
    rows: &mut dyn Rows,
    device: DeviceId,
    session: SessionId,
) -> Result<(), RowsError> {
    delete_all(rows, &SKIPPED, session.as_bytes())?;
    delete_all(rows, &HEADER_KEYS, session.as_bytes())?;
    rows.delete(&SESSIONS, &session_key(&device, &session));
    Ok(())
}

fn delete_all(rows: &mut dyn Rows, table: &'static Table, prefix: &[u8]) -> Result<(), RowsError> {
    let end = prefix_end(prefix);
    loop {
        let page = rows.scan(table, prefix, &end, PAGE, Direction::Forward)?;
        if page.is_empty() {
            return Ok(());
        }
        for (key, _) in page {
            rows.delete(table, &key);
        }
    }
}
