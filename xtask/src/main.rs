//! The verbs of this repository, run as `cargo xtask <verb>`.
//!
//! Each verb is one file. A verb takes the workspace and its own arguments, prints as it goes and
//! returns what it counted, so that `ci` can run the same code a person runs and print one table
//! at the end. This package depends on none of the crates it checks.

mod bench;
mod chaos;
mod ci;
mod clock;
mod doc;
mod drill;
mod failure;
mod fuzz;
mod interop;
mod layers;
mod packages;
mod page;
mod process;
mod rust_source;
mod sim;
mod strangers;
mod tally;
mod terminal;
mod test;
mod tidy;
mod wire_record;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use tally::Tally;
use workspace::Workspace;

/// One verb: its name, its arguments as shown in the help, what it does, and its function.
struct Verb {
    name: &'static str,
    usage: &'static str,
    does: &'static str,
    run: fn(&Workspace, &[String]) -> Result<Tally, Failure>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "ci",
        usage: "[--drills]",
        does: "everything a change must pass, with seconds per step",
        run: ci::run,
    },
    Verb {
        name: "test",
        usage: "[ARGS OF cargo test]",
        does: "every test, with default features and with all",
        run: test::run,
    },
    Verb {
        name: "layers",
        usage: "",
        does: "dependency direction, forbidden crates",
        run: layers::run,
    },
    Verb { name: "tidy", usage: "", does: "house rules over the text of the tree", run: tidy::run },
    Verb {
        name: "doc",
        usage: "",
        does: "documentation, private items too, without a warning",
        run: doc::run,
    },
    Verb {
        name: "interop",
        usage: "[--quick] [--client C] [--transport T] [--only PATTERN]",
        does: "official clients against our emulator",
        run: interop::run,
    },
    Verb {
        name: "bench",
        usage: "[--check] [--peers] [emulator]",
        does: "cost per event; --check fails where a limit is missed",
        run: bench::run,
    },
    Verb {
        name: "chaos",
        usage: "[--profile client|soak|eph] [--seconds N] [--seed S]",
        does: "producers and consumers under faults: is anything lost or stuck?",
        run: chaos::run,
    },
    Verb {
        name: "sim",
        usage: "[--seeds N] [--seed S] [--bug NAME]",
        does: "hosts share partitions in virtual time, under faults from seeds",
        run: sim::run,
    },
    Verb {
        name: "drill",
        usage: "[NAME]",
        does: "plants each bug of drills.toml; its test must fail",
        run: drill::run,
    },
    Verb {
        name: "fuzz",
        usage: "--seconds N",
        does: "every fuzz target for N seconds (needs nightly)",
        run: fuzz::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        help();
        return ExitCode::FAILURE;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        help();
        return ExitCode::SUCCESS;
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        help();
        terminal::line(format_args!("\nno verb is called '{name}'"));
        return ExitCode::FAILURE;
    };
    let outcome = Workspace::find().and_then(|workspace| (verb.run)(&workspace, rest));
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::line(format_args!("{name}: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn help() {
    terminal::line("cargo xtask <verb>\n");
    for verb in VERBS {
        let call = format!("{} {}", verb.name, verb.usage);
        terminal::line(format_args!("  {call:<38} {}", verb.does));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_own_name() {
        let mut names: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VERBS.len());
    }
}
