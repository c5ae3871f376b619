//! What is saved when a call ends, in every order of events.

use super::*;

#[tokio::test]
async fn the_agents_words_are_saved_once_or_twice_whichever_block_fails_at_the_end_of_the_call() {
    let failures = centre().await;
    let failures = [failures.failures("disconnect"), failures.failures("wrap-up")].concat();
    assert!(failures.len() > 12, "{failures:?}");
    for failure in failures {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            centre.broken = Some(failure.clone());
            centre.agent_leaves(&mut call).await;
            centre.wrap_up(&mut call, Some(SETTLED)).await;
            centre.broken = None;
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            let variables: Vec<_> = centre.api.ended().iter().map(|end| end["variables"].clone()).collect();
            let times = |name: &str, text: &str| variables.iter().filter(|variables| variables[name] == text).count();
            let times = [times("last_issue", SETTLED.summary), times("resolution", SETTLED.notes)];
            // Without the form there is no text.
            match failure.block.as_str() {
                "Ask the agent" => assert_eq!((times, ends(&centre).len()), ([0, 0], 1)),
                block => assert!(times.iter().all(|times| (1..=2).contains(times)), "{block}: {times:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_call_without_words_in_which_the_caller_hangs_up_first_is_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, None).await;
        assert_eq!(call.agent_read(), [""; 0], "there was nothing to save");
        centre.stream_records(&call).await;
        // The record comes after the agent's wrap-up, so the end does not have to wait.
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
        let last_issue = &centre.api.customers()[0].variables["last_issue"];
        assert_eq!(last_issue, "Invoice 4711 charges the setup fee twice", "the last issue is not replaced");
    }
}

#[tokio::test]
async fn a_call_that_is_abandoned_in_the_queue_is_saved_by_the_contact_record() {
    let mut centre = centre_that_knows(&[john()]).await;
    let call = centre.call(from_john().pressing("1")).await;
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
}

#[tokio::test]
async fn words_from_a_flow_are_saved_when_the_agent_leaves_and_not_again_by_the_record() {
    for mut centre in centres_that_know_john().await {
        let caller = from_john().bringing("call_summary", "Asked for a copy of the invoice").pressing("1");
        let mut call = centre.call(caller).await;
        centre.agent_answers(&mut call).await;
        centre.agent_leaves(&mut call).await;
        let expected = ["cust_john: billing_issue open, Asked for a copy of the invoice"];
        assert_eq!(ends(&centre), expected);
        let mark = call.attribute("sticky_calls_saved");
        assert!(mark.starts_with(&format!("{}.", call.contacts[0].id)), "{mark}");
        centre.stream_records(&call).await;
        assert_eq!(
            (ends(&centre), ends_told(&centre), centre.deliver_outbox().await),
            (expected.map(str::to_owned).to_vec(), 1, 0)
        );
    }
}

#[tokio::test]
async fn without_an_outbox_an_end_without_words_is_saved_at_once_and_words_follow_as_a_standalone_end() {
    let mut centre = ContactCentre::open(BOOTSTRAP, &[]).await;
    centre.api.remember(john());
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
    assert_eq!(call.attribute("sticky_calls_saved"), "", "there were no words");
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(call.agent_read(), [""; 0], "nothing went wrong");
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -", JOHN_SETTLED]);
    let ended = centre.api.ended();
    let [of_the_call, of_the_words] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(of_the_call["call_id"], *call.contacts[0].id);
    let words_id =
        of_the_words["call_id"].as_str().unwrap().strip_prefix(&format!("{}.", call.contacts[0].id)).unwrap();
    assert!(words_id.len() == 16 && words_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{words_id}");
    assert_eq!(of_the_words.get("customer_ref"), None);
    assert_eq!(of_the_words["identity_hints"]["customer_ref"], "cust_john");
    assert_eq!(of_the_words["call_id"], call.attribute("sticky_calls_saved"));
    let told = ends_told(&centre);
    centre.stream_records(&call).await;
    assert_eq!(ends_told(&centre), told, "the record holds no other words");
}

#[tokio::test]
async fn a_contact_is_marked_only_after_its_words_are_safe() {
    let mut centre = ContactCentre::open(BOOTSTRAP, &[]).await;
    centre.api.remember(john());
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.agent_answers(&mut call).await;
    centre.api.fail_always(Some(Fault::status(500)));
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert!(call.agent_read().last().unwrap().starts_with(prompt("wrap-up", "Could not save")));
    assert!(call.contacts.iter().all(|contact| !contact.attributes.contains_key("sticky_calls_saved")));
    centre.api.fail_always(None);
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
}

/// What happens at the end of a call if the agent leaves first. The order can vary.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Disconnect,
    WrapUp,
    Record,
}

async fn take(step: Step, centre: &mut ContactCentre, call: &mut Call, wrap_up: Option<WrapUp>) {
    match step {
        Step::Disconnect => centre.agent_leaves(call).await,
        Step::WrapUp => centre.wrap_up(call, wrap_up).await,
        Step::Record => drop(centre.stream_records(call).await),
    }
}

#[tokio::test]
async fn the_agents_words_are_saved_once_in_any_order_of_disconnect_record_and_wrap_up() {
    use Step::{Disconnect, Record, WrapUp};
    let orders = [
        [Disconnect, WrapUp, Record],
        [WrapUp, Disconnect, Record],
        [WrapUp, Record, Disconnect],
        [Disconnect, Record, WrapUp],
        [Record, Disconnect, WrapUp],
        [Record, WrapUp, Disconnect],
    ];
    for order in orders {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            for step in order {
                take(step, &mut centre, &mut call, Some(SETTLED)).await;
            }
            // Connect sends it again if attributes have changed since.
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            assert_eq!(words(&centre), [JOHN_SETTLED], "{order:?}");
            assert_eq!(centre.api.customers()[0].variables["resolution"], SETTLED.notes);
            let ended = centre.api.ended();
            let of_the_call = ended.iter().filter(|end| end["call_id"] == *call.contacts[0].id).count();
            assert_eq!(of_the_call, 1, "{order:?}");
        }
    }
}

/// The outbox is a queue of moto's SQS.
#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_queued_words_are_marked_too_and_delivered_later() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut centre = ContactCentre::open_in(BOOTSTRAP, &aws, &[("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    centre.api.remember(john());
    for by_wrap_up in [false, true] {
        let mut call = centre.call(from_john().bringing("call_summary", "Wants a copy").pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.api.fail_always(Some(Fault::status(503)));
        if by_wrap_up {
            centre.wrap_up(&mut call, Some(SETTLED)).await;
        } else {
            centre.agent_leaves(&mut call).await;
        }
        centre.api.fail_always(None);
        assert!(call.attribute("sticky_calls_saved").starts_with(&call.contacts[0].id), "{call:#?}");
        centre.stream_records(&call).await;
    }
    assert_eq!(ends(&centre), [""; 0]);
    for message in aws.receive(&queue).await {
        centre.deliver(&json!({"Records": [message]})).await;
    }
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, Wants a copy", JOHN_SETTLED]);
}

#[tokio::test]
async fn the_agents_words_are_saved_once_although_the_record_came_before_the_wrap_up_was_done() {
    for order in [[Step::Disconnect, Step::WrapUp], [Step::WrapUp, Step::Disconnect]] {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            for step in order {
                match step {
                    Step::WrapUp => centre.wrap_up_after_the_record(&mut call, Some(SETTLED)).await,
                    other => take(other, &mut centre, &mut call, None).await,
                }
            }
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            assert_eq!(words(&centre), [JOHN_SETTLED], "{order:?}");
        }
    }
}

#[tokio::test]
async fn an_agent_who_writes_nothing_leaves_the_intent_open_and_the_call_is_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.agent_leaves(&mut call).await;
        centre.wrap_up_times_out(&mut call).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
    }
}

#[tokio::test]
async fn if_the_agent_leaves_a_field_empty_the_other_fields_are_saved() {
    let summary = WrapUp { notes: "", ..SETTLED };
    let notes = WrapUp { summary: "", ..SETTLED };
    let cases = [(summary, SETTLED.summary), (notes, SETTLED.notes)].map(|case| [(case, false), (case, true)]);
    for ((wrap_up, last_issue), missing_values_fail) in cases.into_iter().flatten() {
        let mut centre = centre().await;
        centre.missing_values_fail = missing_values_fail;
        let mut call = centre.call(Caller::from("+12025550177").pressing("1")).await;
        let reference = call.attribute("customer_ref").to_owned();
        centre.agent_answers(&mut call).await;
        // The save function can't be reached, so the record's attributes are all there is.
        centre.functions_fail = true;
        centre.wrap_up(&mut call, Some(wrap_up)).await;
        centre.functions_fail = false;
        centre.stream_records(&call).await;
        assert_eq!(ends(&centre), [format!("{reference}: billing_issue resolved, {last_issue}")]);
    }
}

#[tokio::test]
async fn notes_that_the_agent_corrects_the_next_day_are_saved_too() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        call.contacts[0].attributes.insert("agent_notes".to_owned(), "Sent it by post".to_owned());
        for _ in 0..2 {
            centre.stream_records(&call).await;
        }
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED; 2]);
        assert_eq!(centre.api.customers()[0].variables["resolution"], "Sent it by post");
    }
}
