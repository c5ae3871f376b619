//! What Contact Lens says about a contact after its end.
//!
//! See AWS's data models of the events about
//! [voice](https://docs.aws.amazon.com/connect/latest/adminguide/real-time-contact-analysis-segment-streams-data-model.html)
//! and
//! [chat](https://docs.aws.amazon.com/connect/latest/adminguide/chat-real-time-contact-analysis-segment-streams-data-model.html).
//! They differ in names around the segments. A summary is a segment, and is the same in both. So every event is read in
//! one way, whatever its version and type.

use crate::json::Object;

/// The segment that holds a summary.
const SEGMENT: &str = "PostContactSummary";

/// Contact Lens' summary of one contact. The event names no customer and no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLensSummary {
    /// The contact's id.
    pub contact_id: String,
    /// What came of it.
    pub outcome: SummaryOutcome,
}

/// What came of a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SummaryOutcome {
    /// Contact Lens has summarised the contact.
    Completed {
        /// The summary.
        text: String,
        /// Whether personal data is removed from it. A chat may have one summary with it and one without.
        is_redacted: bool,
    },
    /// Contact Lens has not summarised the contact, for the reason with this code.
    Failed {
        /// AWS's `FailureCode`, blank without one.
        code: String,
    },
}

impl ContactLensSummary {
    /// Finds the summary in an event: `json` is its text, `data` the object in it. A completed summary is preferred
    /// to a failed one. Returns `None` if there is neither; nearly every event is an utterance, so this is fast.
    pub(super) fn find(json: &str, data: &Object<'_>, contact_id: String) -> Option<Self> {
        if !json.contains(SEGMENT) {
            return None;
        }
        let segments = data.objects("Segments");
        let summaries: Vec<_> = segments.iter().filter_map(|segment| segment.object(SEGMENT)).collect();
        let with_status = |status: &'static str| {
            summaries.iter().filter(move |summary| summary.text("Status").as_deref() == Some(status))
        };
        let mut texts = with_status("COMPLETED").filter_map(|summary| summary.text("Content"));
        let is_redacted = data.text("OutputType").as_deref() == Some("Redacted");
        let completed = texts.find(|text| !text.trim().is_empty());
        let completed = completed.map(|text| SummaryOutcome::Completed { text, is_redacted });
        let failed = || {
            let failed = with_status("FAILED").next()?;
            Some(SummaryOutcome::Failed { code: failed.text("FailureCode").unwrap_or_default() })
        };
        completed.or_else(failed).map(|outcome| Self { contact_id, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::super::StreamRecord;
    use super::*;

    /// The outcome in an event with these fields and segments.
    fn outcome(fields: &str, segments: &str) -> Option<SummaryOutcome> {
        let json = format!(r#"{{"ContactId":"c","Channel":"VOICE"{fields},"Segments":{segments}}}"#);
        match StreamRecord::parse(&json)? {
            StreamRecord::ContactLens(summary) => {
                assert_eq!(summary.contact_id, "c");
                Some(summary.outcome)
            }
            _ => None,
        }
    }

    const VOICE: &str = r#","Version":"1.0.0","EventType":"SEGMENTS""#;
    const REFUND: &str = r#"{"PostContactSummary":{"Content":"Wants a refund","Status":"COMPLETED"}}"#;

    fn completed(text: &str, is_redacted: bool) -> Option<SummaryOutcome> {
        Some(SummaryOutcome::Completed { text: text.to_owned(), is_redacted })
    }

    #[test]
    fn the_summary_of_a_call_is_found_among_other_segments() {
        assert_eq!(outcome(VOICE, &format!("[{REFUND}]")), completed("Wants a refund", false));
        let others = r#"{"Utterance":{"PartialContent":"PostContactSummary"}},{"Categories":{}},7,null"#;
        assert_eq!(outcome(VOICE, &format!("[{others},{REFUND}]")), completed("Wants a refund", false));
        assert_eq!(outcome(VOICE, &format!("[{others}]")), None);
    }

    #[test]
    fn a_chats_summary_is_raw_or_redacted() {
        for (output, is_redacted) in [("Raw", false), ("Redacted", true), ("Other", false)] {
            let fields = format!(r#","Version":"2.0.0","StreamingEventType":"SEGMENTS","OutputType":"{output}""#);
            assert_eq!(outcome(&fields, &format!("[{REFUND}]")), completed("Wants a refund", is_redacted));
        }
    }

    #[test]
    fn a_summary_counts_in_an_event_of_every_type_and_version() {
        for fields in [
            "",
            r#","EventType":"COMPLETED","Version":"1.0.0""#,
            r#","EventType":"FAILED","Version":"1.7.2""#,
            r#","EventType":"SOMETHING_NEW","Version":3"#,
            r#","StreamingEventType":"COMPLETED","EventType":null"#,
        ] {
            assert_eq!(outcome(fields, &format!("[{REFUND}]")), completed("Wants a refund", false), "{fields}");
        }
    }

    #[test]
    fn a_failed_summary_has_its_code() {
        let failed = |code: &str| Some(SummaryOutcome::Failed { code: code.to_owned() });
        let segments = r#"[{"PostContactSummary":{"Status":"FAILED","FailureCode":"QUOTA_EXCEEDED"}}]"#;
        assert_eq!(outcome(VOICE, segments), failed("QUOTA_EXCEEDED"));
        assert_eq!(outcome(VOICE, r#"[{"PostContactSummary":{"Status":"FAILED"}}]"#), failed(""));
        let both = format!(r#"[{{"PostContactSummary":{{"Status":"FAILED"}}}},{REFUND}]"#);
        assert_eq!(outcome(VOICE, &both), completed("Wants a refund", false));
    }

    #[test]
    fn a_summary_without_a_text_or_a_known_status_is_none() {
        for segments in [
            "null",
            "{}",
            "[]",
            r#"["PostContactSummary"]"#,
            r#"[{"PostContactSummary":null}]"#,
            r#"[{"PostContactSummary":{"Content":"text"}}]"#,
            r#"[{"PostContactSummary":{"Content":"text","Status":"PENDING"}}]"#,
            r#"[{"PostContactSummary":{"Status":"COMPLETED"}}]"#,
            r#"[{"PostContactSummary":{"Content":" ","Status":"COMPLETED"}}]"#,
            r#"[{"PostContactSummary":{"Content":7,"Status":"COMPLETED"}}]"#,
        ] {
            assert_eq!(outcome(VOICE, segments), None, "{segments}");
        }
    }
}
