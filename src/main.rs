//! The `quorate` command: runs scenarios, judges them, and writes what they say.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
