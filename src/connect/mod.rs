//! Amazon Connect's edge: what an event holds, and what an answer may hold.

mod attributes;
mod contact;
mod phone_number;

pub(crate) use attributes::attribute_name;
pub use attributes::{AttributeName, Attributes, InvalidName, MAX_BYTES, attribute_text};
pub use contact::Contact;
pub use phone_number::PhoneNumber;
