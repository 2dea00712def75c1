//! The lake engine of ods-sink: tables of Delta Lake and Iceberg, written exactly once.
//!
//! `ffi` is what the C program calls; `lake` a place with tables; `table` one of them, with `stage` (rows that
//! wait), `commit` (one compare-and-swap), `evolve` (columns), `erase`, `maintain`, `scan`, `follow` (versions, changes),
//! `lines` (as JSON), `arrow` (as a stream of Arrow) and `compare` (with rows of a source). Below them: `log` (the state of a table and how entries change it), `checkpoint`, `data` (Parquet), `dv` (deletion vectors), `index` (keys; `mapped`: memory that may be written out),
//! `types`, `partition`; `iceberg` is what tables of that format have of their own; `store`, `s3` (where files are) and `net`.

mod answer;
mod arrow;
mod checkpoint;
mod commit;
mod compare;
mod data;
mod dv;
mod erase;
mod evolve;
mod fault;
mod feed;
mod ffi;
mod follow;
mod iceberg;
mod index;
mod lake;
mod lines;
mod log;
mod maintain;
mod mapped;
#[cfg(feature = "s3")]
mod net;
mod partition;
#[cfg(feature = "s3")]
mod s3;
mod scan;
mod settings;
mod stage;
mod store;
mod table;
mod types;

#[cfg(test)]
mod tests;
