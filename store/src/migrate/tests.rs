use std::path::Path;
use std::sync::Arc;

use godwit_protocol::rows::memory::MemoryRows;
use godwit_protocol::rows::steps::OLDEST_VERSION;
use godwit_protocol::rows::{self, ReadRows as _, Rows as _, Table};

use super::*;
use crate::engine::{Engine as _, Fault, Kind, MemoryEngine};
use crate::open::{Disk, Options, Place, Store};
use crate::vault::DataKey;

fn tables() -> Vec<&'static Table> {
    rows::tables().into_iter().chain(rows::mailbox::tables()).collect()
}

fn key() -> DataKey {
    DataKey::take(&mut [7; 32])
}

fn on_disk(folder: &Path, new: Kind) -> Options {
    let disk = Disk { folder: folder.to_owned(), new, cache_bytes: 1 << 20, data_key: key() };
    Options { place: Place::Disk(disk), tables: tables() }
}

fn in_memory(engine: &Arc<MemoryEngine>) -> Options {
    let place = Place::Memory { engine: Arc::clone(engine), data_key: Some(key()) };
    Options { place, tables: tables() }
}

/// The rows of a host of version 2.
fn old() -> MemoryRows {
    let text = include_str!("../../fixtures/2.txt");
    let host = text.split("node ").nth(1).unwrap().split_once('\n').unwrap().1;
    MemoryRows::from_text(&tables(), host).unwrap()
}

/// The same as this version has them.
fn new() -> MemoryRows {
    let (old, mut new) = (old(), MemoryRows::default());
    for (name, key, value) in old.iter() {
        let table = tables().into_iter().find(|table| table.name == name).unwrap();
        let mut value = value.to_vec();
        for step in STEPS.iter().filter(|step| step.table == table) {
            value = step.apply(&value).unwrap().unwrap_or(value);
        }
        new.put(table, key, value);
    }
    assert_ne!(new, old);
    new
}

/// A store as version 2 left it.
fn made(options: Options) {
    let store = Store::open(options).unwrap();
    let mut view = store.view();
    for (name, key, value) in old().iter() {
        let table = tables().into_iter().find(|table| table.name == name).unwrap();
        view.put(table, key, value.to_vec());
    }
    store.commit_here(view.take().unwrap().unwrap()).unwrap().unwrap();
    let writes = vec![version_row(OLDEST_VERSION)];
    store.base.engine.commit(&Batch { expectations: Vec::new(), writes }).unwrap();
}

fn holds(store: &Store, rows: &MemoryRows) -> bool {
    rows.iter().all(|(name, key, value)| {
        let table = tables().into_iter().find(|table| table.name == name).unwrap();
        store.reader().get(table, key).unwrap().as_deref() == Some(value)
    })
}

#[test]
fn a_store_of_an_earlier_version_is_brought_to_this_one_on_either_engine() {
    for kind in [Kind::Sled, Kind::Redb] {
        let folder = tempfile::tempdir().unwrap();
        made(on_disk(folder.path(), kind));
        // A check changes nothing.
        let Place::Disk(disk) = on_disk(folder.path(), kind).place else { panic!() };
        assert!(crate::check(&disk, &tables()).unwrap().unwrap().is_sound());
        // Nor does writing it anew.
        crate::rewrite(&disk, &tables(), None).unwrap();

        let store = Store::open(on_disk(folder.path(), kind)).unwrap();
        assert_eq!(store.brought_from(), Some(OLDEST_VERSION));
        assert!(holds(&store, &new()));
        drop(store);
        let store = Store::open(on_disk(folder.path(), kind)).unwrap();
        assert_eq!(store.brought_from(), None);
        assert!(holds(&store, &new()));
    }
}

#[test]
fn whatever_ends_it_the_next_start_goes_on() {
    for fault in [Fault::DiskFull, Fault::SyncFailed] {
        for commits in 0..10 {
            let engine = Arc::new(MemoryEngine::new());
            made(in_memory(&engine));
            engine.fail_after(commits, fault);
            let failed = Store::open(in_memory(&engine)).is_err();
            let engine = Arc::new(engine.crash());
            let store = Store::open(in_memory(&engine)).unwrap();
            assert!(holds(&store, &new()), "{fault:?} after {commits}");
            if !failed {
                assert!(commits >= STEPS.len(), "{commits}");
                break;
            }
            assert!(commits < 9, "it always fails");
        }
    }
}

#[test]
fn a_row_that_does_not_open_stays_and_the_others_are_brought() {
    let engine = Arc::new(MemoryEngine::new());
    made(in_memory(&engine));
    let table = &rows::mailbox::PRIVATE.owners;
    let first = old().scan(table, &[], &[], 1, Direction::Forward).unwrap().remove(0).0;
    let noise = crate::batch::StoredWrite {
        table: table.name,
        key: first.clone(),
        value: Some(vec![1; 90]),
    };
    engine.commit(&Batch { expectations: Vec::new(), writes: vec![noise] }).unwrap();

    let store = Store::open(in_memory(&engine)).unwrap();
    assert!(store.reader().get(table, &first).is_err());
    let mut others = new();
    others.delete(table, &first);
    assert!(holds(&store, &others));
}

#[test]
fn a_store_of_a_later_version_or_a_very_old_one_is_refused_untouched() {
    for version in [0, OLDEST_VERSION - 1, VERSION + 1, u32::MAX] {
        let engine = Arc::new(MemoryEngine::new());
        made(in_memory(&engine));
        let writes = vec![version_row(version)];
        engine.commit(&Batch { expectations: Vec::new(), writes }).unwrap();
        let syncs = engine.syncs();
        let error = Store::open(in_memory(&engine)).err().unwrap();
        assert!(matches!(error, OpenError::Version { found, .. } if found == version), "{error}");
        assert_eq!(engine.syncs(), syncs);
    }
}

#[test]
fn a_table_that_would_be_left_behind_is_named() {
    let engine = Arc::new(MemoryEngine::new());
    made(in_memory(&engine));
    let options = Options { tables: rows::tables(), ..in_memory(&engine) };
    assert!(matches!(Store::open(options), Err(OpenError::Declaration { .. })));
}
