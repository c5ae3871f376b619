//! What agents see and hear, and calls with several of them.

use super::*;

#[tokio::test]
async fn a_transferred_call_is_looked_up_once_and_the_last_agents_words_are_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.transfer(&mut call, "technical_support");
        assert_eq!(call.queue(), Some(("technical_support", 2)));
        centre.agent_answers(&mut call).await;
        assert_eq!(call.agent_saw().len(), 2, "the second agent sees the guide too");
        centre.agent_leaves(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED]);
        let is_of_the_call = |end: &Value| end["call_id"].as_str().unwrap().starts_with(&call.contacts[0].id);
        assert!(centre.api.ended().iter().all(is_of_the_call), "{:?}", centre.api.ended());
        let lookups = centre.api.received().iter().filter(|request| request.path == "/v1/calls/start").count();
        assert_eq!(lookups, 1);
    }
}

/// The wrap-up of the agent who transfers the call.
const HANDED_OVER: WrapUp = WrapUp { summary: "Portal shows no invoice", notes: "", status: "open" };

/// What the API gets for it.
const JOHN_HANDED_OVER: &str = "cust_john: billing_issue open, Portal shows no invoice";

#[tokio::test]
async fn the_words_of_both_agents_of_a_transferred_call_are_saved() {
    for first_writes_first in [true, false] {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            let first = call.contact().id.clone();
            centre.transfer(&mut call, "technical_support");
            if first_writes_first {
                // While the second agent is talking.
                centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
            }
            centre.agent_answers(&mut call).await;
            centre.agent_leaves(&mut call).await;
            centre.wrap_up(&mut call, Some(SETTLED)).await;
            if !first_writes_first {
                centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
            }
            assert_eq!(call.agent_read(), [""; 0], "neither agent sees an error");
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            let mut expected = vec![JOHN_HANDED_OVER, JOHN_SETTLED];
            if !first_writes_first {
                expected.reverse();
            }
            assert_eq!(words(&centre), expected);
        }
    }
}

#[tokio::test]
async fn if_the_save_function_cannot_be_reached_both_agents_words_are_saved_from_their_records() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let first = call.contact().id.clone();
        centre.transfer(&mut call, "technical_support");
        centre.functions_fail = true;
        centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
        assert!(call.agent_read()[0].starts_with(prompt("wrap-up", "Could not save")));
        centre.functions_fail = false;
        centre.stream_record_of(&call, &first).await;
        centre.agent_answers(&mut call).await;
        centre.functions_fail = true;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.functions_fail = false;
        centre.stream_records(&call).await;
        assert_eq!(words(&centre), [JOHN_HANDED_OVER, JOHN_SETTLED]);
    }
}

#[tokio::test]
async fn the_first_agents_words_are_not_saved_again_as_the_second_agents() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let first = call.contact().id.clone();
        centre.transfer(&mut call, "technical_support");
        centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, Some(WrapUp { summary: "", ..SETTLED })).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        let seconds = format!("cust_john: billing_issue resolved, {}", SETTLED.notes);
        assert_eq!(words(&centre), [JOHN_HANDED_OVER, &seconds]);
        assert_eq!(centre.api.ended()[1]["variables"]["last_issue_source"], "agent_notes");
    }
}

#[tokio::test]
async fn the_agents_words_are_saved_although_a_consulted_colleagues_record_came_first() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let colleagues = centre.consult(&mut call);
        centre.stream_record_of(&call, &colleagues).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED]);
        assert_eq!(centre.api.customers()[0].open_intents, [], "it stays resolved");
    }
}

#[tokio::test]
async fn a_transferred_call_without_words_is_saved_by_the_last_segments_contact_record() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.transfer(&mut call, "technical_support");
        centre.agent_answers(&mut call).await;
        centre.stream_records(&call).await;
        // With an outbox it is deferred: a consulted colleague's record looks the same, and the agent may be writing.
        let waited = centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"], "{waited}");
        assert_eq!(ends_told(&centre), 1);
    }
}

#[tokio::test]
async fn a_guide_ends_if_the_agent_closes_it_or_it_fails_and_stays_open_if_nobody_touches_it() {
    let mut settled = john();
    settled.open_intents.clear();
    for has_crm in [true, false] {
        let mut centre = centre_that_knows(&[settled.clone()]).await;
        if !has_crm {
            centre.set("CrmUrl", "none");
        }
        let guides = [
            (Caller::from("+12025550102"), "Show the caller"),
            (from_john(), if has_crm { "Show the caller with a link" } else { "Show the caller" }),
            (Caller::from("+12025550178"), "Show the caller"),
            (Caller::anonymous(), "Show an unknown caller"),
        ];
        for (caller, block) in guides {
            let call = centre.call(caller).await;
            for (button, times) in [(Some("Back"), 1), (Some("Other"), 1), (None, 2)] {
                let mut call = call.clone();
                centre.agent_answers_and(&mut call, button).await;
                assert_eq!(call.agent_saw().len(), times, "{block} {button:?}");
                let shows_link = call.agent_saw()[0].to_string().contains("crm.example.com");
                assert_eq!(shows_link, block == "Show the caller with a link", "{block}");
            }
            centre.broken = Some(Failure::of("agent-guide", block));
            let mut call = call.clone();
            centre.agent_answers_and(&mut call, Some("Back")).await;
            assert_eq!(call.agent_saw(), [&Value::Null; 0]);
            centre.broken = None;
        }
    }
}
