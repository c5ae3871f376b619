//! Lambda functions of the contact centre's own, such as a lookup in its CRM.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a function answers to an event. `None` means that it fails.
type Answer = Box<dyn FnMut(&Value) -> Option<Value> + Send>;

/// The functions, by the last parts of their ARNs.
#[derive(Default)]
pub(super) struct OwnFunctions {
    answers: BTreeMap<String, Answer>,
    /// The events that they were invoked with, with the functions' names.
    pub invoked: Vec<(String, Value)>,
}

impl OwnFunctions {
    /// Adds a function, or replaces the one of this name.
    pub fn provide(&mut self, name: &str, answer: impl FnMut(&Value) -> Option<Value> + Send + 'static) {
        self.answers.insert(name.to_owned(), Box::new(answer));
    }

    /// Invokes a function, and returns its answer.
    ///
    /// # Panics
    ///
    /// If there is no function of this name.
    pub fn invoke(&mut self, name: &str, event: Value) -> Option<Value> {
        let answer = self.answers.get_mut(name).unwrap_or_else(|| panic!("no function {name}"));
        let answered = answer(&event);
        self.invoked.push((name.to_owned(), event));
        answered
    }
}
