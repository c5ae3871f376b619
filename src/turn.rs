//! When an item of a stream's batch may be enqueued: in the order of the stream, and not after another item has failed.
//! Lambda retries everything from the first failed item on, so an item behind it would be enqueued twice.

use std::cell::Cell;

use tokio::sync::watch;

/// The items of a stream's batch, in their order.
pub struct Line {
    /// How many items from the first on are done.
    served: watch::Sender<usize>,
    /// Whether an item has failed.
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

    /// Notes that an item has failed. The turn of the items behind it never comes.
    pub fn stop(&self) {
        self.has_stopped.set(true);
    }

    /// Waits until all items before this one are done.
    pub async fn wait_for(&self, number: usize) {
        // It can't fail: `self` holds the sender.
        let _ = self.served.subscribe().wait_for(|served| *served >= number).await;
    }

    /// Notes that the item with this number is done.
    pub fn set_done(&self, number: usize) {
        self.served.send_modify(|served| *served = (*served).max(number + 1));
    }
}

/// An item's turn.
pub struct Turn<'a> {
    line: Option<(&'a Line, usize)>,
}

impl Turn<'_> {
    /// The turn of an item that waits for no other.
    pub fn at_once() -> Self {
        Self { line: None }
    }

    /// Waits for the turn. Returns `false` if it never comes, because an earlier item has failed.
    pub async fn comes(&self) -> bool {
        let Some((line, number)) = self.line else { return true };
        line.wait_for(number).await;
        !line.has_stopped()
    }
}
