//! What is around the ways that are compared: the API, AWS, TLS, the programs themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::build;
use stand_ins::stack::jane;
use stand_ins::sticky_calls::{Fault, KEY, StickyCalls};
use tempfile::TempDir;

use crate::tls::{Authority, Terminator};
use crate::way::{Kind, Way};

/// All of it, for as long as it is measured.
pub struct Stage {
    api: StickyCalls,
    tls: Terminator,
    folder: TempDir,
    aws: Aws,
    aws_tls: Terminator,
}

impl Stage {
    /// Builds the programs, but for one whose path is in `STICKY_CONNECT_BOOTSTRAP`, and starts everything.
    pub async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::write(folder.path().join("authority.pem"), authority.certificate()).unwrap();
        let given = std::env::var_os("STICKY_CONNECT_BOOTSTRAP");
        let bootstrap = given.map_or_else(|| build::bootstrap(&[]).unwrap(), PathBuf::from);
        authority.make_trusted_by(&bootstrap, &folder.path().join("bootstrap"));
        authority.make_trusted_by(Path::new(env!("CARGO_BIN_EXE_raw_post")), &folder.path().join("raw_post"));
        let api = StickyCalls::start().await;
        api.remember(jane());
        let tls = Terminator::start(&authority, api.port()).await;
        let aws = Aws::in_memory().await;
        aws.fail(Service::SecretsManager, Some(AwsFault::Answer(json!({"SecretString": KEY}))));
        let port = aws.url().rsplit(':').next().unwrap().parse().unwrap();
        let aws_tls = Terminator::start(&authority, port).await;
        Self { api, tls, folder, aws, aws_tls }
    }

    /// Has the API answer this much later from now on.
    pub fn answer_after(&self, delay: Duration) {
        self.api.fail_always((!delay.is_zero()).then_some(Fault::Delay(delay)));
    }

    /// The ways that are compared.
    pub fn ways(&self) -> Vec<Way> {
        let file = |name| self.folder.path().join(name).to_string_lossy().into_owned();
        let way = |kind, command: &[String], more: Vec<(String, String)>| {
            let mut variables = self.variables();
            variables.extend(more);
            Way { kind, command: command.to_vec(), variables }
        };
        let mut with_all = self.aws.variables();
        with_all.extend(owned(&[
            ("AWS_ENDPOINT_URL", &self.aws_tls.url()),
            ("STICKY_CALLS_OUTBOX_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/outbox"),
            ("STICKY_CALLS_TABLE", "table"),
            ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key"),
            ("STICKY_CALLS_API_KEY", ""),
        ]));
        let tutorial = [&python(), "-m", "awslambdaric", "tutorial.handler"].map(str::to_owned);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
        let of_python = owned(&[("PYTHONPATH", folder), ("SSL_CERT_FILE", &file("authority.pem"))]);
        vec![
            way(Kind::Hello, &[env!("CARGO_BIN_EXE_hello").to_owned()], Vec::new()),
            way(Kind::RawPost, &[file("raw_post")], Vec::new()),
            way(Kind::StickyConnect, &[file("bootstrap")], Vec::new()),
            way(Kind::StickyConnectWithAll, &[file("bootstrap")], with_all),
            way(Kind::Tutorial, &tutorial, of_python),
        ]
    }

    /// What Lambda sets, and where the API is.
    fn variables(&self) -> Vec<(String, String)> {
        owned(&[
            ("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "eu-central-1"),
            ("_HANDLER", "bootstrap"),
            ("STICKY_CALLS_API_URL", &self.tls.url()),
            ("STICKY_CALLS_API_KEY", KEY),
        ])
    }
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A Python with what the tutorial needs; made at the first time.
fn python() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/benchmarks-python");
    let python = format!("{folder}/bin/python3");
    let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/python/requirements.txt");
    let run =
        |program: &str, arguments: &[&str]| assert!(Command::new(program).args(arguments).status().unwrap().success());
    if !Path::new(&python).exists() {
        run("python3", &["-m", "venv", folder]);
    }
    run(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
    python
}
