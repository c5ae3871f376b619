//! Every public word, once: what flows read, what logs and metrics say, what can be set.
//!
//! Each word is a variant with its text; its documentation is its meaning. The tables in `docs/reference.md` and
//! `docs/operations.md`, and the words for the template's tests, are generated from here: `UPDATE=1 cargo test --test
//! generated`.
//!
//! - [`Handler`], [`Action`]: who answers an event, and how a flow asks for it
//! - [`LookupStatus`], [`SaveStatus`]: the result of a lookup or a save
//! - [`Reason`]: why it was skipped or failed
//! - [`Degradation`]: smaller failures, which no answer shows
//! - [`SummaryFailure`]: why Contact Lens could not summarise a contact
//! - [`Metric`]: everything else that is counted and measured
//! - [`IdentifyAttribute`], [`SaveAttribute`], [`LookupSource`]: what a flow reads
//! - [`Setting`]: the environment variables

/// Defines an enum whose variants are public words. `ALL` has them in the order of the documents.
///
/// With `: name -> Type` after the enum's name, each word has a value after `=>`. The method `name` returns it.
macro_rules! words {
    (
        $(#[$of_all:meta])*
        pub enum $name:ident { $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $meaning])+ $variant),+ }

        impl $name {
            /// Every word, in the order in which documents list them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word itself.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What it means, for the documents.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii()),+ }
            }

            /// The variant with this word, or `None` for an unknown word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
    (
        $(#[$of_all:meta])*
        pub enum $name:ident: $method:ident -> $type:ty {
            $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal => $value:expr),+ $(,)?
        }
    ) => {
        words! { $(#[$of_all])* pub enum $name { $($(#[doc = $meaning])+ $variant = $word),+ } }

        impl $name {
            #[doc = concat!("Its ", stringify!($method), ".")]
            pub const fn $method(self) -> $type {
                match self { $(Self::$variant => $value),+ }
            }
        }
    };
}

mod attribute;
mod degradation;
mod handler;
mod metric;
mod reason;
mod setting;
mod status;
mod summary_failure;

pub use attribute::{IdentifyAttribute, LookupSource, SaveAttribute};
pub use degradation::Degradation;
pub use handler::{Action, Handler};
pub use metric::{Metric, MetricUnit, NAMESPACE, StatusMetric};
pub use reason::Reason;
pub use setting::{Setting, SettingForm};
pub use status::{LookupStatus, SaveStatus, Status};
pub use summary_failure::SummaryFailure;
