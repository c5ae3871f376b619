//! Whether the Connect instance may invoke the functions, and lists them in its flow designer.

use serde::Deserialize;
use serde_json::Value;

use crate::aws::{Aws, Error};
use crate::findings::{Finding, Trouble};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyAnswer {
    /// JSON in JSON.
    policy: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionsAnswer {
    #[serde(default)]
    lambda_functions: Vec<String>,
}

/// Whether the resource-based policy of what flows invoke lets this instance in, and no other.
pub(crate) fn permission(function: &str, instance: &str, aws: &Aws) -> Finding {
    let policy = match aws.ask(&["lambda", "get-policy", "--function-name", function]) {
        Ok(PolicyAnswer { policy }) => serde_json::from_str(&policy).unwrap_or_default(),
        Err(Error::Refused { code, .. }) if code == "ResourceNotFoundException" => Value::Null,
        Err(error) => return Finding::Wrong(error.trouble("call lambda:GetPolicy")),
    };
    match allowed_sources(&policy) {
        sources if sources.is_empty() => Finding::Wrong(no_permission("no Connect instance may invoke it".to_owned())),
        sources if sources.iter().any(|source| source.is(instance)) => {
            Finding::Right("the Connect instance may invoke it".to_owned())
        }
        sources if sources.iter().any(|source| source.lets_in(instance)) => Finding::Wrong(too_wide()),
        sources => {
            let named = sources.iter().filter_map(|source| source.arn.clone()).collect::<Vec<_>>().join(", ");
            Finding::Wrong(no_permission(format!("another Connect instance may invoke it, and yours may not: {named}")))
        }
    }
}

/// Whom a statement of a policy lets in; absent is anybody.
struct Source {
    arn: Option<String>,
    account: Option<String>,
}

impl Source {
    /// This instance alone, of its account.
    fn is(&self, instance: &str) -> bool {
        self.arn.as_deref() == Some(instance) && self.account.as_deref() == instance.split(':').nth(4)
    }

    /// This instance and others, or it by only one of the two that AWS advises.
    fn lets_in(&self, instance: &str) -> bool {
        let arn = self.arn.as_deref().is_none_or(|arn| arn == instance || arn.contains('*'));
        arn && self.account.as_deref().is_none_or(|account| instance.split(':').nth(4) == Some(account))
    }
}

/// The sources that the statements for Connect allow to invoke.
fn allowed_sources(policy: &Value) -> Vec<Source> {
    let lets_connect_invoke = |statement: &&Value| {
        statement["Effect"] == "Allow"
            && has(&statement["Principal"]["Service"], &["connect.amazonaws.com"])
            && has(&statement["Action"], &["lambda:InvokeFunction", "lambda:*"])
    };
    let source = |statement: &Value| {
        let conditions = statement["Condition"].as_object();
        let of_key = |wanted: &str| {
            let mut pairs = conditions.into_iter().flatten().filter_map(|(_, pairs)| pairs.as_object()).flatten();
            // AWS takes the names of condition keys in any case.
            let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(wanted))?;
            value.as_str().map(str::to_owned)
        };
        Source { arn: of_key("aws:SourceArn"), account: of_key("aws:SourceAccount") }
    };
    policy["Statement"].as_array().into_iter().flatten().filter(lets_connect_invoke).map(source).collect()
}

/// Whether a value is one of these words, or a list that has one of them.
fn has(value: &Value, words: &[&str]) -> bool {
    let is_one = |value: &Value| value.as_str().is_some_and(|word| words.contains(&word));
    is_one(value) || value.as_array().is_some_and(|values| values.iter().any(is_one))
}

fn no_permission(what: String) -> Trouble {
    Trouble {
        what,
        means: "Connect can't call it: every flow takes its Error branch at once, and nobody is recognised or saved."
            .to_owned(),
        to_do: "Deploy again with the ARN of your instance as ConnectInstanceArn. Where somebody took the permission away by \
                hand, `aws lambda add-permission` on the same ARN, with the instance as --source-arn and its account as \
                --source-account, puts it back."
            .to_owned(),
        more: Vec::new(),
    }
}

fn too_wide() -> Trouble {
    Trouble {
        what: "the permission is not limited to your Connect instance and its account".to_owned(),
        means:
            "Your calls work, but so do those of instances that are not yours, who would be told about your callers."
                .to_owned(),
        to_do: "Remove that permission (`aws lambda remove-permission`) and deploy again with ConnectInstanceArn."
            .to_owned(),
        more: Vec::new(),
    }
}

/// Whether the instance's flow designer lists both functions.
pub(crate) fn association(functions: [&str; 2], instance: &str, aws: &Aws) -> Finding {
    let id = instance.rsplit_once('/').map_or(instance, |(_, id)| id);
    let listed = match aws.ask(&["connect", "list-lambda-functions", "--instance-id", id]) {
        Ok(FunctionsAnswer { lambda_functions }) => lambda_functions,
        Err(Error::Refused { code, said }) if code == "ResourceNotFoundException" => {
            return Finding::Wrong(no_instance(said));
        }
        Err(error) => return Finding::Wrong(error.trouble("call connect:ListLambdaFunctions")),
    };
    let missing: Vec<_> = functions.into_iter().filter(|function| !listed.iter().any(|arn| arn == function)).collect();
    if missing.is_empty() {
        return Finding::Right("the Connect instance lists both functions".to_owned());
    }
    Finding::Wrong(Trouble {
        what: format!("the Connect instance does not list {}", missing.join(" and ")),
        means: "The flow designer does not offer it, and may refuse a flow that names it.".to_owned(),
        to_do: "Deploy again with ConnectInstanceArn; or, where somebody took it away by hand, `aws connect \
                associate-lambda-function` with this ARN."
            .to_owned(),
        more: Vec::new(),
    })
}

fn no_instance(said: String) -> Trouble {
    Trouble {
        what: "the Connect instance of ConnectInstanceArn is not there".to_owned(),
        means: "Nobody calls these functions.".to_owned(),
        to_do: "Deploy again with the ARN of your instance; it must be in the stack's own region.".to_owned(),
        more: vec![said],
    }
}
