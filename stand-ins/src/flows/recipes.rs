//! The flows of the recipes in `docs/recipes.md`. They are no part of the template: readers import them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::attributes::Surroundings;
use super::{Fault, check, read};

/// What a recipe consists of, and what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Its flows and modules: the names of their files in `flows/recipes/`, without `.json`.
    pub flows: &'static [&'static str],
    /// What surrounds them.
    pub surroundings: Surroundings,
}

/// The recipes that have flows of their own.
pub const RECIPES: [Recipe; 4] = [
    Recipe {
        flows: &["identify-language", "language"],
        surroundings: Surroundings { variables: &["language"], functions: &[] },
    },
    Recipe { flows: &["line-type"], surroundings: Surroundings { variables: &[], functions: &[] } },
    Recipe {
        flows: &["crm-id"],
        surroundings: Surroundings { variables: &[], functions: &[("${CrmFunctionArn}", &["customer_id"])] },
    },
    Recipe {
        flows: &["ai-agent"],
        surroundings: Surroundings { variables: &[], functions: &[("${SessionDataFunctionArn}", &[])] },
    },
];

impl Recipe {
    /// The recipe that has a flow of this name.
    ///
    /// # Panics
    ///
    /// If no recipe has it.
    pub fn with(flow: &str) -> &'static Self {
        let recipe = RECIPES.iter().find(|recipe| recipe.flows.contains(&flow));
        recipe.unwrap_or_else(|| panic!("no recipe has a flow {flow}"))
    }

    /// The texts of its flows, by their names.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = texts();
        texts.retain(|name, _| self.flows.contains(&name.as_str()));
        texts
    }

    /// The faults of its flows beside those of the stack.
    pub fn faults(&self) -> Vec<Fault> {
        let mut all = super::texts();
        all.extend(self.texts());
        check::check_in(&all, &self.surroundings)
    }
}

/// Whether a flow of this name belongs to a recipe.
pub(super) fn has(flow: &str) -> bool {
    RECIPES.iter().any(|recipe| recipe.flows.contains(&flow))
}

/// The folder of the recipes' flows.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../flows/recipes"))
}

/// The text of every flow in that folder, by its name.
pub fn texts() -> BTreeMap<String, String> {
    read(&folder())
}
