//! Closed, unstaffed and full queues, callbacks, and waiting.

use super::*;

/// A contact centre that knows John, with a queue for callbacks and a full billing queue.
pub(super) async fn busy_centre() -> ContactCentre {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.give_callbacks_a_queue();
    centre.fill("billing");
    centre
}

fn callback(queue: &str, number: &str, priority: u64) -> Callback {
    Callback { queue: queue.to_owned(), number: number.to_owned(), priority }
}

#[tokio::test]
async fn if_the_queue_is_full_a_callback_is_offered_and_an_open_intent_gives_it_priority() {
    let mut centre = busy_centre().await;
    let returning = centre.call(from_john().pressing("11")).await;
    assert_eq!(returning.heard()[3..], [full(), promise()]);
    assert_eq!(returning.callback(), Some(&callback("callbacks", "+12025550102", 2)));
    let stranger = centre.call(Caller::from("+12025550177").pressing("11")).await;
    assert_eq!(stranger.callback(), Some(&callback("callbacks", "+12025550177", 5)));
    assert_eq!(stranger.heard().last(), Some(&promise()));
    let called_back = stranger.contacts.last().unwrap();
    assert_eq!(
        (called_back.initiation_method, called_back.attributes["intent"].as_str()),
        ("CALLBACK", "billing_issue")
    );
    assert_eq!(
        called_back.hooks.keys().collect::<Vec<_>>(),
        ["AgentWhisper", "CustomerRemaining", "DefaultAgentUI", "DisconnectAgentUI"]
    );
}

#[tokio::test]
async fn a_vips_callback_goes_ahead_of_all_others() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
    centre.fill("vip");
    centre.give_callbacks_a_queue();
    let call = centre.call(from_john().pressing("11")).await;
    assert_eq!(call.callback(), Some(&callback("callbacks", "+12025550102", 1)));
}

#[tokio::test]
async fn what_was_copied_from_another_contact_makes_nobody_a_vip() {
    let mut centre = busy_centre().await;
    let call = centre.call(Caller::from("+12025550177").bringing("vip", "true").pressing("11")).await;
    assert_eq!(call.callback(), Some(&callback("callbacks", "+12025550177", 5)));
}

#[tokio::test]
async fn an_unconfirmed_caller_or_one_without_an_open_intent_is_called_back_without_priority() {
    let settled =
        Customer { open_intents: Vec::new(), ..somebody("cust_13", "+12025550313", "C-313", "", "call_summary") };
    let mut centre = centre_that_knows(&[john(), settled]).await;
    centre.give_callbacks_a_queue();
    ["billing", "general"].iter().for_each(|queue| centre.fill(queue));
    let unconfirmed = centre.call(Caller::from("+12025550102").pressing("1")).await;
    let without_open_intent = centre.call(Caller::from("+12025550313").known_as("C-313").pressing("11")).await;
    for call in [unconfirmed, without_open_intent] {
        assert_eq!(call.callback().map(|callback| callback.priority), Some(5), "{:?}", call.heard());
    }
}

#[tokio::test]
async fn callbacks_count_towards_the_limit_of_their_queue_and_one_too_many_is_not_promised() {
    let mut centre = busy_centre().await;
    centre.limits.insert("callbacks".to_owned(), 2);
    for number in ["+12025550161", "+12025550162"] {
        assert!(centre.call(Caller::from(number).pressing("11")).await.callback().is_some());
    }
    let call = centre.call(Caller::from("+12025550163").pressing("11")).await;
    let sorry = prompt("route", "No callback");
    assert_eq!((call.heard()[2..].to_vec(), call.callback()), (vec![full(), promise(), sorry], None));
    assert!(!promise().contains("call you"), "what was said before must stay true");
}

#[tokio::test]
async fn without_a_queue_of_their_own_callbacks_wait_in_the_queue_of_their_call() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.wait(&mut call, Duration::from_secs(120), "1").await;
    assert_eq!(call.callback(), Some(&callback("billing", "+12025550102", 2)));
    // A full queue would refuse a callback, so that none is offered.
    centre.fill("billing");
    let call = centre.call(from_john().pressing("11")).await;
    assert_eq!(call.heard()[3..], [prompt("route", "Send away while full")]);
}

#[tokio::test]
async fn a_callback_whose_queue_filled_up_meanwhile_waits_in_the_general_queue() {
    let mut centre = busy_centre().await;
    centre.broken =
        Some(Failure { error_type: "QueueAtCapacity".to_owned(), ..Failure::of("callback", "Queue the callback") });
    let call = centre.call(from_john().pressing("11")).await;
    assert_eq!(call.callback(), Some(&callback("general", "+12025550102", 2)));
}

#[tokio::test]
async fn a_callback_that_no_queue_takes_is_saved_as_open() {
    let mut centre = busy_centre().await;
    centre.fill("general");
    centre.broken =
        Some(Failure { error_type: "QueueAtCapacity".to_owned(), ..Failure::of("callback", "Queue the callback") });
    let call = centre.call(from_john().pressing("11")).await;
    assert!(call.moments.contains(&Moment::CallbackIsLost), "{:?}", call.moments);
    centre.stream_records(&call).await;
    centre.deliver_outbox().await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
}

#[tokio::test]
async fn whichever_block_of_a_callbacks_creation_fails_it_waits_in_a_queue() {
    let mut centre = busy_centre().await;
    let failures = centre.failures("callback");
    assert!(failures.len() > 8, "{failures:?}");
    for failure in failures {
        centre.broken = Some(failure.clone());
        let call = centre.call(from_john().pressing("11")).await;
        // Only without the second transfer there is no queue left; here the first one succeeds.
        assert!(call.callback().is_some(), "{failure:?}: {:?}", call.moments);
    }
}

#[tokio::test]
async fn a_caller_who_has_a_callback_already_is_not_queued_twice() {
    let mut centre = busy_centre().await;
    let call = centre.call(from_john().bringing("callback_requested", "yes").pressing("11")).await;
    let arranged = prompt("route", "Say that it is arranged");
    assert_eq!((call.heard().last(), call.callback()), (Some(&arranged), None));
    centre.limits.clear();
    let mut waiting = centre.call(from_john().bringing("callback_requested", "yes").pressing("1")).await;
    centre.wait(&mut waiting, Duration::from_secs(130), "1").await;
    assert_eq!((waiting.heard().last(), waiting.callback()), (Some(&prompt("queue", "Say that it is arranged")), None));
}

/// An agent takes the callback and hands the customer over to another queue, where they may ask for a callback again.
#[tokio::test]
async fn a_caller_who_was_called_back_can_ask_for_another_callback() {
    let mut centre = busy_centre().await;
    let mut call = centre.call(from_john().pressing("11")).await;
    assert_eq!(call.attribute("callback_requested"), "yes");
    centre.agent_takes_the_callback(&mut call).await;
    assert_eq!(call.attribute("callback_requested"), "no");
    centre.transfer(&mut call, "technical_support");
    call.contacts.last_mut().unwrap().hooks.insert("CustomerQueue".to_owned(), "queue".to_owned());
    call.moments.clear();
    centre.wait(&mut call, Duration::from_secs(120), "1").await;
    assert!(call.callback().is_some(), "{:?}", call.moments);
}

/// The agent takes the call in the moment in which the caller asks for a callback.
#[tokio::test]
async fn an_agent_who_takes_the_first_call_does_not_undo_the_callback() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.wait(&mut call, Duration::from_secs(130), "1").await;
    centre.agent_answers(&mut call).await;
    assert_eq!(call.attribute("callback_requested"), "yes");
    centre.agent_takes_the_callback(&mut call).await;
    assert_eq!(call.attribute("callback_requested"), "no");
}

#[tokio::test]
async fn a_callback_is_arranged_only_after_the_goodbye_and_its_words_stay_true_if_it_fails() {
    let mut centre = busy_centre().await;
    for failure in centre.failures("route") {
        if !["Set callback number", "Create the callback", "Note the callback"].contains(&failure.block.as_str()) {
            continue;
        }
        centre.broken = Some(failure.clone());
        for caller in [from_john().pressing("11"), Caller::from("+12025550177").pressing("11")] {
            let call = centre.call(caller).await;
            assert!(was_served(&call), "{failure:?}");
            assert_eq!(
                call.callback().is_some(),
                call.heard().last() == Some(&promise()),
                "{failure:?}: {:?}",
                call.heard()
            );
        }
    }
    centre.broken = None;
    let call = centre.call(from_john().pressing("11")).await;
    let place = |wanted: &dyn Fn(&Moment) -> bool| call.moments.iter().position(wanted).unwrap();
    let goodbye = place(&|moment| *moment == Moment::Hears(promise().to_owned()));
    assert!(goodbye < place(&|moment| matches!(moment, Moment::CallbackIsQueued(_))), "{:?}", call.moments);
}

#[tokio::test]
async fn a_caller_who_gets_no_callback_hears_why_or_a_goodbye() {
    let mut centre = busy_centre().await;
    for keys in ["1", "19"] {
        let declined = centre.call(Caller::from("+12025550176").pressing(keys)).await;
        assert_eq!(declined.heard().last(), Some(&apology()));
    }
    let anonymous = centre.call(Caller::anonymous().pressing("11")).await;
    assert_eq!(anonymous.heard()[2..], [prompt("route", "Send away while full")], "no offer that can't be kept");
    assert_eq!((anonymous.callback(), anonymous.moments.last()), (None, Some(&Moment::IsDisconnected)));
}

#[tokio::test]
async fn outside_the_opening_hours_and_with_nobody_at_work_callers_hear_so_and_can_be_called_back() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.is_closed = true;
    let closed = centre.call(from_john().pressing("11")).await;
    assert_eq!(closed.heard()[3..], [prompt("route", "Offer a callback while closed"), promise()]);
    assert_eq!((closed.callback(), closed.queue()), (Some(&callback("billing", "+12025550102", 2)), None));

    centre.is_closed = false;
    centre.unstaffed_queues.insert("sales".to_owned());
    let unstaffed = centre.call(Caller::from("+12025550177").pressing("3-")).await;
    let offer = prompt("route", "Offer a callback while unstaffed");
    assert_eq!(unstaffed.heard(), [greeting(), menu(), offer, apology()]);
    assert_eq!((unstaffed.callback(), unstaffed.queue()), (None, None));
    let staffed = centre.call(Caller::from("+12025550178").pressing("1")).await;
    assert_eq!(staffed.queue(), Some(("billing", 5)));
}

#[tokio::test]
async fn a_caller_who_waits_is_offered_a_callback_every_two_minutes_and_hears_pauses_in_between() {
    let offer = prompt("queue", "Offer a callback");
    let wait = prompt("queue", "Wait");
    let mut centre = centre_that_knows(&[john()]).await;
    let mut patient = centre.call(from_john().pressing("1")).await;
    let before = patient.heard().len();
    centre.wait(&mut patient, Duration::from_secs(600), "----").await;
    let heard = &patient.heard()[before..];
    assert_eq!(heard.iter().filter(|text| **text == offer).count(), 5, "{heard:?}");
    // In ten minutes the same sentence comes every half a minute and not without a pause.
    let sentences = heard.iter().filter(|text| **text == wait).count();
    assert!((15..=20).contains(&sentences), "{sentences}");
    let pauses = patient.moments.iter().filter(|moment| matches!(moment, Moment::Waits(time) if !time.is_zero()));
    assert!(pauses.count() >= sentences - 5);
    assert!(patient.longest_silence() <= Duration::from_secs(30), "{:?}", patient.longest_silence());
    assert_eq!(patient.callback(), None);
    assert_ne!(patient.moments.last(), Some(&Moment::IsDisconnected));

    centre.wait(&mut patient, Duration::from_secs(300), "-1").await;
    assert_eq!(patient.callback(), Some(&callback("billing", "+12025550102", 2)));
    assert_eq!(patient.heard().last(), Some(&prompt("queue", "Say goodbye before the callback")));

    let mut anonymous = centre.call(Caller::anonymous().pressing("1")).await;
    centre.wait(&mut anonymous, Duration::from_secs(150), "1").await;
    assert!(anonymous.heard()[2..].iter().all(|text| *text == wait), "no offer that can't be kept");
    assert_eq!(anonymous.callback(), None);
}

#[tokio::test]
async fn a_caller_who_waits_when_the_last_agent_leaves_is_told_so_and_can_be_called_back() {
    for (keys, wants_it) in [("1", true), ("-", false)] {
        let mut centre = centre_that_knows(&[john()]).await;
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.unstaffed_queues.insert("billing".to_owned());
        centre.wait(&mut call, Duration::from_secs(3_600), keys).await;
        assert!(call.heard().contains(&prompt("queue", "Offer a callback while unstaffed")));
        assert_eq!((call.callback().is_some(), call.moments.last()), (wants_it, Some(&Moment::IsDisconnected)));
        assert!(was_served(&call));
    }
}

#[tokio::test]
async fn a_caller_whose_callback_fails_hears_a_goodbye_if_there_is_nobody_to_wait_for() {
    for is_staffed in [true, false] {
        let mut centre = centre_that_knows(&[john()]).await;
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.broken = Some(Failure::of("queue", "Create the callback"));
        if !is_staffed {
            centre.unstaffed_queues.insert("billing".to_owned());
        }
        centre.wait(&mut call, Duration::from_secs(200), "1").await;
        let last = if is_staffed { "Wait" } else { "Say goodbye" };
        assert!(call.heard().contains(&prompt("queue", "No callback")));
        assert_eq!(call.heard().last(), Some(&prompt("queue", last)));
        assert_eq!(call.moments.last() == Some(&Moment::IsDisconnected), !is_staffed);
    }
}

#[tokio::test]
async fn every_waiting_caller_stays_in_the_queue_or_is_called_back_whichever_block_fails() {
    let mut centre = centre_that_knows(&[john()]).await;
    let failures = centre.failures("queue");
    assert!(failures.len() > 5, "{failures:?}");
    for failure in failures {
        let mut call = centre.call(from_john().pressing("1")).await;
        let heard = call.heard().len();
        centre.broken = Some(failure.clone());
        centre.wait(&mut call, Duration::from_secs(300), "11").await;
        centre.broken = None;
        let is_disconnected = call.moments.last() == Some(&Moment::IsDisconnected);
        assert_eq!(is_disconnected, call.callback().is_some(), "{failure:?}: {call:#?}");
        assert!(call.heard().len() > heard, "{failure:?}: the caller waits in silence");
    }
}

#[tokio::test]
async fn a_caller_whose_queue_has_no_loop_of_prompts_hears_pauses_and_is_offered_a_callback() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.broken = Some(Failure::of("queue", "Wait"));
    centre.wait(&mut call, Duration::from_secs(300), "-1").await;
    assert!(call.heard().contains(&prompt("queue", "Wait without the loop")), "{:?}", call.heard());
    assert!(call.longest_silence() <= Duration::from_secs(30), "{:?}", call.longest_silence());
    assert!(call.callback().is_some());
}

#[tokio::test]
async fn a_callback_that_reaches_the_caller_is_saved_with_the_agents_words() {
    let mut centre = busy_centre().await;
    let mut call = centre.call(from_john().pressing("11")).await;
    centre.agent_takes_the_callback(&mut call).await;
    assert_eq!(call.agent_heard(), ["Returning caller, billing issue open."]);
    assert!(call.agent_saw()[0].to_string().contains("Invoice 4711"), "{:?}", call.agent_saw());
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    centre.deliver_outbox().await;
    assert_eq!(words(&centre), [JOHN_SETTLED]);
    assert_eq!(centre.api.customers()[0].open_intents, []);
}

#[tokio::test]
async fn a_callback_that_reaches_nobody_leaves_the_intent_open() {
    for reaches_voicemail in [true, false] {
        let mut centre = busy_centre().await;
        let mut call = centre.call(from_john().pressing("11")).await;
        if reaches_voicemail {
            centre.callback_reaches_voicemail(&mut call).await;
        }
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
        assert_eq!(centre.api.ended()[0]["call_id"], call.contacts[0].id.as_str());
    }
}
