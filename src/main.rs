//! `tk`: transfer learning on the command line. Everything that it does, the library does; here are arguments, output and exit codes.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
