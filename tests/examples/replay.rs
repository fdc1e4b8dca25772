//! Replays inputs of a fuzz target without the fuzzer: `replay TARGET FILE...`. Set `PFTP_FUZZ_TRACE=1` in
//! the environment to print what happens.

use anyhow::{Context as _, Result};
use pftp_tests::fuzzing::TARGETS;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let target = args.next().context("usage: replay TARGET FILE...")?;
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.with_context(|| format!("no target {target}"))?;
    for path in args {
        let input = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        println!("{path}");
        check(&input);
    }
    Ok(())
}
