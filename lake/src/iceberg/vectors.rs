//! Deletion vectors of version 3 of the format: one a data file, which has all rows that are gone from it. A new one
//! takes the place of the one before.

use std::collections::{BTreeMap, HashMap, HashSet};

use roaring::RoaringTreemap;

use crate::answer::{Result, fatal};
use crate::iceberg::avro::Av;
use crate::iceberg::catalog::inside;
use crate::iceberg::commit::Next;
use crate::iceberg::manifest::{
    DATA, DataFile, EXISTING, Entry, Manifest, OFFSET, POSITIONS, PUFFIN, REFERENCED, SIZE,
};
use crate::iceberg::positions::PATH;
use crate::iceberg::{metadata, puffin};
use crate::table::Table;

impl Table {
    /// Whether deletes are vectors, and rows have ids.
    pub fn has_vectors(&self) -> Result<bool> {
        Ok(metadata::version(&self.ice()?.loaded.metadata) >= 3)
    }

    /// Writes the vector of a data file.
    fn write_vector(&self, of: &Entry, rows: &RoaringTreemap, next: Next) -> Result<Entry> {
        let (raw, at, size) = puffin::file(&of.file.path, rows)?;
        let (name, bytes) = (format!("data/deletes-{}.puffin", uuid::Uuid::new_v4()), raw.len() as i64);
        self.store.put(&name, raw.into())?;
        // There are readers that find the data file by these borders of its path alone.
        let path = |key: i32| {
            let path = Av::Bytes(of.file.path.as_bytes().to_vec());
            Av::List(vec![Av::Record(vec![(key, Av::Int(PATH)), (key + 1, path)])])
        };
        let file = DataFile {
            content: POSITIONS,
            path: format!("{}/{name}", self.ice()?.root),
            format: PUFFIN.into(),
            partition: of.file.partition.clone(),
            rows: rows.len() as i64,
            bytes,
            rest: vec![
                (125, path(126)),
                (128, path(129)),
                (REFERENCED, Av::Text(of.file.path.clone())),
                (OFFSET, Av::Int(at as i64)),
                (SIZE, Av::Int(size as i64)),
            ],
        };
        Ok(next.added(of.spec, file))
    }

    /// Writes the vectors of these data files, each with all rows that are gone from it. The ones before go: their
    /// manifests are no longer among `kept`, and what else stood in these is in the answer.
    pub fn write_new_vectors(
        &self,
        gone: &[(u32, RoaringTreemap)],
        next: Next,
        kept: &mut Vec<Manifest>,
    ) -> Result<Vec<Entry>> {
        let ice = self.ice()?;
        let by_name = if gone.is_empty() { HashMap::new() } else { ice.by_name()? };
        let (mut out, mut names) = (vec![], HashSet::new());
        for (n, rows) in gone {
            let name = self.state.file(*n)?.add.file()?;
            let of = by_name.get(&name).ok_or_else(|| fatal!("{name} is in no manifest"))?;
            out.push(self.write_vector(of, rows, next)?);
            names.insert(name);
        }
        let is_old = |e: &Entry| ice.vector_of(e).is_some_and(|name| names.contains(&name));
        kept.retain(|m| {
            let entries = ice.entries.get(&m.path).filter(|_| m.content != DATA);
            let Some(entries) = entries.filter(|l| l.iter().any(is_old)) else { return true };
            out.extend(entries.iter().map(|e| match is_old(e) {
                true => next.deleted(e),
                false => Entry { status: EXISTING, ..e.clone() },
            }));
            false
        });
        Ok(out)
    }

    /// All delete files of a snapshot in which these rows are gone: vectors that have just them stay.
    pub fn fold_vectors(&self, gone: &BTreeMap<u32, RoaringTreemap>, next: Next) -> Result<Vec<Entry>> {
        let ice = self.ice()?;
        let by_name = ice.by_name()?;
        let mut wanted: HashMap<String, &RoaringTreemap> = HashMap::new();
        for (n, rows) in gone {
            wanted.insert(self.state.file(*n)?.add.file()?, rows);
        }
        let mut out = vec![];
        for e in ice.all(POSITIONS) {
            // A vector has no rows that are not gone: with as many it has all.
            let stays = ice.vector_of(e).is_some_and(|name| match wanted.get(&name) {
                Some(rows) if rows.len() as i64 == e.file.rows => wanted.remove(&name).is_some(),
                _ => false,
            });
            out.push(if stays { Entry { status: EXISTING, ..e.clone() } } else { next.deleted(e) });
        }
        for (name, rows) in wanted {
            let of = by_name.get(&name).ok_or_else(|| fatal!("{name} is in no manifest"))?;
            out.push(self.write_vector(of, rows, next)?);
        }
        Ok(out)
    }
}

impl super::state::Iceberg {
    /// The data file of a deletion vector, by its name in the table's folder; None: it is another kind of delete file.
    pub fn vector_of(&self, e: &Entry) -> Option<String> {
        let of = e.file.referenced().filter(|_| e.file.is_vector())?;
        inside(&self.root, of).ok()
    }
}
