//! The stand-in of the Sticky Calls API as a program, for functions that run elsewhere: under `sam local invoke`, or by
//! hand. Each request is one line.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use stand_ins::stack::jane;
use stand_ins::sticky_calls::{KEY, PORT, StickyCalls};

const USAGE: &str = "\
A stand-in of the Sticky Calls API, to try Sticky Connect without a key of your
own. It knows one customer, Jane Doe: most sample events in events/ are her
calls. It keeps what it is told until it ends (Ctrl-C).

Usage: cargo run --package stand-ins -- [OPTIONS]

  --port PORT     the port, or 0 for any free one [default: 8787]
  --host ADDRESS  the IP address to listen on [default: 127.0.0.1]
  -h, --help      this text

On Linux, a function in a container (sam local invoke) reaches this program only
if it listens on all addresses. Then so does everybody in your network:

  cargo run --package stand-ins -- --host 0.0.0.0
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // No port and no address has a byte that is not UTF-8, so replacing such bytes loses nothing.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let address = match parse(arguments) {
        Ok(Some(address)) => address,
        Ok(None) => return ended(write!(io::stdout(), "{USAGE}")),
        Err(what) => {
            let _ = write!(io::stderr(), "{what}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match StickyCalls::listen(address).await {
        Ok(api) => ended(serve(&api, address).await),
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot listen on {address}: {error}\nAnother port: --port 0");
            ExitCode::FAILURE
        }
    }
}

/// The address to listen on. `None` asks for help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<SocketAddr>, String> {
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match option.as_str() {
            "-h" | "--help" => return Ok(None),
            "--port" => {
                let port = value();
                address.set_port(port.parse().map_err(|_| format!("{port:?} is no port"))?);
            }
            "--host" => {
                let host = value();
                let parsed: IpAddr = host.parse().map_err(|_| format!("{host:?} is no IP address"))?;
                address.set_ip(parsed);
            }
            "--" => {
                let rest = arguments.next();
                return rest.map_or(Ok(Some(address)), |other| Err(format!("unknown argument {other:?}")));
            }
            other => return Err(format!("unknown option {}", other.replace(char::is_control, "\u{fffd}"))),
        }
    }
    Ok(Some(address))
}

/// Answers for as long as somebody reads what it prints.
async fn serve(api: &StickyCalls, asked_for: SocketAddr) -> io::Result<()> {
    api.remember(jane());
    let mut requests = api.watch();
    let mut out = io::stdout();
    writeln!(
        out,
        "The stand-in of the Sticky Calls API listens on {}\nIt accepts the key {KEY} and knows:",
        api.url()
    )?;
    for line in jane().in_words() {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "{}", next_step(asked_for.ip(), api.port()))?;
    while let Some(request) = requests.recv().await {
        writeln!(out, "{}", request.in_one_line())?;
    }
    Ok(())
}

/// What to do now, in another terminal.
fn next_step(host: IpAddr, port: u16) -> String {
    if port != PORT {
        return format!("\nenv.json is for port {PORT}. For `sam local`, put {port} there instead.\n");
    }
    if cfg!(target_os = "linux") && host.is_loopback() {
        return "\nContainers do not reach this address. For `sam local`, start it again:\n\
                \n  cargo run --package stand-ins -- --host 0.0.0.0\n"
            .to_owned();
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    format!(
        "\nIn another terminal, with Docker and the SAM CLI:\n\
         \n  sam build --parameter-overrides Architecture={architecture}\
         \n  sam local invoke IdentifyFunction -e events/returning_caller.json \\\
         \n      --env-vars env.json --parameter-overrides Architecture={architecture} \\\
         \n      --add-host host.docker.internal:host-gateway\n"
    )
}

/// How it ends once it can't write any more. A closed pipe is no failure: nobody wants to read on.
fn ended(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
