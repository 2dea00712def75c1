//! Tables of Iceberg, beside what `crate::tests` says of both formats.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;

use crate::answer::Fail;
use crate::iceberg::manifest::{DATA, POSITIONS};
use crate::iceberg::metadata;
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
