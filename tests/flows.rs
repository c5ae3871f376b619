//! The contact flows: Connect would accept them, nothing in them is misspelt, and a mistake is reported with its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Value, json};
use stand_ins::events::event;
use stand_ins::flows::attributes::answers_of;
use stand_ins::flows::check::{check, faults};
use stand_ins::flows::{Action, Flow, filled, references, texts};
use stand_ins::stack::Stack;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

fn flows() -> &'static [Flow] {
    static FLOWS: LazyLock<Vec<Flow>> =
        LazyLock::new(|| texts().iter().map(|(name, text)| Flow::parse(name, text).unwrap()).collect());
    &FLOWS
}

/// The faults that are found in the flows after this change to one of them.
fn faults_after(flow: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut json = flows().iter().find(|known| known.name == flow).unwrap().json.clone();
    change(&mut json);
    match Flow::parse(flow, &json.to_string()) {
        Err(fault) => vec![fault.to_string()],
        Ok(changed) => {
            let all: Vec<_> = flows().iter().map(|known| if known.name == flow { &changed } else { known }).collect();
            faults(&all).iter().map(ToString::to_string).collect()
        }
    }
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
    let all = flows().iter().flat_map(|flow| {
        let actions = flow.json["Actions"].as_array().unwrap().clone();
        actions.into_iter().map(move |action| (flow.name.clone(), action))
    });
    all.collect()
}

#[test]
fn the_flows_have_no_fault() {
    assert_eq!(check(&texts()).iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let names: Vec<_> = texts().into_keys().collect();
    assert_eq!(
        names,
        [
            "agent-guide",
            "agent-whisper",
            "callback",
            "contact-lens",
            "disconnect",
            "identify",
            "inbound",
            "queue",
            "route",
            "save",
            "wrap-up"
        ]
    );
}

/// The error branches that Connect does not require.
fn is_optional(block: &Value, error: &str) -> bool {
    matches!(
        (block["Type"].as_str().unwrap(), error),
        ("MessageParticipantIteratively", "NoMatchingError") | ("InvokeFlowModule", "NoMatchingCondition")
    )
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
            if !is_optional(&block, &error) {
                let expected = format!("flows/{flow}.json: block \"{identifier}\" lacks the error branch {error}");
                assert!(faults.contains(&expected), "{expected}: {faults:?}");
            }
            dropped += 1;
        }
    }
    assert!(dropped > 150, "{dropped}");
}

/// A change to a block.
type Change = Box<dyn Fn(&mut Value)>;

/// Asserts that each of these changes to each block is found with its file and block. Returns how many there were.
fn assert_found(changes: impl Fn(&Value) -> Vec<Change>) -> usize {
    let mut found = 0;
    for (flow, block) in blocks() {
        let identifier = block["Identifier"].as_str().unwrap();
        let place = format!("flows/{flow}.json: block \"{identifier}\"");
        for (number, change) in changes(&block).into_iter().enumerate() {
            let faults = faults_after_in(&flow, identifier, change);
            assert!(faults.iter().any(|fault| fault.starts_with(&place)), "{place} {number}: {faults:?}");
            found += 1;
        }
    }
    found
}

#[test]
fn every_empty_or_unknown_part_of_a_block_is_found_with_its_file_and_block() {
    let found = assert_found(|block| {
        let names = block["Parameters"].as_object().unwrap().keys().cloned();
        let empty =
            names.map(|name| Box::new(move |block: &mut Value| block["Parameters"][&name] = json!("")) as Change);
        let unknown: [Change; 3] = [
            Box::new(|block| block["Comment"] = json!("x")),
            Box::new(|block| block["Parameters"]["Comment"] = json!("x")),
            Box::new(|block| block["Transitions"]["Next"] = json!("x")),
        ];
        empty.chain(unknown).collect()
    });
    assert!(found > 700, "{found}");
}

#[test]
fn every_branch_that_is_missing_or_leads_nowhere_is_found_with_its_file_and_block() {
    let found = assert_found(|block| {
        let transitions = block["Transitions"].to_string();
        let branches = transitions.matches("\"NextAction\":\"").count();
        let misspelt = (0..branches).map(|number| {
            Box::new(move |block: &mut Value| {
                let text = block["Transitions"].to_string();
                let (at, branch) = text.match_indices("\"NextAction\":\"").nth(number).unwrap();
                let (before, after) = text.split_at(at + branch.len());
                block["Transitions"] = serde_json::from_str(&format!("{before}Mis{after}")).unwrap();
            }) as Change
        });
        let missing: Option<Change> = (!block["Transitions"]["NextAction"].is_null()).then(|| {
            Box::new(|block: &mut Value| drop(block["Transitions"].as_object_mut().unwrap().remove("NextAction")))
                as Change
        });
        misspelt.chain(missing).collect()
    });
    assert!(found > 500, "{found}");
}

#[test]
fn every_misspelt_attribute_is_found_with_its_file_and_block() {
    let mut misspelt = 0;
    for (flow, block) in blocks() {
        let identifier = block["Identifier"].as_str().unwrap();
        let place = format!("flows/{flow}.json: block \"{identifier}\"");
        for text in stand_ins::flows::strings(&block["Parameters"]) {
            for reference in references(text) {
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
    assert!(misspelt > 100, "{misspelt}");
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
    let remove = |json: &mut Value, block: &str| {
        json["Actions"].as_array_mut().unwrap().retain(|action| action["Identifier"] != block);
        json["Metadata"]["ActionMetadata"].as_object_mut().unwrap().remove(block);
    };
    let dangling = "flows/inbound.json: block \"Call or chat\" leads to \"Greet\", which is not a block of this flow";
    assert!(faults_after("inbound", |json| remove(json, "Greet")).contains(&dangling.to_owned()));
    let without = |flow: &str, block: &str, next: &str| {
        faults_after(flow, |json| {
            remove(json, block);
            let joined =
                json.to_string().replace(&format!("\"NextAction\":\"{block}\""), &format!("\"NextAction\":\"{next}\""));
            *json = serde_json::from_str(&joined).unwrap();
        })
    };
    for greeting in ["Greet", "Greet in the chat"] {
        let in_silence = "flows/inbound.json: block \"Identify the caller\" can be reached before the caller has heard anything, so the caller waits in silence";
        assert_eq!(without("inbound", greeting, "Identify the caller"), [in_silence]);
    }
    for (flow, block) in [
        ("inbound", "Apologise"),
        ("route", "Say goodbye"),
        ("route", "Send away while closed"),
        ("disconnect", "Say goodbye"),
        ("disconnect", "Say goodbye in the chat"),
    ] {
        let faults = without(flow, block, "Hang up");
        let silent = format!("flows/{flow}.json: block \"Hang up\" can end the call without a word");
        assert_eq!(faults, [silent], "{block}");
    }
}

#[test]
fn a_prompt_with_a_text_that_callers_must_not_hear_is_found() {
    let said =
        |block: &str, text: &str| faults_after_in("inbound", block, |block| block["Parameters"]["Text"] = json!(text));
    let about = |block: &str, what: &str| vec![format!("flows/inbound.json: block \"{block}\" {what}")];
    assert_eq!(
        said("Welcome back", "We are $.Attributes.confidence sure"),
        about("Welcome back", "speaks the confidence: $.Attributes.confidence")
    );
    assert_eq!(
        said("Welcome back", "You are $.Attributes.customer_context"),
        about("Welcome back", "speaks what is for agents alone: $.Attributes.customer_context")
    );
    assert_eq!(
        said("Greet softly", "Hello $.Attributes.customer_name"),
        about(
            "Greet softly",
            "speaks something personal to a caller who may be unconfirmed: $.Attributes.customer_name"
        )
    );
    assert_eq!(
        said("Welcome back", "It was about $.Attributes.last_issue"),
        about("Welcome back", "may speak an agent's notes: $.Attributes.last_issue")
    );
    let unguarded = faults_after_in("inbound", "Who is calling", |block| {
        block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["new"]);
    });
    assert_eq!(
        unguarded,
        about(
            "Welcome back with the last issue",
            "speaks something personal to a caller who may be unconfirmed: $.Attributes.last_issue"
        )
    );
    let whispered = faults_after_in("agent-whisper", "Say that the caller returns", |block| {
        block["Parameters"]["Text"] = json!("It was about $.Attributes.last_issue");
    });
    let expected = "flows/agent-whisper.json: block \"Say that the caller returns\" whispers $.Attributes.last_issue";
    assert_eq!(whispered, [expected]);
    let created = faults_after("callback", |json| {
        json["Actions"][5] = json!({
            "Identifier": json["Actions"][5]["Identifier"], "Type": "MessageParticipant", "Parameters": {"Text": "Hello"},
            "Transitions": {"NextAction": "Hook agent guide", "Errors": [{"ErrorType": "NoMatchingError", "NextAction": "Hook agent guide"}]},
        });
    });
    assert!(created[0].contains("where nobody is on the line"), "{created:?}");
}

/// A change to a block of a flow, and what is said about it.
type Case = (&'static str, &'static str, fn(&mut Value), &'static str);

/// Asserts that each change is told with its file and block.
fn assert_told(cases: &[Case]) {
    for (flow, block, change, expected) in cases {
        let faults = faults_after_in(flow, block, change).join("\n");
        let place = format!("flows/{flow}.json: block \"{block}\"");
        let is_told = faults.lines().any(|fault| fault.starts_with(&place) && fault.contains(expected));
        assert!(is_told, "{block}, {expected}: {faults}");
    }
}

/// What Connect takes and a caller, an agent or a deploy would suffer from.
#[test]
fn everything_that_breaks_a_promise_is_found() {
    assert_told(&[
        (
            "route",
            "Hook agent guide",
            |block| block["Parameters"]["EventHooks"] = json!({"DefaultAgentUI": "${WrapUpFlowArn}"}),
            "runs flows/wrap-up.json at DefaultAgentUI",
        ),
        (
            "route",
            "Hook disconnect flow",
            |block| block["Parameters"]["EventHooks"] = json!({"CustomerRemaining": "${CallbackFlowArn}"}),
            "runs flows/callback.json at CustomerRemaining",
        ),
        (
            "route",
            "Create the callback",
            |block| drop(block["Parameters"].as_object_mut().unwrap().remove("ContactFlowId")),
            "creates a callback without a creation flow",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"SSML": "<speak>Hello<break time=\"10s\"/>"}]),
            "has SSML with a tag that does not end",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"SSML": "<speak>Hello<break time=\"10s\"></speak>"}]),
            "has SSML with a tag that does not end",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"SSML": "<speak>Hello<break time=\"40s\"/></speak>"}]),
            "has a break of more than 10 s",
        ),
        (
            "agent-guide",
            "Show an unknown caller",
            |block| block["Parameters"]["ViewData"]["Description"] = json!("$.Attributes.customer_context"),
            "does not know whether it is set",
        ),
        (
            "wrap-up",
            "Ask about an unknown caller",
            |block| block["Parameters"]["ViewData"]["SubHeading"] = json!("$.Attributes.intent"),
            "does not know whether it is set",
        ),
        (
            "disconnect",
            "Hook agent guide",
            |block| block["Parameters"]["EventHooks"] = json!({"CustomerRemaining": "${DisconnectFlowArn}"}),
            "names a flow that needs this one first",
        ),
        (
            "wrap-up",
            "Save without words",
            |block| block["Parameters"]["FlowModuleId"] = json!("${NoModuleArn}"),
            "neither a reference nor a placeholder",
        ),
    ]);
    let spins = faults_after_in("queue", "Wait without the loop", |block| {
        block["Transitions"]["Errors"][0]["NextAction"] = json!("Is anybody at work");
    });
    assert!(
        spins.iter().all(|fault| fault.ends_with("is in a loop that takes no time if its blocks fail")),
        "{spins:?}"
    );
    assert!(spins.iter().any(|fault| fault.contains("\"Wait without the loop\"")), "{spins:?}");
    let without_consent = |block: &str, change: fn(&mut Value)| faults_after_in("contact-lens", block, change);
    let recorded = "flows/contact-lens.json: block \"Summarise the call\" can record a call whose caller did not agree";
    let refused = without_consent("Ask for consent", |block| {
        block["Transitions"]["Conditions"][1]["NextAction"] = json!("Note the consent");
    });
    assert_eq!(refused, [recorded]);
    let silent = without_consent("Ask for consent", |block| {
        block["Transitions"]["Errors"][1]["NextAction"] = json!("Note the consent");
    });
    assert_eq!(silent, [recorded]);
    let always = without_consent("Ask for consent", |block| {
        block["Transitions"]["NextAction"] = json!("Note the consent");
        block["Transitions"]["Conditions"] = json!([]);
    });
    assert!(always.contains(&recorded.to_owned()), "{always:?}");
    let guide = faults_after_in("route", "Create the callback", |block| {
        block["Parameters"]["ContactFlowId"] = json!("${AgentGuideFlowArn}");
    });
    assert!(
        guide
            .iter()
            .any(|fault| fault.starts_with("flows/agent-guide.json") && fault.contains("does not queue the callback")),
        "{guide:?}"
    );
    let settings = faults_after("inbound", |json| json["Settings"] = json!({"Transitions": []}));
    assert!(settings.contains(&"flows/inbound.json: has the Settings of a module and the type of a flow".to_owned()));
    let nameless = faults_after("inbound", |json| drop(json["Metadata"].as_object_mut().unwrap().remove("name")));
    assert_eq!(nameless, ["flows/inbound.json: has no name in its Metadata"]);
}

#[test]
fn everything_that_connect_would_refuse_is_found() {
    let cases: [Case; 57] = [
        ("route", "Hook wrap-up", |block| block["Parameters"] = json!({}), "lacks the parameter EventHooks"),
        (
            "route",
            "Hook wrap-up",
            |block| block["Parameters"]["EventHooksConfiguration"] = json!(5),
            "is not an object",
        ),
        (
            "route",
            "Create the callback",
            |block| block["Parameters"]["AgentId"] = json!("a"),
            "has both QueueId and AgentId",
        ),
        (
            "route",
            "Is anybody at work",
            |block| block["Parameters"]["MetricType"] = json!("${QueueArn}"),
            "has the parameter MetricType wrong",
        ),
        (
            "route",
            "Highest priority",
            |block| block["Parameters"]["QueuePriority"] = json!("01"),
            "has the parameter QueuePriority wrong",
        ),
        ("route", "Hang up", |block| block["Transitions"] = json!({"Errors": []}), "ends the flow and has Transitions"),
        (
            "inbound",
            "To the right queue",
            |block| block["Parameters"]["ContactFlowId"] = json!("${QueueFlowArn}"),
            "leads to flows/queue.json, which is not a contact flow",
        ),
        (
            "inbound",
            "Menu",
            |block| block["Parameters"]["InputTimeLimitSeconds"] = json!("+5"),
            "has the parameter InputTimeLimitSeconds wrong",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"Text": 5}]),
            "has the parameter Messages wrong",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"PromptId": "music"}]),
            "has the parameter Messages wrong",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"] = json!([{"Text": "x".repeat(3_001)}]),
            "has the parameter Messages wrong",
        ),
        (
            "contact-lens",
            "Summarise the chat",
            |block| {
                block["Parameters"]["ChatBehavior"]["ChatAnalyticsBehavior"]["AnalyticsLanguage"] = json!("english")
            },
            "has the parameter ChatBehavior wrong",
        ),
        (
            "agent-guide",
            "Show the caller",
            |block| block["Parameters"]["ViewData"]["Sections"] = json!([]),
            "without Sections",
        ),
        (
            "agent-guide",
            "Show the caller",
            |block| block["Parameters"]["ViewData"]["Sections"] = json!(5),
            "without Sections",
        ),
        (
            "agent-guide",
            "Show the caller",
            |block| block["Parameters"]["ViewResource"]["Id"] = json!("detail"),
            "does not name its view by an ARN",
        ),
        (
            "wrap-up",
            "Ask the agent",
            |block| drop(block["Parameters"]["ViewData"].as_object_mut().unwrap().remove("Next")),
            "shows the view form without Next",
        ),
        (
            "route",
            "Billing queue",
            |block| block["Parameters"]["QueueId"] = json!("${BilingQueueArn}"),
            "holds ${BilingQueueArn}",
        ),
        (
            "route",
            "Billing queue",
            |block| block["Parameters"]["QueueId"] = json!("billing"),
            "is not the ARN of a queue or one reference",
        ),
        (
            "route",
            "Billing queue",
            |block| block["Parameters"]["QueueId"] = json!("${HoursArn}"),
            "is not the ARN of a queue",
        ),
        (
            "route",
            "Billing queue",
            |block| block["Parameters"]["QueueId"] = json!("the $.Queue.ARN"),
            "is not the ARN of a queue",
        ),
        (
            "route",
            "Hook queue flow",
            |block| block["Parameters"]["EventHooks"] = json!({"CustomerQueue": "${DisconnectFlowArn}"}),
            "hooks CustomerQueue to flows/disconnect.json, which is not a flow for that",
        ),
        (
            "route",
            "Hook agent whisper",
            |block| block["Parameters"]["EventHooks"] = json!({"AgentWhisper": "${WrapUpFlowArn}"}),
            "which is not a flow for that",
        ),
        (
            "route",
            "Hook wrap-up",
            |block| block["Parameters"]["EventHooks"] = json!({"DisconnectAgentUI": "${QueueFlowArn}"}),
            "which is not a flow for that",
        ),
        (
            "route",
            "Hook wrap-up",
            |block| block["Parameters"]["EventHooks"] = json!({"DisconnectAgentUI": "${SaveModuleArn}"}),
            "has the parameter EventHooks wrong",
        ),
        (
            "route",
            "Hook wrap-up",
            |block| block["Parameters"]["EventHooks"]["CustomerQueue"] = json!("${QueueFlowArn}"),
            "has the parameter EventHooks wrong",
        ),
        (
            "route",
            "Are we open",
            |block| drop(block["Transitions"]["Conditions"].as_array_mut().unwrap().pop()),
            "lacks a branch for False",
        ),
        (
            "route",
            "Are we open",
            |block| block["Parameters"]["HoursOfOperationId"] = json!("always"),
            "hours of operation or one reference",
        ),
        (
            "route",
            "Is anybody at work",
            |block| block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["2"]),
            "which can't occur",
        ),
        (
            "route",
            "Set callback number",
            |block| block["Parameters"]["CallbackNumber"] = json!("+12025550101"),
            "one reference and nothing else",
        ),
        (
            "route",
            "Create the callback",
            |block| block["Parameters"]["RetryDelaySeconds"] = json!("259201"),
            "has the parameter RetryDelaySeconds wrong",
        ),
        (
            "route",
            "Create the callback",
            |block| block["Parameters"]["ContactFlowId"] = json!("callback"),
            "is not the ARN of a flow",
        ),
        (
            "route",
            "Which queue",
            |block| block["Transitions"]["Conditions"][0]["NextAction"] = json!("Biling queue"),
            "leads to \"Biling queue\", which is not a block of this flow",
        ),
        (
            "route",
            "Which queue",
            |block| block["Parameters"]["ComparisonValue"] = json!("$.Attributes"),
            "refers to $.Attributes, which nothing sets",
        ),
        (
            "route",
            "Which queue",
            |block| block["Parameters"]["ComparisonValue"] = json!("$.External."),
            "refers to $.External.",
        ),
        (
            "route",
            "Which queue",
            |block| block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["$.Attributes.intent"]),
            "compares with the reference",
        ),
        ("route", "Hang up", |block| block["Type"] = json!("EndFlowExecution"), "which this kind of flow can't have"),
        (
            "route",
            "Hang up",
            |block| block["Type"] = json!("EndFlowModuleExecution"),
            "which this kind of flow can't have",
        ),
        (
            "inbound",
            "Welcome back",
            |block| block["Parameters"]["Text"] = json!("Welcome $External.var_name"),
            "neither a reference nor",
        ),
        (
            "inbound",
            "Menu",
            |block| {
                let again = block["Transitions"]["Conditions"][0].clone();
                block["Transitions"]["Conditions"].as_array_mut().unwrap().push(again);
            },
            "has a branch for \"1\" twice",
        ),
        ("inbound", "Greet", |block| block["Type"] = json!("PlayPrompt"), "is of the unknown type PlayPrompt"),
        ("inbound", "Greet", |block| block["Parameters"]["Voice"] = json!("Joanna"), "has the unknown parameter Voice"),
        (
            "inbound",
            "Greet",
            |block| block["Parameters"] = json!({}),
            "needs exactly one of the parameters Text, SSML, PromptId, Media",
        ),
        (
            "inbound",
            "Greet",
            |block| block["Parameters"]["SSML"] = json!("<speak>Hello</speak>"),
            "needs exactly one of the parameters Text, SSML, PromptId, Media",
        ),
        (
            "inbound",
            "Greet",
            |block| block["Parameters"]["Text"] = json!("x".repeat(3_001)),
            "has the parameter Text wrong",
        ),
        (
            "inbound",
            "Menu",
            |block| block["Parameters"]["InputTimeLimitSeconds"] = json!(5),
            "has the parameter InputTimeLimitSeconds wrong",
        ),
        (
            "inbound",
            "Menu",
            |block| block["Transitions"]["Conditions"][0]["Condition"]["Operands"] = json!(["12"]),
            "which can't occur",
        ),
        (
            "inbound",
            "Menu",
            |block| block["Parameters"]["DTMFConfiguration"] = json!({"DisableCancelKey": "True"}),
            "is a menu, which can't have DTMFConfiguration",
        ),
        (
            "inbound",
            "High priority",
            |block| block["Transitions"]["Errors"] = json!([{"ErrorType": "NoMatchingError", "NextAction": "Menu"}]),
            "which it can't have",
        ),
        (
            "identify",
            "Identify the caller",
            |block| block["Parameters"]["InvocationTimeLimitSeconds"] = json!("9"),
            "from 1 to 8",
        ),
        (
            "identify",
            "Identify the caller",
            |block| block["Parameters"]["ResponseValidation"]["ResponseType"] = json!("NONE"),
            "has the parameter ResponseValidation wrong",
        ),
        (
            "queue",
            "Wait",
            |block| block["Parameters"]["Messages"][0]["Text"] = json!("Hello"),
            "has the parameter Messages wrong",
        ),
        (
            "queue",
            "Wait",
            |block| block["Transitions"]["Conditions"] = json!([]),
            "lacks a branch for MessagesInterrupted",
        ),
        (
            "queue",
            "Say that it is arranged",
            |block| block["Type"] = json!("InvokeFlowModule"),
            "which this kind of flow can't have",
        ),
        (
            "disconnect",
            "Wait for an answer",
            |block| drop(block["Transitions"]["Conditions"].as_array_mut().unwrap().pop()),
            "lacks a branch for CustomerReturned",
        ),
        (
            "agent-guide",
            "Show the caller",
            |block| drop(block["Parameters"]["ViewData"].as_object_mut().unwrap().remove("Sections")),
            "shows the view detail without Sections",
        ),
        (
            "wrap-up",
            "Ask the agent",
            |block| drop(block["Transitions"]["Conditions"].as_array_mut().unwrap().remove(0)),
            "lacks a branch for Next",
        ),
        (
            "contact-lens",
            "Summarise the call",
            |block| {
                block["Parameters"]["VoiceBehavior"]["VoiceRecordingBehavior"]["RecordedParticipants"] =
                    json!(["Agent"])
            },
            "does not record both sides",
        ),
    ];
    assert_told(&cases);
    let unreachable = faults_after_in("save", "Were there words", |block| {
        block["Transitions"]["Conditions"] = json!([]);
    });
    assert!(unreachable.contains(&"flows/save.json: block \"Mark the words\" can't be reached".to_owned()));
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
        let more = (0..250).map(|number| {
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

/// What other people's flows have and ours don't: no reason to refuse it.
#[test]
fn everything_that_connect_is_known_to_take_passes() {
    type Change = fn(&mut Value);
    let branch = |error: &str, next: &str| json!({"ErrorType": error, "NextAction": next});
    let cases: [(&str, &str, Change); 14] = [
        ("queue", "Wait", |block| {
            block["Parameters"]["Messages"] =
                json!([{"PromptId": "arn:aws:connect:r:1:instance/i/prompt/p"}, {"Text": "Hello"}])
        }),
        ("queue", "Wait", |block| {
            block["Parameters"] = json!({"Messages": [{"Text": "Hello"}]});
            block["Transitions"] = json!({"NextAction": "Is anybody at work", "Errors": [{"ErrorType": "NoMatchingError", "NextAction": "Call or chat"}]});
        }),
        ("queue", "Wait", |block| block["Parameters"]["ContinueMessagingDuringInterrupt"] = json!("True")),
        ("inbound", "Greet", |block| block["Parameters"] = json!({"SSML": "<speak>Hello<break time=\"1s\"/></speak>"})),
        ("inbound", "Greet", |block| {
            block["Parameters"] = json!({"Media": {"Uri": "https://s3/x", "SourceType": "S3", "MediaType": "Audio"}})
        }),
        ("route", "Are we open", |block| {
            drop(block["Parameters"].as_object_mut().unwrap().remove("HoursOfOperationId"))
        }),
        ("route", "Is anybody at work", |block| block["Parameters"]["QueueId"] = json!("$.Queue.ARN")),
        ("route", "Hook queue flow", |block| {
            block["Parameters"]["EventHooks"] =
                json!({"CustomerQueue": "arn:aws:connect:r:1:instance/i/contact-flow/f"})
        }),
        ("identify", "Identify the caller", |block| block["Parameters"]["InvocationType"] = json!("SYNCHRONOUS")),
        ("identify", "Identify the caller", |block| {
            drop(block["Parameters"].as_object_mut().unwrap().remove("ResponseValidation"))
        }),
        ("identify", "Keep the number", |block| {
            drop(block["Parameters"].as_object_mut().unwrap().remove("TargetContact"))
        }),
        ("disconnect", "Save the call", |block| drop(block["Transitions"]["Errors"].as_array_mut().unwrap().pop())),
        ("disconnect", "Wait for an answer", |block| {
            block["Parameters"] = json!({"TimeoutSeconds": "300", "Events": ["CustomerReturned"]})
        }),
        ("agent-guide", "Show the caller", |block| block["Parameters"]["ViewResource"]["Version"] = json!("1")),
    ];
    for (flow, block, change) in cases {
        assert_eq!(faults_after_in(flow, block, change), [""; 0], "{flow}, {block}");
    }
    let errors = |names: &[&str]| names.iter().map(|name| branch(name, "Greet")).collect::<Vec<_>>();
    // In place of the logging block: what other flows begin with.
    let others = [
        ("Loop", json!({"LoopCount": "3"}), errors(&[]), json!([["ContinueLooping"], ["DoneLooping"]])),
        ("TagContact", json!({"Tags": {"function": "sales"}}), errors(&["NoMatchingError"]), json!([])),
        ("UpdateContactData", json!({"LanguageCode": "en-US"}), errors(&["NoMatchingError"]), json!([])),
        (
            "UpdateFlowAttributes",
            json!({"FlowAttributes": {"a": {"Value": "b"}}}),
            errors(&["NoMatchingError"]),
            json!([]),
        ),
        ("UpdateContactTextToSpeechVoice", json!({"TextToSpeechVoice": "Joanna"}), errors(&[]), json!([])),
        (
            "UpdateContactRoutingCriteria",
            json!({"RoutingCriteria": {"Steps": []}}),
            errors(&["NoMatchingError"]),
            json!([]),
        ),
        (
            "UpdateContactRecordingBehavior",
            json!({"RecordingBehavior": {"RecordedParticipants": ["Agent", "Customer"]}}),
            errors(&[]),
            json!([]),
        ),
        (
            "ConnectParticipantWithLexBot",
            json!({"Text": "What is it about?", "LexV2Bot": {"AliasArn": "arn:aws:lex:r:1:bot-alias/a/b"}}),
            errors(&["NoMatchingError", "NoMatchingCondition"]),
            json!([["Sales"]]),
        ),
        (
            "GetParticipantInput",
            json!({"Text": "Your number?", "StoreInput": "True", "InputTimeLimitSeconds": "5", "InputValidation": {"CustomValidation": {"MaximumLength": "9"}}, "DTMFConfiguration": {"DisableCancelKey": "False"}}),
            errors(&["NoMatchingError"]),
            json!([]),
        ),
    ];
    for (action_type, parameters, errors, results) in others {
        let conditions = results.as_array().unwrap().iter().map(
            |operands| json!({"NextAction": "Call or chat", "Condition": {"Operator": "Equals", "Operands": operands}}),
        );
        let conditions: Vec<_> = conditions.collect();
        let faults = faults_after_in("inbound", "Set logging", |block| {
            block["Type"] = json!(action_type);
            block["Parameters"] = parameters;
            block["Transitions"] = json!({"NextAction": "Call or chat", "Errors": errors, "Conditions": conditions});
        });
        assert_eq!(faults, [""; 0], "{action_type}");
    }
}

/// A module's caller can't see its `$.External`.
#[test]
fn the_identify_module_stores_every_attribute_of_the_answer() {
    let flows = flows();
    let identify = flows.iter().find(|flow| flow.name == "identify").unwrap();
    let stored: BTreeSet<_> = identify
        .actions
        .iter()
        .flat_map(|action| action.parameters["Attributes"].as_object().into_iter().flat_map(|names| names.values()))
        .filter_map(|value| value.as_str()?.strip_prefix("$.External.").map(str::to_owned))
        .collect();
    assert_eq!(stored, answers_of("${IdentifyFunctionArn}").unwrap().iter().cloned().collect());
}

#[test]
fn a_wrap_up_passes_the_agents_words_and_a_skipped_one_passes_none() {
    let flows = flows();
    let wrap_up = flows.iter().find(|flow| flow.name == "wrap-up").unwrap();
    let passed = |flow: &Flow, block: &str| {
        let passed = flow.action(block).unwrap().parameters["LambdaInvocationAttributes"].clone();
        passed.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(passed(wrap_up, "Save the words"), names(&["action", "intent_status", "call_summary", "agent_notes"]));
    assert_eq!(wrap_up.action("Save without words").unwrap().parameters["FlowModuleId"], "${SaveModuleArn}");
    let save = flows.iter().find(|flow| flow.name == "save").unwrap();
    assert_eq!(passed(save, "Save the call"), names(&["action"]));
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
        block["Parameters"]["Text"] = json!("It was about $.Attributes.last_issue.");
    });
    let expected = "flows/inbound.json: block \"Welcome back with the last issue\" refers to $.Attributes.last_issue. without a space after the name";
    assert!(faults.contains(&expected.to_owned()), "{faults:?}");
}

#[tokio::test]
async fn the_functions_answer_what_the_flows_are_checked_against() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let names = |answer: Value| answer.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let expected = |function: &str| answers_of(function).unwrap().iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(stack.invoke(&event("returning_caller")).await), expected("${IdentifyFunctionArn}"));
    assert_eq!(names(stack.invoke(&event("disconnect_flow")).await), expected("${SaveFunctionArn}"));
}

/// The value that the template must have for a placeholder that names a thing: the thing of that name. Returns
/// `None` for a word, which may have any value.
fn value_in_the_template(placeholder: &str) -> Option<String> {
    let thing = placeholder.trim_end_matches("Arn");
    let wanted = match placeholder {
        "IdentifyFunctionArn" | "SaveFunctionArn" => format!("!Ref {thing}.Alias"),
        "QueueArn" | "HoursArn" | "ContactLens" | "FlowLogging" => format!("!Ref {placeholder}"),
        "CallbackQueue" => "!If [HasCallbackQueue, !Ref CallbackQueueArn, \"$.Queue.ARN\"]".to_owned(),
        "OwnCallbackQueue" => "!If [HasCallbackQueue, \"yes\", \"no\"]".to_owned(),
        "OwnVipQueue" => "!If [HasVipQueue, \"yes\", \"no\"]".to_owned(),
        _ if thing.ends_with("Queue") => format!("!If [Has{thing}, !Ref {placeholder}, !Ref QueueArn]"),
        _ if thing.ends_with("Flow") || thing.ends_with("Module") => format!("!Ref {thing}"),
        _ => return None,
    };
    Some(wanted)
}

#[test]
fn the_template_has_a_value_for_every_placeholder_and_no_others() {
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
    for (name, text) in texts() {
        let (before, section) = template.split_once(&format!("# flows/{name}.json\n")).unwrap();
        let flow_type = Flow::parse(&name, &text).unwrap().flow_type.api_name();
        let (_, resource) = before.rsplit_once("    Type: AWS::Connect::ContactFlow").unwrap();
        let given_type = resource.split_once("      Type: ").and_then(|(_, given)| given.lines().next());
        assert_eq!((given_type, resource.starts_with("Module")), (flow_type, flow_type.is_none()), "{name}");
        let values = section
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("            ").or(line.strip_prefix("          - ")));
        let given: BTreeMap<_, _> = values.filter_map(|line| line.split_once(": ")).collect();
        for (placeholder, value) in &given {
            if let Some(wanted) = value_in_the_template(placeholder) {
                assert_eq!(*value, wanted, "{name}: {placeholder}");
            }
        }
        let given: BTreeSet<_> = given.into_keys().map(str::to_owned).collect();
        let wanted = std::cell::RefCell::new(BTreeSet::new());
        filled(&text, |name| {
            wanted.borrow_mut().insert(name.to_owned());
            String::new()
        });
        assert_eq!(given, wanted.into_inner(), "{name}");
    }
}
