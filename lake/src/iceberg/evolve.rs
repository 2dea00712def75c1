//! Other columns: added, or of a type that the format lets them become. Data files stay as they are.

use arrow_schema::Schema;
use serde_json::{Value, json};

use crate::answer::{Fail, Result, fatal};
use crate::iceberg::commit::Draft;
use crate::iceberg::{metadata, schema, state};
use crate::table::Table;
use crate::types;

const ATTEMPTS: usize = 8;

impl Table {
    /// The schema that the table would have; None where it has all of that.
    fn other_schema(&self, wanted: &Schema) -> Result<Option<(Value, i64)>> {
        let v = &self.ice()?.loaded.metadata;
        let mut new = metadata::schema(v)?.clone();
        let mut last = v["last-column-id"].as_i64().unwrap_or(0);
        let mut changed = false;
        let columns = self.state.schema()?;
        let mut list = new["fields"].as_array().cloned().unwrap_or_default();
        for f in &types::normal(wanted.fields())? {
            let Ok(have) = columns.field_with_name(f.name()) else {
                last += 1;
                list.push(schema::field(f, last)?);
                changed = true;
                continue;
            };
            if types::widens(f.data_type(), have.data_type()) {
                continue;
            }
            if !schema::promotes(have.data_type(), f.data_type()) {
                return Err(fatal!(
                    "column {} of {} is {} and cannot become {} in Iceberg: add a column of another name beside it",
                    f.name(),
                    self.store.place(),
                    schema::name(have.data_type()),
                    schema::name(f.data_type())
                ));
            }
            if let Some(c) = list.iter_mut().find(|c| c["name"] == f.name().as_str()) {
                c["type"] = schema::to_iceberg(f.data_type())?;
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        new["fields"] = json!(list);
        let ids = v["schemas"].as_array().into_iter().flatten().filter_map(|s| s["schema-id"].as_i64());
        new["schema-id"] = json!(ids.max().unwrap_or(0) + 1);
        state::check_names(schema::from_iceberg(&new)?.fields(), metadata::version(v))?;
        Ok(Some((new, last)))
    }

    pub fn lacks_iceberg(&self, wanted: &Schema) -> Result<bool> {
        Ok(self.other_schema(wanted)?.is_some())
    }

    pub fn evolve_iceberg(&mut self, wanted: &Schema) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.refresh()?;
            let Some((new, last)) = self.other_schema(wanted)? else { return Ok(()) };
            let updates = vec![
                json!({"action": "add-schema", "schema": new, "last-column-id": last}),
                json!({"action": "set-current-schema", "schema-id": -1}),
            ];
            if self.publish_only(updates)? {
                return Ok(());
            }
        }
        Err(Fail::Retry(format!(
            "{ATTEMPTS} other commits to {} came in between: the change is tried again",
            self.store.place()
        )))
    }

    /// Exchanges the metadata for some that have the same snapshot. False: others were faster.
    pub fn publish_only(&mut self, updates: Vec<Value>) -> Result<bool> {
        let draft = Draft { updates, manifests: self.ice()?.manifests.clone(), ..Draft::default() };
        self.publish_iceberg(draft, true, |_| Ok(())).map_err(|e| match e {
            // Doing it again finds out.
            Fail::Unknown(s) => Fail::Retry(s),
            e => e,
        })
    }
}
