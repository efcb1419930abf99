//! One suite over every engine, then what is particular to each.

use std::path::Path;

use super::*;
use crate::batch::StoredWrite;

pub(super) const TABLES: &[&str] = &["a", "b"];

fn sled_at(folder: &Path) -> SledEngine {
    SledEngine::open(folder, 1 << 20, TABLES).unwrap()
}

fn redb_at(folder: &Path) -> RedbEngine {
    RedbEngine::open(&folder.join("made"), 1 << 20, TABLES).unwrap()
}

pub(super) fn row(table: &'static str, key: &[u8], value: Option<&[u8]>) -> StoredWrite {
    StoredWrite { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }
}

pub(super) fn write(engine: &dyn Engine, writes: Vec<StoredWrite>) {
    engine.commit(&Batch { expectations: Vec::new(), writes }).unwrap();
}

pub(super) fn keys(
    engine: &dyn Engine,
    from: &[u8],
    to: &[u8],
    limit: usize,
    way: Direction,
) -> Vec<Vec<u8>> {
    engine.scan("a", from, to, limit, way).unwrap().into_iter().map(|(key, _)| key).collect()
}

/// Runs one conformance test over every engine.
fn over_every_engine(test: impl Fn(&dyn Engine)) {
    test(&MemoryEngine::new());
    let bare = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    test(&sled_at(bare[0].path()));
    test(&redb_at(bare[1].path()));
    for kind in [Kind::Sled, Kind::Redb] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made");
        let engine = kind.open(&path, 1 << 20, TABLES).unwrap();
        let engine = journaled(engine, &path, TABLES).unwrap();
        test(&*engine);
    }
}

#[test]
fn a_batch_writes_several_tables_in_order() {
    over_every_engine(|engine| {
        write(engine, vec![row("a", b"k", Some(b"1")), row("b", b"k", Some(b"2"))]);
        write(engine, vec![row("a", b"k", None), row("a", b"k", Some(b"3")), row("b", b"k", None)]);

        assert_eq!(engine.get("a", b"k").unwrap().unwrap(), b"3");
        assert_eq!(engine.get("b", b"k").unwrap(), None);
        assert_eq!(engine.get("b", b"other").unwrap(), None);
    });
}

#[test]
fn a_missed_expectation_writes_nothing_and_stops_nothing() {
    over_every_engine(|engine| {
        write(engine, vec![row("a", b"k", Some(b"1"))]);
        for wrong in [row("a", b"k", Some(b"2")), row("a", b"k", None), row("a", b"x", Some(b""))] {
            let writes = vec![row("b", b"k", Some(b"2"))];
            let refused = engine.commit(&Batch { expectations: vec![wrong], writes });

            assert!(matches!(refused, Err(EngineError::Unexpected { table: "a" })));
            assert_eq!(engine.get("b", b"k").unwrap(), None);
        }
        let expectations = vec![row("a", b"k", Some(b"1")), row("b", b"k", None)];
        engine.commit(&Batch { expectations, writes: vec![row("a", b"k", None)] }).unwrap();
        assert_eq!(engine.get("a", b"k").unwrap(), None);
    });
}

#[test]
fn scans_hold_the_lower_end_and_not_the_upper_in_both_directions() {
    over_every_engine(|engine| {
        let five: [&[u8]; 5] = [b"a", b"b", b"bb", b"c", b"\xff\xff"];
        write(engine, five.iter().map(|key| row("a", key, Some(b"v"))).collect());

        assert_eq!(keys(engine, b"b", b"c", 9, Direction::Forward), [&b"b"[..], b"bb"]);
        assert_eq!(keys(engine, b"b", b"c", 9, Direction::Backward), [&b"bb"[..], b"b"]);
        assert_eq!(keys(engine, b"", b"", 2, Direction::Forward), [&b"a"[..], b"b"]);
        assert_eq!(keys(engine, b"", b"", 2, Direction::Backward), [&b"\xff\xff"[..], b"c"]);
        assert!(keys(engine, b"c", b"b", 9, Direction::Forward).is_empty());
        assert!(keys(engine, b"b", b"b", 9, Direction::Backward).is_empty());
        assert!(keys(engine, b"", b"", 0, Direction::Forward).is_empty());
    });
}

#[test]
fn values_of_every_length_come_back_and_can_be_replaced() {
    over_every_engine(|engine| {
        let lengths = [0, 1, 16_384, 16_385, 20 << 10, 200 << 10, 32_768, 5, 200 << 10];
        for (fill, length) in (0_u8..).zip(lengths) {
            let value = vec![fill; length];
            write(engine, vec![row("a", b"k", Some(&value))]);

            assert!(engine.get("a", b"k").unwrap().unwrap() == value, "{length} bytes");
            let page = engine.scan("a", b"", b"", 9, Direction::Backward).unwrap();
            assert!(page == [(b"k".to_vec(), value)], "{length} bytes");
        }
        let expectations = vec![row("a", b"k", Some(&[8; 200 << 10]))];
        engine.commit(&Batch { expectations, writes: vec![row("a", b"k", None)] }).unwrap();
        assert_eq!(engine.get("a", b"k").unwrap(), None);
    });
}

#[test]
fn what_is_stored_is_counted() {
    over_every_engine(|engine| {
        write(engine, vec![row("a", b"k", Some(&[7; 100_000]))]);

        assert!(engine.stats().unwrap().bytes >= 100_000);
    });
}

mod memory {
    use super::*;

    #[test]
    fn a_crash_finds_exactly_the_last_durable_commit() {
        let engine = MemoryEngine::new();
        write(&engine, vec![row("a", b"k", Some(b"1")), row("a", b"gone", Some(b"1"))]);
        engine.fail_next(Fault::SyncFailed);
        let writes =
            vec![row("a", b"k", Some(b"2")), row("a", b"k", Some(b"3")), row("a", b"gone", None)];

        let failed = engine.commit(&Batch { expectations: Vec::new(), writes });
        let after = engine.crash();

        assert!(matches!(failed, Err(EngineError::Io(_))));
        assert_eq!(after.get("a", b"k").unwrap().unwrap(), b"1");
        assert_eq!(after.get("a", b"gone").unwrap().unwrap(), b"1");
        assert_eq!(after.stats().unwrap().bytes, 7);
        assert!(matches!(engine.get("a", b"k"), Err(EngineError::Broken)));
        write(&after, vec![row("a", b"k", None)]);
        assert_eq!((after.syncs(), after.stats().unwrap().bytes), (2, 5));
    }

    #[test]
    fn a_full_disk_applies_nothing_and_breaks_the_engine() {
        let engine = MemoryEngine::new();
        engine.fail_next(Fault::DiskFull);
        let batch = Batch { expectations: Vec::new(), writes: vec![row("a", b"k", Some(b"1"))] };

        let failed = engine.commit(&batch);

        assert!(failed.is_err_and(|error| error.is_disk_full()));
        assert!(matches!(engine.commit(&batch), Err(EngineError::Broken)));
        assert_eq!(engine.crash().get("a", b"k").unwrap(), None);
    }
}

mod sled_on_disk {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn it_comes_back_whole_and_no_value_goes_to_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let engine = sled_at(folder.path());
        for number in 0_u8..40 {
            let value = vec![number; 16_384 * (1 + usize::from(number % 13))];
            write(&engine, vec![row("a", &[number], Some(&value))]);
        }
        drop(engine);

        let engine = sled_at(folder.path());

        for number in 0_u8..40 {
            let value = engine.get("a", &[number]).unwrap().unwrap();
            assert!(value == vec![number; 16_384 * (1 + usize::from(number % 13))]);
        }
        assert!(names(&folder.path().join("blobs")).is_empty());
    }

    #[test]
    fn pieces_of_a_replaced_or_deleted_value_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), 1 << 20, &["a", "_pieces"]).unwrap();
        let pieces = || engine.scan("_pieces", b"", b"", 99, Direction::Forward);

        write(&engine, vec![row("a", b"k", Some(&[1; 100_000]))]);
        let count = |result: Result<Vec<Row>, EngineError>| match result {
            // A piece has no head, so it does not read as a row; that it is there is enough.
            Err(EngineError::NotWhole { .. }) => 1,
            Ok(rows) => rows.len(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(count(pieces()), 1);
        write(&engine, vec![row("a", b"k", Some(b"small"))]);
        assert_eq!(count(pieces()), 0);
        write(&engine, vec![row("a", b"k", Some(&[2; 20_000]))]);
        write(&engine, vec![row("a", b"k", None)]);
        assert_eq!(count(pieces()), 0);
    }

    #[test]
    fn a_leftover_of_a_killed_snapshot_does_not_bar_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let engine = sled_at(folder.path());
        write(&engine, vec![row("a", b"k", Some(b"1"))]);
        drop(engine);
        let leftover = folder.path().join("snap.0000000000000000.generating");
        fs::write(&leftover, b"half of a snapsh").unwrap();

        let engine = sled_at(folder.path());

        assert_eq!(engine.get("a", b"k").unwrap().unwrap(), b"1");
        assert!(!leftover.exists());
    }

    #[test]
    fn a_file_that_is_no_store_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        drop(sled_at(folder.path()));
        for name in names(folder.path()) {
            let path = folder.path().join(&name);
            if path.is_file() && name != "conf" {
                let length = fs::metadata(&path).unwrap().len().min(1 << 20);
                fs::write(&path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
            }
        }
        fs::write(folder.path().join("conf"), b"no configuration").unwrap();

        assert!(SledEngine::open(folder.path(), 1 << 20, TABLES).is_err());
    }

    #[test]
    fn an_unknown_table_is_an_error_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let engine = sled_at(folder.path());

        assert!(matches!(engine.get("c", b"k"), Err(EngineError::NoTable(_))));
        write(&engine, vec![row("a", b"k", Some(b"1"))]);
    }

    #[test]
    fn a_value_read_while_it_is_replaced_is_one_of_the_two() {
        let folder = tempfile::tempdir().unwrap();
        let engine = sled_at(folder.path());
        let value = |fill: u8| vec![fill; 40_000 + usize::from(fill)];
        write(&engine, vec![row("a", b"k", Some(&value(0)))]);

        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                for fill in 1..40 {
                    write(&engine, vec![row("a", b"k", Some(&value(fill)))]);
                }
            });
            while !writing.is_finished() {
                let read = engine.get("a", b"k").unwrap().unwrap();
                assert!(read == value(read[0]));
            }
        });
    }
}

mod redb_on_disk {
    use super::*;
    use std::fs;

    #[test]
    fn it_comes_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let engine = redb_at(folder.path());
        let value = |number: u8| vec![number; 16_384 * (1 + usize::from(number % 13))];
        for number in 0_u8..40 {
            write(&engine, vec![row("a", &[number], Some(&value(number)))]);
        }
        drop(engine);

        let engine = redb_at(folder.path());

        for number in 0_u8..40 {
            assert!(engine.get("a", &[number]).unwrap().unwrap() == value(number));
        }
        assert!(matches!(engine.get("c", b"k"), Err(EngineError::NoTable(_))));
    }

    #[test]
    fn a_file_that_is_no_store_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        drop(redb_at(folder.path()));
        let path = folder.path().join("made/rows.redb");
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        let whole = fs::read(&path).unwrap();
        let again = || RedbEngine::open(path.parent().unwrap(), 1 << 20, TABLES);
        for content in [&[0xa5; 4_096][..], &whole[..length / 3], b"short", b""] {
            fs::write(&path, content).unwrap();
            assert!(again().is_err(), "{} bytes", content.len());
        }
        fs::remove_file(&path).unwrap();
        assert!(again().is_err());
    }
}
