//! Tables of Iceberg, beside what `crate::tests` says of both formats.

use std::collections::{BTreeMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use roaring::RoaringTreemap;
use serde_json::{Map, json};

use crate::answer::Fail;
use crate::compare::Compare;
use crate::data::{self, Rows};
use crate::iceberg::lineage::{self, Origin};
use crate::iceberg::manifest::{DATA, POSITIONS};
use crate::iceberg::state::{Entries, read_snapshot};
use crate::iceberg::{metadata, positions, puffin};
use crate::table::Table;
use crate::tests::{Folder, batch, offsets, rows};

const VERSIONS: [&str; 2] = ["iceberg", "iceberg 3"];

/// What version 3 of the format asks of a table that is written by this engine alone.
pub fn is_version_3(t: &Table) {
    let ice = t.ice().unwrap();
    let v = &ice.loaded.metadata;
    assert_eq!(v["format-version"], 3);
    // Ids are given once, and no two rows of two files have one.
    let mut next = 0;
    for s in metadata::snapshots(v) {
        // One from before it was raised to this version has none.
        let Some(first) = s["first-row-id"].as_i64() else { continue };
        let added = s["added-rows"].as_i64().unwrap();
        assert!(first >= next && added >= 0, "{s}");
        next = first + added;
    }
    assert_eq!(metadata::next_row(v), Some(next));
    let mut ranges: Vec<(i64, i64)> = ice.all(DATA).map(|e| (e.first_row.unwrap(), e.file.rows)).collect();
    ranges.push((next, 0));
    ranges.sort();
    ranges.windows(2).for_each(|w| assert!(w[0].0 + w[0].1 <= w[1].0, "{ranges:?}"));
    // What is in memory is what others read.
    let (_, read) = read_snapshot(&*t.store, &ice.root, metadata::current(v).unwrap(), &Entries::new()).unwrap();
    let ids = |of: &Entries| -> BTreeMap<String, Option<i64>> {
        of.values().flat_map(|l| l.iter()).map(|e| (e.file.id(), e.first_row)).collect()
    };
    assert_eq!(ids(&read), ids(&ice.entries));
    // Each data file with rows that are gone has one vector, which has just these.
    let mut seen = HashSet::new();
    for e in ice.all(POSITIONS) {
        let name = ice.vector_of(e).expect("a vector");
        assert!(seen.insert(name.clone()), "two vectors of {name}");
        let found = positions::read(&*t.store, &ice.root, e).unwrap().remove(&name).unwrap();
        let n = t.state.by_path[&name] as usize;
        assert_eq!(Some(&found), t.state.files[n].as_ref().unwrap().gone.as_deref());
        let raw = t.store.get(e.file.path.strip_prefix(&format!("{}/", ice.root)).unwrap()).unwrap().unwrap();
        let blob = &puffin::footer(&raw)["blobs"][0];
        assert_eq!(blob["properties"]["cardinality"], found.len().to_string());
        let (at, size) = e.file.place().unwrap();
        assert_eq!((&blob["offset"], &blob["length"], e.file.bytes), (&json!(at), &json!(size), raw.len() as i64));
    }
    let gone = |(_, f): (u32, &crate::log::DataFile)| f.gone.as_ref().is_some_and(|g| !g.is_empty());
    assert_eq!(t.state.live().filter(|f| gone(*f)).count(), seen.len());
}

/// Each row's id and the number of the snapshot that wrote it, by its key.
fn ids(t: &Table) -> BTreeMap<i64, (i64, i64)> {
    let columns = lineage::with_lineage(t.state.schema().unwrap());
    let by_name = t.ice().unwrap().by_name().unwrap();
    let mut out = BTreeMap::new();
    for (_, f) in t.state.live() {
        let (name, mut first) = (f.add.file().unwrap(), 0);
        let origin = Origin::of(&by_name[&name]);
        for b in Rows::open(&*t.store, &name, &Map::new(), &t.wanted(columns.clone()), None).unwrap() {
            let b = origin.fill(b.unwrap(), first).unwrap();
            let n = b.num_rows() as u64;
            let b = data::without(b, first, f.gone.as_deref()).unwrap();
            first += n;
            let of = |i: usize| b.column(i).as_primitive::<Int64Type>();
            for i in 0..b.num_rows() {
                assert!(out.insert(of(0).value(i), (of(3).value(i), of(4).value(i))).is_none());
            }
        }
    }
    let distinct: HashSet<i64> = out.values().map(|(id, _)| *id).collect();
    assert_eq!(distinct.len(), out.len());
    out
}

/// Rows of the keys from … to, as one commit.
fn put(t: &mut Table, n: i64, keys: std::ops::Range<i64>) {
    let rows: Vec<_> = keys.map(|a| (0, Some(a), Some("x"), Some(n as i32))).collect();
    t.upsert(&batch(&rows)).unwrap();
    t.commit(&offsets((n > 1).then_some(n - 1)), &offsets(Some(n)), &n.to_string()).unwrap();
}

#[test]
fn rows_keep_their_ids_when_they_move() {
    for more in [json!({}), json!({"partition": ["bucket(3, a)"], "sort": ["v", "a"]})] {
        let folder = Folder::of("iceberg 3");
        let mut t = folder.table(more.clone());
        put(&mut t, 1, 0..40);
        put(&mut t, 2, 10..20);
        put(&mut t, 3, 15..25);
        let before = ids(&t);
        assert_eq!((before[&5].1, before[&12].1, before[&16].1), (1, 2, 3));
        let how = json!({"compact": {}}).to_string();
        t.maintain(&how).unwrap();
        is_version_3(&t);
        assert_eq!(ids(&t), before);
        // Also those that are in a file by now that says it.
        put(&mut t, 4, 0..3);
        t.maintain(&how).unwrap();
        let (after, fresh) = (ids(&t), ids(&folder.table(more)));
        assert_eq!(after, fresh);
        assert!(before.iter().all(|(a, id)| (*a < 3) != (after[a] == *id)), "{before:?} {after:?}");
        is_version_3(&t);
    }
}

#[test]
fn a_vector_is_followed_and_replaced() {
    let folder = Folder::of("iceberg 3");
    let mut t = folder.table(json!({"target_file_bytes": 1_000_000}));
    put(&mut t, 1, 0..10);
    let mut other = folder.table(json!({}));
    for n in 2..6 {
        put(&mut t, n, n..n + 2);
        is_version_3(&t);
        other.refresh().unwrap();
        is_version_3(&other);
        assert_eq!(rows(&mut other, json!({})), rows(&mut t, json!({})));
    }
    let first: RoaringTreemap = (2..7).collect();
    assert_eq!(t.state.files[0].as_ref().unwrap().gone.as_deref(), Some(&first));
    // One manifest of deletes: what stays of another that a vector leaves comes along.
    let ice = t.ice().unwrap();
    assert_eq!(ice.manifests.iter().filter(|m| m.content != DATA).count(), 1);
    let summary = &metadata::current(&ice.loaded.metadata).unwrap()["summary"];
    assert_eq!((&summary["added-dvs"], &summary["removed-dvs"]), (&json!("2"), &json!("1")));
    assert_eq!(summary["total-position-deletes"], "8");
    // A snapshot before it comes back: so do rows.
    let v = &ice.loaded.metadata;
    let third = metadata::snapshots(v)[2]["snapshot-id"].clone();
    let back = json!({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": third});
    assert!(t.publish_only(vec![back]).unwrap());
    other.refresh().unwrap();
    assert_eq!(rows(&mut other, json!({})), rows(&mut folder.table(json!({})), json!({})));
    assert_eq!(other.state.files.iter().flatten().filter(|f| f.add.rows() == Some(10)).count(), 1);
    assert_eq!(rows(&mut other, json!({})).iter().filter(|r| r.2 == Some(1)).count(), 7);
}

#[test]
fn a_vector_that_is_damaged_is_told() {
    let folder = Folder::of("iceberg 3");
    let mut t = folder.table(json!({}));
    put(&mut t, 1, 0..10);
    put(&mut t, 2, 3..4);
    let file = t.ice().unwrap().all(POSITIONS).next().unwrap().file.clone();
    let path = std::path::PathBuf::from(file.path.strip_prefix("file://").unwrap());
    let mut raw = std::fs::read(&path).unwrap();
    raw[file.place().unwrap().0 + 10] ^= 1;
    std::fs::write(&path, raw).unwrap();
    let set = json!({"namespace": ["n"], "name": "t", "key": ["a", "b"]});
    let Err(e) = folder.lake().table(&set.to_string(), &crate::tests::schema()) else { panic!("it was read") };
    assert!(e.text().contains("puffin") && e.text().contains("checksum"), "{}", e.text());
}

#[test]
fn a_table_stays_of_its_version_until_it_is_raised() {
    let folder = Folder::of("iceberg");
    let mut t = folder.table(json!({}));
    put(&mut t, 1, 0..20);
    put(&mut t, 2, 5..10);
    put(&mut t, 3, 100..101);
    let raised = json!({"format_version": 3});
    let t = folder.table(raised.clone());
    let loaded = &t.ice().unwrap().loaded;
    assert_eq!(metadata::version(&loaded.metadata), 2);
    let path = loaded.location.strip_prefix("file://").unwrap();
    std::fs::write(path, metadata::raise(loaded.metadata.clone()).to_string()).unwrap();

    let mut t = folder.table(json!({}));
    let before = rows(&mut t, json!({}));
    assert_eq!((before.len(), t.index.len()), (21, 21));
    put(&mut t, 4, 8..12);
    // The vector has what the file of positions says too; every row has an id by now.
    let vectors: Vec<_> = t.ice().unwrap().all(POSITIONS).filter(|e| e.file.is_vector()).cloned().collect();
    assert_eq!(vectors.iter().map(|e| e.file.rows).collect::<Vec<_>>(), [7, 2]);
    let given = ids(&t);
    let mut fresh = folder.table(json!({}));
    assert_eq!((given.len(), &ids(&fresh)), (21, &given));
    assert_eq!(rows(&mut fresh, json!({})), rows(&mut t, json!({})));
    assert_eq!(rows(&mut fresh, json!({"version": 3})), before);
    let mut reader = folder.table(json!({"mode": "read"}));
    let mut told: Vec<(String, i64)> = changes(&mut reader, 4).into_iter().map(|(kind, a, _)| (kind, a)).collect();
    told.sort();
    let both = |kind: &'static str| (8..12).map(move |a| (kind.to_string(), a));
    assert_eq!(told, both("update_postimage").chain(both("update_preimage")).collect::<Vec<_>>());
    fresh.maintain(&json!({"compact": {}}).to_string()).unwrap();
    is_version_3(&fresh);
    assert_eq!(ids(&fresh), given);
}

#[test]
fn names_that_version_3_keeps_for_itself() {
    let folder = Folder::of("iceberg 3");
    let mut t = folder.table(json!({}));
    let own = Schema::new(vec![Field::new("_Row_ID", DataType::Int64, true)]);
    assert!(t.evolve(&own).unwrap_err().text().contains("_Row_ID"));
    Folder::of("iceberg").table(json!({})).evolve(&own).unwrap();
}

#[test]
fn columns_are_added_and_promoted_without_writing_files_again() {
    let folder = Folder::of("iceberg");
    let mut t = folder.table(json!({}));
    t.upsert(&batch(&[(0, Some(1), Some("x"), Some(7))])).unwrap();
    let wide = |t| Schema::new(vec![Field::new("v", t, true), Field::new("n", DataType::Date32, true)]);
    assert!(matches!(t.evolve(&wide(DataType::Int64)), Err(Fail::Fatal(_))), "rows are staged");
    t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
    let files = t.state.by_path.clone();
    t.evolve(&wide(DataType::Int64)).unwrap();
    t.evolve(&wide(DataType::Int32)).unwrap();
    assert_eq!(t.state.by_path, files);
    assert!(t.evolve(&wide(DataType::Utf8)).unwrap_err().text().contains("column v"));
    assert!(t.evolve(&wide(DataType::Decimal128(20, 0))).is_err(), "no promotion of the format");
    t.upsert(&batch(&[(0, Some(1), Some("x"), Some(8)), (0, Some(2), None, Some(9))])).unwrap();
    t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
    let b = t.scan("{\"columns\": [\"a\", \"v\", \"n\"]}").unwrap().map(|b| b.unwrap()).collect::<Vec<_>>();
    let values: Vec<i64> = b.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(values, [8, 9]);
    assert_eq!(rows(&mut t, json!({"version": 1})), [(Some(1), Some("x".into()), Some(7))]);
}

#[test]
fn compaction_folds_deletes_and_manifests_into_one() {
    let parts = [json!([]), json!(["bucket(2, a)"]), json!(["b", "truncate(2, a)"])];
    for (partition, format) in parts.iter().flat_map(|p| VERSIONS.map(|v| (p, v))) {
        let folder = Folder::of(format);
        let mut t = folder.table(json!({"partition": partition, "target_file_bytes": 1_000_000}));
        for n in 0..12i64 {
            let at = (n > 0).then_some(n);
            let b = [
                (0, Some(n), Some("x"), Some(0)),
                (0, Some(0), Some("x"), Some(n as i32)),
                (1, Some(n / 2 + 20), None, None),
            ];
            t.upsert(&batch(&b)).unwrap();
            t.commit(&offsets(at), &offsets(Some(n + 1)), &n.to_string()).unwrap();
        }
        let before = rows(&mut t, json!({}));
        let how = json!({"compact": {}, "expire": {"retention_ms": 86_400_000, "snapshots": 2},
            "vacuum": {"retention_ms": 0}});
        let report = t.maintain(&how.to_string()).unwrap();
        assert!(report.contains("\"expired\":"), "{report}");
        assert_eq!(rows(&mut t, json!({})), before);
        assert_eq!(rows(&mut folder.table(json!({})), json!({})), before);
        let ice = t.ice().unwrap();
        assert_eq!(metadata::snapshots(&ice.loaded.metadata).len(), 2);
        assert_eq!(ice.all(POSITIONS).count(), 0);
        assert!(ice.all(DATA).count() <= 6);
        let left = t.store.list("metadata").unwrap().len();
        assert!(left < 12 * 4, "{left} files of metadata are left");
        let key = t.key_iceberg().unwrap();
        t.maintain(&json!({"expire": {"retention_ms": 86_400_000, "snapshots": 1}}).to_string()).unwrap();
        assert_eq!(metadata::snapshots(&t.ice().unwrap().loaded.metadata).len(), 1, "that of the compaction");
        assert_eq!((key.is_empty(), t.key_iceberg().unwrap()), (false, key));
        t.upsert(&batch(&[(0, Some(3), Some("x"), Some(77))])).unwrap();
        t.commit(&offsets(Some(12)), &offsets(Some(13)), "x").unwrap();
        assert_eq!(rows(&mut t, json!({})).len(), before.len());
    }
}

#[test]
fn snapshots_stay_that_readers_need() {
    let of_table = json!({"properties": {"history.expire.min-snapshots-to-keep": "3"}});
    for (more, keep_ms, left) in [(json!({}), 0, 1), (json!({}), 3_600_000, 6), (of_table, 0, 3)] {
        let folder = Folder::of("iceberg");
        let mut t = folder.table(more);
        (1..=6).for_each(|n| put(&mut t, n, n..n + 1));
        std::thread::sleep(std::time::Duration::from_millis(20));
        // By count and by age.
        for how in [json!({"snapshots": 1}), json!({"retention_ms": 0})] {
            let mut how = how;
            how["keep_ms"] = json!(keep_ms);
            t.maintain(&json!({"expire": how}).to_string()).unwrap();
            assert_eq!(metadata::snapshots(&t.ice().unwrap().loaded.metadata).len(), left, "{how}");
        }
    }
}

/// What a commit costs by how many snapshots there are: `cargo test --release -- --ignored --nocapture figures`.
#[test]
#[ignore = "measures"]
fn figures_of_many_snapshots() {
    let folder = Folder::of("iceberg");
    let mut t = folder.table(json!({}));
    let mut begun = std::time::Instant::now();
    for n in 1..=2000 {
        put(&mut t, n, 0..1);
        // As it is kept: no more files than a table in use has.
        if n % 16 == 0 {
            t.maintain(&json!({"compact": {}}).to_string()).unwrap();
        }
        if n % 250 == 0 {
            let v = &t.ice().unwrap().loaded;
            let bytes = v.metadata.to_string().len();
            println!(
                "{} snapshots, {bytes} bytes, {:?} a commit",
                metadata::snapshots(&v.metadata).len(),
                begun.elapsed() / 250
            );
            begun = std::time::Instant::now();
        }
    }
}

#[test]
fn what_the_format_or_the_catalog_refuses_is_told() {
    let folder = Folder::of("iceberg");
    let open = |set| match folder.lake().table(&serde_json::Value::to_string(&set), &crate::tests::schema()) {
        Err(e) => e.text().to_string(),
        Ok(_) => panic!("{set} was taken"),
    };
    assert!(open(json!({"name": "t", "key": ["a"]})).contains("namespace"));
    assert!(open(json!({"namespace": ["n"], "name": "t", "key": ["a"], "partition": ["week(a)"]})).contains("week"));
    assert!(open(json!({"namespace": ["n"], "name": "t", "key": ["a"], "partition": ["day(a)"]})).contains("column a"));
    assert!(!folder.0.join("catalog.sqlite").exists());
    let none = json!({"namespace": ["n"], "name": "t", "key": ["a"], "create": false});
    assert!(folder.lake().table(&none.to_string(), &crate::tests::schema()).unwrap().is_none());
    assert!(!folder.0.exists(), "looking makes nothing");
}

/// The changes of a version: kind, key, value.
fn changes(t: &mut Table, from: i64) -> Vec<(String, i64, Option<i64>)> {
    let (mut lines, ..) = t.changes(&json!({"from": from, "to": from}).to_string()).unwrap();
    let mut out = vec![];
    while let Some(text) = lines.more().unwrap() {
        for line in text.lines() {
            let v: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(v["_commit_version"], from);
            out.push((v["_change_type"].as_str().unwrap().into(), v["a"].as_i64().unwrap(), v["v"].as_i64()));
        }
    }
    out
}

#[test]
fn a_snapshot_says_what_it_changed() {
    let parts = [json!([]), json!(["bucket(2, a)"])];
    for (partition, format) in parts.iter().flat_map(|p| VERSIONS.map(|v| (p, v))) {
        let folder = Folder::of(format);
        let mut t = folder.table(json!({"partition": partition}));
        let row = |a, v| (0, Some(a), Some("x"), Some(v));
        let commit = |t: &mut Table, n: i64| {
            t.commit(&offsets((n > 1).then_some(n - 1)), &offsets(Some(n)), &n.to_string()).unwrap();
        };
        t.upsert(&batch(&[row(1, 10), row(2, 20)])).unwrap();
        commit(&mut t, 1);
        t.upsert(&batch(&[row(1, 11), row(3, 30), (1, Some(2), Some("x"), None)])).unwrap();
        commit(&mut t, 2);
        t.truncate().unwrap();
        t.upsert(&batch(&[row(3, 31)])).unwrap();
        commit(&mut t, 3);
        // Rows of one file that go one after the other: each is told once.
        t.upsert(&batch(&[row(7, 70), row(8, 80), row(9, 90)])).unwrap();
        commit(&mut t, 4);
        for (n, row) in [row(7, 71), row(8, 81), (1, Some(9), Some("x"), None)].into_iter().enumerate() {
            t.upsert(&batch(&[row])).unwrap();
            commit(&mut t, 5 + n as i64);
        }
        let how = json!({"compact": {}});
        t.maintain(&how.to_string()).unwrap();
        let mut reader = folder.table(json!({"mode": "read"}));
        assert!(reader.ice().unwrap().manifests.is_empty(), "no file is read to begin with");
        let sorted = |mut list: Vec<_>| {
            list.sort();
            list
        };
        let of = |kind: &str, a, v| (kind.to_string(), a, Some(v));
        assert_eq!(sorted(changes(&mut reader, 1)), [of("insert", 1, 10), of("insert", 2, 20)]);
        let second = changes(&mut reader, 2);
        let (old, new) = second.split_at(2);
        assert_eq!(sorted(old.to_vec()), [of("delete", 2, 20), of("update_preimage", 1, 10)]);
        assert_eq!(sorted(new.to_vec()), [of("insert", 3, 30), of("update_postimage", 1, 11)]);
        let third = changes(&mut reader, 3);
        assert_eq!(sorted(third), [of("delete", 1, 11), of("update_postimage", 3, 31), of("update_preimage", 3, 30)]);
        for (version, a, was, is) in [(5, 7, 70, 71), (6, 8, 80, 81)] {
            let told = changes(&mut reader, version);
            assert_eq!(told, [of("update_preimage", a, was), of("update_postimage", a, is)], "{format}");
        }
        assert_eq!(changes(&mut reader, 7), [of("delete", 9, 90)]);
        assert_eq!(rows(&mut reader, json!({})), rows(&mut t, json!({})));
    }
}

#[test]
fn rows_of_a_source_are_compared_in_slices_and_twice() {
    for format in ["iceberg", "iceberg 3", "delta"] {
        let folder = Folder::of(format);
        let mut t = folder.table(json!({}));
        let row = |a, v| (0, Some(a), Some("x"), Some(v));
        t.upsert(&batch(&[row(1, 10), row(2, 20), row(3, 30), row(4, 40)])).unwrap();
        t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
        let how = json!({"key": ["a", "b"], "columns": ["a", "b", "v"], "slices": 3});
        let mut c = Compare::new(&t, &how.to_string()).unwrap();
        let source = batch(&[row(1, 10), row(2, 21), row(4, 40), row(5, 50)]);
        let look = |t: &mut Table, c: &mut Compare| {
            loop {
                c.rows(&source).unwrap();
                if let Some(found) = t.compare(c).unwrap() {
                    return found;
                }
            }
        };
        let first = look(&mut t, &mut c);
        assert_eq!(first["open"], 3, "{first}");
        assert_eq!((&first["source_rows"], &first["target_rows"]), (&json!(4), &json!(4)));
        // One of them came in between.
        t.upsert(&batch(&[row(5, 50)])).unwrap();
        t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
        let second = look(&mut t, &mut c);
        assert_eq!(second["counts"], json!({"missing": 0, "extra": 1, "changed": 1}), "{second}");
        let told = second["differences"].as_array().unwrap();
        assert!(told.contains(&json!({"kind": "extra", "key": {"a": 3, "b": "x"}})), "{second}");
        assert!(told.contains(&json!({"kind": "changed", "key": {"a": 2, "b": "x"}})), "{second}");
    }
}
