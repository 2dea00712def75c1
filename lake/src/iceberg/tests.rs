//! Tables of Iceberg, beside what `crate::tests` says of both formats.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;

use crate::answer::Fail;
use crate::compare::Compare;
use crate::iceberg::manifest::{DATA, POSITIONS};
use crate::iceberg::metadata;
use crate::table::Table;
use crate::tests::{Folder, batch, offsets, rows};

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
    for partition in [json!([]), json!(["bucket(2, a)"]), json!(["b", "truncate(2, a)"])] {
        let folder = Folder::of("iceberg");
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
        let how = json!({"compact": {"small_bytes": 1_000_000}, "expire": {"retention_ms": 86_400_000, "snapshots": 2},
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
        t.upsert(&batch(&[(0, Some(3), Some("x"), Some(77))])).unwrap();
        t.commit(&offsets(Some(12)), &offsets(Some(13)), "x").unwrap();
        assert_eq!(rows(&mut t, json!({})).len(), before.len());
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
    for partition in [json!([]), json!(["bucket(2, a)"])] {
        let folder = Folder::of("iceberg");
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
        let how = json!({"compact": {"small_bytes": 1_000_000}});
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
        assert_eq!(rows(&mut reader, json!({})), rows(&mut t, json!({})));
    }
}

#[test]
fn rows_of_a_source_are_compared_in_slices_and_twice() {
    for format in ["iceberg", "delta"] {
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
