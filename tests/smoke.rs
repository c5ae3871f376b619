//! The smoke command, as an operator runs it after a deploy: against a stand-in of AWS's control plane with the real
//! functions behind it.
//!
//! Most of it needs the `aws` command line, which `.ci/run` fetches. By hand, with any of its versions that reads
//! `AWS_ENDPOINT_URL`: `STICKY_CONNECT_AWS=$(which aws) cargo test --test smoke -- --ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault};
use stand_ins::build::build;
use stand_ins::control_plane::{Code, ControlPlane, Deployed, INSTANCE, STACK, Which, policy};
use stand_ins::function::Function;
use stand_ins::sticky_calls::{Fault, KEY, StickyCalls};
use tokio::process::Command;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// The smoke command's binary, built once.
fn smoke() -> &'static Path {
    static SMOKE: OnceLock<PathBuf> = OnceLock::new();
    SMOKE.get_or_init(|| build("--example", "smoke").unwrap())
}

/// What the smoke command printed, and its exit code.
struct Run {
    printed: String,
    code: Option<i32>,
}

impl Run {
    /// The lines of one check: `ok` or `WRONG`, and what belongs to it.
    fn check(&self, name: &str) -> String {
        let mut lines = self.printed.lines().skip_while(|line| !line.contains(&format!(" {name}: ")));
        let first = lines.next().unwrap_or_else(|| panic!("no check of {name}: {}", self.printed));
        let rest = lines.take_while(|line| line.starts_with("       "));
        std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
    }

    fn is_right(&self, name: &str) -> bool {
        self.check(name).starts_with("ok ")
    }

    /// That a check is wrong, and says all of this.
    fn assert_wrong(&self, name: &str, says: &[&str]) {
        let check = self.check(name);
        assert!(check.starts_with("WRONG "), "{check}");
        for words in says {
            assert!(check.contains(words), "no {words:?} in {check}");
        }
        assert_eq!(self.code, Some(1));
    }

    /// That these checks are wrong and all others are right.
    fn assert_only_wrong(&self, names: &[&str]) {
        let wrong: Vec<_> = self.printed.lines().filter(|line| line.starts_with("WRONG")).collect();
        assert_eq!(wrong.len(), names.len(), "{}", self.printed);
        assert!(names.iter().all(|name| !self.is_right(name)), "{}", self.printed);
    }
}

/// Runs the smoke command with this folder as `PATH` and these variables beside it.
async fn run(path: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let home = std::env::temp_dir().join("sticky-connect-smoke-test-no-home");
    let output = Command::new(smoke())
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        // Neither the settings of whoever runs the tests, nor those of the machine.
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    Run { printed, code: output.status.code() }
}

/// The folder of the `aws` command line.
fn folder_of_aws() -> PathBuf {
    let aws = std::env::var("STICKY_CONNECT_AWS").expect("the path of aws in STICKY_CONNECT_AWS");
    Path::new(&aws).parent().expect("a folder").to_owned()
}

const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
];

/// The smoke command after a deploy to this control plane.
async fn after_deploy(control_plane: &ControlPlane) -> Run {
    let url = control_plane.url();
    let variables = [&CREDENTIALS[..], &[("AWS_ENDPOINT_URL", &url)]].concat();
    run(&folder_of_aws(), &variables, &[STACK, "--region", "eu-central-1"]).await
}

/// A function of the stack with these variables beside those that the template sets.
async fn function(action: &str, api: &StickyCalls, variables: &[(&str, &str)]) -> Code {
    let url = api.url();
    let of_the_stack =
        [("STICKY_CALLS_ACTION", action), ("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
    Code::Runs(Box::new(Function::start(BOOTSTRAP, &[&of_the_stack, variables].concat()).await))
}

/// The smoke command after a deploy of this stack, whose functions ask this API.
async fn with(deployed: Deployed, api: &StickyCalls, variables: &[(&str, &str)]) -> Run {
    let identify = function("identify", api, variables).await;
    let save = function("save", api, variables).await;
    let control_plane = ControlPlane::start(Some(deployed), identify, save).await;
    after_deploy(&control_plane).await
}

const BOTH_LOOKUPS: [&str; 2] = ["identify, by number", "identify, by number and id"];

/// That all three calls are wrong, and what they say; the rest is right.
fn assert_no_call_works(run: &Run, says: &str) {
    for lookup in BOTH_LOOKUPS {
        run.assert_wrong(lookup, &[says, "every caller is a stranger"]);
    }
    run.assert_wrong("save", &[says, "neither delivered nor kept"]);
    run.assert_only_wrong(&["save", BOTH_LOOKUPS[0], BOTH_LOOKUPS[1]]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn after_a_deploy_that_went_well_everything_is_right() {
    let api = StickyCalls::start().await;
    let identify = function("identify", &api, &[]).await;
    let save = function("save", &api, &[]).await;
    let control_plane = ControlPlane::start(Some(Deployed::default()), identify, save).await;
    let first = after_deploy(&control_plane).await;
    assert_eq!(first.code, Some(0), "{}", first.printed);
    assert!(first.printed.ends_with("\n7 right, 0 wrong\n"), "{}", first.printed);
    assert!(first.check("identify, by number").contains("new in "), "{}", first.printed);
    assert!(first.check("save").contains("saved in "), "{}", first.printed);

    // The caller is known from the run before, and nothing of the call is refused as one that was there before.
    let second = after_deploy(&control_plane).await;
    assert_eq!(second.code, Some(0), "{}", second.printed);
    assert!(second.check("identify, by number").contains("unconfirmed in "), "{}", second.printed);

    let invoked = control_plane.invoked();
    let of_first: Vec<_> = invoked.iter().take(3).map(|(which, _)| *which).collect();
    assert_eq!((invoked.len(), of_first), (6, vec![Which::Identify, Which::Identify, Which::Save]));
    let numbers: Vec<_> =
        invoked.iter().map(|(_, event)| &event["Details"]["ContactData"]["CustomerEndpoint"]).collect();
    assert!(numbers.iter().all(|endpoint| endpoint["Address"] == "+12025550142"), "{numbers:?}");
    let ends = api.ended();
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[0]["customer_ref"], api.customers()[0].customer_ref);
    assert_eq!(ends[0]["intent_status"], "resolved");
    // One caller who does not exist, whatever the number of runs.
    assert_eq!(api.customers().len(), 1);
    assert!(!first.printed.contains(KEY));
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_revoked_key_is_named() {
    let api = StickyCalls::start().await;
    api.change_key("sk_test_another");
    let run = with(Deployed::default(), &api, &[]).await;
    assert_no_call_works(&run, "the API refuses the key: it is wrong or revoked (unauthorized)");
    run.assert_wrong("save", &["More: the API answered 401", "contact_id "]);
    assert!(run.printed.ends_with("\n4 right, 3 wrong\n"), "{}", run.printed);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_secret_that_the_functions_may_not_read_is_named() {
    let api = StickyCalls::start().await;
    let aws = Aws::down(AwsFault::Refused("AccessDeniedException")).await;
    let of_aws = aws.variables();
    let mut variables: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf";
    variables.extend([("STICKY_CALLS_API_KEY", ""), ("STICKY_CALLS_API_KEY_SECRET_ARN", secret)]);
    let run = with(Deployed::default(), &api, &variables).await;
    assert_no_call_works(&run, "no key that it can use, or no usable URL of the API (misconfigured)");
    run.assert_wrong("save", &["the secret with the API's key could not be read: ", "AccessDeniedException"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn an_api_that_cannot_be_reached_is_named_with_what_the_network_said() {
    let api = StickyCalls::start().await;
    let run = with(Deployed::default(), &api, &[("STICKY_CALLS_API_URL", "http://127.0.0.1:1")]).await;
    assert_no_call_works(&run, "the function can't connect to the API, or the connection broke (network)");
    run.assert_wrong(BOTH_LOOKUPS[0], &["Connection refused"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn an_api_that_hangs_is_named() {
    let api = StickyCalls::start().await;
    api.fail_always(Some(Fault::Hang));
    let run = with(Deployed::default(), &api, &[("STICKY_CALLS_TIMEOUT_MS", "400")]).await;
    assert_no_call_works(&run, "the API did not answer in time (timeout)");
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn credits_that_are_used_up_in_the_middle_are_named() {
    let api = StickyCalls::start().await;
    api.set_credits(2);
    let run = with(Deployed::default(), &api, &[]).await;
    run.assert_only_wrong(&["save"]);
    run.assert_wrong("save", &["the credits at Sticky Calls are used up (quota_exhausted)", "Buy credits"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS, and moto's server, in STICKY_CONNECT_MOTO"]
async fn moto_a_summary_that_waits_in_the_outbox_is_wrong_but_not_lost() {
    let api = StickyCalls::start().await;
    api.fail_always(Some(Fault::status(503)));
    let aws = Aws::start().await;
    let (outbox, _) = aws.create_queue(15).await;
    let of_aws = aws.variables();
    let mut variables: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.push(("STICKY_CALLS_OUTBOX_QUEUE_URL", &outbox));
    let run = with(Deployed::default(), &api, &variables).await;
    run.assert_wrong("save", &["the API itself fails (server_error)", "delivered later, so nothing is lost"]);
    assert_eq!(aws.count(&outbox).await, (1, 0));
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS, and moto's server, in STICKY_CONNECT_MOTO"]
async fn moto_a_cache_does_not_hide_from_the_next_run_that_the_key_was_revoked() {
    let api = StickyCalls::start().await;
    let aws = Aws::start().await;
    let table = aws.create_table().await;
    let of_aws = aws.variables();
    let mut variables: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.push(("STICKY_CALLS_TABLE", &table));
    let identify = function("identify", &api, &variables).await;
    // A save would make void what the cache holds.
    let save = Code::Fails(json!({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}));
    let control_plane = ControlPlane::start(Some(Deployed::default()), identify, save).await;
    after_deploy(&control_plane).await.assert_only_wrong(&["save"]);
    assert!(!aws.items(&table).await.is_empty());
    api.change_key("sk_test_another");
    let run = after_deploy(&control_plane).await;
    for lookup in BOTH_LOOKUPS {
        run.assert_wrong(lookup, &["unauthorized"]);
    }
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_function_without_permission_is_named() {
    let api = StickyCalls::start().await;
    let deployed = Deployed { identify_policy: None, ..Deployed::default() };
    let run = with(deployed, &api, &[]).await;
    run.assert_only_wrong(&["permission, identify"]);
    run.assert_wrong("permission, identify", &["no Connect instance may invoke it", "Error branch"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_permission_for_another_instance_or_for_any_is_named() {
    let api = StickyCalls::start().await;
    let another = INSTANCE.replace("c8c0e68d", "00000000");
    let mut for_any = policy(Which::Save, INSTANCE);
    for_any["Statement"][0]["Condition"] = Value::Null;
    let deployed = Deployed {
        identify_policy: Some(policy(Which::Identify, &another)),
        save_policy: Some(for_any),
        ..Deployed::default()
    };
    let run = with(deployed, &api, &[]).await;
    run.assert_only_wrong(&["permission, identify", "permission, save"]);
    run.assert_wrong("permission, identify", &["another Connect instance may invoke it, and yours may not", &another]);
    run.assert_wrong("permission, save", &["not limited to your Connect instance"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_function_that_the_flow_designer_does_not_list_is_named() {
    let api = StickyCalls::start().await;
    let save = Which::Save.arn();
    let without_alias = save.trim_end_matches(":live").to_owned();
    let associated = vec![Which::Identify.arn().to_owned(), without_alias];
    let run = with(Deployed { associated, ..Deployed::default() }, &api, &[]).await;
    run.assert_only_wrong(&["association"]);
    run.assert_wrong("association", &[&format!("does not list {save}"), "flow designer does not offer it"]);
    assert!(!run.check("association").contains(Which::Identify.arn()));
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_stack_without_an_instance_is_all_right_and_says_so() {
    let api = StickyCalls::start().await;
    let mut deployed =
        Deployed { identify_policy: None, save_policy: None, associated: Vec::new(), ..Deployed::default() };
    deployed.outputs.retain(|(name, _)| *name != "ConnectInstanceArn");
    let run = with(deployed, &api, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.printed);
    assert!(run.printed.contains("no Connect instance may invoke its functions"), "{}", run.printed);
}

/// The smoke command after a deploy in which Lambda has this in place of identify.
async fn with_identify(identify: Code) -> (Run, usize) {
    let api = StickyCalls::start().await;
    let save = function("save", &api, &[]).await;
    let control_plane = ControlPlane::start(Some(Deployed::default()), identify, save).await;
    let run = after_deploy(&control_plane).await;
    run.assert_only_wrong(&BOTH_LOOKUPS);
    (run, control_plane.invoked().len())
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_binary_for_another_processor_is_named() {
    let message = "RequestId: 6932893d Error: fork/exec /var/task/bootstrap: exec format error";
    let error = json!({"errorType": "Runtime.InvalidEntrypoint", "errorMessage": message});
    let (run, _) = with_identify(Code::Fails(error)).await;
    run.assert_wrong(BOTH_LOOKUPS[0], &["built for another processor", "Error branch", "same Architecture", message]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_crash_a_hang_and_code_of_somebody_else_are_told_apart() {
    let fails = |kind: &str, message: &str| Code::Fails(json!({"errorType": kind, "errorMessage": message}));
    let crash = fails("Runtime.ExitError", "RequestId: 6932893d Error: Runtime exited with error: exit status 1");
    with_identify(crash).await.0.assert_wrong(BOTH_LOOKUPS[0], &["the function crashed", "exit status 1"]);
    let hang = fails("Sandbox.Timedout", "RequestId: 6932893d Error: Task timed out after 5.00 seconds");
    with_identify(hang).await.0.assert_wrong(BOTH_LOOKUPS[0], &["did not answer before Lambda ended it"]);
    let api = StickyCalls::start().await;
    // The save function's code behind identify's ARN.
    let save = function("save", &api, &[]).await;
    with_identify(save).await.0.assert_wrong(BOTH_LOOKUPS[0], &["not a function of Sticky Connect's"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn what_lambda_refuses_is_not_taken_for_what_the_operator_may_not_do() {
    let message = "Reserved function concurrency is exceeded";
    let (run, invoked) = with_identify(Code::Refused(429, "TooManyRequestsException", message)).await;
    run.assert_wrong(BOTH_LOOKUPS[0], &["the concurrency reserved for the function", "IdentifyConcurrency", message]);
    // Two lookups and the save: none of them was tried again, which would have been another call to the API.
    assert_eq!(invoked, 3);
    let message = "User: arn:aws:iam::123456789012:user/op is not authorized to perform: lambda:InvokeFunction";
    let (run, _) = with_identify(Code::Refused(403, "AccessDeniedException", message)).await;
    run.assert_wrong(BOTH_LOOKUPS[0], &["you may not call lambda:InvokeFunction", "your own permissions", message]);
}

/// The smoke command after a deploy of which only the stack is looked at.
async fn with_stack(deployed: Option<Deployed>) -> Run {
    let nobody = || Code::Refused(500, "ServiceException", "not to be asked");
    let control_plane = ControlPlane::start(deployed, nobody(), nobody()).await;
    let run = after_deploy(&control_plane).await;
    assert!(control_plane.invoked().is_empty(), "{}", run.printed);
    run
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn a_stack_that_is_not_there_or_not_ready_or_another_one_is_named_and_no_function_is_asked() {
    let stack = format!("stack {STACK}");
    let with_status = |status| Some(Deployed { status, ..Deployed::default() });
    with_stack(None).await.assert_wrong(&stack, &["no such stack in this account and region", "--region"]);
    let under_way = with_stack(with_status("UPDATE_IN_PROGRESS")).await;
    under_way.assert_wrong(&stack, &["a deploy is under way (UPDATE_IN_PROGRESS)", "once it is over"]);
    let failed = with_stack(with_status("ROLLBACK_COMPLETE")).await;
    failed.assert_wrong(&stack, &["its first deploy failed", "describe-stack-events", "sam delete"]);
    let another = with_stack(Some(Deployed { outputs: Vec::new(), ..Deployed::default() })).await;
    another.assert_wrong(&stack, &["no outputs IdentifyFunctionArn"]);
    let refusing = vec![("cloudformation", "AccessDenied", "User is not authorized")];
    let denied = with_stack(Some(Deployed { refusing, ..Deployed::default() })).await;
    denied.assert_wrong(&stack, &["you may not call cloudformation:DescribeStacks", "User is not authorized"]);
    let refusing = vec![("cloudformation", "ExpiredToken", "The security token included in the request is expired")];
    let expired = with_stack(Some(Deployed { refusing, ..Deployed::default() })).await;
    expired.assert_wrong(&stack, &["no credentials that AWS takes", "aws sso login"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn after_a_deploy_that_was_rolled_back_the_version_before_is_checked() {
    let api = StickyCalls::start().await;
    let run = with(Deployed { status: "UPDATE_ROLLBACK_COMPLETE", ..Deployed::default() }, &api, &[]).await;
    let stack = format!("stack {STACK}");
    run.assert_only_wrong(&[&stack]);
    run.assert_wrong(&stack, &["was rolled back", "Callers are served as before that deploy"]);
}

#[tokio::test]
#[ignore = "needs the aws command line, whose path is in STICKY_CONNECT_AWS"]
async fn without_credentials_or_region_or_network_the_operator_is_told_which() {
    let stack = format!("stack {STACK}");
    let aws = folder_of_aws();
    let region = ("AWS_DEFAULT_REGION", "eu-central-1");
    run(&aws, &[region], &[STACK]).await.assert_wrong(&stack, &["no credentials that AWS takes", "--profile NAME"]);
    let profile = run(&aws, &[region], &[STACK, "--profile", "nobody"]).await;
    profile.assert_wrong(&stack, &["no credentials that AWS takes", "(nobody) could not be found"]);
    run(&aws, &CREDENTIALS, &[STACK]).await.assert_wrong(&stack, &["does not know the region", "--region REGION"]);
    // Nobody listens on the first port.
    let nobody = [&CREDENTIALS[..], &[region, ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_MAX_ATTEMPTS", "1")]];
    run(&aws, &nobody.concat(), &[STACK]).await.assert_wrong(&stack, &["AWS can't be reached from this machine"]);
    let unknown = run(&aws, &[region], &[STACK, "--no-such-option"]).await;
    unknown.assert_wrong(&stack, &["the aws command line could not", "Unknown options: --no-such-option"]);
}

#[tokio::test]
async fn without_the_aws_command_line_the_operator_is_told_to_install_it() {
    let run = run(Path::new("/nowhere"), &[], &[STACK]).await;
    run.assert_wrong(&format!("stack {STACK}"), &["there is no aws command line on the PATH", "Install it"]);
}

#[tokio::test]
async fn without_a_stacks_name_the_operator_is_told_what_to_type() {
    for arguments in [&[][..], &["--region", "eu-central-1"]] {
        let run = run(Path::new("/nowhere"), &[], arguments).await;
        assert_eq!(run.code, Some(2));
        assert!(run.printed.contains("cargo run --example smoke -- STACK_NAME"), "{}", run.printed);
    }
}
