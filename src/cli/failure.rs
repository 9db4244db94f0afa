//! How a command fails: a code, one line, and a way out.

use transferkit::image::{Error, Kind};

use super::console;

/// A failure as the user sees it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    message: String,
    help: Option<String>,
}

impl Failure {
    /// Something failed.
    pub fn error(message: impl Into<String>) -> Self {
        Self::coded(1, message)
    }

    /// The question has no meaning.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::coded(2, message)
    }

    /// The data cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::coded(3, message)
    }

    /// A metric is below what was demanded.
    pub fn gate(message: impl Into<String>) -> Self {
        Self::coded(4, message)
    }

    /// Nobody reads what is written any more, which is no failure.
    pub fn closed_pipe() -> Self {
        Self::coded(0, "")
    }

    fn coded(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    /// With the way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it was stopped from outside and can be gone on with.
    pub fn is_interrupted(&self) -> bool {
        self.code == 75
    }

    /// Prints one line, and one with the way out.
    pub fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        let one_line = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        console::note(&format!("error: {one_line}"));
        if let Some(help) = &self.help {
            console::note(&format!("help: {help}"));
        }
    }
}

impl From<clap::Error> for Failure {
    /// The first paragraph of what the parser says, which names the argument and the values that it takes.
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).collect();
        let message = paragraph.join(" ");
        Self::usage(message.trim_start_matches("error: "))
            .help("`--help` after the command says what it takes")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            Kind::Failure => 1,
            Kind::Usage => 2,
            Kind::Data => 3,
            Kind::Audit => 5,
            Kind::Interrupted => 75,
        };
        Self { code, message: error.to_string(), help: error.help() }
    }
}
