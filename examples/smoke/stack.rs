//! Whether the stack is deployed, and where its functions are.

use serde::Deserialize;

use crate::aws::{Aws, Error};
use crate::findings::{Finding, Trouble};

/// What the checks need of it.
pub(crate) struct Stack {
    /// The ARNs that flows invoke.
    pub(crate) identify: String,
    pub(crate) save: String,
    pub(crate) instance: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    stacks: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    stack_status: String,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_key: String,
    output_value: String,
}

impl Described {
    fn output(&self, key: &str) -> Option<String> {
        let output = self.outputs.iter().find(|output| output.output_key == key)?;
        Some(output.output_value.clone()).filter(|value| !value.is_empty())
    }
}

/// Looks for the stack. There is none to go on with where its functions are not there, or not yet those that stay.
pub(crate) fn look_for(name: &str, aws: &Aws) -> (Finding, Option<Stack>) {
    let described = match aws.ask(&["cloudformation", "describe-stacks", "--stack-name", name]) {
        Ok(Answer { stacks }) => stacks.into_iter().next(),
        Err(Error::Refused { code, said }) if code == "ValidationError" && said.contains("does not exist") => None,
        Err(error) => return (Finding::Wrong(error.trouble("call cloudformation:DescribeStacks")), None),
    };
    let Some(described) = described else { return (Finding::Wrong(not_there()), None) };
    match state(name, &described.stack_status) {
        State::Deployed => with_functions(&described, None),
        State::Behind(trouble) => with_functions(&described, Some(trouble)),
        State::NotDeployed(trouble) => (Finding::Wrong(trouble), None),
    }
}

fn with_functions(described: &Described, trouble: Option<Trouble>) -> (Finding, Option<Stack>) {
    let (identify, save) = (described.output("IdentifyFunctionArn"), described.output("SaveFunctionArn"));
    let (Some(identify), Some(save)) = (identify, save) else { return (Finding::Wrong(another_stack()), None) };
    let seen = || format!("deployed ({})", described.stack_status);
    let finding = trouble.map_or_else(|| Finding::Right(seen()), Finding::Wrong);
    (finding, Some(Stack { identify, save, instance: described.output("ConnectInstanceArn") }))
}

/// What a status means for somebody who has just deployed.
enum State {
    Deployed,
    /// The functions are there, but they are not those of the last deploy.
    Behind(Trouble),
    NotDeployed(Trouble),
}

fn state(name: &str, status: &str) -> State {
    let trouble = |what: &str, means: &str, to_do: String| Trouble {
        what: format!("{what} ({status})"),
        means: means.to_owned(),
        to_do,
        more: Vec::new(),
    };
    let events = format!(
        "The first failure in `aws cloudformation describe-stack-events --stack-name {name}` has the cause; mend it and \
         deploy again."
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" | "IMPORT_COMPLETE" => {
            State::Deployed
        }
        "REVIEW_IN_PROGRESS" => State::NotDeployed(trouble(
            "a change set for it was made and never carried out",
            "Nothing is deployed.",
            "Deploy, and confirm the changes.".to_owned(),
        )),
        "UPDATE_ROLLBACK_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => State::Behind(trouble(
            "the last deploy failed and was rolled back",
            "Callers are served as before that deploy; what follows here is about the version before it.",
            events,
        )),
        "UPDATE_FAILED" | "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" => State::Behind(trouble(
            "the last deploy failed and was not rolled back",
            "Parts of it may be new and others old.",
            events,
        )),
        "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" => State::NotDeployed(trouble(
            "its first deploy failed",
            "Nothing is deployed.",
            format!("{events} What is left of it has to be deleted before: `sam delete --stack-name {name}`."),
        )),
        deleting if deleting.starts_with("DELETE_") => State::NotDeployed(trouble(
            "it is being deleted, or could not be deleted as a whole",
            "Flows that invoke its functions take their Error branch.",
            "Once it is gone, deploy again.".to_owned(),
        )),
        _ => State::NotDeployed(trouble(
            "a deploy is under way",
            "The functions that answer now may be the old ones, the new ones, or both in turn.",
            "Run this again once it is over.".to_owned(),
        )),
    }
}

fn not_there() -> Trouble {
    Trouble {
        what: "there is no such stack in this account and region".to_owned(),
        means: "Nothing is deployed under this name.".to_owned(),
        to_do: "See that the name is right; for another region or account add `--region REGION` or `--profile NAME` after it."
            .to_owned(),
        more: Vec::new(),
    }
}

fn another_stack() -> Trouble {
    Trouble {
        what: "it has no outputs IdentifyFunctionArn and SaveFunctionArn".to_owned(),
        means: "It is another stack than one of Sticky Connect's template.".to_owned(),
        to_do: "See that the name is right.".to_owned(),
        more: Vec::new(),
    }
}
