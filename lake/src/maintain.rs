//! Maintenance: small files are put together and deleted rows left out, checkpoints are made, what nobody needs goes.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::answer::Result;
use crate::checkpoint;
use crate::fault;
use crate::log::{self, LOG};
use crate::settings::{Object, parse};
use crate::store::Store;
use crate::table::{self, Table};

const MB: u64 = 1 << 20;
const WEEK_MS: u64 = 7 * 86_400_000;
/// The property of a table of Delta Lake that says how long files are kept which were removed.
const REMOVED_KEPT: &str = "delta.deletedFileRetentionDuration";

impl Table {
    pub fn maintain(&mut self, text: &str) -> Result<String> {
        let v = parse("the settings of maintenance", text)?;
        let o = Object::new("the settings of maintenance", &v, &["compact", "checkpoint", "expire", "vacuum"])?;
        self.nothing_staged("a table is not maintained")?;
        self.refresh()?;
        let mut report = json!({"more": false});
        if let Some(v) = o.get("compact") {
            self.compact(v, &mut report)?;
        }
        let kept = match o.get("vacuum") {
            Some(v) => {
                Object::new("\"vacuum\"", v, &["retention_ms", "dry_run"])?.number("retention_ms")?.unwrap_or(WEEK_MS)
            }
            None => 0,
        };
        if let Some(v) = o.get("checkpoint")
            && self.iceberg.is_none()
        {
            let c = Object::new("\"checkpoint\"", v, &["every"])?;
            if self.state.version - self.state.checkpoint >= c.number("every")?.unwrap_or(10).max(1) as i64 {
                self.checkpoint(kept as i64)?;
                report["checkpoint"] = json!(self.state.version);
            }
        }
        if let Some(v) = o.get("expire")
            && self.iceberg.is_some()
        {
            self.expire_iceberg(v, &mut report)?;
        } else if let Some(v) = o.get("expire") {
            let e = Object::new("\"expire\"", v, &["retention_ms"])?;
            let ours = e.number("retention_ms")?.unwrap_or(30 * 86_400_000) as i64;
            let before = log::now_ms() - ours.max(self.told_ms("delta.logRetentionDuration").unwrap_or(0));
            report["expired"] = json!(expire(&*self.store, before)?);
        }
        if let Some(v) = o.get("vacuum") {
            let o = Object::new("\"vacuum\"", v, &["retention_ms", "dry_run"])?;
            let ours = o.number("retention_ms")?.unwrap_or(WEEK_MS) as i64;
            let before = log::now_ms() - ours.max(self.told_ms(REMOVED_KEPT).unwrap_or(0));
            let (files, bytes) = self.vacuum(before, o.flag("dry_run")?.unwrap_or(false))?;
            report["vacuumed"] = json!({"files": files, "bytes": bytes});
        }
        report["version"] = json!(self.state.version);
        Ok(report.to_string())
    }

    /// `kept`: for how long vacuum keeps files that were removed.
    fn checkpoint(&mut self, kept: i64) -> Result<()> {
        fault::step("checkpoint")?;
        let keep = self.told_ms(REMOVED_KEPT).unwrap_or(WEEK_MS as i64).max(kept);
        self.state.forget_tombs(log::now_ms() - keep);
        checkpoint::write(&*self.store, &self.state)?;
        self.state.checkpoint = self.state.version;
        Ok(())
    }

    /// A time that a table of Delta Lake says of itself, if it does: readers rely upon it.
    fn told_ms(&self, property: &str) -> Option<i64> {
        self.state.property(property).and_then(interval_ms)
    }

    /// Puts small files together, and rewrites those of which many rows are gone.
    fn compact(&mut self, v: &Value, report: &mut Value) -> Result<()> {
        let c = Object::new("\"compact\"", v, &["files", "deleted_ratio", "max_bytes"])?;
        let least = c.number("files")?.unwrap_or(2) as usize;
        let ratio = c.ratio("deleted_ratio")?.unwrap_or(0.1);
        let limit = c.number("max_bytes")?.unwrap_or(512 * MB) as i64;
        let (chosen, more) = self.choose(least, ratio, limit);
        report["more"] = json!(more);
        report["compacted"] = json!({"read_files": 0, "written_files": 0, "rows": 0, "bytes": 0});
        if self.iceberg.is_some() {
            return self.compact_iceberg(&chosen, "replace", report);
        }
        if chosen.is_empty() {
            return Ok(());
        }
        fault::step("compact")?;
        let now = log::now_ms();
        let mut actions = vec![table::info("OPTIMIZE", None, now)];
        let schema = self.state.schema()?.clone();
        let adds = self.rewrite(&chosen, &schema, now, &mut actions)?;
        if !self.publish(&actions)? {
            // Another version came first: what was written is left to the vacuum.
            report["more"] = json!(true);
            return self.refresh();
        }
        // The entry is read like one of another writer, by which the index follows.
        self.refresh()?;
        let rows: u64 = adds.iter().filter_map(|a| a.rows()).sum();
        let bytes: i64 = adds.iter().map(|a| a.size).sum();
        report["compacted"] =
            json!({"read_files": chosen.len(), "written_files": adds.len(), "rows": rows, "bytes": bytes});
        Ok(())
    }

    /// Files to be rewritten, at most so many bytes of them; and whether others wait. Of each partition which has so
    /// many small ones, or one of which much is gone: the smallest, up to one that is larger than all of those before
    /// it, so that rows are not written again for a few that came since.
    fn choose(&self, least: usize, ratio: f64, limit: i64) -> (Vec<u32>, bool) {
        let small = self.set.small_file_bytes as i64;
        let mut groups: BTreeMap<String, (Vec<(u32, i64)>, bool)> = BTreeMap::new();
        for (n, f) in self.state.live() {
            let gone = f.gone_rows();
            let worn = gone > 0 && gone as f64 > ratio * f.add.rows().unwrap_or(0) as f64;
            if worn || f.add.size < small {
                let g = groups.entry(f.partition()).or_default();
                g.0.push((n, f.add.size));
                g.1 |= worn;
            }
        }
        let (mut out, mut bytes, mut more) = (vec![], 0, false);
        for (mut files, worn) in groups.into_values() {
            if !worn && files.len() < least {
                continue;
            }
            files.sort_by_key(|(_, size)| *size);
            let (mut taken, mut sum) = (vec![], 0);
            for (n, size) in files {
                if !worn && taken.len() > 1 && size > sum {
                    break;
                }
                // However large they are, the first two go together.
                if bytes + sum + size > limit && (taken.len() > 1 || !out.is_empty()) {
                    more = true;
                    break;
                }
                sum += size;
                taken.push(n);
            }
            // What would be as many files afterwards gains nothing.
            let target = self.set.target_file_bytes.max(1) as i64;
            if worn || taken.len() as i64 > (sum + target - 1) / target {
                bytes += sum;
                out.extend(taken);
            }
        }
        let more = more && !out.is_empty();
        (out, more)
    }

    /// Deletes files that no version since `before` names.
    fn vacuum(&mut self, before: i64, dry: bool) -> Result<(u64, u64)> {
        if self.iceberg.is_some() {
            return self.vacuum_iceberg(before, dry);
        }
        let mut keep: HashSet<String> = HashSet::new();
        let mut name = |path: &str, dv: Option<&crate::dv::Dv>| -> Result<()> {
            keep.insert(log::file_of(path)?);
            if let Some(file) = dv.map(|d| d.file()).transpose()?.flatten() {
                keep.insert(file);
            }
            Ok(())
        };
        for (_, f) in self.state.live() {
            name(&f.add.path, f.add.dv.as_ref())?;
        }
        for t in self.state.tombs.iter().filter(|t| t.at_ms >= before) {
            name(&t.path, t.dv.as_ref())?;
        }
        let (mut files, mut bytes) = (0, 0);
        for e in self.store.list("")? {
            let hidden = e.name.split('/').any(|p| p.starts_with(['_', '.']));
            let spare = e.name.ends_with(".tmp") && e.name.rsplit('/').next().is_some_and(|n| n.starts_with('.'));
            let ours = !hidden || e.name.starts_with("_change_data/") || spare;
            if !ours || e.modified_ms >= before || keep.contains(&e.name) {
                continue;
            }
            if !dry {
                fault::step("vacuum")?;
                self.store.delete(&e.name)?;
            }
            files += 1;
            bytes += e.size;
        }
        Ok((files, bytes))
    }
}

/// Deletes entries of the log that are older than a checkpoint which itself is older than `before`: every version
/// since can still be read.
fn expire(store: &dyn Store, before: i64) -> Result<u64> {
    let version = |name: &str| name.strip_prefix("_delta_log/")?.get(..20)?.parse::<i64>().ok();
    let entries = store.list(LOG)?;
    let floor = entries
        .iter()
        .filter(|e| e.name.ends_with(".checkpoint.parquet") && e.modified_ms < before)
        .filter_map(|e| version(&e.name))
        .max();
    let Some(floor) = floor else { return Ok(0) };
    let mut old: Vec<(i64, &str)> =
        entries.iter().filter_map(|e| version(&e.name).map(|v| (v, e.name.as_str()))).collect();
    old.retain(|(v, _)| *v < floor);
    // The oldest first: what is left is always a piece without gaps.
    old.sort();
    old.iter().try_for_each(|(_, name)| store.delete(name))?;
    Ok(old.len() as u64)
}

/// "interval 7 days" as milliseconds.
fn interval_ms(text: &str) -> Option<i64> {
    let mut words = text.trim().strip_prefix("interval").unwrap_or(text).split_whitespace();
    let n: i64 = words.next()?.parse().ok()?;
    let unit = match words.next()?.trim_end_matches('s') {
        "week" => 7 * 86_400_000,
        "day" => 86_400_000,
        "hour" => 3_600_000,
        "minute" => 60_000,
        "second" => 1000,
        "millisecond" => 1,
        _ => return None,
    };
    n.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Folder, batch, offsets};

    /// One row more, in a commit of its own.
    fn put(t: &mut Table, n: i64) {
        t.upsert(&batch(&[(0, Some(n), Some("x"), Some(1))])).unwrap();
        t.commit(&offsets((n > 0).then_some(n)), &offsets(Some(n + 1)), &n.to_string()).unwrap();
    }

    #[test]
    fn a_log_is_kept_as_long_as_the_table_says() {
        for (properties, kept) in
            [(json!({}), false), (json!({"delta.logRetentionDuration": "interval 30 days"}), true)]
        {
            let folder = Folder::new();
            let mut t = folder.table(json!({"properties": properties}));
            (0..3).for_each(|n| put(&mut t, n));
            t.maintain(&json!({"checkpoint": {"every": 1}}).to_string()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            t.maintain(&json!({"expire": {"retention_ms": 0}}).to_string()).unwrap();
            assert_eq!(folder.entry(1).exists(), kept, "{properties}");
        }
    }

    /// What is listed may be gone when it is read: then a newer checkpoint has it.
    #[test]
    fn a_table_is_loaded_while_its_log_expires() {
        let folder = Folder::new();
        let mut t = folder.table(json!({}));
        let store = t.store.clone();
        let writes = std::sync::atomic::AtomicBool::new(true);
        let go_on = std::sync::atomic::Ordering::Relaxed;
        let mut loads = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..150 {
                    put(&mut t, n);
                    let parts = json!({"checkpoint": {"every": 1}, "expire": {"retention_ms": 0}});
                    t.maintain(&parts.to_string()).unwrap();
                }
                writes.store(false, go_on);
            });
            while writes.load(go_on) {
                log::load(&*store, None).unwrap_or_else(|e| panic!("{}", e.text()));
                loads += 1;
            }
        });
        assert!(loads > 10);
    }

    #[test]
    fn removed_files_are_kept_as_long_as_the_table_says() {
        for (properties, kept) in
            [(json!({}), false), (json!({"delta.deletedFileRetentionDuration": "interval 30 days"}), true)]
        {
            let folder = Folder::new();
            let mut t = folder.table(json!({"properties": properties}));
            (0..3).for_each(|n| put(&mut t, n));
            t.maintain(&json!({"compact": {"files": 2}}).to_string()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            let report = t.maintain(&json!({"vacuum": {"retention_ms": 0}}).to_string()).unwrap();
            let report: Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["vacuumed"]["files"] == 0, kept, "{properties}: {report}");
        }
    }

    /// Files are put together the smallest first, and not again for a few that came since.
    #[test]
    fn rows_are_written_again_a_few_times_at_most() {
        let folder = Folder::new();
        let mut t = folder.table(json!({"mode": "history", "key": [], "target_file_bytes": 100_000_000}));
        let (commits, each, mut again, mut at) = (100, 500i64, 0, 0i64);
        for n in 0..commits {
            let rows: Vec<_> = (at..at + each).map(|a| (0, Some(a * a), Some("x"), Some(1))).collect();
            t.append(&batch(&rows).project(&[1, 2, 3]).unwrap()).unwrap();
            t.commit(&offsets((at > 0).then_some(at)), &offsets(Some(at + each)), &n.to_string()).unwrap();
            at += each;
            let stats: Value = serde_json::from_str(&t.stats()).unwrap();
            if stats["crowd"].as_u64() >= Some(8) {
                let report = t.maintain(&json!({"compact": {"files": 8}}).to_string()).unwrap();
                again += serde_json::from_str::<Value>(&report).unwrap()["compacted"]["rows"].as_i64().unwrap();
            }
        }
        let stats: Value = serde_json::from_str(&t.stats()).unwrap();
        assert!(stats["files"].as_u64() <= Some(8), "{stats}");
        assert!(again < 4 * at, "{again} rows were written again for {at}");
    }

    /// Small files of other partitions do not have those of one written again after each commit.
    #[test]
    fn a_partition_is_put_together_where_it_has_many_files() {
        let folder = Folder::new();
        let mut t = folder.table(json!({"partition": ["b"], "target_file_bytes": 1_000_000}));
        let mut at = 0i64;
        let mut commit = |t: &mut Table, part: &'static str, n: i64| {
            t.upsert(&batch(&[(0, Some(n), Some(part), Some(1))])).unwrap();
            t.commit(&offsets((at > 0).then_some(at)), &offsets(Some(at + 1)), &at.to_string()).unwrap();
            at += 1;
        };
        for (n, part) in ["monday", "tuesday", "wednesday", "thursday", "friday"].into_iter().enumerate() {
            commit(&mut t, part, n as i64);
        }
        let stats: Value = serde_json::from_str(&t.stats()).unwrap();
        assert_eq!((&stats["small_files"], &stats["crowd"]), (&json!(5), &json!(1)));
        for n in 10..14 {
            commit(&mut t, "today", n);
        }
        let read_files = |t: &mut Table, files: u64| {
            let report = t.maintain(&json!({"compact": {"files": files}}).to_string()).unwrap();
            serde_json::from_str::<Value>(&report).unwrap()["compacted"]["read_files"].as_u64().unwrap()
        };
        assert_eq!(read_files(&mut t, 5), 0);
        commit(&mut t, "monday", 20);
        assert_eq!(read_files(&mut t, 4), 4);
        assert_eq!(read_files(&mut t, 2), 2, "where two are enough, the quiet ones are served too");
    }

    #[test]
    fn intervals() {
        assert_eq!(interval_ms("interval 7 days"), Some(WEEK_MS as i64));
        assert_eq!(interval_ms("interval 1 hour"), Some(3_600_000));
        assert_eq!(interval_ms("interval soon"), None);
    }
}
