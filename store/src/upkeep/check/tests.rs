use godwit_protocol::rows::{self, ReadRows as _, Rows as _};
use tempfile::TempDir;

use super::*;
use crate::batch::{Batch, StoredWrite};
use crate::engine::{Engine as _, SledEngine};
use crate::vault::DataKey;
use crate::{Options, Store};

fn tables() -> Vec<&'static Table> {
    rows::tables().into_iter().chain(rows::mailbox::tables()).collect()
}

fn try_open(folder: &TempDir) -> Result<Store, crate::OpenError> {
    let (folder, data_key) = (folder.path().to_owned(), DataKey::take(&mut [7; 32]));
    Store::open(Options::disk(folder, data_key, tables()))
}

fn open(folder: &TempDir) -> Store {
    try_open(folder).unwrap()
}

fn engine(folder: &TempDir) -> SledEngine {
    let names: Vec<&'static str> = tables().iter().map(|table| table.name).collect();
    SledEngine::open(folder.path(), 1 << 20, &names).unwrap()
}

/// A key with every part at its length.
fn key(table: &Table) -> Vec<u8> {
    table.key.iter().flat_map(|part| vec![5; part.length.unwrap_or(4)]).collect()
}

/// Three rows for every table.
fn every_row() -> Vec<(&'static Table, u8, Vec<u8>)> {
    let row = |table: &'static Table, number: u8| {
        let mut key = key(table);
        if let Some(last) = key.last_mut() {
            *last = number;
        }
        (table, number, key)
    };
    tables().into_iter().flat_map(|table| (0..3).map(move |number| row(table, number))).collect()
}

/// A home with three rows in every table.
fn written(folder: &TempDir) {
    let store = open(folder);
    let mut view = store.view();
    for (table, number, key) in every_row() {
        view.put(table, &key, vec![number; 300]);
    }
    let sealed = view.take().unwrap().unwrap();
    store.commit_here(sealed).map_err(|_| "somebody else writes").unwrap().unwrap();
    store.close();
}

#[test]
fn one_flipped_bit_in_any_row_of_any_table_is_named_by_table_and_key() {
    for table in tables() {
        let folder = TempDir::new().unwrap();
        written(&folder);
        let engine = engine(&folder);
        let found = engine.scan(table.name, &[], &[], 10, Direction::Forward).unwrap();
        assert_eq!(found.len(), 3, "{}", table.name);
        let (key, mut value) = found[1].clone();
        let place = value.len() / 2;
        value[place] ^= 1;
        let write = StoredWrite { table: table.name, key: key.clone(), value: Some(value) };
        engine.commit(&Batch { expectations: Vec::new(), writes: vec![write] }).unwrap();
        drop(engine);

        let report = crate::upkeep::run(&open(&folder).base);

        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let named = vec![DamagedRow { table: table.name, key: hex }];
        assert_eq!((report.damaged, report.named, report.tables), (1, named, vec![]));
    }
}

#[test]
fn a_row_that_was_moved_to_another_key_or_table_is_named() {
    let folder = TempDir::new().unwrap();
    written(&folder);
    let all = tables();
    let engine = engine(&folder);
    let rows = |table: &str| engine.scan(table, &[], &[], 10, Direction::Forward).unwrap();
    let (from, to) = (rows(all[0].name), rows(all[1].name));
    let write = |table, key: &[u8], value: &[u8]| StoredWrite {
        table,
        key: key.to_vec(),
        value: Some(value.to_vec()),
    };
    let writes =
        vec![write(all[0].name, &from[0].0, &from[1].1), write(all[1].name, &to[0].0, &from[2].1)];
    engine.commit(&Batch { expectations: Vec::new(), writes }).unwrap();
    drop(engine);

    let report = crate::upkeep::run(&open(&folder).base);

    let tables: Vec<&str> = report.named.iter().map(|row| row.table).collect();
    assert_eq!((report.damaged, tables), (2, vec![all[0].name, all[1].name]));
}

#[test]
fn a_flipped_bit_anywhere_in_the_files_never_passes_for_something_else() {
    let folder = TempDir::new().unwrap();
    written(&folder);
    let path = folder.path().join("db");
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let sound = open(&folder);
    let rows = crate::upkeep::run(&sound.base).rows;
    drop(sound);
    for step in 0..40 {
        let mut bytes = whole.clone();
        let at = end * step / 40;
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        // Refused as a whole; or each row is what was written, named as damaged, or gone with what
        // the engine took for the torn end of its log.
        if let Ok(store) = try_open(&folder) {
            let report = crate::upkeep::run(&store.base);
            let mut wrong = 0;
            for (table, number, key) in every_row() {
                match store.reader().get(table, &key) {
                    Ok(Some(value)) => assert_eq!(value, vec![number; 300], "byte {at}"),
                    Ok(None) => {}
                    Err(_) => wrong += 1,
                }
            }
            assert!(report.rows <= rows, "byte {at}: {report:?}");
            assert!(wrong == 0 || !report.is_sound(), "byte {at}: {wrong} and {report:?}");
        }
    }
}
