use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::batch::StoredWrite;
use crate::engine::tests::{TABLES, keys, row, write};
use crate::engine::{Fault, MemoryEngine, SledEngine};

type Change = fn(&mut Vec<u8>);
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Larger than a tenth of a half: the journal turns every few commits.
const LONG: usize = 190 << 10;

fn over(inner: &Arc<MemoryEngine>, folder: &TempDir) -> Result<Journaled, EngineError> {
    Journaled::open(Arc::<MemoryEngine>::clone(inner), folder.path(), TABLES)
}

/// What a restart finds after a crash: the engine's last durable commit, and the journal.
fn crashed(inner: &MemoryEngine, folder: &TempDir) -> Journaled {
    over(&Arc::new(inner.crash()), folder).unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join(FILE)
}

fn spoil(folder: &TempDir, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file(folder)).unwrap();
    change(&mut bytes);
    fs::write(file(folder), bytes).unwrap();
}

fn rows(engine: &dyn Engine) -> Model {
    engine.scan("a", b"", b"", 1_000, Direction::Forward).unwrap().into_iter().collect()
}

/// The commit of a step: long values that are replaced and deleted.
fn commit(engine: &dyn Engine, step: u8, model: &mut Model) {
    let (put, gone) = (vec![step % 7], vec![step.wrapping_mul(5) % 7]);
    let value = vec![step; if step.is_multiple_of(2) { LONG } else { usize::from(step) }];
    write(engine, vec![row("a", &gone, None), row("a", &put, Some(&value)), row("b", &put, None)]);
    model.remove(&gone);
    model.insert(put, value);
}

#[test]
fn a_crash_after_any_commit_finds_every_commit() {
    for steps in 0..40 {
        let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
        let (engine, mut model) = (over(&inner, &folder).unwrap(), Model::new());
        (0..steps).for_each(|step| commit(&engine, step, &mut model));
        drop(engine);

        let engine = crashed(&inner, &folder);

        assert_eq!(rows(&engine), model, "{steps} steps");
        (100..110).for_each(|step| commit(&engine, step, &mut model));
        assert_eq!(rows(&engine), model, "{steps} steps and ten after it");
    }
}

#[test]
fn a_crash_while_a_checkpoint_is_written_finds_every_commit() {
    let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let (engine, mut model) = (over(&inner, &folder).unwrap(), Model::new());
    commit(&engine, 0, &mut model);
    let held = inner.hold();
    // Both halves: the first one waits for the disk.
    (1..30).for_each(|step| commit(&engine, step, &mut model));
    assert_eq!(rows(&engine), model);

    let inner_then = Arc::new(inner.crash());
    drop(held);
    drop(engine);

    assert_eq!(rows(&*inner_then), Model::new());
    assert_eq!(rows(&over(&inner_then, &folder).unwrap()), model);
    // Whoever opens it and is killed at once has changed nothing.
    let engine = over(&inner_then, &folder).unwrap();
    (30..60).for_each(|step| commit(&engine, step, &mut model));
    drop(engine);
    assert_eq!(rows(&crashed(&inner_then, &folder)), model);
}

#[test]
fn a_record_that_was_cut_off_is_nothing_and_one_before_it_is_damage() {
    let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let engine = over(&inner, &folder).unwrap();
    write(&engine, vec![row("a", b"first", Some(&[1; 700]))]);
    write(&engine, vec![row("a", b"last", Some(&[2; 700]))]);
    drop(engine);
    let whole = fs::read(file(&folder)).unwrap();
    // The second record begins after two sectors.
    for end in (1_024..2_048).step_by(37) {
        spoil(&folder, |bytes| bytes[end..2_048].fill(0));
        let engine = over(&inner, &folder).unwrap();
        let is_whole = whole[end..2_048].iter().all(|byte| *byte == 0);
        assert_eq!(engine.get("a", b"first").unwrap(), Some(vec![1; 700]));
        assert_eq!(rows(&engine).len(), if is_whole { 2 } else { 1 }, "{end}");
        drop(engine);
        fs::write(file(&folder), &whole).unwrap();
    }
    let faults: [(&str, Change); 3] = [
        ("does not open", |bytes| bytes[300] ^= 1),
        ("does not open", |bytes| bytes[..512].fill(0)),
        ("lost its end", |bytes| bytes.truncate(HALF)),
    ];
    for (said, change) in faults {
        spoil(&folder, change);
        let refused = over(&inner, &folder).err().unwrap();
        assert!(matches!(refused, EngineError::Damaged(_)), "{refused}");
        assert!(refused.to_string().contains(FILE) && refused.to_string().contains(said));
        let left = Journaled::salvage(Arc::<MemoryEngine>::clone(&inner), folder.path(), TABLES);
        assert_eq!(left.get("a", b"last").unwrap(), Some(vec![2; 700]));
        drop(left);
        fs::write(file(&folder), &whole).unwrap();
    }
    let empty = Arc::new(MemoryEngine::new());
    let refused = over(&empty, &folder).err().unwrap();
    assert!(refused.to_string().contains("the engine has lost"), "{refused}");
    let left = Journaled::salvage(empty, folder.path(), TABLES);
    assert_eq!(rows(&left).len(), 2);
    drop(left);
    fs::remove_file(file(&folder)).unwrap();
    let refused = over(&inner, &folder).err().unwrap();
    assert!(refused.to_string().contains("missing"), "{refused}");
}

#[test]
fn what_settled_needs_no_journal_any_more() {
    let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let (engine, mut model) = (over(&inner, &folder).unwrap(), Model::new());
    engine.settle().unwrap();
    assert!(!file(&folder).exists(), "who commits nothing makes nothing");
    for round in 0..3 {
        (0..9).for_each(|step| commit(&engine, step + round, &mut model));
        engine.settle().unwrap();
        assert_eq!(rows(&*inner), model);
    }
    drop(engine);
    // Its records are the engine's: whatever becomes of them is nothing.
    spoil(&folder, |bytes| bytes[40..80].fill(9));
    assert_eq!(rows(&crashed(&inner, &folder)), model);
}

#[test]
fn a_batch_that_is_larger_than_the_journal_comes_behind_everything_before_it() {
    let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let engine = over(&inner, &folder).unwrap();
    write(&engine, Vec::new());
    let large = vec![7; 3 << 20];
    write(&engine, vec![row("a", b"large", Some(&large)), row("a", b"k", Some(b"0"))]);
    write(&engine, vec![row("a", b"k", Some(b"1")), row("a", b"large", Some(b"1"))]);
    write(&engine, vec![row("a", b"large", Some(&large)), row("a", b"k", Some(b"2"))]);
    let both = Model::from([(b"k".to_vec(), b"2".to_vec()), (b"large".to_vec(), large)]);
    assert_eq!(rows(&engine), both);
    drop(engine);
    let engine = crashed(&inner, &folder);
    assert_eq!(rows(&engine), both);
    write(&engine, vec![row("a", b"k", Some(b"3"))]);
    assert_eq!(engine.get("a", b"k").unwrap().unwrap(), b"3");
}

#[test]
fn a_checkpoint_that_fails_stops_the_engine_and_loses_nothing() {
    for fault in [Fault::DiskFull, Fault::SyncFailed] {
        let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
        let (engine, mut model) = (over(&inner, &folder).unwrap(), Model::new());
        commit(&engine, 0, &mut model);
        inner.fail_next(fault);
        let failed = (1..60).find_map(|step| {
            let writes = vec![row("a", &[step], Some(&vec![step; LONG]))];
            let done = engine.commit(&Batch { expectations: Vec::new(), writes });
            if done.is_ok() {
                model.insert(vec![step], vec![step; LONG]);
            }
            done.err()
        });
        let failed = failed.unwrap();
        assert_eq!(failed.is_disk_full(), fault == Fault::DiskFull, "{failed}");
        assert!(matches!(engine.get("a", b"k"), Err(EngineError::Broken)));
        drop(engine);
        assert_eq!(rows(&crashed(&inner, &folder)), model);
    }
}

#[test]
fn reads_are_those_of_one_ordered_map_wherever_a_row_is() {
    let mut seed = 1_u32;
    let mut dice = |sides: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % sides
    };
    let (folder, inner) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let (engine, mut model) = (over(&inner, &folder).unwrap(), Model::new());
    for round in 0..400_u32 {
        let writes = (0..dice(4)).map(|_| {
            let key = vec![b'k', u8::try_from(dice(40)).unwrap()];
            let value = (dice(3) > 0).then(|| round.to_be_bytes().to_vec());
            match &value {
                Some(value) => drop(model.insert(key.clone(), value.clone())),
                None => drop(model.remove(&key)),
            }
            row("a", &key, value.as_deref())
        });
        let writes: Vec<StoredWrite> = writes.collect();
        write(&engine, writes);
        match dice(9) {
            0 => engine.settle().unwrap(),
            1 => engine.freeze(&mut lock(&engine.log)).unwrap(),
            _ => {}
        }
        let mut ends = [vec![b'k', u8::try_from(dice(42)).unwrap()], vec![b'k', 45]];
        ends[1][1] = u8::try_from(dice(45)).unwrap();
        let [from, to] = ends;
        let to = if dice(5) == 0 { Vec::new() } else { to };
        let limit = usize::try_from(dice(12)).unwrap();
        let inside = |key: &&Vec<u8>| **key >= from && (to.is_empty() || **key < to);
        let mut wanted: Vec<Row> =
            model.keys().filter(inside).map(|key| (key.clone(), model[key].clone())).collect();
        let page = |way| engine.scan("a", &from, &to, limit, way).unwrap();
        assert_eq!(page(Direction::Forward), wanted[..limit.min(wanted.len())], "{round}");
        wanted.reverse();
        assert_eq!(page(Direction::Backward), wanted[..limit.min(wanted.len())], "{round}");
    }
}

#[test]
fn a_row_that_does_not_open_is_passed_where_another_is_written_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let inner =
        Arc::new(SledEngine::open(folder.path(), 1 << 20, &["a", "_pieces", TABLE]).unwrap());
    write(&*inner, (0..9).map(|key| row("a", &[key], Some(&vec![key; 40_000]))).collect());
    // Heads without pieces.
    for key in [3, 6] {
        let piece = [&b"a\0"[..], &[key], &0_u32.to_be_bytes()].concat();
        write(&*inner, vec![row("_pieces", &piece, None)]);
    }
    let engine = Journaled::open(inner, folder.path(), &["a"]).unwrap();
    write(&engine, vec![row("a", &[3], Some(b"new")), row("a", &[1], None)]);
    for way in [Direction::Forward, Direction::Backward] {
        let (from, to) = if way == Direction::Forward { (0, 6) } else { (7, 9) };
        let stopped = engine.scan("a", b"", b"", 9, way);
        assert!(matches!(stopped, Err(EngineError::NotWhole { key, .. }) if key == [6]));
        let whole = keys(&engine, &[from], &[to], 9, way);
        assert_eq!(whole.len(), if way == Direction::Forward { 5 } else { 2 }, "{whole:?}");
        let few = if way == Direction::Forward { 5 } else { 2 };
        assert_eq!(keys(&engine, b"", b"", few, way), whole, "what comes before it is a page");
    }
    write(&engine, vec![row("a", &[6], None)]);
    assert_eq!(keys(&engine, b"", b"", 9, Direction::Forward).len(), 7);
}
