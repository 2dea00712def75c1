//! A place where tables are.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::Schema;
use serde_json::Value;

use crate::answer::{Result, fatal};
use crate::iceberg::{self, catalog::Catalog};
use crate::settings::{Object, TableSettings, parse};
use crate::store::{Local, Store};
use crate::table::Table;

pub struct Lake {
    place: Place,
    location: String,
    /// Of tables of Iceberg.
    catalog: Option<Arc<dyn Catalog>>,
}

#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    #[cfg(feature = "s3")]
    Bucket(crate::s3::Bucket),
}

impl Lake {
    pub fn open(text: &str) -> Result<Lake> {
        crate::fault::read();
        let v = parse("the settings of the lake", text)?;
        let o = Object::new("the settings of the lake", &v, &["format", "location", "s3", "catalog"])?;
        let iceberg = match o.text("format")?.unwrap_or("delta") {
            "delta" => false,
            "iceberg" => true,
            f => return Err(fatal!("this build of the engine has no \"{f}\": it has delta and iceberg")),
        };
        if o.get("catalog").is_some() && !iceberg {
            return Err(fatal!(
                "\"catalog\" has no meaning for delta, whose tables are their own catalog: leave it out"
            ));
        }
        let location = o.text("location")?.ok_or_else(|| fatal!("the settings of the lake lack \"location\""))?;
        let place = place(location, o.get("s3"))?;
        let folder = match &place {
            Place::Folder(root) => Some(root.as_path()),
            #[cfg(feature = "s3")]
            Place::Bucket(_) => None,
        };
        let catalog = if iceberg { Some(iceberg::catalog(o.get("catalog"), folder)?) } else { None };
        Ok(Lake { place, location: location.into(), catalog })
    }

    fn store(&self, parts: &[String]) -> Arc<dyn Store> {
        match &self.place {
            Place::Folder(root) => Arc::new(Local::new(parts.iter().fold(root.clone(), |p, s| p.join(s)))),
            #[cfg(feature = "s3")]
            Place::Bucket(b) => Arc::new(b.table(parts)),
        }
    }

    pub fn table(&self, text: &str, schema: &Schema) -> Result<Option<Table>> {
        let set = TableSettings::read(text)?;
        if let Some(catalog) = &self.catalog {
            let place = self.place.clone();
            let stores = Arc::new(move |location: &str| place.at(location));
            return iceberg::state::open(catalog.clone(), &self.location, stores, set, schema);
        }
        Table::open(self.store(&set.parts), set, schema)
    }
}

impl Place {
    /// The folder of a table by its whole location, as a catalog has it.
    fn at(&self, location: &str) -> Result<Arc<dyn Store>> {
        match self {
            Place::Folder(_) => match location.strip_prefix("file://") {
                Some(path) => Ok(Arc::new(Local::new(PathBuf::from(path)))),
                None => Err(fatal!("the table is in {location}, and the target's location is a folder")),
            },
            #[cfg(feature = "s3")]
            Place::Bucket(b) => b.at(location).map(|s| Arc::new(s) as Arc<dyn Store>),
        }
    }
}

fn place(location: &str, s3: Option<&Value>) -> Result<Place> {
    if let Some(rest) = location.strip_prefix("s3://").or_else(|| location.strip_prefix("s3a://")) {
        #[cfg(feature = "s3")]
        return Ok(Place::Bucket(crate::s3::Bucket::open(rest, s3)?));
        #[cfg(not(feature = "s3"))]
        return Err(fatal!("this build of the engine has no S3: build it with the feature s3 ({rest})"));
    }
    if s3.is_some() {
        return Err(fatal!(
            "\"s3\" is set, and \"location\" ({location}) is not in S3: write it as s3://bucket/prefix"
        ));
    }
    let path = location.strip_prefix("file://").unwrap_or(location);
    if !path.starts_with('/') {
        return Err(fatal!("\"location\" is \"{location}\": it must be an absolute folder or s3://bucket/prefix"));
    }
    Ok(Place::Folder(PathBuf::from(path)))
}
