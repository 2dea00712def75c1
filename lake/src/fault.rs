//! Faults on purpose, for tests: `ODS_LAKE_FAULT=kill:commit:3;retry:data:1` (see include/ods/lake.h).

use std::sync::Mutex;

use crate::answer::{Fail, Result};

/// How long a process stands still where a test asks for it.
const WAIT: std::time::Duration = std::time::Duration::from_millis(1500);

struct Fault {
    what: String,
    step: String,
    left: u64,
}

#[cfg(not(test))]
static FAULTS: Mutex<Vec<Fault>> = Mutex::new(Vec::new());
// A test's faults are its own.
#[cfg(test)]
thread_local! {
    static FAULTS: Mutex<Vec<Fault>> = const { Mutex::new(Vec::new()) };
}

fn faults<T>(f: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
    #[cfg(not(test))]
    return f(&mut FAULTS.lock().unwrap_or_else(|e| e.into_inner()));
    #[cfg(test)]
    FAULTS.with(|all| f(&mut all.lock().unwrap_or_else(|e| e.into_inner())))
}

/// Reads the environment's faults; those of an earlier call are forgotten.
pub fn read() {
    if let Ok(text) = std::env::var("ODS_LAKE_FAULT") {
        set(&text);
    }
}

pub fn set(text: &str) {
    let parsed = text.split(';').filter_map(|part| {
        let mut words = part.splitn(3, ':');
        Some(Fault {
            what: words.next()?.trim().to_string(),
            step: words.next()?.to_string(),
            left: words.next()?.parse().ok()?,
        })
    });
    faults(|all| *all = parsed.collect());
}

/// Whether the fault `what` is due at this step now.
pub fn due(what: &str, step: &str) -> bool {
    faults(|all| {
        let mut hit = false;
        for f in all.iter_mut().filter(|f| f.what == what && f.step == step && f.left > 0) {
            f.left -= 1;
            hit |= f.left == 0;
        }
        hit
    })
}

/// A step is about to be done: where a test asks for it the process is killed, stands still or panics, or an outage is
/// answered.
pub fn step(name: &str) -> Result<()> {
    if due("kill", name) {
        // SAFETY: kill() with the own process id has no memory effects that matter afterwards.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
    if due("wait", name) {
        std::thread::sleep(WAIT);
    }
    if due("panic", name) {
        panic!("at {name}, on purpose");
    }
    if due("stop", name) {
        return Err(Fail::Fatal(format!("stopped at {name} on purpose")));
    }
    if due("retry", name) {
        return Err(Fail::Retry(format!("an outage at {name} on purpose")));
    }
    Ok(())
}
