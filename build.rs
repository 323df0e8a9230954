//! Has what a console runs from its start placed side by side: see `link/order`.

use std::path::Path;
use std::process::Command;
use std::{env, error, fs};

/// Names of functions, a line each.
const NAMES: &str = "link/start.txt";

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed={NAMES}");
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // Only what is built as the repository says: with flags or a linker of one's own the names are others, or the
    // linker may not read such a script.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let usual = flags.contains("symbol-mangling-version=v0") && !flags.contains("link");
    let known = is("TARGET", "x86_64-unknown-linux-gnu") && env::var_os("RUSTC_LINKER").is_none();
    if known && usual && is("PROFILE", "release") {
        let script = Path::new(&env::var("OUT_DIR")?).join("start.ld");
        fs::write(&script, script_of(&fs::read_to_string(NAMES)?))?;
        println!("cargo:rustc-link-arg-bin=qd=-Wl,-T,{}", script.display());
        if reads_packed() {
            println!("cargo:rustc-link-arg-bin=qd=-Wl,-z,pack-relative-relocs");
        }
    }
    Ok(())
}

/// Whether this machine's C library reads packed relocations, as glibc does from 2.36 on: those of `qd` take 0.9 MB of
/// memory where they are not packed. An older one would refuse the program.
fn reads_packed() -> bool {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok().map(|output| output.stdout);
    let told = String::from_utf8(told.unwrap_or_default()).unwrap_or_default();
    let version =
        told.trim().strip_prefix("glibc 2.").and_then(|minor| minor.split('.').next()?.parse::<u32>().ok());
    version.is_some_and(|minor| minor >= 36)
}

/// Adds to the linker's own script (GNU ld manual, "INSERT") an output section with the functions named.
fn script_of(names: &str) -> String {
    let mut script = "SECTIONS\n{\n  .text.start :\n  {\n    *(\n".to_owned();
    for name in names.lines() {
        // Functions that are marked cold have sections of another name, though a start runs some.
        script.push_str(&format!("      .text.{name}\n      .text.unlikely.{name}\n"));
    }
    script.push_str("    )\n  }\n}\nINSERT BEFORE .text;\n");
    script
}
