//! What callers hear, and where they get to.

use super::*;

#[tokio::test]
async fn a_first_time_caller_chooses_from_the_menu_and_the_agent_learns_that_it_is_the_first_call() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::from("+12025550177").pressing("1")).await;
    assert_eq!(call.heard(), [greeting(), menu()]);
    assert_eq!(call.queue(), Some(("billing", 5)));
    let attributes = ["lookup_status", "customer_context", "intent", "intent_status", "confidence", "customer_ref"];
    let reference = &centre.api.customers()[0].customer_ref;
    assert_eq!(
        attributes.map(|name| call.attribute(name)),
        ["new", "New caller: nothing is known.", "billing_issue", "open", "0.0", reference]
    );
    assert_eq!(call.attribute("call_id"), call.contact().id);

    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_saw()[0]["Description"], "New caller: nothing is known.");
    centre.agent_leaves(&mut call).await;
    assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Say goodbye")));
    assert_eq!(ends(&centre), [""; 0], "somebody may be writing");
    let open = WrapUp { summary: "Invoice 4711 charges the setup fee twice", notes: "", status: "open" };
    centre.wrap_up(&mut call, Some(open)).await;
    centre.stream_records(&call).await;
    let expected = [format!("{reference}: billing_issue open, Invoice 4711 charges the setup fee twice")];
    assert_eq!((ends(&centre), ends_told(&centre)), (expected.to_vec(), 1), "the record is not saved again");
    assert_eq!(centre.deliver_outbox().await, 1);
    assert_eq!(ends(&centre), expected, "the end without words changed nothing");
}

#[tokio::test]
async fn the_callers_choice_becomes_the_open_intent_and_leads_to_its_queue() {
    let mut centre = centre().await;
    let choices =
        [("1", "billing_issue", "billing"), ("2", "technical_support", "technical_support"), ("3", "sales", "sales")];
    for (key, intent, queue) in choices {
        let call = centre.call(Caller::anonymous().pressing(key)).await;
        assert_eq!(call.queue(), Some((queue, 5)));
        assert_eq!((call.attribute("intent"), call.attribute("intent_status")), (intent, "open"));
    }
}

#[tokio::test]
async fn a_returning_caller_is_welcomed_back_with_the_open_billing_issue_and_gets_priority() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    let welcome = welcome("Invoice 4711 charges the setup fee twice");
    assert_eq!(call.heard(), [greeting(), &welcome, same_issue()]);
    assert_eq!(call.queue(), Some(("billing", 2)));
    let attributes = ["lookup_status", "customer_context", "intent", "intent_status", "confidence", "customer_ref"];
    let context = "Returning caller: John Doe, confidence 0.9. Open: billing_issue, attempts so far: 2. Last issue \
                   (2026-01-30): Invoice 4711 charges the setup fee twice. Resolution: Asked accounting.";
    let expected = ["matched", context, "billing_issue", "open", "0.9", "cust_john"];
    assert_eq!(attributes.map(|name| call.attribute(name)), expected);

    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_heard(), ["Returning caller, billing issue open."]);
    assert_eq!(call.agent_saw()[0]["Description"], context);
    let guide = call.agent_saw()[0].to_string();
    assert!(guide.contains("https://crm.example.com/customers/C-1002"), "{guide}");
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
    assert_eq!(centre.api.customers()[0].open_intents, [], "only the wrap-up resolves it");
}

/// The steps of the README for a newcomer.
#[tokio::test]
async fn with_a_lower_threshold_a_caller_is_welcomed_back_by_number_alone() {
    let trial = [("STICKY_CALLS_RETURNING_THRESHOLD", "0.4")];
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &trial).await;
    let newcomer = || Caller::from("+12025550177").pressing("1");
    let mut call = centre.call(newcomer()).await;
    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_saw()[0]["Description"], "New caller: nothing is known.");
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(WrapUp { summary: "Try it out", notes: "", status: "open" })).await;
    let mut again = centre.call(newcomer()).await;
    assert_eq!(again.heard()[1], welcome("Try it out"));
    assert_eq!(again.queue(), Some(("billing", 2)));
    centre.agent_answers(&mut again).await;
    assert!(again.agent_saw()[0].to_string().contains("Try it out"));
}

#[tokio::test]
async fn a_returning_caller_who_calls_about_something_else_gets_the_menu_and_no_priority() {
    let mut centre = centre_that_knows(&[john()]).await;
    for keys in ["23", "93"] {
        let call = centre.call(from_john().pressing(keys)).await;
        assert_eq!(call.heard()[2..], [same_issue(), menu()]);
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("sales", 5)), "sales"));
    }
}

#[tokio::test]
async fn a_returning_caller_who_presses_nothing_gets_to_the_queue_of_the_open_intent() {
    let mut centre = centre_that_knows(&[john()]).await;
    let call = centre.call(from_john()).await;
    assert!(call.moments.contains(&Moment::DoesNotAnswer));
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("billing", 2)), "billing_issue"));
}

#[tokio::test]
async fn every_open_intent_with_a_queue_is_spoken_by_its_label_and_routed_to_its_queue() {
    let labels = [
        ("billing_issue", "Welcome back with billing", "billing"),
        ("technical_support", "Welcome back with technical support", "technical_support"),
        ("escalation", "Welcome back with an escalation", "escalation"),
    ];
    for (intent, welcome, queue) in labels {
        let mut john = john_with(&[("last_issue_source", "agent_notes")]);
        john.open_intents = vec![(intent.to_owned(), 1)];
        let mut centre = centre_that_knows(&[john]).await;
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!(call.heard(), [greeting(), prompt("inbound", welcome), same_issue()]);
        assert_eq!((call.queue(), call.attribute("intent")), (Some((queue, 2)), intent));
    }
}

#[tokio::test]
async fn an_agents_notes_are_never_read_to_the_caller() {
    let mut john = john_with(&[("last_issue_source", "agent_notes"), ("last_issue", "Difficult customer")]);
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let mut call = centre.call(from_john().pressing("2")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Welcome back"), menu()]);
    assert_eq!(call.queue(), Some(("technical_support", 5)));
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0].to_string().contains("Difficult customer"), "the agent reads them");
}

#[tokio::test]
async fn the_filler_of_an_earlier_call_is_not_read_to_the_caller() {
    let john = john_with(&[("last_issue", "Customer called for support")]);
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!(call.heard()[1], prompt("inbound", "Welcome back with billing"));
}

#[tokio::test]
async fn a_last_issue_that_the_caller_calls_about_again_becomes_an_open_intent() {
    let mut john = john();
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 5)), "general_inquiry"));
    assert_eq!(call.attribute("intent_status"), "open");
}

#[tokio::test]
async fn an_open_intent_without_a_queue_goes_to_the_general_queue_with_priority() {
    let mut centre = centre_that_knows(&[john_about("refund_request")]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 2)), "refund_request"));
    let silent = centre.call(from_john().pressing("-3")).await;
    assert_eq!((silent.heard()[3], silent.queue()), (menu(), Some(("sales", 5))));
}

#[tokio::test]
async fn an_unconfirmed_caller_hears_nothing_personal_and_is_routed_by_the_open_intent() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(Caller::from("+12025550102")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Greet softly")]);
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("billing", 2)), "billing_issue"));
    assert_eq!(call.attribute("lookup_status"), "unconfirmed");
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0]["Description"].as_str().unwrap().contains("not confirmed"));
    assert!(call.agent_saw()[0].to_string().contains("Invoice 4711"), "the agent may know");
}

#[tokio::test]
async fn an_unconfirmed_caller_gets_to_the_queue_of_the_open_intent_or_hears_the_menu_if_it_has_none() {
    for (intent, queue) in [("technical_support", "technical_support"), ("escalation", "escalation")] {
        let mut centre = centre_that_knows(&[john_about(intent)]).await;
        let call = centre.call(Caller::from("+12025550102")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some((queue, 2)), intent));
    }
    let mut centre = centre_that_knows(&[john_about("refund_request")]).await;
    let call = centre.call(Caller::from("+12025550102").pressing("3")).await;
    assert_eq!((call.heard()[2], call.queue()), (menu(), Some(("sales", 5))));
}

#[tokio::test]
async fn an_unconfirmed_caller_without_an_open_intent_chooses_from_the_menu() {
    let mut john = john();
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(Caller::from("+12025550102").pressing("3")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Greet softly"), menu()]);
    assert_eq!(call.queue(), Some(("sales", 5)));
}

#[tokio::test]
async fn a_vip_goes_to_the_vip_queue_at_the_highest_priority() {
    let by_tier = john_with(&[("tier", "vip")]);
    let by_reference = Customer { customer_ref: "vip_john".to_owned(), ..john() };
    for vip in [by_tier, by_reference] {
        let mut centre = centre_that_knows(&[vip]).await;
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("vip", 1)), "billing_issue"));
        let elsewhere = centre.call(from_john().pressing("22")).await;
        assert_eq!((elsewhere.queue(), elsewhere.attribute("intent")), (Some(("vip", 1)), "technical_support"));
    }
}

#[tokio::test]
async fn a_vip_without_a_queue_for_vips_or_with_nobody_there_goes_ahead_in_the_queue_of_the_intent() {
    for has_queue in [false, true] {
        let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
        if has_queue {
            centre.unstaffed_queues.insert("vip".to_owned());
        } else {
            centre.set("OwnVipQueue", "no");
        }
        assert_eq!(centre.call(from_john().pressing("1")).await.queue(), Some(("billing", 1)), "{has_queue}");
    }
}

#[tokio::test]
async fn only_a_confirmed_vip_gets_to_the_vip_queue() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
    let call = centre.call(Caller::from("+12025550102")).await;
    assert_eq!(call.queue(), Some(("billing", 2)));
    let somebody = john_with(&[("tier", "gold")]);
    let mut centre = centre_that_knows(&[somebody]).await;
    assert_eq!(centre.call(from_john()).await.queue(), Some(("billing", 2)));
}

#[tokio::test]
async fn nobody_is_a_vip_who_was_not_looked_up() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
    let copied = [("confidence", "0.95"), ("customer_tier", "vip"), ("sticky_calls_opt_out", "yes")];
    let caller = copied.iter().fold(from_john(), |caller, (name, value)| caller.bringing(name, value));
    assert_eq!(centre.call(caller.pressing("1")).await.queue(), Some(("billing", 5)));
}

#[tokio::test]
async fn an_anonymous_caller_is_served_like_others_and_nothing_is_saved() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::anonymous().pressing("2")).await;
    assert_eq!(call.heard(), [greeting(), menu()]);
    assert_eq!(call.queue(), Some(("technical_support", 5)));
    assert_eq!(
        ["customer_ref", "lookup_status", "lookup_reason"].map(|name| call.attribute(name)),
        ["", "skipped", "no_identity"]
    );
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0]["Description"].as_str().unwrap().starts_with("Nothing is known"));
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(call.agent_read(), [prompt("wrap-up", "Nobody to save it for")]);
    centre.stream_records(&call).await;
    assert_eq!((centre.api.received().len(), centre.deliver_outbox().await), (0, 0));
}

#[tokio::test]
async fn what_networks_send_for_a_withheld_number_is_neither_kept_nor_called_back() {
    let mut centre = centre().await;
    centre.fill("general");
    centre.give_callbacks_a_queue();
    for withheld in ["+266696687", "+86282452253", "+7378742833", "+8656696", "+2562533"] {
        let mut waiting = centre.call(Caller::from(withheld).pressing("1")).await;
        assert_eq!((waiting.attribute("lookup_status"), waiting.attribute("caller_number")), ("skipped", ""));
        centre.wait(&mut waiting, Duration::from_secs(130), "1").await;
        let refused = centre.call(Caller::from(withheld).pressing("991")).await;
        assert_eq!(refused.heard().last(), Some(&prompt("route", "Send away while full")));
        assert_eq!([waiting.callback(), refused.callback()], [None, None], "{withheld}");
    }
}

/// Others start tasks, at any hour, and nobody can be told anything in one.
#[tokio::test]
async fn a_task_waits_for_its_queue_at_any_hour_and_while_every_queue_is_full() {
    let mut centre = centre().await;
    (centre.is_closed, centre.unstaffed_queues) = (true, ["general".to_owned(), "billing".to_owned()].into());
    let about_billing = || Caller::task().bringing("intent", "billing_issue").through("route");
    assert_eq!(centre.call(about_billing()).await.queue(), Some(("billing", 5)));
    centre.fill("billing");
    assert_eq!(centre.call(about_billing()).await.queue(), Some(("general", 5)));
    centre.fill("general");
    let call = centre.call(about_billing().hanging_up_after(200)).await;
    let waits = call.moments.iter().filter(|moment| **moment == Moment::Waits(Duration::from_secs(600))).count();
    assert!(waits > 20, "it waits until it is taken back: {:?}", call.moments);
    // Each time it tries its own queue first.
    let mut tried = BTreeSet::new();
    for blocks in 100..110 {
        let call = centre.call(about_billing().hanging_up_after(blocks)).await;
        tried.insert(call.contact().target_queue.clone().unwrap());
    }
    assert_eq!(tried, ["billing".to_owned(), "general".to_owned()].into());
}

#[tokio::test]
async fn with_the_api_down_callers_are_served_and_keep_the_attributes_of_earlier_flows() {
    for fault in [Fault::status(503), Fault::status(401), Fault::status(402), Fault::Reset, Fault::CutBody] {
        let mut centre = centre_that_knows(&[john()]).await;
        centre.api.fail_always(Some(fault));
        let call = centre.call(from_john().bringing("customer_ref", "cust_stored").pressing("1")).await;
        assert_eq!(call.heard(), [greeting(), menu()]);
        assert_eq!(call.queue(), Some(("billing", 5)));
        assert_eq!(call.attribute("customer_ref"), "cust_stored");
        assert_eq!((call.attribute("lookup_status"), call.attribute("call_id")), ("unavailable", &*call.contact().id));
        assert!(!call.attribute("lookup_reason").is_empty() && !call.attribute("call_start").is_empty());
    }
}

#[tokio::test]
async fn if_the_lookup_failed_the_agents_words_are_saved_by_number_and_id() {
    for mut centre in centres_that_know_john().await {
        centre.api.fail_always(Some(Fault::status(503)));
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.api.fail_always(None);
        centre.agent_leaves(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), ["+12025550102: billing_issue resolved, Credit note was missing"]);
        assert_eq!(centre.api.customers().len(), 1);
        assert_eq!(centre.api.customers()[0].variables["last_issue"], SETTLED.summary);
    }
}

#[tokio::test]
async fn if_lambda_refused_the_lookup_the_call_is_saved_by_the_contact_record() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.functions_fail = true;
    let call = centre.call(from_john().pressing("1")).await;
    centre.functions_fail = false;
    assert_eq!(call.attribute("lookup_status"), "unavailable");
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), ["+12025550102: billing_issue open, -"]);
    assert_eq!(centre.api.ended()[0]["call_id"], *call.contact().id);
}

#[tokio::test]
async fn with_the_api_hanging_the_caller_waits_no_longer_than_the_budget() {
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "300")]).await;
    centre.api.fail_always(Some(Fault::Hang));
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    let silence = call.moments.iter().find_map(|moment| match moment {
        Moment::WaitsInSilence(silence) => Some(*silence),
        _ => None,
    });
    assert!(silence.unwrap() < Duration::from_secs(2), "{silence:?}");
}

#[tokio::test]
async fn if_lambda_refuses_every_invocation_callers_are_served_and_the_agent_can_hang_up() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.functions_fail = true;
    let mut call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Say goodbye")));
    assert_eq!(call.attribute("sticky_calls_saved"), "");
}

#[tokio::test]
async fn every_caller_is_served_whichever_block_of_the_inbound_flow_fails() {
    let vip = somebody("vip_jane", "+12025550101", "C-1001", "billing_issue", "call_summary");
    let of_notes = |number: u32, intent: &str| {
        somebody(
            &format!("cust_{number}"),
            &format!("+120255503{number}"),
            &format!("C-3{number}"),
            intent,
            "agent_notes",
        )
    };
    let others = [of_notes(10, "billing_issue"), of_notes(11, "technical_support"), of_notes(12, "escalation")];
    let settled =
        Customer { open_intents: Vec::new(), ..somebody("cust_13", "+12025550313", "C-313", "", "call_summary") };
    let unnamed = of_notes(14, "refund_request");
    let mut centre = centre_that_knows(&[&[john(), vip, settled, unnamed], &others[..]].concat()).await;
    let callers = |new: usize| {
        let known = |number: &str, id: &str, keys: &str| Caller::from(number).known_as(id).pressing(keys);
        [
            Caller::from(&format!("+1202555{new:04}")).pressing("1"),
            Caller::anonymous().pressing("3"),
            Caller::anonymous().pressing("92"),
            from_john().pressing("1"),
            from_john().pressing("22"),
            from_john(),
            Caller::from("+12025550102"),
            known("+12025550101", "C-1001", "1"),
            known("+12025550310", "C-310", "1"),
            known("+12025550311", "C-311", "1"),
            known("+12025550312", "C-312", "1"),
            known("+12025550313", "C-313", "1"),
            known("+12025550314", "C-314", "1"),
            Caller::in_chat("C-1002"),
        ]
    };
    centre.set("ContactLens", "Enabled");
    let failures: Vec<_> =
        ["inbound", "identify", "route", "contact-lens"].iter().flat_map(|flow| centre.failures(flow)).collect();
    assert!(failures.len() > 60, "{failures:?}");
    for (number, failure) in failures.into_iter().enumerate() {
        centre.broken = Some(failure.clone());
        for caller in callers(1_000 + number) {
            let call = centre.call(caller.clone()).await;
            assert!(was_served(&call), "{failure:?}: {call:#?}");
            // Only without the last queue or the transfer itself the caller does not get into a queue.
            let is_last = failure.flow == "route" && ["General queue", "Transfer to queue"].contains(&&*failure.block);
            assert!(call.queue().is_some() || is_last, "{failure:?}: {:?}", call.heard());
        }
    }
}

#[tokio::test]
async fn a_caller_who_has_opted_out_is_neither_looked_up_nor_saved() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().bringing("sticky_calls_opt_out", "true").pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    assert_eq!((centre.api.received().len(), centre.deliver_outbox().await), (0, 0));
}

#[tokio::test]
async fn a_caller_who_presses_a_wrong_key_is_asked_again_and_then_served_without_a_choice() {
    let mut centre = centre().await;
    for keys in ["9-", "-9", "--", "99"] {
        let call = centre.call(Caller::anonymous().pressing(keys)).await;
        assert_eq!(
            call.heard(),
            [greeting().to_owned(), menu().to_owned(), prompt("inbound", "Menu again").to_owned()]
        );
        assert_eq!(call.queue(), Some(("general", 5)));
    }
    for (keys, queue) in [("91", "billing"), ("92", "technical_support"), ("93", "sales"), ("-1", "billing")] {
        assert_eq!(centre.call(Caller::anonymous().pressing(keys)).await.queue(), Some((queue, 5)));
    }
    for block in ["Menu", "Menu again"] {
        centre.broken = Some(Failure::of("inbound", block));
        let call = centre.call(Caller::anonymous().pressing("9")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 5)), ""), "nobody chose for the caller");
    }
}

#[tokio::test]
async fn callers_hear_the_same_as_new_callers_if_the_api_sends_an_invalid_answer() {
    for body in ["", "[]", "{}", "{\"identity\":{\"confidence\":\"high\"}}"] {
        let mut centre = centre().await;
        centre.api.fail_always(Some(Fault::body(body)));
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))), "{body}");
    }
}
