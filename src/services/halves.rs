//! The halves of what Contact Lens summarised. The summary names a contact and no customer, the contact record names
//! the customer, and nobody knows which comes first. So each is written to the table under the contact's id, and then the
//! other is looked for. Reads are strongly consistent: whoever writes the second half sees both.
//!
//! A tombstone replaces the halves of a contact whose summary is not to be saved. Later halves do not replace it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::{self, Condition, Row, Table};
use crate::card_numbers;

/// How long a half waits for the other one.
const TTL: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the rows hold.
const TEXT: &str = "text";
/// `rank` itself is a reserved word of DynamoDB.
const RANK: &str = "half_rank";

/// The highest rank.
const TOMBSTONE: i64 = i64::MAX;

/// A half is replaced by one of the same or a higher rank.
const UNLESS_LOWER: Condition =
    Condition { expression: "attribute_not_exists(id) OR half_rank <= :half_rank", names: &[RANK] };

/// Which half it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalfKind {
    /// What the contact record says: a summary of the call without words, as JSON.
    Record,
    /// Contact Lens' text.
    Summary,
}

/// One half. Of several, the one of the highest rank counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// Which half it is.
    pub kind: HalfKind,
    /// What it holds.
    pub text: String,
    rank: i64,
}

impl Half {
    /// The record's half; `updated` is its last update. A later update replaces an earlier one.
    pub fn of_record(text: String, updated: Option<Timestamp>) -> Self {
        let rank = updated.map_or(i64::MIN, Timestamp::as_millisecond);
        Self { kind: HalfKind::Record, text, rank }
    }

    /// What Contact Lens says, with card numbers masked. A redacted text replaces a raw one.
    pub fn of_summary(text: &str, is_redacted: bool) -> Self {
        Self { kind: HalfKind::Summary, text: card_numbers::mask(text), rank: is_redacted.into() }
    }

    /// Whether it says that the contact is not to be summarised.
    pub fn is_tombstone(&self) -> bool {
        self.rank == TOMBSTONE
    }

    /// Whether it is Contact Lens' text.
    pub fn is_summary(&self) -> bool {
        self.kind == HalfKind::Summary
    }

    /// The half of this kind that counts.
    pub fn highest(kind: HalfKind, halves: &[Self]) -> Option<&Self> {
        halves.iter().filter(|half| half.kind == kind).max_by_key(|half| half.rank)
    }

    fn row(&self, contact_id: &str) -> Row {
        let expires_at = Timestamp::now().saturating_add(TTL).map_or(0, Timestamp::as_second);
        Row::new(row_id(self.kind, contact_id), expires_at)
            .with_number(RANK, self.rank)
            .with_text(TEXT, self.text.clone())
    }

    fn read(kind: HalfKind, row: &Row) -> Option<Self> {
        let text = row.text(TEXT).unwrap_or_default().to_owned();
        Some(Self { kind, text, rank: row.number(RANK)? })
    }
}

/// The halves in the table.
pub struct Halves {
    table: Table,
}

impl Halves {
    /// The halves in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Leaves a half of this contact, unless one of a higher rank is there.
    ///
    /// # Errors
    ///
    /// Fails if the table does not confirm before `deadline` that it has this half or a better one.
    pub async fn leave(&self, contact_id: &str, half: &Half, deadline: Instant) -> Result<(), aws::Error> {
        self.table.write_if(&half.row(contact_id), UNLESS_LOWER, deadline).await
    }

    /// The halves of this contact that are in the table.
    ///
    /// # Errors
    ///
    /// Fails if the table does not answer before `deadline`.
    pub async fn look_up(&self, contact_id: &str, deadline: Instant) -> Result<Vec<Half>, aws::Error> {
        let kinds = [HalfKind::Record, HalfKind::Summary];
        let rows = self.table.read(&kinds.map(|kind| row_id(kind, contact_id)), deadline).await?;
        let now = Timestamp::now().as_second();
        let of = |kind: HalfKind| {
            // DynamoDB deletes late.
            let row = rows.iter().find(|row| row.id == row_id(kind, contact_id) && row.expires_at > now)?;
            Half::read(kind, row)
        };
        Ok(kinds.into_iter().filter_map(of).collect())
    }
}

/// The tombstones of a contact, which take the place of both halves. They are kept until then, in seconds since 1970.
pub(super) fn tombstones(contact_id: &str, expires_at: i64) -> [Row; 2] {
    [HalfKind::Record, HalfKind::Summary]
        .map(|kind| Row::new(row_id(kind, contact_id), expires_at).with_number(RANK, TOMBSTONE))
}

fn row_id(kind: HalfKind, contact_id: &str) -> String {
    match kind {
        HalfKind::Record => format!("record:{contact_id}"),
        HalfKind::Summary => format!("summary:{contact_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highest(halves: &[Half]) -> Option<&str> {
        Half::highest(HalfKind::Summary, halves).map(|half| half.text.as_str())
    }

    #[test]
    fn a_redacted_summary_counts_before_a_raw_one_whichever_came_first() {
        let [raw, redacted] = [("raw", false), ("redacted", true)].map(|(text, is)| Half::of_summary(text, is));
        assert_eq!(highest(&[raw.clone(), redacted.clone()]), Some("redacted"));
        assert_eq!(highest(&[redacted, raw.clone()]), Some("redacted"));
        assert_eq!(highest(&[raw, Half::of_record("record".into(), None)]), Some("raw"));
        assert_eq!(highest(&[]), None);
    }

    #[test]
    fn of_two_records_of_a_contact_the_later_update_counts() {
        let record = |text: &str, minute: i64| {
            Half::of_record(text.into(), Some(Timestamp::from_second(1_770_460_200 + 60 * minute).unwrap()))
        };
        let halves = [record("first", 1), record("second", 2), Half::of_record("undated".into(), None)];
        assert_eq!(Half::highest(HalfKind::Record, &halves).unwrap().text, "second");
    }

    #[test]
    fn a_tombstone_has_no_text_and_outranks_everything() {
        let [_, row] = tombstones("c", 1);
        let tombstone = Half::read(HalfKind::Summary, &row).unwrap();
        assert_eq!((row.text(TEXT), tombstone.text.as_str()), (None, ""));
        assert!(
            Half::highest(HalfKind::Summary, &[tombstone.clone(), Half::of_summary("late", true)])
                .unwrap()
                .is_tombstone()
        );
        let half = Half::of_summary("Paid with 4111 1111 1111 1111", false);
        assert_eq!(half.text, "Paid with [card number]");
        assert_eq!(Half::read(HalfKind::Summary, &half.row("c")), Some(half));
    }
}
