//! Work done in parallel, and handed over in the order of its numbers.

use rayon::ThreadPool;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many results for each thread may wait for an earlier one.
const AHEAD: usize = 8;

/// How far the work has come.
#[derive(Debug, Default)]
struct Gate {
    /// How many results were handed over; `None`: it is all called off.
    taken: Mutex<Option<usize>>,
    moved: Condvar,
}

impl Gate {
    fn open() -> Self {
        Self {
            taken: Mutex::new(Some(0)),
            moved: Condvar::new(),
        }
    }

    fn set(&self, taken: Option<usize>) {
        let mut held = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // What is called off stays so.
        if held.is_some() {
            *held = taken;
        }
        self.moved.notify_all();
    }

    /// Waits until fewer than `ahead` results before `index` are missing; whether the work goes on.
    fn pass(&self, index: usize, ahead: usize) -> bool {
        let held = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let too_far = |taken: &mut Option<usize>| taken.is_some_and(|taken| index >= taken + ahead);
        let held = self.moved.wait_while(held, too_far);
        held.unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Calls the work off if its thread panics, so that nobody waits for what never comes.
struct OnPanic<'a>(&'a Gate);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(None);
        }
    }
}

/// Does the work of numbers below `count` on the pool's threads, and hands the results to `take` one after another in the order
/// of the numbers, on this thread. No more than a few results for each thread wait meanwhile, so that many cost no more memory
/// than `take` keeps. Whether all was done: it ends early as soon as some work gives nothing.
///
/// # Panics
/// Panics if the work does.
pub fn in_order<T: Send>(
    pool: &ThreadPool,
    count: usize,
    work: impl Fn(usize) -> Option<T> + Sync,
    mut take: impl FnMut(T),
) -> bool {
    let (gate, next, ahead) = (Gate::open(), AtomicUsize::new(0), AHEAD * pool.current_num_threads());
    let worker = |results: Sender<(usize, Option<T>)>| {
        let _guard = OnPanic(&gate);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || !gate.pass(index, ahead) {
                return;
            }
            // Nobody listens any more only where it is all called off.
            if results.send((index, work(index))).is_err() {
                return;
            }
        }
    };
    pool.in_place_scope(|scope| {
        let (results, received) = channel();
        for _ in 0..pool.current_num_threads().min(count) {
            let (results, worker) = (results.clone(), &worker);
            scope.spawn(move |_| worker(results));
        }
        drop(results);
        let (mut waiting, mut taken) = (BTreeMap::new(), 0);
        for (index, result) in received {
            let Some(result) = result else {
                gate.set(None);
                return false;
            };
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&taken) {
                take(result);
                taken += 1;
            }
            gate.set(Some(taken));
        }
        taken == count
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn results_come_in_order_and_few_wait() {
        for threads in [1, 2, 5] {
            let (started, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut seen = Vec::new();
            let work = |index: usize| {
                let ahead = started.fetch_add(1, Ordering::SeqCst) - taken.load(Ordering::SeqCst);
                assert!(ahead <= (AHEAD + 1) * threads, "{ahead} wait");
                // The first of each hundred takes longest.
                if index.is_multiple_of(100) {
                    (0..200_000).for_each(|n| {
                        std::hint::black_box(n);
                    });
                }
                Some(index)
            };
            let whole = in_order(&pool(threads), 1_000, work, |index| {
                taken.fetch_add(1, Ordering::SeqCst);
                seen.push(index);
            });
            assert!(whole && seen.iter().copied().eq(0..1_000), "{threads} threads");
        }
        assert!(in_order(&pool(2), 0, Some, |_| panic!("there is none")));
    }

    #[test]
    fn work_that_gives_nothing_ends_it_all() {
        let mut seen = Vec::new();
        let whole = in_order(
            &pool(3),
            1_000,
            |index| (index < 300).then_some(index),
            |index| seen.push(index),
        );
        assert!(!whole && seen.len() <= 300 && seen.iter().copied().eq(0..seen.len()));
    }

    #[test]
    fn a_panic_comes_through_and_leaves_nobody_waiting() {
        let ran = std::panic::catch_unwind(|| {
            let work = |index: usize| {
                assert!(index != 70, "a bug");
                Some(index)
            };
            in_order(&pool(3), 1_000, work, |_| {});
        });
        assert!(ran.is_err());
    }
}
