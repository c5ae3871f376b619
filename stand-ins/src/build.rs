//! Builds a target of the package with cargo, as an operator's `cargo run` would.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// Builds `--bin <name>` or `--example <name>`, in the profile of the process that asks, and gives back where it is.
///
/// # Errors
///
/// Where it does not build.
pub fn build(kind: &str, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--package",
        "sticky-connect",
        kind,
        name,
        "--profile",
        profile,
        "--manifest-path",
        manifest,
    ]);
    // What `cargo run` says of this package would make the build scripts of dependencies run again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_this_package(name)) {
        command.env_remove(name);
    }
    if !command.status()?.success() {
        return Err(format!("{name} could not be built").into());
    }
    // What runs is in the folder of its profile, or one below it where it is an example or a test.
    let this = std::env::current_exe()?;
    let mut folders = this.ancestors();
    let profile_folder =
        folders.find(|folder| folder.join("deps").is_dir()).ok_or("this process is not where cargo puts it")?;
    let folder = if kind == "--example" { profile_folder.join("examples") } else { profile_folder.to_owned() };
    Ok(folder.join(name))
}
