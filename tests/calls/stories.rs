//! Whole calls as stories: what was heard and after how much silence, queue and priority, what the agent saw, what was
//! saved. The stories are in `stories/`; `INSTA_UPDATE=always cargo test --test calls` writes them anew.

use super::callbacks::busy_centre;
use super::*;

/// The longest silence that a caller may hear while a function is invoked.
const BUDGET: Duration = Duration::from_secs(3);

/// Sends the records, delivers the outbox, and compares the story with the one in the file.
async fn assert_story(name: &str, centre: &mut ContactCentre, call: &Call) {
    centre.api.fail_always(None);
    centre.stream_records(call).await;
    centre.deliver_outbox().await;
    let mut lines: Vec<String> = call.moments.iter().map(told).collect();
    lines = without_repetitions(lines);
    let reference = call.attribute("customer_ref");
    lines.extend(ends(centre).into_iter().map(|end| {
        let end = if reference.is_empty() { end } else { end.replace(reference, "customer") };
        format!("         saved: {end}")
    }));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("stories");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, lines.join("\n")));
}

fn told(moment: &Moment) -> String {
    let line = |who: &str, what: &str| format!("{who:>14}: {what}");
    match moment {
        Moment::Hears(text) => line("caller hears", text),
        Moment::Presses(key) => line("caller presses", &key.to_string()),
        Moment::DoesNotAnswer => line("caller", "does not answer"),
        Moment::IsAskedInVain(text) => line("asked in vain", text),
        Moment::WaitsInSilence(time) if *time < BUDGET => line("silence", "less than 3 s"),
        Moment::WaitsInSilence(time) => line("silence", &format!("{time:?}")),
        Moment::Waits(time) => line("pause", &format!("{} s", time.as_secs())),
        Moment::IsQueued { queue, priority } => line("queue", &format!("{queue}, priority {priority}")),
        Moment::CallbackIsQueued(Callback { queue, number, priority }) => {
            line("callback", &format!("{number}, {queue}, priority {priority}"))
        }
        Moment::CallbackIsLost => line("callback", "lost"),
        Moment::WillBeSummarised => line("Contact Lens", "will summarise it"),
        Moment::WillNotBeRecorded => line("Contact Lens", "will not record it"),
        Moment::AgentHears(text) => line("agent hears", text),
        Moment::AgentReads(text) => line("agent reads", text),
        Moment::AgentSees(view) => {
            let text = |name: &str| view[name].as_str().map(str::to_owned);
            let sections = view["Sections"].as_array().into_iter().flatten();
            let sections = sections.filter_map(|section| section.as_str().map(str::to_owned));
            let bar = view["AttributeBar"].as_array().into_iter().flatten();
            let bar = bar.filter_map(|entry| entry["Url"].as_str().map(str::to_owned));
            let shown: Vec<_> =
                text("Description").or(text("SubHeading")).into_iter().chain(bar).chain(sections).collect();
            line("agent sees", &shown.join(" | "))
        }
        Moment::HangsUp => line("caller", "hangs up"),
        Moment::IsDisconnected => line("flow", "hangs up"),
    }
}

/// Prompt and pause of a queue, repeated several times, as one pair that says how often it was heard.
fn without_repetitions(lines: Vec<String>) -> Vec<String> {
    let mut short: Vec<String> = Vec::new();
    let mut lines = lines.as_slice();
    while let [first, rest @ ..] = lines {
        let times = lines.chunks(2).take_while(|pair| pair.len() == 2 && pair[..] == lines[..2]).count();
        if times > 1 {
            short.extend([first.clone(), format!("{} (heard {times} times)", lines[1])]);
            lines = &lines[2 * times..];
        } else {
            short.push(first.clone());
            lines = rest;
        }
    }
    short
}

const OPEN: WrapUp = WrapUp { summary: "Invoice 4711 charges the setup fee twice", notes: "", status: "open" };

/// The agent takes the call, the caller hangs up, and the agent writes this.
async fn finish(centre: &mut ContactCentre, call: &mut Call, wrap_up: WrapUp) {
    centre.agent_answers(call).await;
    centre.wrap_up(call, Some(wrap_up)).await;
}

#[tokio::test]
async fn a_first_call() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::from("+12025550177").pressing("1")).await;
    finish(&mut centre, &mut call, OPEN).await;
    assert_story("first_call", &mut centre, &call).await;
}

#[tokio::test]
async fn a_returning_caller_with_an_open_billing_issue() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    finish(&mut centre, &mut call, SETTLED).await;
    assert_story("returning", &mut centre, &call).await;
}

#[tokio::test]
async fn an_unconfirmed_caller() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(Caller::from("+12025550102")).await;
    finish(&mut centre, &mut call, SETTLED).await;
    assert_story("unconfirmed", &mut centre, &call).await;
}

#[tokio::test]
async fn a_vip() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    finish(&mut centre, &mut call, SETTLED).await;
    assert_story("vip", &mut centre, &call).await;
}

#[tokio::test]
async fn an_anonymous_caller() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::anonymous().pressing("2")).await;
    finish(&mut centre, &mut call, SETTLED).await;
    assert_story("anonymous", &mut centre, &call).await;
}

#[tokio::test]
async fn a_call_while_the_api_is_down_or_hangs() {
    for (name, fault) in [("api_down", Fault::status(503)), ("api_hanging", Fault::Hang)] {
        let mut centre = centre_that_knows(&[john()]).await;
        centre.api.fail_always(Some(fault));
        let mut call = centre.call(from_john().pressing("1")).await;
        finish(&mut centre, &mut call, SETTLED).await;
        assert_story(name, &mut centre, &call).await;
    }
}

#[tokio::test]
async fn a_call_while_closed_or_while_nobody_is_at_work() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.is_closed = true;
    let call = centre.call(from_john().pressing("11")).await;
    assert_story("closed", &mut centre, &call).await;

    let mut centre = centre_that_knows(&[john()]).await;
    centre.unstaffed_queues.insert("billing".to_owned());
    let call = centre.call(from_john().pressing("1-")).await;
    assert_story("nobody_at_work", &mut centre, &call).await;
}

#[tokio::test]
async fn a_call_while_the_queue_or_the_callbacks_queue_is_full() {
    let mut centre = busy_centre().await;
    let call = centre.call(from_john().pressing("11")).await;
    assert_story("full_queue", &mut centre, &call).await;

    let mut centre = busy_centre().await;
    centre.fill("callbacks");
    let call = centre.call(from_john().pressing("11")).await;
    assert_story("full_callback_queue", &mut centre, &call).await;
}

#[tokio::test]
async fn a_caller_who_waits_for_ten_minutes() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.wait(&mut call, Duration::from_secs(600), "-----").await;
    finish(&mut centre, &mut call, SETTLED).await;
    assert_story("waiting_ten_minutes", &mut centre, &call).await;
}

#[tokio::test]
async fn a_callback_that_is_answered_and_one_that_meets_a_voicemail() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.give_callbacks_a_queue();
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.wait(&mut call, Duration::from_secs(130), "1").await;
    centre.agent_takes_the_callback(&mut call).await;
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_story("callback_answered", &mut centre, &call).await;

    let mut centre = busy_centre().await;
    let mut call = centre.call(from_john().pressing("11")).await;
    centre.callback_reaches_voicemail(&mut call).await;
    assert_story("callback_voicemail", &mut centre, &call).await;
}

#[tokio::test]
async fn a_callback_that_is_asked_for_twice() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    let mut again = call.clone();
    centre.wait(&mut call, Duration::from_secs(130), "1").await;
    // The first attempt has left its note, and something made Connect run the queue flow again.
    again.contacts[0].attributes.extend(call.contacts[0].attributes.clone());
    again.moments = call.moments.clone();
    centre.wait(&mut again, Duration::from_secs(130), "1").await;
    assert_story("callback_asked_for_twice", &mut centre, &again).await;
}

#[tokio::test]
async fn a_warm_transfer_and_a_consult_in_which_both_agents_write() {
    let first_agents = WrapUp { summary: "Portal shows no invoice", notes: "", status: "open" };
    for (name, is_transfer) in [("warm_transfer", true), ("consult", false)] {
        let mut centre = centre_that_knows(&[john()]).await;
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let colleagues = match is_transfer {
            true => {
                let first = call.contact().id.clone();
                centre.transfer(&mut call, "technical_support");
                centre.agent_answers(&mut call).await;
                first
            }
            false => centre.consult(&mut call),
        };
        centre.wrap_up_of(&mut call, &colleagues, Some(first_agents)).await;
        centre.agent_leaves(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        assert_story(name, &mut centre, &call).await;
    }
}

#[tokio::test]
async fn a_call_about_which_nobody_types_anything_and_the_next_call() {
    let variables = [
        ("STICKY_CALLS_TABLE", "table"),
        ("STICKY_CALLS_CACHE_TTL_SECONDS", "0"),
        ("STICKY_CALLS_CONTACT_LENS", "on"),
        ("STICKY_CALLS_RETURNING_THRESHOLD", "0.4"),
    ];
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &variables).await;
    centre.set("ContactLens", "Enabled");
    let mut call = centre.call(Caller::from("+12025550177").pressing("11")).await;
    centre.agent_answers(&mut call).await;
    centre.wrap_up(&mut call, None).await;
    centre.stream_summary(&call, "The customer asked why invoice 4711 charges the setup fee twice.").await;
    assert_story("nobody_typed", &mut centre, &call).await;
    let mut again = centre.call(Caller::from("+12025550177").pressing("21")).await;
    finish(&mut centre, &mut again, SETTLED).await;
    assert_story("after_nobody_typed", &mut centre, &again).await;
}

#[tokio::test]
async fn a_chat_whose_agent_leaves_first() {
    for (name, writes_after) in [("chat_left", None), ("chat_left_and_returned", Some(Duration::from_secs(60)))] {
        let mut centre = centre_that_knows(&[john()]).await;
        let mut call = centre.call(Caller::in_chat("C-1002")).await;
        centre.agent_answers(&mut call).await;
        centre.agent_leaves_and_customer_writes(&mut call, writes_after).await;
        if writes_after.is_some() {
            centre.agent_answers(&mut call).await;
        }
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        assert_story(name, &mut centre, &call).await;
    }
}

/// A caller who hangs up after every number of blocks: on the way to the queue, in it, on the way to a callback, and
/// after the agent.
#[tokio::test]
async fn a_caller_who_hangs_up_anywhere_is_saved_once_if_identify_was_asked() {
    for (is_full, is_answered) in [(false, false), (true, false), (false, true)] {
        let mut centre = centre_that_knows(&[john()]).await;
        centre.give_callbacks_a_queue();
        if is_full {
            centre.fill("billing");
        }
        let mut blocks = 0;
        loop {
            let told = ends_told(&centre);
            let mut call = centre.call(from_john().pressing("11").hanging_up_after(blocks)).await;
            if !call.moments.contains(&Moment::HangsUp) {
                centre.wait(&mut call, Duration::from_secs(130), if is_answered { "-" } else { "1" }).await;
            }
            if is_answered && !call.moments.contains(&Moment::HangsUp) {
                centre.agent_answers(&mut call).await;
                centre.agent_leaves(&mut call).await;
            }
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            // Between the agent's goodbye and the first block nothing is saved: the disconnect flow is the call's last
            // segment, and its record is never saved. There are no words to lose yet.
            let after_the_agent =
                call.moments.rsplit(|moment| matches!(moment, Moment::AgentSees(_))).next().unwrap_or_default();
            let is_too_early = is_answered && after_the_agent == [Moment::HangsUp];
            let was_asked = !call.attribute("lookup_status").is_empty() && !is_too_early;
            assert_eq!(ends_told(&centre) > told, was_asked, "{blocks}: {:?}", call.moments);
            assert_eq!(
                centre.api.ended().iter().filter(|end| end["call_id"] == *call.contacts[0].id).count(),
                usize::from(was_asked)
            );
            assert!(words(&centre).is_empty(), "nobody wrote anything");
            let heard_goodbye = call.heard().iter().any(|text| text.ends_with("Goodbye."));
            assert!(call.callback().is_none() || heard_goodbye, "{blocks}: {:?}", call.moments);
            if !call.moments.contains(&Moment::HangsUp) {
                break;
            }
            blocks += 1;
        }
        assert!(blocks > 40, "{blocks}");
    }
}
