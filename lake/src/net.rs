//! Where what is done over the network is waited for: one runtime of the process.

use std::future::Future;
use std::sync::OnceLock;

use crate::answer::{Result, fatal};

pub fn wait<T>(f: impl Future<Output = T>) -> Result<T> {
    static RUNTIME: OnceLock<std::io::Result<tokio::runtime::Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("ods-lake").enable_all().build()
    });
    match made {
        Ok(r) => Ok(r.block_on(f)),
        Err(e) => Err(fatal!("cannot start threads: {e}")),
    }
}
