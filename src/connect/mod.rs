//! Amazon Connect's edge: what an event or a stream's record holds, and what an answer may hold.

mod attributes;
mod contact;
mod contact_kind;
mod contact_lens;
mod contact_record;
mod phone_number;
mod stream_record;

pub use attributes::{AttributeName, Attributes, InvalidName, MAX_BYTES, attribute_text, one_line};
pub use contact::{Contact, is_contact_id};
pub use contact_kind::{ContactKind, RecordRule};
pub use contact_lens::{ContactLensSummary, SummaryOutcome};
pub use contact_record::{ContactRecord, Ending};
pub use phone_number::PhoneNumber;
pub use stream_record::StreamRecord;
