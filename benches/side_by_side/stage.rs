//! What is around the ways that are compared: the API, AWS, TLS, the programs themselves.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stand_ins::aws::Aws;
use stand_ins::build::build;
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
    python: PathBuf,
    /// The variables of a function in an AWS with queue, table and secret.
    with_all: Vec<(String, String)>,
    _aws: Aws,
    _aws_tls: Terminator,
    _moto: Moto,
}

/// AWS's services, as moto's server speaks them.
struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    /// Builds the programs, but for one whose path is in `STICKY_CONNECT_BOOTSTRAP`, and starts everything.
    pub async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        std::fs::write(folder.path().join("authority.pem"), authority.certificate()).unwrap();
        let given = std::env::var_os("STICKY_CONNECT_BOOTSTRAP");
        for (name, binary) in [
            ("bootstrap", given.map_or_else(|| build("--bin", "bootstrap").unwrap(), PathBuf::from)),
            ("hello", env!("CARGO_BIN_EXE_hello").into()),
            ("raw_post", env!("CARGO_BIN_EXE_raw_post").into()),
        ] {
            let copy = folder.path().join(name);
            if name == "hello" {
                std::fs::copy(&binary, &copy).unwrap();
            } else {
                authority.make_trusted_by(&binary, &copy).unwrap();
            }
        }
        let api = StickyCalls::start().await;
        api.remember(jane());
        let tls = Terminator::start(&authority, api.port()).await;
        let python = python();
        let (moto, port) = moto(&python).await;
        let aws = Aws::start_in_front_of(format!("127.0.0.1:{port}")).await;
        let (queue, _) = aws.create_queue(15).await;
        let (table, secret) = (aws.create_table().await, aws.create_secret(KEY).await);
        // Past the stand-in in front of moto, which opens a connection for each request.
        let aws_tls = Terminator::start(&authority, port).await;
        let mut with_all = aws.variables();
        for (name, value) in [
            ("AWS_ENDPOINT_URL", aws_tls.url()),
            ("STICKY_CALLS_OUTBOX_QUEUE_URL", queue),
            ("STICKY_CALLS_TABLE", table),
            ("STICKY_CALLS_API_KEY_SECRET_ARN", secret),
            ("STICKY_CALLS_API_KEY", String::new()),
        ] {
            with_all.push((name.to_owned(), value));
        }
        Self { api, tls, folder, python, with_all, _aws: aws, _aws_tls: aws_tls, _moto: moto }
    }

    /// Has the API answer this much later from now on.
    pub fn answer_after(&self, delay: Duration) {
        self.api.fail_always((!delay.is_zero()).then_some(Fault::Delay(delay)));
    }

    /// The ways that are compared.
    pub fn ways(&self) -> Vec<Way> {
        let variables = self.variables();
        let mut with_all = variables.clone();
        with_all.extend(self.with_all.iter().cloned());
        let binary = |name| self.folder.path().join(name);
        vec![
            Way::of_binary(Kind::Hello, &binary("hello"), &variables),
            Way::of_binary(Kind::RawPost, &binary("raw_post"), &variables),
            Way::of_binary(Kind::StickyConnect, &binary("bootstrap"), &variables),
            Way::of_binary(Kind::StickyConnectWithAll, &binary("bootstrap"), &with_all),
            self.tutorial(variables),
        ]
    }

    /// What Lambda sets, and where the API is.
    fn variables(&self) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "eu-central-1"),
            ("_HANDLER", "bootstrap"),
            ("STICKY_CALLS_API_URL", &self.tls.url()),
            ("STICKY_CALLS_API_KEY", KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn tutorial(&self, mut variables: Vec<(String, String)>) -> Way {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
        let authority = self.folder.path().join("authority.pem").to_string_lossy().into_owned();
        for (name, value) in [("PYTHONPATH", folder.to_owned()), ("SSL_CERT_FILE", authority)] {
            variables.push((name.to_owned(), value));
        }
        let mut way = Way::of_binary(Kind::Tutorial, &self.python, &variables);
        way.program.command.extend(["-m", "awslambdaric", "tutorial.handler"].map(Into::into));
        way
    }
}

/// A Python with what the tutorial needs, and with moto; made at the first time.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/benchmarks-python");
    let python = folder.join("bin/python3");
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    }
    let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/python/requirements.txt");
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        requirements,
    ]));
    python
}

/// Starts moto's server, and waits until it listens.
async fn moto(python: &Path) -> (Moto, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new(python.with_file_name("moto_server"))
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (Moto(server), port)
}
