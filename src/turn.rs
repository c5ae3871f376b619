//! When an item of a stream's batch may be sent to the outbox: in the order of the stream, and not after another one was
//! refused. So no item is enqueued that Lambda will hand over again.

use std::cell::Cell;

use tokio::sync::watch;

/// The items of a stream's batch, as they follow one another.
pub struct Line {
    /// How many of the first ones are through.
    served: watch::Sender<usize>,
    /// Whether one has failed.
    has_stopped: Cell<bool>,
}

impl Default for Line {
    fn default() -> Self {
        Self { served: watch::Sender::new(0), has_stopped: Cell::new(false) }
    }
}

impl Line {
    /// The turn of the item with this number, counted from 0.
    pub fn turn(&self, number: usize) -> Turn<'_> {
        Turn { line: Some((self, number)) }
    }

    /// Whether an item has failed.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped.get()
    }

    /// An item has failed: the turn of those behind it does not come.
    pub fn stop(&self) {
        self.has_stopped.set(true);
    }

    /// Waits until all items before this one are through.
    pub async fn wait_for(&self, number: usize) {
        // The other end is in this very value.
        let _ = self.served.subscribe().wait_for(|served| *served >= number).await;
    }

    /// The item with this number is through.
    pub fn is_through(&self, number: usize) {
        self.served.send_modify(|served| *served = (*served).max(number + 1));
    }
}

/// An item's turn.
pub struct Turn<'a> {
    line: Option<(&'a Line, usize)>,
}

impl Turn<'_> {
    /// The turn of an item that stands in no line: it is always its turn.
    pub fn at_once() -> Self {
        Self { line: None }
    }

    /// Waits for the turn; `false` if it does not come, since an item before this one has failed.
    pub async fn comes(&self) -> bool {
        let Some((line, number)) = self.line else { return true };
        line.wait_for(number).await;
        !line.has_stopped()
    }
}
