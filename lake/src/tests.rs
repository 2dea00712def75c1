//! Tables as a whole, on a local folder: against a model, stopped at every step, and with other writers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Map, Value, json};

use crate::answer::Fail;
use crate::fault;
use crate::lake::Lake;
use crate::table::Table;

type Model = BTreeMap<(Option<i64>, Option<String>), Option<i32>>;
pub type Op = (u8, Option<i64>, Option<&'static str>, Option<i32>);

pub struct Folder(pub PathBuf, &'static str);

impl Folder {
    pub fn new() -> Folder {
        Folder::of("delta")
    }

    pub fn of(format: &'static str) -> Folder {
        let path = std::env::temp_dir().join(format!("ods-lake-{}", uuid::Uuid::new_v4()));
        Folder(path, format)
    }

    /// "iceberg 3" is version 3 of that format.
    pub fn lake(&self) -> Lake {
        let format = self.1.split(' ').next();
        Lake::open(&json!({"location": self.0.to_str().unwrap(), "format": format}).to_string()).unwrap()
    }

    pub fn table(&self, more: Value) -> Table {
        let mut set = json!({"namespace": ["n"], "name": "t", "key": ["a", "b"], "target_file_bytes": 4000,
            "small_file_bytes": 1_000_000});
        if self.1.ends_with('3') {
            set["format_version"] = json!(3);
        }
        set.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.lake().table(&set.to_string(), &schema()).unwrap().unwrap()
    }

    pub fn entry(&self, version: i64) -> PathBuf {
        self.0.join("n/t").join(crate::log::entry_name(version))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// xorshift: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

pub fn schema() -> Schema {
    let f = |n: &str, t| Field::new(n, t, true);
    Schema::new(vec![f("a", DataType::Int64), f("b", DataType::Utf8), f("v", DataType::Int32)])
}

pub fn batch(ops: &[Op]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("_ods_op", Arc::new(UInt8Array::from_iter_values(ops.iter().map(|o| o.0)))),
        ("a", Arc::new(ops.iter().map(|o| o.1).collect::<Int64Array>())),
        ("b", Arc::new(ops.iter().map(|o| o.2).collect::<StringArray>())),
        ("v", Arc::new(ops.iter().map(|o| o.3).collect::<Int32Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, n != "_ods_op"))).unwrap()
}

pub fn rows(t: &mut Table, how: Value) -> Vec<(Option<i64>, Option<String>, Option<i32>)> {
    let mut out = vec![];
    for b in t.scan(&how.to_string()).unwrap() {
        let b = b.unwrap();
        let (a, s) = (b.column(0).as_primitive::<Int64Type>().clone(), b.column(1).as_string::<i32>().clone());
        let v = b.column(2).as_primitive::<Int32Type>().clone();
        out.extend((a.iter().zip(s.iter()).zip(v.iter())).map(|((a, s), v)| (a, s.map(str::to_string), v)));
    }
    out.sort();
    out
}

fn model_rows(m: &Model) -> Vec<(Option<i64>, Option<String>, Option<i32>)> {
    m.iter().map(|((a, b), v)| (*a, b.clone(), *v)).collect()
}

pub fn offsets(n: Option<i64>) -> Map<String, Value> {
    Map::from_iter([("p".to_string(), json!(n))])
}

fn stored(t: &mut Table) -> Option<i64> {
    t.refresh().unwrap();
    t.state.txns.get("p").map(|(v, _)| *v)
}

/// Some operations, and the model after them.
fn load(r: &mut Random, m: &Model) -> (Vec<Op>, Model) {
    const TEXTS: [Option<&str>; 4] = [None, Some(""), Some("x"), Some("xy")];
    let mut after = m.clone();
    let mut ops = vec![];
    for _ in 0..1 + r.below(60) {
        let a = [None, Some(0), Some(1), Some(-1), Some(r.below(40) as i64)][r.below(5) as usize];
        let op = (r.below(3) as u8, a, TEXTS[r.below(4) as usize], Some(r.below(1000) as i32));
        let key = (op.1, op.2.map(str::to_string));
        match op.0 {
            1 => drop(after.remove(&key)),
            2 if !after.contains_key(&key) => {}
            _ => drop(after.insert(key, op.3)),
        }
        ops.push(op);
    }
    (ops, after)
}

#[test]
fn a_table_is_its_model_whatever_stops_it() {
    is_its_model("delta");
    is_its_model("iceberg");
    is_its_model("iceberg 3");
}

fn is_its_model(format: &'static str) {
    const STOPS: [&str; 10] = [
        "stop:data:1",
        "stop:deletes:1",
        "stop:changes:1",
        "stop:commit:1",
        "stop:committed:1",
        "lost:commit:1",
        "retry:data:1",
        "retry:commit:1",
        "stop:compact:1",
        "",
    ];
    for seed in 1..=3u64 {
        let folder = Folder::of(format);
        let mut r = Random(seed * 0x9E37_79B9);
        let more = if seed == 3 { json!({"partition": ["a"], "sort": ["v"]}) } else { json!({}) };
        let (mut m, mut at, mut n) = (Model::new(), None, 0i64);
        let mut t = folder.table(more.clone());
        while n < 25 {
            let (ops, after) = load(&mut r, &m);
            let cut = r.below(ops.len() as u64) as usize;
            let id = format!("batch {n}");
            t.upsert(&batch(&ops[..cut])).unwrap();
            t.upsert(&batch(&ops[cut..])).unwrap();
            fault::set(STOPS[r.below(10) as usize]);
            let next = offsets(Some(n + 1));
            match t.commit(&offsets(at), &next, &id) {
                Ok(_) => {}
                // A kill: the process is gone, and the next one reads what is stored.
                Err(Fail::Fatal(_)) => {
                    t = folder.table(more.clone());
                    assert_eq!(stored(&mut t), at);
                    continue;
                }
                Err(Fail::Retry(_)) => drop(t.commit(&offsets(at), &next, &id).unwrap()),
                Err(Fail::Unknown(_)) if r.below(2) == 0 => drop(t.resolve(&id, None).unwrap().unwrap()),
                Err(Fail::Unknown(_)) => {
                    t = folder.table(more.clone());
                    assert_eq!(stored(&mut t), Some(n + 1), "the entry was put, so it is a commit");
                }
                Err(e) => panic!("{e}"),
            }
            (m, at) = (after, Some(n + 1));
            n += 1;
            if r.below(4) == 0 {
                let how = json!({"compact": {"deleted_ratio": 0.01}, "checkpoint": {"every": 3},
                    "vacuum": {"retention_ms": 0}, "expire": {"retention_ms": 0}});
                if t.maintain(&how.to_string()).is_err() {
                    t = folder.table(more.clone());
                }
            }
            fault::set("");
            assert_eq!(rows(&mut t, json!({})), model_rows(&m), "{format}, seed {seed}, step {n}");
            assert_eq!(t.index.len(), m.len());
            if format == "iceberg 3" {
                crate::iceberg::tests::is_version_3(&t);
            }
        }
        let mut fresh = folder.table(more);
        assert_eq!(rows(&mut fresh, json!({})), model_rows(&m));
        assert_eq!((fresh.index.len(), stored(&mut fresh)), (m.len(), Some(25)));
    }
}

#[test]
fn a_zombie_writes_nothing_and_a_batch_is_committed_once() {
    ["delta", "iceberg", "iceberg 3"].into_iter().for_each(fences_zombies);
}

fn fences_zombies(format: &'static str) {
    let folder = Folder::of(format);
    let (mut owner, mut zombie) = (folder.table(json!({})), folder.table(json!({})));
    zombie.upsert(&batch(&[(0, Some(1), None, Some(666))])).unwrap();
    owner.upsert(&batch(&[(0, Some(1), None, Some(1))])).unwrap();
    let v = owner.commit(&offsets(None), &offsets(Some(5)), "one").unwrap();
    assert!(matches!(zombie.commit(&offsets(None), &offsets(Some(9)), "two"), Err(Fail::Fenced(_))));
    assert!(zombie.overlay.is_empty());
    assert_eq!(owner.commit(&offsets(None), &offsets(Some(5)), "one").unwrap(), v);
    assert_eq!(rows(&mut zombie, json!({})), [(Some(1), None, Some(1))]);
    // Who has another partition is not fenced; its positions are found anew.
    zombie.upsert(&batch(&[(0, Some(1), None, Some(2)), (0, Some(2), None, Some(2))])).unwrap();
    let other = Map::from_iter([("q".to_string(), json!(3))]);
    owner.upsert(&batch(&[(1, Some(1), None, None)])).unwrap();
    owner.commit(&offsets(Some(5)), &offsets(Some(6)), "three").unwrap();
    zombie.commit(&Map::new(), &other, "four").unwrap();
    assert_eq!(rows(&mut owner, json!({})), [(Some(1), None, Some(2)), (Some(2), None, Some(2))]);
}

#[test]
fn an_entry_that_appears_under_a_commit_is_not_overwritten() {
    let folder = Folder::new();
    let mut t = folder.table(json!({}));
    t.upsert(&batch(&[(0, Some(1), None, Some(1))])).unwrap();
    let plan = json!({"commitInfo": {"timestamp": 1}}).to_string();
    // Between the reading of the log and the put: the put must see it.
    assert_eq!(
        t.store.put_new("_delta_log/00000000000000000001.json", plan.clone().into()).unwrap(),
        crate::store::Put::Done
    );
    assert_eq!(t.store.put_new("_delta_log/00000000000000000001.json", "x".into()).unwrap(), crate::store::Put::Exists);
    assert_eq!(std::fs::read_to_string(folder.entry(1)).unwrap(), plan);
    assert_eq!(t.commit(&offsets(None), &offsets(Some(1)), "one").unwrap(), 2);
}

#[test]
fn changes_pair_what_was_with_what_is() {
    let folder = Folder::new();
    for change_data in [true, false] {
        let mut t = folder.table(json!({"name": format!("c{change_data}"), "change_data": change_data}));
        t.upsert(&batch(&[(0, Some(1), None, Some(1)), (0, Some(2), None, Some(2)), (0, Some(3), None, Some(3))]))
            .unwrap();
        t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
        t.upsert(&batch(&[(0, Some(1), None, Some(9)), (1, Some(2), None, None), (0, Some(4), None, Some(4))]))
            .unwrap();
        let v = t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
        let mut seen = vec![];
        for b in t.scan(&json!({"columns": ["a", "v"], "changes": {"from": v}}).to_string()).unwrap() {
            let b = b.unwrap();
            let kinds = b.column_by_name("_change_type").unwrap().as_string::<i32>().clone();
            let (a, v) =
                (b.column(0).as_primitive::<Int64Type>().clone(), b.column(1).as_primitive::<Int32Type>().clone());
            seen.extend((0..b.num_rows()).map(|i| (kinds.value(i).to_string(), a.value(i), v.value(i))));
        }
        seen.sort();
        let text = |k: &str, a, v| (k.to_string(), a, v);
        if change_data {
            let want = [
                text("delete", 2, 2),
                text("insert", 4, 4),
                text("update_postimage", 1, 9),
                text("update_preimage", 1, 1),
            ];
            assert_eq!(seen, want);
        } else {
            assert_eq!(seen, [text("delete", 1, 1), text("delete", 2, 2), text("insert", 1, 9), text("insert", 4, 4)]);
        }
    }
}

/// Several files are read at once; nothing of the others' is committed, and nobody waits for the one that is gone.
#[test]
fn a_row_as_it_was_that_cannot_be_read_is_told() {
    let folder = Folder::new();
    let mut t = folder.table(json!({"change_data": true}));
    for n in 0..8 {
        t.upsert(&batch(&[(0, Some(n), None, Some(n as i32))])).unwrap();
        t.commit(&offsets((n > 0).then_some(n)), &offsets(Some(n + 1)), &n.to_string()).unwrap();
    }
    let all: Vec<Op> = (0..8).map(|n| (0, Some(n), None, Some(100))).collect();
    let (name, version) = (t.state.live().next().unwrap().1.add.file().unwrap(), t.state.version);
    let (here, away) = (folder.0.join("n/t").join(&name), folder.0.join("away"));
    std::fs::rename(&here, &away).unwrap();
    t.upsert(&batch(&all)).unwrap();
    let said = t.commit(&offsets(Some(8)), &offsets(Some(9)), "x").unwrap_err();
    assert!(said.text().contains(&name), "{said}");
    assert_eq!(t.state.version, version);
    std::fs::rename(&away, &here).unwrap();
    let version = t.commit(&offsets(Some(8)), &offsets(Some(9)), "x").unwrap();
    let changes = t.scan(&json!({"changes": {"from": version}}).to_string()).unwrap();
    let kinds: Vec<String> = changes
        .flat_map(|b| {
            let b = b.unwrap();
            let kinds = b.column_by_name("_change_type").unwrap().as_string::<i32>().clone();
            kinds.iter().map(|k| k.unwrap().to_string()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(kinds, [vec!["update_preimage"; 8], vec!["update_postimage"; 8]].concat());
}

#[test]
fn a_checkpoint_is_the_whole_state() {
    let folder = Folder::new();
    let mut t = folder.table(json!({"comment": "why"}));
    let mut m = Model::new();
    for n in 0..12 {
        let (ops, after) = load(&mut Random(n as u64 + 7), &m);
        t.upsert(&batch(&ops)).unwrap();
        t.commit(&offsets((n > 0).then_some(n)), &offsets(Some(n + 1)), &n.to_string()).unwrap();
        m = after;
    }
    t.maintain(&json!({"checkpoint": {"every": 1}}).to_string()).unwrap();
    let old = t.state.metadata.clone();
    for v in 0..=t.state.version {
        std::fs::remove_file(folder.entry(v)).unwrap();
    }
    let mut t = folder.table(json!({}));
    assert_eq!(rows(&mut t, json!({})), model_rows(&m));
    assert_eq!((stored(&mut t), &t.state.metadata), (Some(12), &old));
    t.upsert(&batch(&[(0, Some(500), None, None)])).unwrap();
    t.commit(&offsets(Some(12)), &offsets(Some(13)), "x").unwrap();
}

#[test]
fn columns_are_added_and_widened() {
    let folder = Folder::new();
    let mut t = folder.table(json!({}));
    t.upsert(&batch(&[(0, Some(1), Some("x"), Some(7))])).unwrap();
    let wide = |t| Schema::new(vec![Field::new("v", t, true), Field::new("n", DataType::Date32, true)]);
    assert!(matches!(t.evolve(&wide(DataType::Int64)), Err(Fail::Fatal(_))), "rows are staged");
    t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
    t.evolve(&wide(DataType::Int64)).unwrap();
    t.evolve(&wide(DataType::Int64)).unwrap();
    t.evolve(&wide(DataType::Int32)).unwrap();
    assert!(t.evolve(&wide(DataType::Utf8)).unwrap_err().text().contains("column v"));
    t.upsert(&batch(&[(0, Some(1), Some("x"), Some(8)), (0, Some(2), None, Some(9))])).unwrap();
    t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
    let b = t.scan("{\"columns\": [\"a\", \"v\", \"n\"]}").unwrap().map(|b| b.unwrap()).collect::<Vec<_>>();
    let values: Vec<i64> = b.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(values, [8, 9]);
    assert!(b.iter().all(|b| b.column(2).null_count() == b.num_rows()));
    // An older version is as it was.
    assert_eq!(rows(&mut t, json!({"version": 1})), [(Some(1), Some("x".into()), Some(7))]);
}

#[test]
fn a_file_outside_of_the_table_is_not_read() {
    for name in ["../kept.parquet", "x/../../kept.parquet", "..%2Fkept.parquet", "%2Fetc%2Fpasswd"] {
        let folder = Folder::new();
        let mut t = folder.table(json!({}));
        t.upsert(&batch(&[(0, Some(1), None, Some(1))])).unwrap();
        t.commit(&offsets(None), &offsets(Some(1)), "b1").unwrap();
        drop(t);
        std::fs::write(folder.0.join("n/kept.parquet"), "somebody's").unwrap();
        let add = json!({"add": {"path": name, "partitionValues": {}, "size": 10, "modificationTime": 0,
            "dataChange": true}});
        std::fs::write(folder.entry(2), format!("{add}\n")).unwrap();
        let set = json!({"namespace": ["n"], "name": "t", "key": ["a", "b"]});
        let said = match folder.lake().table(&set.to_string(), &schema()) {
            Err(e) => e.text().to_string(),
            Ok(_) => panic!("{name} was taken"),
        };
        assert!(said.contains("outside of it"), "{name}: {said}");
    }
}

#[test]
fn what_is_staged_follows_a_table_that_others_change() {
    ["delta", "iceberg", "iceberg 3"].into_iter().for_each(follows_others);
}

fn follows_others(format: &'static str) {
    let folder = Folder::of(format);
    let (mut t, mut other) = (folder.table(json!({})), folder.table(json!({})));
    t.upsert(&batch(&[(0, Some(1), None, Some(1)), (0, Some(2), None, Some(2))])).unwrap();
    t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
    t.upsert(&batch(&[(0, Some(1), None, Some(10)), (1, Some(2), None, None)])).unwrap();
    other.evolve(&Schema::new(vec![Field::new("n", DataType::Date32, true)])).unwrap();
    t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
    assert_eq!(rows(&mut t, json!({})), [(Some(1), None, Some(10))]);
    // The index knows the row by the same hash as the rows that come.
    t.upsert(&batch(&[(0, Some(1), None, Some(11))])).unwrap();
    t.commit(&offsets(Some(2)), &offsets(Some(3)), "3").unwrap();
    assert_eq!(rows(&mut t, json!({})), [(Some(1), None, Some(11))]);
}

#[test]
fn a_truncate_may_be_the_first_that_is_known_of_a_table() {
    ["delta", "iceberg", "iceberg 3"].into_iter().for_each(truncates_at_once);
}

fn truncates_at_once(format: &'static str) {
    let folder = Folder::of(format);
    let mut t = folder.table(json!({}));
    t.upsert(&batch(&[(0, Some(1), None, Some(1))])).unwrap();
    t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
    let mut keyless = folder.table(json!({"mode": "history", "key": []}));
    keyless.truncate().unwrap();
    keyless.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
    assert_eq!(rows(&mut t, json!({})), []);
}

#[test]
fn values_are_kept_from_the_row_before() {
    ["delta", "iceberg", "iceberg 3"].into_iter().for_each(keeps_values);
}

fn keeps_values(format: &'static str) {
    let folder = Folder::of(format);
    let mut t = folder.table(json!({}));
    let keep = |ops: &[Op], bits: &[Option<&[u8]>]| {
        let b = batch(ops);
        let mut fields: Vec<_> = b.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("_ods_keep", DataType::Binary, true)));
        let mut columns = b.columns().to_vec();
        columns.push(Arc::new(BinaryArray::from_opt_vec(bits.to_vec())));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    t.upsert(&batch(&[(0, Some(1), None, Some(1))])).unwrap();
    t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
    let v: Option<&[u8]> = Some(&[0b1000]);
    let ops = [
        (0, Some(1), None, None),
        (0, Some(2), None, Some(5)),
        (0, Some(2), None, None),
        (0, Some(3), None, Some(1)),
        (2, Some(4), None, None),
    ];
    t.upsert(&keep(&ops, &[v, None, v, v, v])).unwrap();
    t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
    assert_eq!(rows(&mut t, json!({})), [(Some(1), None, Some(1)), (Some(2), None, Some(5)), (Some(3), None, None)]);
    assert_eq!((t.lost, t.missing), (1, 1));
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let folder = Folder::new();
    let open = |set: Value, s: &Schema| match folder.lake().table(&set.to_string(), s) {
        Err(e) => e.text().to_string(),
        Ok(_) => panic!("{set} was taken"),
    };
    let one = |t| Schema::new(vec![Field::new("id", t, true), Field::new("o", DataType::Int8, true)]);
    assert!(open(json!({"name": "a/b", "key": ["id"]}), &one(DataType::Int64)).contains("a/b"));
    assert!(open(json!({"name": "t", "key": ["id"]}), &one(DataType::UInt64)).contains("id"));
    assert!(open(json!({"name": "t", "key": ["id"]}), &one(DataType::Float64)).contains("key"));
    assert!(open(json!({"name": "t", "key": ["id"], "colour": 1}), &one(DataType::Int64)).contains("colour"));
    assert!(
        open(json!({"name": "t", "key": ["id"], "partition": ["id", "o"]}), &one(DataType::Int64)).contains("parts")
    );
    assert!(!folder.0.exists(), "nothing was made");
    let mut t = folder.table(json!({}));
    let b = batch(&[(3, Some(1), None, None)]);
    assert!(t.upsert(&b).unwrap_err().text().contains("operation"));
    assert!(t.append(&b).unwrap_err().text().contains("history"));
    let mut t = folder.table(json!({"name": "p", "partition": ["b"]}));
    let e = t.upsert(&batch(&[(0, Some(1), Some("x"), None), (0, Some(1), Some(""), None)])).unwrap_err();
    assert!(matches!(e, Fail::Row(1, _)) && e.text().contains("column b"));
}
