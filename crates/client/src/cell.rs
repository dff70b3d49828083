//! Something that is made on first use, by one caller for all, and made again when it has died.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::error::Error;

/// A cell whose value is rebuilt once it is found dead.
#[derive(Debug)]
pub(crate) struct Cell<T> {
    current: Mutex<Arc<OnceCell<T>>>,
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self { current: Mutex::default() }
    }
}

impl<T: Clone> Cell<T> {
    /// The value, if it exists and is alive.
    pub(crate) fn get(&self, is_live: impl Fn(&T) -> bool) -> Option<T> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.get().filter(|value| is_live(value)).cloned()
    }

    /// The value; `make` runs when there is none or it is dead. Callers at the same time share one
    /// run; if its caller is dropped, another one takes over.
    pub(crate) async fn get_or_make<F>(
        &self,
        is_live: impl Fn(&T) -> bool,
        make: impl FnOnce() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let cell = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.get().is_some_and(|value| !is_live(value)) {
                *current = Arc::default();
            }
            Arc::clone(&current)
        };
        cell.get_or_try_init(make).await.cloned()
    }

    /// Takes the value out, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *current).get().cloned()
    }
}
