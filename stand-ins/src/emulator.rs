//! The `bootstrap` process under AWS's own runtime interface emulator, which `sam local` and AWS's base images use. It
//! is in the wheel of `aws-sam-cli`; `.ci/run` fetches it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// A running emulator. The function starts with the first invocation.
pub struct Emulator {
    _child: Child,
    address: SocketAddr,
}

impl Emulator {
    /// Starts `emulator` for `bootstrap`, with these environment variables and a time-out of 5 s.
    pub async fn start(emulator: &Path, bootstrap: &Path, variables: &[(&str, &str)]) -> Self {
        let address = free_address().await;
        let runtime_api = free_address().await;
        let child = Command::new(emulator)
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .args(["--log-level", "error"])
            .arg(bootstrap)
            .arg("bootstrap")
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect")
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "5")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", emulator.display()));
        // It opens both ports in no certain order. A function that is invoked before the second one is open exits.
        for port in [address, runtime_api] {
            while TcpStream::connect(port).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
        Self { _child: child, address }
    }

    /// Invokes the function and returns the body. The emulator answers 200 even for errors and time-outs.
    pub async fn invoke(&self, payload: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the emulator listens");
        let request = format!(
            "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{payload}",
            self.address,
            payload.len()
        );
        stream.write_all(request.as_bytes()).await.expect("the emulator reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).await.expect("the emulator answers");
        response.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
    }
}

/// A free address for the emulator. The port is below the range from which Linux takes ports for outgoing connections,
/// so that none of them gets it first.
async fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).expect("a small number");
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], first + NEXT.fetch_add(1, Ordering::Relaxed)));
        if TcpListener::bind(address).await.is_ok() {
            return address;
        }
    }
}
