//! Something that is made on first use, by one caller for all, and made again when it has died.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::error::Error;

/// One run of making it, and what came of that.
type Attempt<T> = Arc<OnceCell<Result<T, Error>>>;

/// A cell whose value is rebuilt once it is found dead.
#[derive(Debug)]
pub(crate) struct Cell<T> {
    current: Mutex<Attempt<T>>,
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self { current: Mutex::default() }
    }
}

impl<T: Clone> Cell<T> {
    /// The value, if it exists and is alive.
    pub(crate) fn get(&self, is_live: impl Fn(&T) -> bool) -> Option<T> {
        let current = self.current();
        let value = current.get()?.as_ref().ok()?;
        is_live(value).then(|| value.clone())
    }

    /// The value; `make` runs when there is none or it is dead. Callers at the same time share one
    /// run and what comes of it, a failure too: nobody waits for the attempts of others one after
    /// the other. If the caller whose `make` runs is dropped, another one takes over.
    pub(crate) async fn get_or_make<F>(
        &self,
        is_live: impl Fn(&T) -> bool,
        make: impl FnOnce() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let attempt = {
            let mut current = self.current();
            if current.get().is_some_and(|made| !made.as_ref().is_ok_and(&is_live)) {
                *current = Arc::default();
            }
            Arc::clone(&current)
        };
        attempt.get_or_init(make).await.clone()
    }

    /// Takes the value out, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        let attempt = std::mem::take(&mut *self.current());
        attempt.get()?.as_ref().ok().cloned()
    }

    fn current(&self) -> MutexGuard<'_, Attempt<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
