//! Builds `bootstrap` with cargo, for a process that cargo has started.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// Builds `bootstrap` in the profile of the process that asks, and gives back where it is.
///
/// `beside` is that process's own target, as in `["--example", "phone_call"]`: built together they share their
/// dependencies, which cargo would else build again with other features. Without one, `bootstrap` is built as it is
/// shipped.
///
/// # Errors
///
/// If it does not build.
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
    // What `cargo run` says of this package would make the build scripts of dependencies run again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_this_package(name)) {
        command.env_remove(name);
    }
    if !command.status()?.success() {
        return Err("bootstrap could not be built".into());
    }
    // What runs is in the folder of its profile, or one below it if it is an example or a test.
    let this = std::env::current_exe()?;
    let mut folders = this.ancestors();
    let folder =
        folders.find(|folder| folder.join("deps").is_dir()).ok_or("this process is not where cargo puts it")?;
    Ok(folder.join("bootstrap"))
}
