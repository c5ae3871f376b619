//! A call of somebody who does not exist: the events that Connect would send, and what the functions answer.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use aws_lambda_events::encodings::Base64Data;
use jiff::Timestamp;
use ring::rand::{SystemRandom, generate};
use serde::Deserialize;
use serde_json::Value;
use sticky_connect::reason::Reason;

use crate::advice;
use crate::aws::{self, Aws};
use crate::findings::{Finding, Trouble};

/// The caller's number: 555-0100 to 555-0199 are reserved for fiction.
pub(crate) const NUMBER: &str = "+12025550142";

/// The caller's id, such as no customer has.
pub(crate) const CUSTOMER_ID: &str = "sticky-connect-smoke";

/// Longer than Lambda lets the save function run, in seconds; the default is just that.
const READ_TIMEOUT: &str = "75";

/// A call that has not been there before, so that the API does not answer `conflict`.
pub(crate) struct Call {
    contact_id: String,
    /// A number dialled that is not the one of the run before, so that the answer is not one that the cache has kept.
    dialled: String,
    start: Value,
}

impl Call {
    /// Of a caller of whom Connect knows the number alone.
    pub(crate) fn by_number() -> Result<Self, Box<dyn Error>> {
        Self::new(include_str!("../../events/new_caller.json"))
    }

    /// Of a caller of whom a lookup before has found the id.
    pub(crate) fn by_id() -> Result<Self, Box<dyn Error>> {
        let mut call = Self::new(include_str!("../../events/returning_caller.json"))?;
        call.start["Details"]["Parameters"]["customer_id"] = CUSTOMER_ID.into();
        Ok(call)
    }

    fn new(sample: &str) -> Result<Self, Box<dyn Error>> {
        let contact_id = random_uuid()?;
        let dialled = format!("+120255501{:02}", Timestamp::now().as_second().rem_euclid(100));
        let start = event(sample, &contact_id, &dialled)?;
        Ok(Self { contact_id, dialled, start })
    }

    /// The event at the end of the call, of a caller with this reference.
    fn end(&self, customer_ref: Option<String>) -> Result<Value, Box<dyn Error>> {
        let mut event = event(include_str!("../../events/save.json"), &self.contact_id, &self.dialled)?;
        event["Details"]["ContactData"]["Attributes"] = serde_json::json!({});
        if let Some(customer_ref) = customer_ref {
            event["Details"]["ContactData"]["Attributes"]["customer_ref"] = customer_ref.into();
        }
        event["Details"]["Parameters"] = serde_json::json!({
            "action": "save",
            "customer_id": CUSTOMER_ID,
            "intent": "smoke_test",
            "intent_status": "resolved",
            "call_summary": "Smoke test after a deploy",
        });
        Ok(event)
    }
}

/// A sample event as that of this call.
fn event(sample: &str, contact_id: &str, dialled: &str) -> Result<Value, Box<dyn Error>> {
    let mut event: Value = serde_json::from_str(sample)?;
    let contact = &mut event["Details"]["ContactData"];
    for id in ["ContactId", "InitialContactId", "PreviousContactId"] {
        contact[id] = contact_id.into();
    }
    contact["CustomerEndpoint"]["Address"] = NUMBER.into();
    contact["SystemEndpoint"]["Address"] = dialled.into();
    Ok(event)
}

/// A new id in the form of Connect's contact ids.
fn random_uuid() -> Result<String, Box<dyn Error>> {
    let random: [u8; 16] = generate(&SystemRandom::new()).map_err(|_| "the system has no random numbers")?.expose();
    let bits = u128::from_be_bytes(random);
    let [first, second, third, fourth] = [bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xfff, bits >> 48 & 0xfff];
    Ok(format!("{first:08x}-{second:04x}-4{third:03x}-8{fourth:03x}-{:012x}", bits & 0xffff_ffff_ffff))
}

/// Asks identify who is calling. The reference that it answered is for the save.
pub(crate) fn look_up(call: &Call, aws: &Aws, function: &str) -> Result<(Finding, Option<String>), Box<dyn Error>> {
    let answered = match invoke(&call.start, aws, function)? {
        Ok(answered) => answered,
        Err(trouble) => return Ok((Finding::Wrong(trouble), None)),
    };
    let finding = match (answered.text("lookup_status"), answered.text("lookup_source")) {
        ("matched" | "unconfirmed" | "new", "cache") => Finding::Wrong(kept_answer()),
        (status @ ("matched" | "unconfirmed" | "new"), _) => Finding::Right(format!("{status}{}", answered.how())),
        ("unavailable" | "skipped", _) => Finding::Wrong(
            answered.trouble("lookup_reason", "Flows go on, but every caller is a stranger: nobody is recognised."),
        ),
        _ => Finding::Wrong(another_function()),
    };
    let customer_ref = Some(answered.text("customer_ref").to_owned()).filter(|text| !text.is_empty());
    Ok((finding, customer_ref))
}

/// Asks save to keep what the call was about.
pub(crate) fn save(
    call: &Call,
    customer_ref: Option<String>,
    aws: &Aws,
    function: &str,
) -> Result<Finding, Box<dyn Error>> {
    let answered = match invoke(&call.end(customer_ref)?, aws, function)? {
        Ok(answered) => answered,
        Err(trouble) => return Ok(Finding::Wrong(trouble)),
    };
    Ok(match (answered.text("save_status"), answered.text("error")) {
        ("saved", "") => Finding::Right(format!("saved{}", answered.how())),
        ("saved", _) => Finding::Wrong(answered.trouble("error", "What agents write may not be taken.")),
        ("queued", _) => Finding::Wrong(answered.trouble(
            "error",
            "The summary waits in the outbox and is delivered later, so nothing is lost; until then callers are met with \
             what was known before.",
        )),
        ("failed", _) => Finding::Wrong(answered.trouble(
            "error",
            "What agents write is neither delivered nor kept: the next call knows nothing of it.",
        )),
        ("skipped", _) => Finding::Wrong(answered.trouble("error", "What agents write is not saved.")),
        ("deferred", _) => Finding::Wrong(deferred()),
        _ => Finding::Wrong(another_function()),
    })
}

/// An answer of a function's.
struct Answered {
    attributes: Value,
    version: String,
    /// The lines of its log that are JSON.
    log: Vec<Value>,
    contact_id: String,
}

impl Answered {
    fn text(&self, attribute: &str) -> &str {
        self.attributes[attribute].as_str().unwrap_or_default()
    }

    /// Which version answered, and how fast by its own clock.
    fn how(&self) -> String {
        let took = self.log.iter().find_map(|line| line["total_ms"].as_u64());
        let took = took.map(|took| format!(" in {took} ms")).unwrap_or_default();
        format!("{took}, by version {}", self.version)
    }

    /// What the reason in an attribute means. Beyond it the function says in its log what the API or AWS said; there is
    /// no personal data in it.
    fn trouble(&self, attribute: &str, means: &str) -> Trouble {
        let code = self.text(attribute);
        let (what, to_do) = match Reason::parse(code).map(advice::about) {
            Some(advice) => (advice.what, advice.to_do),
            None => ("the function gives a reason that this smoke command does not know", "Run that of its version."),
        };
        let warns = |line: &&Value| line["level"] == "WARN" || line["level"] == "ERROR";
        let said =
            self.log.iter().filter(warns).map(|line| match (line["message"].as_str(), line["detail"].as_str()) {
                (Some("answered") | None, Some(detail)) => detail.to_owned(),
                (Some(message), Some(detail)) => format!("{message}: {detail}"),
                (message, None) => message.filter(|message| *message != "answered").unwrap_or_default().to_owned(),
            });
        let mut said: Vec<_> = said.filter(|said| !said.is_empty()).collect();
        said.push(format!("the function's log has more under contact_id {}", self.contact_id));
        Trouble { what: format!("{what} ({code})"), means: means.to_owned(), to_do: to_do.to_owned(), more: said }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    function_error: Option<String>,
    log_result: Option<Base64Data>,
    #[serde(default)]
    executed_version: String,
}

/// Invokes a function as Connect does and waits for its answer.
fn invoke(event: &Value, aws: &Aws, function: &str) -> Result<Result<Answered, Trouble>, Box<dyn Error>> {
    let folder = Folder::create()?;
    let (payload, answer) = (folder.0.join("event.json"), folder.0.join("answer.json"));
    fs::write(&payload, event.to_string())?;
    // Versions 1 and 2 read `file://` differently, and this alike.
    let payload = format!("fileb://{}", payload.display());
    let invoke = ["lambda", "invoke", "--function-name", function, "--payload", &payload, "--log-type", "Tail"];
    let outfile = answer.display().to_string();
    let arguments = [&invoke[..], &["--cli-read-timeout", READ_TIMEOUT, &outfile]].concat();
    let invocation: Invocation = match aws.ask_once(&arguments) {
        Ok(invocation) => invocation,
        Err(error) => return Ok(Err(not_invoked(error))),
    };
    let attributes = serde_json::from_slice(&fs::read(&answer)?).unwrap_or_default();
    if invocation.function_error.is_some() {
        return Ok(Err(function_error(&attributes)));
    }
    let log = invocation.log_result.map(|log| String::from_utf8_lossy(&log.0).into_owned()).unwrap_or_default();
    let contact_id = event["Details"]["ContactData"]["ContactId"].as_str().unwrap_or_default().to_owned();
    Ok(Ok(Answered {
        attributes,
        version: invocation.executed_version,
        log: log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
        contact_id,
    }))
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("sticky-connect-smoke-{}", random_uuid()?));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder is a fictional event.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why Lambda did not even start the function.
fn not_invoked(error: aws::Error) -> Trouble {
    const ERROR_BRANCH: &str = "Connect gets an error, and flows take their Error branch.";
    let (what, means, to_do, said) = match error {
        aws::Error::Refused { code, said } if code == "TooManyRequestsException" => (
            "Lambda has no room for it: the concurrency reserved for the function, or the account's, is used up",
            ERROR_BRANCH,
            "Raise the reserved concurrency (the parameters IdentifyConcurrency and SaveConcurrency) or the account's limit, \
             or see what uses it up.",
            said,
        ),
        aws::Error::Refused { code, said } if code == "ResourceNotFoundException" => (
            "the function or its alias is not there, though the stack has an output for it",
            ERROR_BRANCH,
            "Somebody has deleted it by hand. Deploy again.",
            said,
        ),
        aws::Error::Refused { code, said } if code == "ResourceConflictException" => {
            ("Lambda is not done with setting the function up", ERROR_BRANCH, "Run this again in a minute.", said)
        }
        error => return error.trouble("call lambda:InvokeFunction"),
    };
    Trouble { what: what.to_owned(), means: means.to_owned(), to_do: to_do.to_owned(), more: vec![said] }
}

/// Why the function did not answer, though Lambda started it.
fn function_error(payload: &Value) -> Trouble {
    let (kind, message) = (&payload["errorType"], payload["errorMessage"].as_str().unwrap_or_default());
    let (what, to_do) = if message.contains("exec format error") {
        (
            "the function's binary is built for another processor",
            "Give `sam build` and `sam deploy` the same Architecture (arm64 where neither is told).",
        )
    } else if kind == "Runtime.InvalidEntrypoint" {
        ("Lambda finds no bootstrap that it can start", "Deploy what `sam build` has built.")
    } else if message.contains("timed out") {
        (
            "the function did not answer before Lambda ended it",
            "It answers by itself within TimeoutMs, whatever the API does, so it hangs: roll back, and look at its log.",
        )
    } else {
        ("the function crashed", "Roll back to the version before, and look at its log.")
    };
    Trouble {
        what: what.to_owned(),
        means: "Connect gets an error for every call, and flows take their Error branch.".to_owned(),
        to_do: to_do.to_owned(),
        more: vec![format!("{}: {message}", kind.as_str().unwrap_or("no error type"))],
    }
}

fn kept_answer() -> Trouble {
    Trouble {
        what: "it answered from its cache, so the API was not asked".to_owned(),
        means: "Whether the function reaches the API is not checked.".to_owned(),
        to_do: "Run this again.".to_owned(),
        more: Vec::new(),
    }
}

fn deferred() -> Trouble {
    Trouble {
        what: "it left a save that holds a summary to the contact record (deferred)".to_owned(),
        means: "What agents write in flows may be saved late or not at all.".to_owned(),
        to_do: "Run the smoke command of the version that is deployed. Where it is the same, roll back and report it."
            .to_owned(),
        more: Vec::new(),
    }
}

fn another_function() -> Trouble {
    Trouble {
        what: "what answers is not a function of Sticky Connect's".to_owned(),
        means: "Flows find none of the attributes that they ask for.".to_owned(),
        to_do: "See that nobody has put other code behind this ARN, and deploy again.".to_owned(),
        more: Vec::new(),
    }
}
