//! Chats: a greeting of their own, no questions, and a customer who is not cut off.

use super::*;

fn chat_greeting() -> &'static str {
    prompt("inbound", "Greet in the chat")
}

#[tokio::test]
async fn a_chat_customer_is_known_by_the_web_pages_id_and_is_asked_nothing() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "gold")])]).await;
    let mut call = centre.call(Caller::in_chat("C-1002")).await;
    // The id alone is not enough for a welcome, and nobody can press keys in a chat.
    assert_eq!(call.heard(), [chat_greeting(), prompt("inbound", "Greet softly")]);
    assert_eq!(call.queue(), Some(("billing", 2)));
    centre.wait(&mut call, Duration::from_secs(600), "").await;
    assert_eq!(call.heard().len(), 2, "a waiting chat gets no prompts");
    centre.agent_answers(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
    let stranger = centre.call(Caller::in_chat("C-9999")).await;
    assert_eq!((stranger.heard(), stranger.queue()), (vec![chat_greeting()], Some(("general", 5))));
}

#[tokio::test]
async fn a_chat_customer_who_waits_when_the_last_agent_leaves_is_told_so() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::in_chat("C-9")).await;
    centre.unstaffed_queues.insert("general".to_owned());
    centre.wait(&mut call, Duration::from_secs(600), "").await;
    assert_eq!(call.heard()[1..], [prompt("queue", "Send the chat away")]);
    assert_eq!(call.moments.last(), Some(&Moment::IsDisconnected));
}

#[tokio::test]
async fn nobody_is_asked_for_a_key_in_a_chat() {
    // With the id alone at the threshold, the chat's customer is welcomed back.
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &[("STICKY_CALLS_RETURNING_THRESHOLD", "0.4")]).await;
    centre.api.remember(john());
    centre.set("ContactLens", "Enabled");
    let chat = || Caller::in_chat("C-1002");
    let mut calls = vec![centre.call(chat()).await, centre.call(Caller::in_chat("C-9")).await];
    centre.is_closed = true;
    calls.push(centre.call(chat()).await);
    centre.is_closed = false;
    centre.unstaffed_queues.insert("billing".to_owned());
    calls.push(centre.call(chat()).await);
    centre.unstaffed_queues.clear();
    centre.fill("billing");
    calls.push(centre.call(chat()).await);
    for call in &calls {
        let asked = call.moments.iter().find(|moment| matches!(moment, Moment::IsAskedInVain(_)));
        assert_eq!(asked, None, "{:?}", call.heard());
        assert!(was_served(call), "{:?}", call.heard());
    }
    assert_eq!(calls[0].heard()[1], welcome("Invoice 4711 charges the setup fee twice"));
    let sent_away = ["closed", "unstaffed", "full"].map(|case| format!("Send away while {case}"));
    let last: Vec<_> = calls[2..].iter().map(|call| *call.heard().last().unwrap()).collect();
    assert_eq!(last, sent_away.map(|block| prompt("route", &block)));
}

#[tokio::test]
async fn a_chat_whose_agent_leaves_first_is_saved_and_its_customer_has_five_minutes_to_write() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(Caller::in_chat("C-1002").bringing("call_summary", "Wants a copy")).await;
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(words(&centre), ["cust_john: billing_issue open, Wants a copy"], "saved before the wait");
    let left = prompt("disconnect", "Tell that the agent has left");
    assert_eq!(call.heard()[2..], [left, prompt("disconnect", "Say goodbye in the chat")]);
    assert!(call.moments.contains(&Moment::Waits(Duration::from_secs(300))));
    assert_eq!(call.moments.last(), Some(&Moment::IsDisconnected));
}

#[tokio::test]
async fn a_chat_customer_who_writes_again_gets_back_to_the_queue_and_to_another_agent() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(Caller::in_chat("C-1002")).await;
    centre.agent_answers(&mut call).await;
    centre.agent_leaves_and_customer_writes(&mut call, Some(Duration::from_secs(60))).await;
    assert_eq!(call.queue(), Some(("billing", 2)));
    assert_ne!(call.moments.last(), Some(&Moment::IsDisconnected));
    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_saw().len(), 2, "the second agent sees the guide too");
    centre.agent_leaves(&mut call).await;
    let left = prompt("disconnect", "Tell that the agent has left");
    assert_eq!(call.heard().iter().filter(|text| **text == left).count(), 2, "the second agent leaves it first, too");
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    centre.deliver_outbox().await;
    assert_eq!(words(&centre), [JOHN_SETTLED]);

    // At night, with nobody at work or with a full queue the customer does not wait without end.
    for reason in ["closed", "unstaffed", "full"] {
        let mut call = centre.call(Caller::in_chat("C-1002")).await;
        centre.agent_answers(&mut call).await;
        centre.is_closed = reason == "closed";
        centre.unstaffed_queues.extend((reason == "unstaffed").then(|| "general".to_owned()));
        if reason == "full" {
            centre.fill("general");
        }
        centre.agent_leaves_and_customer_writes(&mut call, Some(Duration::from_secs(60))).await;
        assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Nobody can answer")), "{reason}");
        centre.is_closed = false;
        centre.unstaffed_queues.clear();
    }
}

#[tokio::test]
async fn a_chat_that_goes_on_waits_where_somebody_works_and_with_the_priority_that_it_had() {
    for (intent, before, after) in [
        ("billing_issue", ("billing", 2), ("general", 2)),
        // It has no queue, so the chat was not preferred.
        ("refund_request", ("general", 5), ("general", 5)),
    ] {
        let mut centre = centre_that_knows(&[john_about(intent)]).await;
        let mut call = centre.call(Caller::in_chat("C-1002")).await;
        assert_eq!(call.queue(), Some(before));
        centre.agent_answers(&mut call).await;
        centre.unstaffed_queues.insert("billing".to_owned());
        centre.agent_leaves_and_customer_writes(&mut call, Some(Duration::from_secs(60))).await;
        assert_eq!(call.queue(), Some(after));
    }
}

/// AWS does not say for sure whether a disconnect flow runs after a flow has hung up, too.
#[tokio::test]
async fn a_chat_that_was_sent_away_is_not_told_that_an_agent_has_left() {
    let mut centre = centre().await;
    centre.is_closed = true;
    let mut call = centre.call(Caller::in_chat("C-9")).await;
    for _ in 0..2 {
        centre.agent_leaves_and_customer_writes(&mut call, Some(Duration::from_secs(60))).await;
        assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Say goodbye")));
        assert_eq!(call.queue(), None);
    }
}

#[tokio::test]
async fn every_chat_ends_with_a_word_whichever_block_of_the_disconnect_flow_fails() {
    let mut centre = centre_that_knows(&[john()]).await;
    for failure in centre.failures("disconnect") {
        for writes_after in [None, Some(Duration::from_secs(60))] {
            let mut call = centre.call(Caller::in_chat("C-1002")).await;
            centre.agent_answers(&mut call).await;
            let before = (call.heard().len(), call.moments.len());
            centre.broken = Some(failure.clone());
            centre.agent_leaves_and_customer_writes(&mut call, writes_after).await;
            centre.broken = None;
            let is_queued = call.moments[before.1..].iter().any(|moment| matches!(moment, Moment::IsQueued { .. }));
            let last = call.heard().len() > before.0 && was_served(&call);
            // Only the words themselves can be missing.
            let is_the_last_word = failure.block.starts_with("Say goodbye") || failure.block == "Nobody can answer";
            assert!(is_queued || last || is_the_last_word, "{failure:?}: {:?}", call.moments);
        }
    }
}
