//! Typed rows: one byte for the shape, then the value through the codec.
//!
//! A change of a row's shape is a step ([`super::steps`]), never a reinterpretation.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::steps::shape;
use super::{ReadRows, Rows, RowsError, Table};
use crate::wire::codec::{self, MAX_VALUE};

/// Reads the value under a key.
///
/// # Errors
/// [`RowsError`] if the store cannot be read, or the bytes are no value of this shape and type.
pub fn load<T: DeserializeOwned>(
    rows: &dyn ReadRows,
    table: &'static Table,
    key: &[u8],
) -> Result<Option<T>, RowsError> {
    rows.get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
}

/// Writes a value under a key.
///
/// # Errors
/// [`RowsError`] if the value is larger than any row may be.
pub fn save<T: Serialize>(
    rows: &mut dyn Rows,
    table: &'static Table,
    key: &[u8],
    value: &T,
) -> Result<(), RowsError> {
    let mut bytes = vec![shape(table)];
    let encoded = codec::encode(value, MAX_VALUE)
        .map_err(|error| RowsError(format!("a row of `{}`: {error}", table.name)))?;
    bytes.extend_from_slice(&encoded);
    rows.put(table, key, bytes);
    Ok(())
}

/// Reads the value that a scan returned.
///
/// # Errors
/// [`RowsError`] if the bytes are no value of this shape and type.
pub fn parse<T: DeserializeOwned>(table: &'static Table, bytes: &[u8]) -> Result<T, RowsError> {
    match bytes.split_first() {
        Some((found, value)) if *found == shape(table) => codec::decode(value, MAX_VALUE)
            .map_err(|error| RowsError(format!("a row of `{}`: {error}", table.name))),
        Some((found, _)) => Err(RowsError(format!("a row of `{}` has shape {found}", table.name))),
        None => Err(RowsError(format!("a row of `{}` is empty", table.name))),
    }
}

/// Reads every row of a range in order, page by page.
///
/// # Errors
/// [`RowsError`] as [`load`].
pub fn load_all<T: DeserializeOwned>(
    rows: &dyn ReadRows,
    table: &'static Table,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, T)>, RowsError> {
    let end = super::prefix_end(prefix);
    let (mut from, mut all) = (prefix.to_vec(), Vec::new());
    loop {
        let page =
            rows.scan(table, &from, &end, crate::limits::MAX_SCAN, super::Direction::Forward)?;
        let full = page.len() == crate::limits::MAX_SCAN;
        if let Some((last, _)) = page.last() {
            from.clone_from(last);
            from.push(0);
        }
        for (key, bytes) in page {
            let value = parse(table, &bytes)?;
            all.push((key, value));
        }
        if !full {
            return Ok(all);
        }
    }
}
