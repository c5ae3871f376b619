//! The contact flows: Connect would accept them, nothing in them is misspelt, and a mistake is reported with its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stand_ins::events::event;
use stand_ins::flows::attributes::answers_of;
use stand_ins::flows::check::check;
use stand_ins::flows::{Action, Flow, filled, references, texts};
use stand_ins::stack::Stack;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

fn flows() -> Vec<Flow> {
    texts().iter().map(|(name, text)| Flow::parse(name, text).unwrap()).collect()
}

/// The faults that are found in the flows after this change to one of them.
fn faults_after(flow: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut texts = texts();
    let mut json: Value = serde_json::from_str(&texts[flow]).unwrap();
    change(&mut json);
    texts.insert(flow.to_owned(), json.to_string());
    check(&texts).iter().map(ToString::to_string).collect()
}

/// The same after a change to one block.
fn faults_after_in(flow: &str, block: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    faults_after(flow, |json| {
        let actions = json["Actions"].as_array_mut().unwrap();
        change(actions.iter_mut().find(|action| action["Identifier"] == block).unwrap());
    })
}

/// Every block, with the name of its flow.
fn blocks() -> Vec<(String, Value)> {
    let all = flows().into_iter().flat_map(|flow| {
        let actions = flow.json["Actions"].as_array().unwrap().clone();
        actions.into_iter().map(move |action| (flow.name.clone(), action))
    });
    all.collect()
}

#[test]
fn the_flows_have_no_fault() {
    assert_eq!(check(&texts()).iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let names: Vec<_> = texts().into_keys().collect();
    assert_eq!(names, ["agent-guide", "disconnect", "inbound", "queue", "wrap-up"]);
}

#[test]
fn every_missing_error_branch_is_found_with_its_file_and_block() {
    let mut dropped = 0;
    for (flow, block) in blocks() {
        let identifier = block["Identifier"].as_str().unwrap();
        for index in 0..block["Transitions"]["Errors"].as_array().map_or(0, Vec::len) {
            let mut error = String::new();
            let faults = faults_after_in(&flow, identifier, |block| {
                let branches = block["Transitions"]["Errors"].as_array_mut().unwrap();
                error = branches.remove(index)["ErrorType"].as_str().unwrap().to_owned();
            });
            // Connect does not require this one: without it the caller goes on waiting.
            if (flow.as_str(), identifier) != ("queue", "Wait") {
                let expected = format!("flows/{flow}.json: block \"{identifier}\" lacks the error branch {error}");
                assert!(faults.contains(&expected), "{expected}: {faults:?}");
            }
            dropped += 1;
        }
    }
    assert!(dropped > 80, "{dropped}");
}

#[test]
fn every_misspelt_attribute_is_found_with_its_file_and_block() {
    let mut misspelt = 0;
    for (flow, block) in blocks() {
        let identifier = block["Identifier"].as_str().unwrap();
        let place = format!("flows/{flow}.json: block \"{identifier}\"");
        for text in stand_ins::flows::strings(&block["Parameters"]) {
            for reference in references(text).into_iter().filter(|reference| *reference != "$.CustomerEndpoint.Address")
            {
                let wrong = format!("{reference}x");
                let faults = faults_after_in(&flow, identifier, |block| {
                    let text = block["Parameters"].to_string().replace(reference, &wrong);
                    block["Parameters"] = serde_json::from_str(&text).unwrap();
                });
                assert!(
                    faults.iter().any(|fault| fault.starts_with(&place) && fault.contains(&wrong)),
                    "{wrong}: {faults:?}"
                );
                misspelt += 1;
            }
        }
    }
    assert!(misspelt > 60, "{misspelt}");
}

#[test]
fn every_attribute_that_is_set_or_passed_under_a_misspelt_name_is_found() {
    let mut misspelt = 0;
    for (flow, block) in blocks() {
        let identifier = block["Identifier"].as_str().unwrap();
        for place in ["/Attributes", "/LambdaInvocationAttributes"] {
            let names: Vec<_> = block["Parameters"]
                .pointer(place)
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|names| names.keys().cloned())
                .collect();
            for name in names {
                let faults = faults_after_in(&flow, identifier, |block| {
                    let names = block["Parameters"].pointer_mut(place).unwrap().as_object_mut().unwrap();
                    let value = names.remove(&name).unwrap();
                    names.insert(format!("{name}x"), value);
                });
                let told = faults
                    .iter()
                    .any(|fault| fault.contains(&format!("{name}x")) && fault.contains(&format!("flows/{flow}.json")));
                assert!(told, "{flow} {identifier} {name}: {faults:?}");
                misspelt += 1;
            }
        }
    }
    assert!(misspelt > 35, "{misspelt}");
}

#[test]
fn a_removed_prompt_is_found_whether_its_neighbours_are_joined_or_not() {
    let without_greeting = |json: &mut Value| {
        json["Actions"].as_array_mut().unwrap().retain(|action| action["Identifier"] != "Greet");
        json["Metadata"]["ActionMetadata"].as_object_mut().unwrap().remove("Greet");
    };
    let dangling = "flows/inbound.json: block \"Set logging\" leads to \"Greet\", which is not a block of this flow";
    assert!(faults_after("inbound", without_greeting).contains(&dangling.to_owned()));
    let joined = faults_after("inbound", |json| {
        without_greeting(json);
        json["Actions"][0]["Transitions"]["NextAction"] = json!("Hook disconnect flow");
    });
    let in_silence = "flows/inbound.json: block \"Identify the caller\" can be reached before the caller has heard anything, so the caller waits in silence";
    assert_eq!(joined, [in_silence]);
    for (flow, block, prompt) in [("inbound", "Apologise", "Hang up"), ("disconnect", "Say goodbye", "Hang up")] {
        let faults = faults_after(flow, |json| {
            json["Actions"].as_array_mut().unwrap().retain(|action| action["Identifier"] != block);
            json["Metadata"]["ActionMetadata"].as_object_mut().unwrap().remove(block);
            let joined = json
                .to_string()
                .replace(&format!("\"NextAction\":\"{block}\""), &format!("\"NextAction\":\"{prompt}\""));
            *json = serde_json::from_str(&joined).unwrap();
        });
        assert!(
            !faults.is_empty() && faults.iter().all(|fault| fault.contains("ends the call without a word")),
            "{faults:?}"
        );
    }
}

#[test]
fn a_prompt_with_a_text_that_callers_must_not_hear_is_found() {
    let said =
        |block: &str, text: &str| faults_after_in("inbound", block, |block| block["Parameters"]["Text"] = json!(text));
    let about = |block: &str, what: &str| vec![format!("flows/inbound.json: block \"{block}\" {what}")];
    assert_eq!(
        said("Welcome back", "We are $.External.confidence sure"),
        about("Welcome back", "speaks the confidence: $.External.confidence")
    );
    assert_eq!(
        said("Greet softly", "Hello $.External.var_name"),
        about("Greet softly", "speaks something personal to a caller who may be unconfirmed: $.External.var_name")
    );
    assert_eq!(
        said("Welcome back", "It was about $.External.last_issue"),
        about("Welcome back", "may speak an agent's notes: $.External.last_issue")
    );
    let unguarded = faults_after_in("inbound", "Who is calling", |block| {
        block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["new"]);
    });
    assert_eq!(
        unguarded,
        about(
            "Welcome back with the last issue",
            "speaks something personal to a caller who may be unconfirmed: $.External.last_issue"
        )
    );
}

#[test]
fn everything_that_connect_would_refuse_is_found() {
    type Change = fn(&mut Value);
    let faults = |block: &str, change: Change| faults_after_in("inbound", block, change).join("\n");
    let cases: [(&str, Change, &str); 21] = [
        (
            "Billing queue",
            |block| block["Parameters"]["QueueId"] = json!("${BilingQueueArn}"),
            "holds ${BilingQueueArn}",
        ),
        (
            "Welcome back",
            |block| block["Parameters"]["Text"] = json!("Welcome $External.var_name"),
            "neither a reference nor",
        ),
        (
            "Menu",
            |block| {
                let again = block["Transitions"]["Conditions"][0].clone();
                block["Transitions"]["Conditions"].as_array_mut().unwrap().push(again);
            },
            "has a branch for \"1\" twice",
        ),
        ("Greet", |block| block["Type"] = json!("PlayPrompt"), "is of the unknown type PlayPrompt"),
        ("Greet", |block| block["Parameters"]["Voice"] = json!("Joanna"), "has the unknown parameter Voice"),
        (
            "Greet",
            |block| block["Parameters"] = json!({}),
            "needs exactly one of the parameters Text, SSML, PromptId, Media",
        ),
        ("Greet", |block| block["Parameters"]["Text"] = json!("x".repeat(3_001)), "has the parameter Text wrong"),
        (
            "Menu",
            |block| block["Parameters"]["InputTimeLimitSeconds"] = json!(5),
            "has the parameter InputTimeLimitSeconds wrong",
        ),
        (
            "Menu",
            |block| block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["12"]),
            "which can't occur",
        ),
        (
            "Menu",
            |block| block["Transitions"]["Conditions"][0]["Condition"]["Operator"] = json!("TextContains"),
            "but only Equals is possible",
        ),
        ("Identify the caller", |block| block["Parameters"]["InvocationTimeLimitSeconds"] = json!("9"), "from 1 to 8"),
        (
            "Identify the caller",
            |block| block["Parameters"]["LambdaFunctionARN"] = json!("${Identify}"),
            "which is not one of our functions",
        ),
        (
            "High priority",
            |block| block["Parameters"]["QueuePriority"] = json!("0"),
            "has the parameter QueuePriority wrong",
        ),
        (
            "High priority",
            |block| block["Transitions"]["Errors"] = json!([{"ErrorType": "NoMatchingError", "NextAction": "Menu"}]),
            "which it can't have",
        ),
        (
            "Hook wrap-up",
            |block| block["Parameters"]["EventHooks"]["CustomerQueue"] = json!("${QueueFlowArn}"),
            "has the parameter EventHooks wrong",
        ),
        (
            "Set callback number",
            |block| block["Parameters"]["CallbackNumber"] = json!("+12025550101"),
            "one reference and nothing else",
        ),
        (
            "Call back",
            |block| block["Parameters"]["RetryDelaySeconds"] = json!("259201"),
            "has the parameter RetryDelaySeconds wrong",
        ),
        (
            "Hang up",
            |block| block["Transitions"]["NextAction"] = json!("Menu"),
            "has a NextAction, which it can't have",
        ),
        (
            "Welcome back",
            |block| block["Transitions"].as_object_mut().unwrap().remove("NextAction").map(drop).unwrap(),
            "has no NextAction",
        ),
        (
            "Which queue",
            |block| block["Transitions"]["Conditions"][0]["NextAction"] = json!("Biling queue"),
            "leads to \"Biling queue\", which is not a block of this flow",
        ),
        ("Hang up", |block| block["Type"] = json!("EndFlowExecution"), "which this kind of flow can't have"),
    ];
    for (block, change, expected) in cases {
        let faults = faults(block, change);
        assert!(
            faults.contains(expected) && faults.contains(&format!("flows/inbound.json: block \"{block}\"")),
            "{block}: {faults}"
        );
    }
    let unreachable = faults_after_in("disconnect", "Were there words", |block| {
        block["Transitions"]["Conditions"] = json!([]);
    });
    assert!(unreachable.contains(&"flows/disconnect.json: block \"Mark the words\" can't be reached".to_owned()));
    let long = "x".repeat(51);
    let renamed = faults_after("inbound", |json| {
        *json = serde_json::from_str(&json.to_string().replace("\"Menu again\"", &format!("{long:?}"))).unwrap();
    });
    assert_eq!(renamed, [format!("flows/inbound.json: block \"{long}\" has no identifier of 1 to 50 characters")]);
    let forbidden = faults_after("inbound", |json| {
        *json = serde_json::from_str(&json.to_string().replace("\"Menu again\"", "\"Menu (again)\"")).unwrap();
    });
    assert_eq!(forbidden, ["flows/inbound.json: block \"Menu (again)\" has an identifier that Connect does not take"]);
    let twice = faults_after_in("inbound", "Menu again", |block| block["Identifier"] = json!("Menu"));
    assert!(twice.contains(&"flows/inbound.json: block \"Menu\" is there twice".to_owned()), "{twice:?}");
    let many = faults_after("inbound", |json| {
        let block = json["Actions"][1].clone();
        let more = (0..200).map(|number| {
            let mut block = block.clone();
            block["Identifier"] = json!(format!("Greet {number}"));
            block
        });
        json["Actions"].as_array_mut().unwrap().extend(more);
    });
    assert!(many.contains(&"flows/inbound.json: has more than 250 blocks".to_owned()));
    let unplaced = faults_after("inbound", |json| {
        drop(json["Metadata"]["ActionMetadata"].as_object_mut().unwrap().remove("Menu"))
    });
    assert_eq!(unplaced, ["flows/inbound.json: block \"Menu\" has no position in the Metadata"]);
    let version = faults_after("inbound", |json| json["Version"] = json!("2020-10-30"));
    assert_eq!(version, ["flows/inbound.json: has a version that Connect does not know"]);
    let broken = BTreeMap::from([("inbound".to_owned(), "{".to_owned())]);
    assert!(check(&broken)[0].to_string().starts_with("flows/inbound.json: is not JSON"));
}

#[test]
fn the_lookup_passes_the_customer_id_from_the_crm() {
    let flows = flows();
    let inbound = flows.iter().find(|flow| flow.name == "inbound").unwrap();
    let passed = &inbound.action("Identify the caller").unwrap().parameters["LambdaInvocationAttributes"];
    assert_eq!(passed["customer_id"], "$.Attributes.customer_id");
}

#[test]
fn a_wrap_up_passes_the_calls_values_and_a_skipped_one_passes_no_words() {
    let flows = flows();
    let wrap_up = flows.iter().find(|flow| flow.name == "wrap-up").unwrap();
    let passed = |block: &str| {
        let passed = wrap_up.action(block).unwrap().parameters["LambdaInvocationAttributes"].clone();
        passed.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
    };
    let of_the_call = ["action", "call_id", "customer_ref", "call_start", "caller_number", "intent"];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(passed("Save without words"), names(&of_the_call));
    let words = ["intent_status", "call_summary", "agent_notes"];
    assert_eq!(passed("Save the words"), names(&[&of_the_call[..], &words].concat()));
}

/// An empty mark would replace the mark of earlier words.
#[test]
fn a_mark_is_stored_only_after_a_check_that_it_is_not_empty() {
    let mut marks = 0;
    for flow in flows() {
        let sets_a_mark = |identifier: &str| {
            let mark = flow.action(identifier).map(|action| &action.parameters["Attributes"]["sticky_calls_saved"]);
            mark.is_some_and(|mark| mark == "$.External.saved_words")
        };
        for action in flow.actions.iter().filter(|action| sets_a_mark(&action.identifier)) {
            marks += 1;
            let leads_here = |from: &&Action| from.targets().any(|target| target == action.identifier);
            for from in flow.actions.iter().filter(leads_here).filter(|from| !sets_a_mark(&from.identifier)) {
                let asks = from.conditions.iter().all(|branch| {
                    branch.next != action.identifier
                        || (branch.operator.as_str(), branch.operand.as_str()) == ("TextContains", ".")
                });
                let otherwise = from.next.iter().chain(from.errors.iter().map(|branch| &branch.next));
                assert_eq!(from.parameters["ComparisonValue"], "$.External.saved_words", "{}", from.identifier);
                assert!(asks && !otherwise.into_iter().any(|next| *next == action.identifier), "{}", from.identifier);
            }
        }
    }
    assert_eq!(marks, 3);
}

#[test]
fn a_reference_that_is_followed_by_a_full_stop_is_found() {
    let faults = faults_after_in("inbound", "Welcome back with the last issue", |block| {
        block["Parameters"]["Text"] = json!("It was about $.External.last_issue.");
    });
    let expected = "flows/inbound.json: block \"Welcome back with the last issue\" refers to $.External.last_issue. without a space after the name";
    assert!(faults.contains(&expected.to_owned()), "{faults:?}");
}

#[tokio::test]
async fn the_functions_answer_what_the_flows_are_checked_against() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let names = |answer: Value| answer.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let expected = |function: &str| answers_of(function).unwrap().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(names(stack.invoke(&event("returning_caller")).await), expected("${IdentifyFunctionArn}"));
    assert_eq!(names(stack.invoke(&event("disconnect_flow")).await), expected("${SaveFunctionArn}"));
}

#[test]
fn the_template_has_a_value_for_every_placeholder_and_no_others() {
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
    for (name, text) in texts() {
        let (before, section) = template.split_once(&format!("# flows/{name}.json\n")).unwrap();
        let flow_type = Flow::parse(&name, &text).unwrap().flow_type.api_name();
        let (_, given_type) = before.rsplit_once("      Type: ").unwrap();
        assert_eq!(given_type.lines().next(), Some(flow_type), "{name}");
        let values = section
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("            ").or(line.strip_prefix("          - ")));
        let given: BTreeSet<_> =
            values.filter_map(|line| line.split_once(": ")).map(|(name, _)| name.to_owned()).collect();
        let wanted = std::cell::RefCell::new(BTreeSet::new());
        filled(&text, |name| {
            wanted.borrow_mut().insert(name.to_owned());
            String::new()
        });
        assert_eq!(given, wanted.into_inner(), "{name}");
    }
}
