//! A folder to work in, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of a test's own, which is also where the program runs and keeps its cache.
pub struct Place {
    folder: tempfile::TempDir,
}

/// How the program ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Pictures small and few, for tests that train.
pub const SMALL_TRAINING: [&str; 10] =
    ["--mode", "full", "--epochs", "2", "--size", "48", "--limit", "40", "--batch", "16"];

/// What the user's surroundings say of the hub and the way to it.
const USERS_HUB: [&str; 14] = [
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "SSL_CERT_FILE",
];

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tk"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("TRANSFERKIT_CACHE", self.path("cache")).env_remove("TRANSFERKIT_ISA");
        // Tests run side by side, one on each processor.
        command.env("TRANSFERKIT_THREADS", "1");
        // Published weights of the test's own, from nowhere unless a test says so: nobody listens on the discard port.
        for name in USERS_HUB {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.path("hf")).env("XDG_CACHE_HOME", self.path("xdg"));
        command.env("HF_ENDPOINT", "http://127.0.0.1:9");
        command
    }

    pub fn tk(&self, arguments: &[&str]) -> Ended {
        ended(&self.command(arguments).output().unwrap())
    }

    /// Runs what must work.
    pub fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.tk(arguments);
        assert_eq!(ended.code, 0, "tk {}: {}", arguments.join(" "), ended.err);
        ended
    }

    /// Draws the demonstration data.
    pub fn draw(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        transferkit::image::draw_demo(&folder, 0).unwrap();
        folder
    }

    /// Draws only some pictures of two classes.
    pub fn draw_few(&self, name: &str, each: usize) -> PathBuf {
        let all = self.draw(&format!("{name}-all"));
        let folder = self.path(name);
        for class in ["rings", "stars"] {
            std::fs::create_dir_all(folder.join(class)).unwrap();
            let mut files: Vec<_> =
                std::fs::read_dir(all.join(class)).unwrap().map(|entry| entry.unwrap()).collect();
            files.sort_by_key(std::fs::DirEntry::file_name);
            for file in files.iter().take(each) {
                std::fs::copy(file.path(), folder.join(class).join(file.file_name())).unwrap();
            }
        }
        std::fs::remove_dir_all(all).unwrap();
        folder
    }
}

/// What became of a process.
pub fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// A JSON file of a run.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The lines of `metrics.jsonl` without the one field that differs between equal runs.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        assert!(record.as_object_mut().unwrap().remove("seconds").is_some());
        record
    };
    text.lines().map(record).collect()
}

/// The lines of errors, which must be one, and perhaps one with help.
pub fn assert_one_error(ended: &Ended, what: &str) {
    let errors = ended.err.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{what}: {}", ended.err);
    assert!(!ended.err.contains("panicked"), "{what}: {}", ended.err);
}
