//! Rows are taken out of the files themselves: those files are written anew without them, in one commit, so that the
//! newest version has nothing left of them. Older versions have it until they expire.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::commit::{Going, KEY, added, metrics};
use crate::data::{Rows, Wanted};
use crate::fault;
use crate::iceberg::manifest::POSITIONS;
use crate::index::{KeyMap, Keys};
use crate::log;
use crate::table::{self, Table};
use crate::types;

const ATTEMPTS: usize = 8;

impl Table {
    /// Takes out every row of these keys, whose columns need not be the table's own key; answers how many there are.
    /// `look`: they stay.
    pub fn erase(&mut self, keys: &RecordBatch, look: bool) -> Result<u64> {
        self.nothing_staged("rows cannot be erased")?;
        for _ in 0..ATTEMPTS {
            self.refresh()?;
            let going = self.rows_by_key(keys)?;
            let rows = going.values().map(Vec::len).sum::<usize>() as u64;
            if look || going.is_empty() {
                return Ok(rows);
            }
            // What goes is in the state before it is committed: whatever comes of it, all is read anew.
            self.stale = true;
            let done = if self.iceberg.is_some() { self.erase_iceberg(&going) } else { self.erase_delta(&going) };
            self.stale = true;
            if done? {
                return Ok(rows);
            }
        }
        Err(Fail::Retry(format!(
            "{ATTEMPTS} other versions of {} came in between: another writer is busy there; try it again",
            self.store.place()
        )))
    }

    /// The rows of these keys by their files; a file without one has only such that are gone already.
    fn rows_by_key(&mut self, keys: &RecordBatch) -> Result<Going> {
        let columns = self.columns()?;
        let names = keys.schema();
        let fields = names.fields().iter().map(|f| {
            let found = columns.field_with_name(f.name()).cloned().map(Arc::new);
            found.map_err(|_| fatal!("the table in {} has no column {}", self.store.place(), f.name()))
        });
        let fields = fields.collect::<Result<Vec<Arc<Field>>>>()?;
        let arrays = keys.columns().iter().zip(&fields).map(|(c, f)| types::fit(c, f));
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        let kinds: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        let hasher = Keys::new(&kinds)?;
        let wanted: KeyMap<()> = hasher.of(&arrays)?.into_iter().map(|k| (k, ())).collect();
        let columns = Wanted { columns: Arc::new(Schema::new(fields)) };
        let mut going = Going::new();
        for n in self.state.live().map(|(n, _)| n).collect::<Vec<u32>>() {
            self.state.load_gone(&*self.store, n)?;
            let f = self.state.file(n)?;
            let mut row = 0u32;
            for batch in Rows::open(&*self.store, &f.add.file()?, &f.add.values, &columns, None)? {
                for key in hasher.of(batch?.columns())? {
                    if wanted.contains_key(&key) {
                        // Also of a row that is gone: its values stand in the file until that is written anew.
                        let rows = going.entry(n).or_default();
                        if !f.gone.as_ref().is_some_and(|g| g.contains(row as u64)) {
                            rows.push((row, false));
                        }
                    }
                    row = row.checked_add(1).ok_or_else(|| fatal!("{} has too many rows", f.add.path))?;
                }
            }
        }
        Ok(going)
    }

    /// The rows are no longer live.
    fn leave_out(&mut self, going: &Going) {
        for (n, rows) in going {
            if let Some(Some(f)) = self.state.files.get_mut(*n as usize) {
                let mut gone = f.gone.as_deref().cloned().unwrap_or_default();
                gone.extend(rows.iter().map(|(r, _)| u64::from(*r)));
                f.gone = Some(Arc::new(gone));
            }
        }
    }

    fn erase_delta(&mut self, going: &Going) -> Result<bool> {
        if self.state.flag("delta.appendOnly") {
            return Err(fatal!("the table may only be appended to (delta.appendOnly): set it to false first"));
        }
        let now = log::now_ms();
        let mut actions = vec![table::info("DELETE", None, now)];
        actions[0]["commitInfo"]["operationMetrics"] = metrics(&[], going);
        // Readers of changes hear of these rows, and of no other of their files.
        let told: Going =
            going.iter().filter(|(_, rows)| !rows.is_empty()).map(|(n, rows)| (*n, rows.clone())).collect();
        let feed = self.state.flag("delta.enableChangeDataFeed");
        if feed && !told.is_empty() {
            actions.extend(self.write_changes(&[], &told)?);
        }
        // Without a feed they take whole files: by a key equal rows cancel out, without one they would come twice.
        let changes = !told.is_empty() && (feed || self.state.property(KEY).is_some());
        let schema = self.state.schema()?.clone();
        let files: Vec<u32> = going.keys().copied().collect();
        self.leave_out(going);
        fault::step("data")?;
        for (values, f) in self.rewrite_files(&files, &schema)? {
            actions.push(json!({"add": added(f, values, now, changes).json()}));
        }
        for n in files {
            actions.push(json!({"remove": self.state.file(n)?.add.remove(now, changes)}));
        }
        fault::step("commit")?;
        self.publish(&actions)
    }

    fn erase_iceberg(&mut self, going: &Going) -> Result<bool> {
        if self.ice()?.all(POSITIONS).any(|e| e.file.is_equality()) {
            return Err(fatal!(
                "the table has equality deletes of another writer: compact it with that writer's tools first"
            ));
        }
        self.leave_out(going);
        let mut report: Value = json!({});
        let operation = if going.values().all(Vec::is_empty) { "replace" } else { "overwrite" };
        self.compact_iceberg(&going.keys().copied().collect::<Vec<u32>>(), operation, &mut report)?;
        Ok(report["more"] != true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Folder, batch, offsets, rows};
    use arrow_array::Int64Array;

    fn keys(of: &[Option<i64>]) -> RecordBatch {
        RecordBatch::try_from_iter([("a", Arc::new(of.iter().copied().collect::<Int64Array>()) as ArrayRef)]).unwrap()
    }

    /// By a part of the key: several rows of one file, and others stay.
    fn erases(format: &'static str) {
        let folder = Folder::of(format);
        let mut t = folder.table(json!({}));
        let all = [(0, Some(1), Some("x"), Some(1)), (0, Some(1), Some("y"), Some(2)), (0, Some(2), None, Some(3))];
        t.upsert(&batch(&all)).unwrap();
        t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
        t.upsert(&batch(&[(0, Some(2), None, Some(4)), (0, None, None, Some(5))])).unwrap();
        let before = t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();

        let mut other = folder.table(json!({"mode": "history", "key": []}));
        assert_eq!(other.erase(&keys(&[Some(9)]), false).unwrap(), 0);
        assert_eq!(other.erase(&keys(&[Some(1), Some(9)]), true).unwrap(), 2);
        assert_eq!(other.state.version, before, "looking changes nothing");
        assert_eq!(other.erase(&keys(&[Some(1)]), false).unwrap(), 2);
        assert_eq!(other.erase(&keys(&[Some(1)]), false).unwrap(), 0);
        assert_eq!(other.erase(&keys(&[None]), false).unwrap(), 1);

        // Who writes the table goes on, and its offsets are what they were.
        t.upsert(&batch(&[(0, Some(1), Some("x"), Some(6)), (1, Some(2), None, None)])).unwrap();
        t.commit(&offsets(Some(2)), &offsets(Some(3)), "3").unwrap();
        assert_eq!(rows(&mut t, json!({})), [(Some(1), Some("x".to_string()), Some(6))]);
        assert!(other.erase(&keys(&[]), false).unwrap() == 0 && t.state.live().all(|(_, f)| f.add.rows() != Some(3)));
    }

    #[test]
    fn rows_go_by_a_key_of_any_columns() {
        ["delta", "iceberg"].into_iter().for_each(erases);
    }

    /// A row that was deleted before stands in its file until that is written anew, and older images do.
    #[test]
    fn what_is_gone_already_goes_from_the_files_too() {
        for format in ["delta", "iceberg"] {
            let folder = Folder::of(format);
            let mut t = folder.table(json!({}));
            t.upsert(&batch(&[(0, Some(1), Some("x"), Some(1)), (0, Some(2), None, Some(2))])).unwrap();
            t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
            t.upsert(&batch(&[(1, Some(1), Some("x"), None)])).unwrap();
            t.commit(&offsets(Some(1)), &offsets(Some(2)), "2").unwrap();
            let stand = |t: &Table| t.state.live().map(|(_, f)| f.add.rows().unwrap_or(0)).sum::<u64>();
            assert_eq!(stand(&t), 2);

            let mut other = folder.table(json!({"mode": "history", "key": []}));
            assert_eq!(other.erase(&keys(&[Some(1)]), false).unwrap(), 0, "no row is there");
            other.refresh().unwrap();
            assert_eq!(stand(&other), 1, "but its values were");
            assert_eq!(rows(&mut other, json!({})), [(Some(2), None, Some(2))]);
        }
    }

    #[test]
    fn what_stops_it_leaves_the_table_as_it_was() {
        let folder = Folder::of("delta");
        let mut t = folder.table(json!({}));
        t.upsert(&batch(&[(0, Some(1), Some("x"), Some(1)), (0, Some(2), None, Some(2))])).unwrap();
        t.commit(&offsets(None), &offsets(Some(1)), "1").unwrap();
        for step in ["data", "commit"] {
            fault::set(&format!("retry:{step}:1"));
            assert!(matches!(t.erase(&keys(&[Some(1)]), false), Err(Fail::Retry(_))));
            assert_eq!(rows(&mut t, json!({})).len(), 2);
        }
        assert_eq!(t.erase(&keys(&[Some(1)]), false).unwrap(), 1);
        let all = [(Some(2), None, Some(2))];
        assert_eq!(rows(&mut t, json!({})), all);
        t.upsert(&batch(&[(1, Some(1), Some("x"), None)])).unwrap();
        assert_eq!(t.missing, 1);
        let changes = t.scan(&json!({"changes": {"from": t.state.version, "types": ["delete", "insert"]}}).to_string());
        let changed: usize = changes.unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!(changed, 1, "only the row that went is a change");
    }
}
