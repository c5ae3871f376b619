//! The recipes of `docs/recipes.md`, played from their files in `flows/recipes/`: each test asserts what the page promises.

use super::*;
use stand_ins::contact_centre::{BotAnswer, Conversation};
use stand_ins::flows::check::check_in;
use stand_ins::flows::recipes;
use stand_ins::flows::{Flow, texts};

const NUMBER: &str = "+12025550188";

/// The variables that the recipe for the language sets.
const WITH_LANGUAGE: &str = "name,tier,resolution,call_date,language";

/// A contact centre with the flows of a recipe.
async fn centre_with(recipe: &str, variables: &[(&str, &str)], customers: &[Customer]) -> ContactCentre {
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, variables).await;
    customers.iter().cloned().for_each(|customer| centre.api.remember(customer));
    centre.import_recipe(recipe);
    centre
}

/// The questions that the API was asked, in their order.
fn lookups(centre: &ContactCentre) -> Vec<Value> {
    let received = centre.api.received().into_iter();
    received.filter(|request| request.path == "/v1/calls/start").map(|request| request.body).collect()
}

/// Asserts that the caller is served, whichever block of the recipe's flows fails, and whichever value is missing.
async fn assert_served_whatever_fails(centre: &mut ContactCentre, flows: &[&str], caller: &Caller) {
    let failures: Vec<_> = flows.iter().flat_map(|flow| centre.failures(flow)).collect();
    assert!(failures.len() > 5, "{failures:?}");
    for failure in failures {
        for missing_values_fail in [false, true] {
            (centre.broken, centre.missing_values_fail) = (Some(failure.clone()), missing_values_fail);
            let call = centre.call(caller.clone()).await;
            let was_helped = failure.block == "Thank the caller" && !call.conversations.is_empty();
            assert!(was_served(&call) || was_helped, "{failure:?}: {:?}", call.moments);
        }
    }
    (centre.broken, centre.missing_values_fail) = (None, false);
    centre.fill("general");
    assert!(was_served(&centre.call(caller.clone()).await));
    centre.limits.clear();
}

#[test]
fn every_recipe_is_on_the_page_and_connect_would_take_its_flows() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipes.md")).unwrap();
    let mut of_recipes = BTreeSet::new();
    for recipe in &recipes::RECIPES {
        let faults: Vec<_> = recipe.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults, [""; 0]);
        of_recipes.extend(recipe.flows.iter().map(|name| (*name).to_owned()));
    }
    let files: BTreeSet<_> = recipes::texts().into_keys().collect();
    assert_eq!(files, of_recipes);
    for file in &files {
        assert!(page.contains(&format!("(../flows/recipes/{file}.json)")), "{file}");
    }
    for placeholder in recipes::texts().values().flat_map(|text| text.split("${").skip(1)) {
        let name = placeholder.split('}').next().unwrap();
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    assert!(files.iter().all(|file| !texts().contains_key(file)), "the same name twice");
}

#[test]
fn a_mistake_in_a_recipe_is_found_with_its_file_and_block() {
    for (flow, old, new, expected) in [
        (
            "ai-agent",
            "\"open_intent\": \"$.Attributes.open_intent\"",
            "\"open_intent\": \"$.Attributes.customer_context\"",
            "block \"Talk about what is open\" speaks what is for agents alone, through a bot: $.Attributes.customer_context",
        ),
        (
            "ai-agent",
            "\"caller\": \"not confirmed\"",
            "\"caller\": \"$.Attributes.open_intent\"",
            "block \"Talk to anybody\" speaks something personal to a caller who may be unconfirmed, through a bot: $.Attributes.open_intent",
        ),
        (
            "ai-agent",
            "\"caller\": \"returning\"",
            "\"caller\": \"$.Attributes.last_issue\"",
            "block \"Talk about what is open\" may speak an agent's notes, through a bot: $.Attributes.last_issue",
        ),
        (
            "ai-agent",
            "\"AliasArn\": \"${LexBotAliasArn}\"",
            "\"AliasArn\": \"${QueueArn}\"",
            "block \"Talk to anybody\" has the parameter LexV2Bot wrong: {\"AliasArn\":\"${QueueArn}\"} is not an object of AliasArn, as documented",
        ),
        (
            "crm-id",
            "$.External.customer_id",
            "$.External.customerId",
            "block \"Keep the id\" reads $.External.customerId, which is not in the answer of the function invoked before it",
        ),
        (
            "identify-language",
            "$.External.var_language",
            "$.External.var_tongue",
            "block \"Keep the language\" reads $.External.var_tongue, which is not in the answer of the function invoked before it",
        ),
        (
            "language",
            "\"StartAction\": \"Say the name\"",
            "\"StartAction\": \"Identify the caller\"",
            "block \"Identify the caller\" can be reached before the caller has heard anything, so the caller waits in silence",
        ),
        (
            "line-type",
            "$.Media.Sip.Headers.ISUP-OLI",
            "$.Media.Sip.Header.ISUP-OLI",
            "block \"What does the header say\" refers to $.Media.Sip.Header.ISUP-OLI, which nothing sets",
        ),
    ] {
        let recipe = recipes::Recipe::with(flow);
        let mut all = texts();
        all.extend(recipe.texts());
        let text = all.get_mut(flow).unwrap();
        assert!(text.contains(old), "{old}");
        *text = text.replace(old, new);
        let faults: Vec<_> = check_in(&all, &recipe.surroundings).iter().map(ToString::to_string).collect();
        let expected = format!("flows/recipes/{flow}.json: {expected}");
        assert!(faults.contains(&expected), "{expected}: {faults:#?}");
    }
}

// The caller's language

/// A contact centre that remembers languages.
async fn centre_of_languages(customers: &[Customer]) -> ContactCentre {
    centre_with("language", &[("STICKY_CALLS_VARIABLES", WITH_LANGUAGE)], customers).await
}

fn speaker() -> Caller {
    Caller::from(NUMBER).through("language")
}

/// What the caller has heard after the name, each with its voice.
fn voices(call: &Call) -> Vec<(&str, &str)> {
    let mut heard: Vec<_> = call.voices.iter().map(|(voice, text)| (voice.as_str(), text.as_str())).collect();
    assert_eq!(heard.remove(0), ("Joanna", prompt("language", "Say the name")));
    heard
}

fn question() -> (&'static str, &'static str) {
    ("Joanna", prompt("language", "Ask for the language"))
}

fn in_english() -> (&'static str, &'static str) {
    ("Joanna", prompt("language", "Greet in English"))
}

fn in_spanish() -> (&'static str, &'static str) {
    ("Lupe", prompt("language", "Greet in Spanish"))
}

/// An agent takes the call and leaves, and the outbox is delivered.
async fn end(centre: &mut ContactCentre, call: &mut Call) {
    centre.agent_answers(call).await;
    centre.agent_leaves(call).await;
    centre.deliver_outbox().await;
}

/// The languages that ends have left at the API, one for each end.
fn languages(centre: &ContactCentre) -> Vec<Option<String>> {
    let ended = centre.api.ended();
    ended.iter().map(|end| end["variables"]["language"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn who_has_chosen_a_language_is_greeted_in_it_the_next_time_and_not_asked_again() {
    let mut centre = centre_of_languages(&[]).await;
    let mut first = centre.call(speaker().pressing("2")).await;
    assert_eq!(voices(&first), [question(), in_spanish()]);
    assert_eq!((first.contact().language.as_str(), first.queue()), ("es-US", Some(("general", 5))));
    end(&mut centre, &mut first).await;
    assert_eq!(languages(&centre), [Some("es-US".to_owned())]);
    let mut second = centre.call(speaker()).await;
    assert_eq!(second.attribute("lookup_status"), "unconfirmed");
    assert_eq!(voices(&second), [in_spanish()]);
    assert_eq!((second.contact().language.as_str(), second.queue()), ("es-US", Some(("general", 5))));
    // Each save writes the language again.
    end(&mut centre, &mut second).await;
    assert_eq!(languages(&centre), [Some("es-US".to_owned()), Some("es-US".to_owned())]);
}

#[tokio::test]
async fn somebody_else_at_the_same_number_changes_the_language_with_one_key() {
    let mut centre = centre_of_languages(&[]).await;
    let mut first = centre.call(speaker().pressing("2")).await;
    end(&mut centre, &mut first).await;
    let mut second = centre.call(speaker().pressing("1")).await;
    assert_eq!(voices(&second), [in_spanish(), in_english()]);
    end(&mut centre, &mut second).await;
    let third = centre.call(speaker()).await;
    assert_eq!(voices(&third), [in_english()]);
}

#[tokio::test]
async fn who_hangs_up_in_the_queue_has_the_language_saved_by_the_contact_record() {
    let mut centre = centre_of_languages(&[]).await;
    let call = centre.call(speaker().pressing("2")).await;
    centre.stream_records(&call).await;
    assert_eq!(languages(&centre), [Some("es-US".to_owned())]);
}

#[tokio::test]
async fn who_presses_nothing_hears_english_and_is_asked_again_the_next_time() {
    let mut centre = centre_of_languages(&[]).await;
    for _ in 0..2 {
        let mut call = centre.call(speaker()).await;
        assert_eq!(voices(&call), [question(), in_english()]);
        end(&mut centre, &mut call).await;
    }
    assert_eq!(languages(&centre), [None, None]);
}

#[tokio::test]
async fn who_withholds_the_number_is_asked_every_time() {
    let mut centre = centre_of_languages(&[]).await;
    for _ in 0..2 {
        let mut call = centre.call(Caller::anonymous().through("language").pressing("2")).await;
        assert_eq!(voices(&call), [question(), in_spanish()]);
        end(&mut centre, &mut call).await;
    }
    assert_eq!(languages(&centre), [None; 0]);
}

#[tokio::test]
async fn a_caller_whose_stored_language_the_flow_does_not_know_is_asked() {
    let long = "es-US".repeat(60);
    for stored in ["fr-FR", "ES-us", "Lupe", &long] {
        let known = Customer { ani: Some(NUMBER.to_owned()), ..john_with(&[("language", stored)]) };
        let mut centre = centre_of_languages(&[known]).await;
        let call = centre.call(speaker().pressing("2")).await;
        assert_eq!(voices(&call), [question(), in_spanish()], "{stored}");
    }
}

#[tokio::test]
async fn a_stored_language_that_the_flow_does_not_know_stays_stored_if_the_caller_presses_nothing() {
    let known = Customer { ani: Some(NUMBER.to_owned()), ..john_with(&[("language", "fr-FR")]) };
    let mut centre = centre_of_languages(&[known]).await;
    let mut call = centre.call(speaker()).await;
    assert_eq!(voices(&call), [question(), in_english()]);
    end(&mut centre, &mut call).await;
    assert_eq!(languages(&centre), [Some("fr-FR".to_owned())]);
}

#[tokio::test]
async fn while_the_api_is_down_every_caller_is_asked_and_the_choice_is_saved_later() {
    let mut centre = centre_of_languages(&[]).await;
    centre.api.fail_always(Some(Fault::status(503)));
    let mut call = centre.call(speaker().pressing("2")).await;
    assert_eq!(voices(&call), [question(), in_spanish()]);
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    centre.api.fail_always(None);
    centre.deliver_outbox().await;
    assert_eq!(languages(&centre), [Some("es-US".to_owned())]);
}

#[tokio::test]
async fn a_stack_that_does_not_name_the_variable_asks_every_caller_and_saves_no_language() {
    let mut centre = centre_with("language", &[], &[]).await;
    for _ in 0..2 {
        let mut call = centre.call(speaker().pressing("2")).await;
        assert_eq!(voices(&call), [question(), in_spanish()]);
        end(&mut centre, &mut call).await;
    }
    assert_eq!(languages(&centre), [None, None]);
}

#[tokio::test]
async fn a_caller_is_served_whichever_block_of_the_recipe_for_languages_fails() {
    let mut centre = centre_of_languages(&[]).await;
    for caller in [speaker(), speaker().pressing("2"), speaker().pressing("19")] {
        assert_served_whatever_fails(&mut centre, &["language", "identify-language"], &caller).await;
    }
}

/// The module of the recipe is the stack's with one block more.
#[test]
fn the_module_that_keeps_the_language_does_everything_else_like_the_one_of_the_stack() {
    let mut ours = Flow::parse("identify", &texts()["identify"]).unwrap().json["Actions"].clone();
    let theirs = Flow::parse("identify-language", &recipes::texts()["identify-language"]).unwrap();
    let blocks = ours.as_array_mut().unwrap();
    let last = blocks.iter().position(|block| block["Identifier"] == "Keep the last call date").unwrap();
    let mut added = blocks[last].clone();
    added["Identifier"] = json!("Keep the language");
    added["Parameters"]["Attributes"] = json!({"var_language": "$.External.var_language"});
    blocks[last]["Transitions"] = json!({
        "NextAction": "Keep the language",
        "Errors": [{"NextAction": "Keep the language", "ErrorType": "NoMatchingError"}],
    });
    blocks.insert(last + 1, added);
    assert_eq!(theirs.json["Actions"], ours);
}

// The kind of line

#[tokio::test]
async fn the_api_is_told_the_kind_of_line_that_the_header_says() {
    for (header, line_type) in [
        (Some("00"), Some("landline")),
        (Some("0"), Some("landline")),
        (Some("61"), Some("mobile")),
        (Some("62"), Some("mobile")),
        (Some("63"), Some("mobile")),
        (Some("29"), None),
        (Some("mobile"), None),
        (Some(""), None),
        (None, None),
    ] {
        let mut centre = centre_with("line-type", &[], &[]).await;
        let mut caller = Caller::from(NUMBER).through("line-type");
        if let Some(header) = header {
            caller = caller.announced_with("ISUP-OLI", header);
        }
        let call = centre.call(caller).await;
        assert_eq!(call.queue(), Some(("general", 5)));
        let asked = lookups(&centre);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0]["telco"]["line_type"].as_str(), line_type, "{header:?}");
        assert_eq!(asked[0].get("telco").is_some(), line_type.is_some(), "{header:?}");
    }
}

#[tokio::test]
async fn a_kind_of_line_that_is_not_one_of_the_four_counts_as_absent() {
    for (given, sent) in [("voip", Some("voip")), ("unknown", Some("unknown")), ("cell", None), ("62", None)] {
        let mut centre = centre_with("line-type", &[], &[]).await;
        centre.call(Caller::from(NUMBER).through("line-type").bringing("line_type", given)).await;
        assert_eq!(lookups(&centre)[0]["telco"]["line_type"].as_str(), sent, "{given}");
    }
}

#[tokio::test]
async fn a_header_is_enough_for_matched_if_the_api_adds_that_much_for_a_mobile_line() {
    let mut centre = centre_with("line-type", &[], &[]).await;
    let identity = json!({"confidence": 0.9, "level": "very_high", "recommendation": "reuse"});
    let answer = json!({"customer_ref": "cust_john", "identity": identity});
    centre.api.fail_next(Fault::body(answer.to_string()));
    let call = centre.call(Caller::from(NUMBER).through("line-type").announced_with("ISUP-OLI", "62")).await;
    let asked = lookups(&centre)[0].clone();
    assert_eq!(asked["telco"], json!({"line_type": "mobile"}));
    assert_eq!(asked["identity_hints"].get("external_ids"), None);
    assert_eq!(call.attribute("lookup_status"), "matched");
}

#[tokio::test]
async fn a_caller_is_served_whichever_block_of_the_recipe_for_the_line_fails() {
    let mut centre = centre_with("line-type", &[], &[]).await;
    let caller = Caller::from(NUMBER).through("line-type").announced_with("ISUP-OLI", "62");
    assert_served_whatever_fails(&mut centre, &["line-type"], &caller).await;
}

// Two Regions

/// How long the second Region uses an answer.
const CACHE_TTL: Duration = Duration::from_secs(4);

/// Two contact centres, each with a table and an outbox of its own, and the API of the first for both.
struct Regions {
    here: ContactCentre,
    there: ContactCentre,
}

impl Regions {
    async fn open() -> Self {
        let table = ("STICKY_CALLS_TABLE", "table");
        let here = ContactCentre::open_with_outbox(BOOTSTRAP, &[table]).await;
        let url = here.api.url();
        let ttl = CACHE_TTL.as_secs().to_string();
        let there = [table, ("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_CACHE_TTL_SECONDS", ttl.as_str())];
        let mut there = ContactCentre::open_with_outbox(BOOTSTRAP, &there).await;
        there.number_contacts_from(1_000);
        Self { here, there }
    }
}

/// An agent takes the call and writes about it.
async fn is_written_about(centre: &mut ContactCentre, call: &mut Call, summary: &'static str) {
    centre.agent_answers(call).await;
    centre.wrap_up(call, Some(WrapUp { summary, notes: "", status: "open" })).await;
}

fn caller() -> Caller {
    Caller::from(NUMBER).known_as("C-1088").pressing("1")
}

#[tokio::test]
async fn who_was_served_in_one_region_is_known_in_the_other() {
    let mut regions = Regions::open().await;
    let mut first = regions.here.call(caller()).await;
    is_written_about(&mut regions.here, &mut first, "Wants a copy").await;
    let second = regions.there.call(caller()).await;
    let known = ["lookup_status", "lookup_source", "last_issue", "open_intent"].map(|name| second.attribute(name));
    assert_eq!(known, ["matched", "api", "Wants a copy", "billing_issue"]);
    assert_eq!(second.attribute("customer_ref"), first.attribute("customer_ref"));
}

#[tokio::test]
async fn an_answer_cached_in_one_region_does_not_see_what_the_other_has_saved_until_it_expires() {
    let mut regions = Regions::open().await;
    regions.here.api.remember(Customer { ani: Some(NUMBER.to_owned()), ..john() });
    let john = || from_john().pressing("1");
    let before = regions.there.call(john()).await;
    assert_eq!(before.attribute("last_issue"), "Invoice 4711 charges the setup fee twice");
    let mut call = regions.here.call(john()).await;
    is_written_about(&mut regions.here, &mut call, "Wants a copy").await;
    let answer = |call: &Call| ["lookup_source", "last_issue"].map(|name| call.attribute(name).to_owned());
    // Where it was saved, the save has invalidated the answer.
    let same_region = regions.here.call(john()).await;
    assert_eq!(answer(&same_region), ["api", "Wants a copy"]);
    let other_region = regions.there.call(john()).await;
    assert_eq!(answer(&other_region), ["cache", "Invoice 4711 charges the setup fee twice"]);
    tokio::time::sleep(CACHE_TTL).await;
    let later = regions.there.call(john()).await;
    assert_eq!(answer(&later), ["api", "Wants a copy"]);
}

/// The last and the earlier issue of the only customer.
fn issues(centre: &ContactCentre) -> [String; 2] {
    let customers = centre.api.customers();
    assert_eq!(customers.len(), 1);
    ["last_issue", "earlier_issue"].map(|name| customers[0].variables.get(name).cloned().unwrap_or_default())
}

#[tokio::test]
async fn late_words_of_an_older_call_bury_a_newer_call_only_if_that_was_in_the_other_region() {
    for newer_call_is_elsewhere in [false, true] {
        let mut regions = Regions::open().await;
        let mut older = regions.here.call(caller()).await;
        let started = "2026-02-07T10:00:00Z";
        older.contacts[0].attributes.insert("call_start".to_owned(), started.to_owned());
        regions.here.api.fail_always(Some(Fault::status(503)));
        is_written_about(&mut regions.here, &mut older, "Older words").await;
        regions.here.api.fail_always(None);
        let centre = if newer_call_is_elsewhere { &mut regions.there } else { &mut regions.here };
        let mut newer = centre.call(caller()).await;
        newer.contacts[0].attributes.insert("call_start".to_owned(), "2026-02-07T11:00:00Z".to_owned());
        is_written_about(centre, &mut newer, "Newer words").await;
        assert_eq!(issues(&regions.here), ["Newer words", ""]);
        assert_eq!(regions.here.deliver_outbox().await, 1);
        let expected = if newer_call_is_elsewhere { ["Older words", ""] } else { ["Newer words", "Older words"] };
        assert_eq!(issues(&regions.here), expected, "{newer_call_is_elsewhere}");
    }
}

#[tokio::test]
async fn what_waits_in_one_regions_outbox_is_not_delivered_by_the_other() {
    let mut regions = Regions::open().await;
    let mut call = regions.here.call(caller()).await;
    regions.here.api.fail_always(Some(Fault::status(503)));
    is_written_about(&mut regions.here, &mut call, "Wants a copy").await;
    regions.here.api.fail_always(None);
    assert_eq!(regions.there.deliver_outbox().await, 0);
    assert_eq!(words(&regions.here), [""; 0]);
    assert_eq!(regions.here.deliver_outbox().await, 1);
    assert_eq!(words(&regions.here).len(), 1);
}

#[tokio::test]
async fn two_stacks_that_get_the_same_contact_record_save_its_words_twice() {
    for both in [false, true] {
        let mut regions = Regions::open().await;
        let call = regions.here.call(caller().bringing("call_summary", "Wants a copy")).await;
        regions.here.stream_records(&call).await;
        let again = if both { &mut regions.there } else { &mut regions.here };
        again.stream_records(&call).await;
        assert_eq!(words(&regions.here).len(), 1 + usize::from(both));
    }
}

// The CRM's id

/// A contact centre whose CRM answers with this id, or fails.
async fn centre_with_crm(id: Option<Value>) -> ContactCentre {
    let known = Customer { ani: Some(NUMBER.to_owned()), ..john() };
    let mut centre = centre_with("crm-id", &[], &[known]).await;
    centre.provide("crm", move |_| id.clone());
    centre
}

fn customer() -> Caller {
    Caller::from(NUMBER).through("crm-id")
}

#[tokio::test]
async fn who_is_known_by_number_and_crm_id_is_surer_but_treated_as_unconfirmed_because_the_number_may_be_spoofed() {
    let mut centre = centre_with_crm(Some(json!({"customer_id": "C-1002"}))).await;
    let call = centre.call(customer()).await;
    assert_eq!(centre.invocations_of("crm"), [&json!({"number": NUMBER})]);
    let asked = &lookups(&centre)[0]["identity_hints"];
    assert_eq!(asked["external_ids"], json!({"customer_id": "C-1002"}));
    assert_eq!(asked["ani"], NUMBER);
    // The API's answer was over the threshold.
    assert_eq!((call.attribute("confidence"), call.attribute("match_found")), ("0.9", "true"));
    assert_eq!(call.attribute("lookup_status"), "unconfirmed");
    assert!(call.attribute("customer_context").starts_with("Returning caller"), "older than the flow's doubt");
    assert_eq!(call.queue(), Some(("general", 5)));
}

#[tokio::test]
async fn who_calls_from_another_phone_the_next_time_is_recognised_by_the_crm_id() {
    let mut centre = centre_with_crm(Some(json!({"customer_id": "C-7"}))).await;
    let mut first = centre.call(Caller::from("+12025550177").through("crm-id")).await;
    assert_eq!(first.attribute("lookup_status"), "new");
    end(&mut centre, &mut first).await;
    let second = centre.call(Caller::from("+12025550178").through("crm-id")).await;
    assert_eq!(second.attribute("lookup_status"), "unconfirmed");
    assert_eq!(second.attribute("customer_ref"), first.attribute("customer_ref"));
}

#[tokio::test]
async fn a_crm_that_fails_or_knows_nothing_leaves_the_number() {
    let nothing = ["", " ", "unknown", "0", "none", "NULL", "undefined", "n/a", "-", "false"];
    let nothing = nothing.map(|id| Some(json!({"customer_id": id})));
    let others = [None, Some(json!({})), Some(json!({"customer_id": 1002})), Some(json!({"customer_id": null}))];
    for answer in nothing.into_iter().chain(others) {
        for missing_values_fail in [false, true] {
            let mut centre = centre_with_crm(answer.clone()).await;
            centre.missing_values_fail = missing_values_fail;
            let call = centre.call(customer()).await;
            let hints = lookups(&centre)[0]["identity_hints"].clone();
            assert_eq!((&hints["ani"], &hints["external_ids"]), (&json!(NUMBER), &Value::Null), "{answer:?}");
            assert_eq!((call.attribute("lookup_status"), call.attribute("confidence")), ("unconfirmed", "0.4"));
            assert_eq!(call.queue(), Some(("general", 5)), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_withholds_the_number_is_nobody_even_if_the_crm_has_an_entry_for_its_spelling() {
    for spelling in ["+266696687", "+86282452253", "+7378742833", "+8656696", "+2562533"] {
        let mut centre = centre_with_crm(Some(json!({"customer_id": "C-1002"}))).await;
        let call = centre.call(Caller::from(spelling).through("crm-id")).await;
        assert_eq!(centre.invocations_of("crm").len(), 0, "{spelling}");
        assert_eq!((call.attribute("lookup_status"), call.attribute("lookup_reason")), ("skipped", "no_identity"));
        assert_eq!(call.queue(), Some(("general", 5)));
    }
}

#[tokio::test]
async fn the_crm_gets_an_empty_text_for_a_caller_without_a_number() {
    let mut centre = centre_with_crm(Some(json!({"customer_id": ""}))).await;
    let call = centre.call(Caller::anonymous().through("crm-id")).await;
    assert_eq!(centre.invocations_of("crm"), [&json!({"number": ""})]);
    assert_eq!(call.attribute("lookup_status"), "skipped");
}

#[tokio::test]
async fn a_caller_is_served_whichever_block_of_the_recipe_for_the_crm_fails() {
    let mut centre = centre_with_crm(Some(json!({"customer_id": "C-1002"}))).await;
    assert_served_whatever_fails(&mut centre, &["crm-id"], &customer()).await;
}

// An AI agent

const ISSUE: &str = "Invoice 4711 charges the setup fee twice";

/// The session attribute that names the AI agent to Lex.
const AI_AGENT: (&str, &str) =
    ("x-amz-lex:q-in-connect:ai-agent-arn", "arn:aws:wisdom:eu-central-1:123456789012:ai-agent/a/agent:1");

async fn centre_with_ai_agent(customers: &[Customer]) -> ContactCentre {
    let mut centre = centre_with("ai-agent", &[], customers).await;
    centre.provide("session-data", |_| Some(json!({})));
    centre
}

/// An AI agent's answer to the flow: the tool that it chose, and what it passed to it.
fn chose(tool: &str, passed: &[(&str, &str)]) -> BotAnswer {
    let mut session_attributes = owned(passed);
    session_attributes.insert("Tool".to_owned(), tool.to_owned());
    BotAnswer { intent: "AmazonQinConnect".to_owned(), session_attributes }
}

fn to_the_ai_agent(caller: Caller) -> Caller {
    caller.through("ai-agent").talking_to_a_bot(chose("Complete", &[]))
}

/// Asserts that the AI agent's session and the bot got exactly this about the caller.
fn assert_given(centre: &ContactCentre, call: &Call, given: &[(&str, &str)]) {
    let to_the_bot = [&[AI_AGENT], given].concat();
    let [Conversation { session_attributes, .. }] = &call.conversations[..] else { panic!("{:?}", call.conversations) };
    assert_eq!(*session_attributes, owned(&to_the_bot));
    let session = call.contact().ai_session.clone().unwrap();
    let to_the_session = [&[("session_arn", session.as_str())], given].concat();
    let invocations = centre.invocations_of("session-data");
    assert_eq!(invocations.last().copied(), Some(&json!(owned(&to_the_session))));
}

#[tokio::test]
async fn the_ai_agent_of_a_confirmed_caller_gets_the_open_intent_and_the_summary() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let call = centre.call(to_the_ai_agent(from_john())).await;
    let given = [("caller", "returning"), ("open_intent", "billing_issue"), ("last_issue", ISSUE)];
    assert_given(&centre, &call, &given);
    assert_eq!(call.heard()[1], prompt("ai-agent", "Talk about the last issue"));
}

#[tokio::test]
async fn the_ai_agent_of_a_caller_without_an_open_intent_gets_an_empty_one() {
    let mut centre = centre_with_ai_agent(&[Customer { open_intents: Vec::new(), ..john() }]).await;
    let call = centre.call(to_the_ai_agent(from_john())).await;
    assert_given(&centre, &call, &[("caller", "returning"), ("open_intent", ""), ("last_issue", ISSUE)]);
}

#[tokio::test]
async fn an_ai_agent_gets_nothing_that_an_agent_or_contact_lens_wrote() {
    for source in ["agent_notes", "contact_lens", ""] {
        let mut centre = centre_with_ai_agent(&[john_with(&[("last_issue_source", source)])]).await;
        let call = centre.call(to_the_ai_agent(from_john())).await;
        assert_eq!(call.attribute("last_issue"), ISSUE);
        assert_given(&centre, &call, &[("caller", "returning"), ("open_intent", "billing_issue")]);
    }
}

#[tokio::test]
async fn an_ai_agent_gets_nothing_about_a_caller_who_is_not_confirmed() {
    let unconfirmed = Caller::from("+12025550102");
    let opted_out = from_john().bringing("sticky_calls_opt_out", "yes");
    for (caller, status) in [
        (unconfirmed, "unconfirmed"),
        (Caller::from(NUMBER), "new"),
        (Caller::anonymous(), "skipped"),
        (opted_out, "skipped"),
    ] {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        let call = centre.call(to_the_ai_agent(caller)).await;
        assert_eq!(call.attribute("lookup_status"), status);
        assert_given(&centre, &call, &[("caller", "not confirmed")]);
    }
    for functions_fail in [false, true] {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        centre.functions_fail = functions_fail;
        centre.api.fail_always(Some(Fault::status(503)));
        // Attributes that were copied from another contact.
        let copied = from_john().bringing("last_issue", "A secret").bringing("last_issue_source", "call_summary");
        let call = centre.call(to_the_ai_agent(copied.bringing("lookup_status", "matched"))).await;
        assert_eq!(call.attribute("lookup_status"), "unavailable");
        assert_eq!(call.conversations[0].session_attributes, owned(&[AI_AGENT, ("caller", "not confirmed")]));
    }
}

#[tokio::test]
async fn a_caller_whom_the_ai_agent_has_helped_hears_a_goodbye_and_is_in_no_queue() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let call = centre.call(to_the_ai_agent(from_john())).await;
    assert_eq!(call.heard().last(), Some(&prompt("ai-agent", "Thank the caller")));
    assert_eq!((call.queue(), call.moments.last()), (None, Some(&Moment::IsDisconnected)));
}

#[tokio::test]
async fn a_bot_gets_what_it_may_say_even_if_there_is_no_session() {
    for failure in [Failure::of("ai-agent", "Create the session"), Failure::of("ai-agent", "Keep the session")] {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        centre.broken = Some(failure);
        let call = centre.call(to_the_ai_agent(from_john())).await;
        let given = [AI_AGENT, ("caller", "returning"), ("open_intent", "billing_issue"), ("last_issue", ISSUE)];
        let conversations: Vec<_> = call.conversations.iter().map(|bot| &bot.session_attributes).collect();
        assert_eq!(conversations, [&owned(&given)]);
        assert_eq!(call.heard().last(), Some(&prompt("ai-agent", "Thank the caller")));
    }
}

/// What the AI agent writes for a person.
const HAND_OVER: &str = "Asked twice for the credit note";

/// What the API gets for it.
const HANDED_OVER: &str = "cust_john: general_inquiry open, Asked twice for the credit note";

fn handed_over() -> Caller {
    from_john().through("ai-agent").talking_to_a_bot(chose("Escalate", &[("escalationSummary", HAND_OVER)]))
}

#[tokio::test]
async fn what_the_ai_agent_wrote_for_a_person_is_saved_even_if_the_caller_gives_up_in_the_queue() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let first = centre.call(handed_over()).await;
    assert_eq!(first.queue(), Some(("general", 5)));
    assert_eq!(ends(&centre), [HANDED_OVER]);
    // With a stream of contact records it is not sent again.
    centre.stream_records(&first).await;
    assert_eq!((ends_told(&centre), centre.deliver_outbox().await), (1, 0));
    // The next AI agent is not told what is for people.
    let second = centre.call(to_the_ai_agent(from_john())).await;
    assert_eq!((second.attribute("last_issue"), second.attribute("last_issue_source")), (HAND_OVER, "agent_notes"));
    assert_given(&centre, &second, &[("caller", "returning"), ("open_intent", "billing_issue")]);
}

#[tokio::test]
async fn what_the_agent_writes_after_the_ai_agent_is_saved_beside_it_and_is_the_last_issue() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let mut call = centre.call(handed_over()).await;
    // The reader's own flow would hook the wrap-up.
    call.contacts[0].hooks.insert("DisconnectAgentUI".to_owned(), "wrap-up".to_owned());
    centre.agent_answers(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(call.attribute("agent_notes"), SETTLED.notes);
    centre.stream_records(&call).await;
    centre.deliver_outbox().await;
    assert_eq!(ends(&centre), [HANDED_OVER, "cust_john: general_inquiry resolved, Credit note was missing"]);
    let variables = &centre.api.customers()[0].variables;
    assert_eq!((&*variables["last_issue"], &*variables["resolution"]), (SETTLED.summary, SETTLED.notes));
}

/// The API answers the lookup, and is down for the save and its retry.
fn go_down_after_the_lookup(centre: &ContactCentre) {
    centre.api.fail_next(Fault::Delay(Duration::ZERO));
    for _ in 0..2 {
        centre.api.fail_next(Fault::status(503));
    }
}

#[tokio::test]
async fn what_the_ai_agent_wrote_or_has_solved_waits_in_the_outbox_while_the_api_is_down() {
    let solved = "cust_john: billing_issue resolved, Sent the credit note";
    for (caller, saved) in [(handed_over(), HANDED_OVER), (completed(from_john(), "solved"), solved)] {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        go_down_after_the_lookup(&centre);
        let call = centre.call(caller).await;
        assert!(was_served(&call));
        assert_eq!((ends(&centre), ends_told(&centre)), (Vec::new(), 2));
        // The mark keeps the record from sending the same words.
        centre.stream_records(&call).await;
        assert_eq!(ends_told(&centre), 2);
        assert_eq!((centre.deliver_outbox().await, ends(&centre)), (1, vec![saved.to_owned()]));
    }
}

#[tokio::test]
async fn a_caller_gets_to_the_queue_if_the_save_fails_and_the_contact_record_saves_the_words() {
    let blocks = [("ai-agent", "Save what it was about"), ("save", "Save the call"), ("save", "Mark the words")];
    for (flow, block) in blocks {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        centre.broken = Some(Failure::of(flow, block));
        let call = centre.call(handed_over()).await;
        assert_eq!(call.queue(), Some(("general", 5)), "{block}");
        centre.stream_records(&call).await;
        assert!((1..=2).contains(&words(&centre).len()), "{block}: {:?}", ends(&centre));
    }
}

fn completed(caller: Caller, open_intent: &str) -> Caller {
    let passed = [("openIntent", open_intent), ("completionSummary", "Sent the credit note")];
    caller.through("ai-agent").talking_to_a_bot(chose("Complete", &passed))
}

#[tokio::test]
async fn what_the_ai_agent_has_solved_is_neither_open_nor_told_at_the_next_call() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let first = centre.call(completed(from_john(), "solved")).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue resolved, Sent the credit note"]);
    assert_eq!(first.heard().last(), Some(&prompt("ai-agent", "Thank the caller")));
    centre.stream_records(&first).await;
    assert_eq!((ends_told(&centre), centre.deliver_outbox().await), (1, 0));
    assert_eq!(centre.api.customers()[0].open_intents, []);
    let second = centre.call(to_the_ai_agent(from_john())).await;
    assert_eq!(second.attribute("has_open_intents"), "false");
    assert_given(&centre, &second, &[("caller", "returning"), ("open_intent", "")]);
}

#[tokio::test]
async fn what_the_ai_agent_has_not_solved_or_was_not_told_stays_open_with_its_last_issue() {
    let unconfirmed = Caller::from("+12025550102");
    for (caller, open_intent) in [(from_john(), "no"), (from_john(), ""), (unconfirmed, "solved")] {
        let mut centre = centre_with_ai_agent(&[john()]).await;
        let call = centre.call(completed(caller, open_intent)).await;
        assert_eq!(call.heard().last(), Some(&prompt("ai-agent", "Thank the caller")));
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        let john = &centre.api.customers()[0];
        assert_eq!(john.open_intents, [("billing_issue".to_owned(), 2)]);
        assert_eq!(john.variables["last_issue"], ISSUE);
    }
}

#[tokio::test]
async fn a_caller_who_says_nothing_to_the_ai_agent_or_whose_tool_is_unknown_gets_to_a_person() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let silent = from_john().through("ai-agent");
    for caller in [silent.clone(), silent.talking_to_a_bot(chose("Refund", &[]))] {
        assert_eq!(centre.call(caller).await.queue(), Some(("general", 5)));
    }
}

#[tokio::test]
async fn a_caller_is_served_whichever_block_of_the_recipe_for_ai_agents_fails() {
    let mut centre = centre_with_ai_agent(&[john()]).await;
    let silent = from_john().through("ai-agent").talking_to_a_bot(chose("Escalate", &[]));
    let solved = completed(from_john(), "solved");
    for caller in [to_the_ai_agent(from_john()), to_the_ai_agent(Caller::from(NUMBER)), silent, handed_over(), solved] {
        assert_served_whatever_fails(&mut centre, &["ai-agent"], &caller).await;
    }
}
