//! Builds `bootstrap` with cargo, for a process that cargo has started.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// Builds `bootstrap` in the profile of the calling process, and returns its path.
///
/// `beside` is that process's own target, as in `["--example", "phone_call"]`. Built together they share their
/// dependencies; otherwise cargo would build them again with other features. If it is empty, `bootstrap` is built as it
/// is shipped.
///
/// # Errors
///
/// Fails if it does not build.
pub fn bootstrap(beside: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--manifest-path",
        manifest,
        "--package",
        "sticky-connect",
        "--profile",
        profile,
    ]);
    command.args(["--bin", "bootstrap"]).args(beside);
    // With `cargo run`'s variables about this package, the build scripts of dependencies would run again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_this_package(name)) {
        command.env_remove(name);
    }
    if !command.status()?.success() {
        return Err("bootstrap could not be built".into());
    }
    // The running program is in the folder of its profile; an example or a test is one folder below.
    let this = std::env::current_exe()?;
    let mut folders = this.ancestors();
    let folder =
        folders.find(|folder| folder.join("deps").is_dir()).ok_or("this process is not where cargo puts it")?;
    Ok(folder.join("bootstrap"))
}
