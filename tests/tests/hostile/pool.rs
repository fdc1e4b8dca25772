//! Runs rows side by side: most of the time they wait for a silent server, and not for a processor.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::TABLE;
use crate::table::Row;

/// Rows that run at the same time.
const WORKERS: usize = 16;

/// A row and the transport that it runs over.
type Job = (&'static str, &'static str);

struct Pool {
    left: Mutex<VecDeque<(&'static Row, &'static str)>>,
    /// The rows that have run, each with its panic, if there was one.
    results: Mutex<BTreeMap<Job, Option<String>>>,
    news: Condvar,
}

/// The first row that is checked starts the pool.
static POOL: LazyLock<Pool> = LazyLock::new(|| {
    for _ in 0..WORKERS {
        thread::spawn(|| POOL.work());
    }
    let rows = || TABLE.iter().flat_map(|(_, rows)| rows.iter());
    let jobs = ["std", "mio"].into_iter().flat_map(|transport| rows().map(move |row| (row, transport)));
    Pool { left: Mutex::new(jobs.collect()), results: Mutex::default(), news: Condvar::new() }
});

/// Panics unless this row, over this transport, ends as the table says.
#[track_caller]
pub(crate) fn check(name: &'static str, transport: &'static str) {
    if is_picky() {
        let row = TABLE.iter().flat_map(|(_, rows)| rows.iter()).find(|row| row.name == name);
        return row.expect("a row of the table").run(transport);
    }
    if let Some(wrong) = POOL.result((name, transport)) {
        panic!("{wrong}");
    }
}

/// Whether only some tests were requested, so only their rows run.
fn is_picky() -> bool {
    std::env::args()
        .skip(1)
        .any(|arg| !arg.starts_with("--test-threads") && arg != "--nocapture" && arg != "-q")
}

impl Pool {
    fn work(&self) {
        loop {
            let Some((row, transport)) = lock(&self.left).pop_front() else { return };
            let run = catch_unwind(AssertUnwindSafe(|| row.run(transport)));
            let wrong = run.err().map(|panic| message(panic.as_ref()));
            lock(&self.results).insert((row.name, transport), wrong);
            self.news.notify_all();
        }
    }

    fn result(&self, job: Job) -> Option<String> {
        let results = lock(&self.results);
        let results = self.news.wait_while(results, |results| !results.contains_key(&job));
        results.unwrap_or_else(PoisonError::into_inner).get(&job).cloned().flatten()
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
