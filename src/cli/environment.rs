//! What the command line takes from its surroundings: threads, instruction set, folders, the hub, signals.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use transferkit::hub::{Certificates, Hub, Proxy, Remote};
use transferkit::image::PrefixStore;
use transferkit::{Isa, Machine, Precision};

use super::arguments::Network;
use super::{Failure, console};

/// Prefix results are kept up to so many bytes.
const CACHE_BYTES: u64 = 8 << 30;

/// The machine: so many threads (0: as many as `TRANSFERKIT_THREADS` says, or one for each processor), and the instruction set that
/// `TRANSFERKIT_ISA` names, if it does.
pub fn machine(threads: usize) -> Result<Machine, Failure> {
    let machine = Machine::new(if threads == 0 { threads_from_outside()? } else { threads });
    let Some(name) = text("TRANSFERKIT_ISA") else {
        return Ok(machine);
    };
    let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name() == name) else {
        let known = Isa::ALL.map(Isa::name).join(", ");
        return Err(Failure::usage(format!("TRANSFERKIT_ISA is `{name}`; expected one of {known}")));
    };
    if !isa.is_available() {
        return Err(Failure::usage(format!("TRANSFERKIT_ISA is `{name}`, which this processor lacks")));
    }
    Ok(machine.with_isa(isa))
}

fn threads_from_outside() -> Result<usize, Failure> {
    let Some(number) = text("TRANSFERKIT_THREADS") else { return Ok(0) };
    let fail = || Failure::usage(format!("TRANSFERKIT_THREADS is `{number}`; expected a number"));
    number.trim().parse().map_err(|_| fail())
}

/// The precision that is called so; says when the machine only emulates it.
pub fn precision(name: &str, machine: &Machine) -> Result<Precision, Failure> {
    let precision: Precision = name.parse().map_err(|error: String| Failure::usage(error))?;
    if !machine.isa.has(precision) {
        console::note(&format!(
            "precision {precision}: this processor emulates it, which is slower than f32"
        ));
    }
    Ok(precision)
}

/// The folder of the cache: what was named, `TRANSFERKIT_CACHE`, or the platform's.
pub fn cache(named: Option<PathBuf>) -> PrefixStore {
    match named.or_else(cache_folder) {
        Some(folder) => PrefixStore::at(folder, CACHE_BYTES),
        None => PrefixStore::none(),
    }
}

fn cache_folder() -> Option<PathBuf> {
    folder("TRANSFERKIT_CACHE").or_else(|| Some(platform_cache()?.join("transferkit").join("prefix")))
}

/// The platform's folder for caches.
fn platform_cache() -> Option<PathBuf> {
    if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    }
}

/// Where published weights are kept: the standard cache, as `huggingface_hub` finds it, and a folder of our own for files of no repository.
pub fn hub() -> Hub {
    let cache = folder("HF_HUB_CACHE")
        .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(hub_home()?.join("hub")));
    match (cache, platform_cache()) {
        (Some(cache), Some(platform)) => Hub::at(cache, platform.join("transferkit").join("weights")),
        _ => Hub::none(),
    }
}

/// The folder of everything that `huggingface_hub` keeps.
fn hub_home() -> Option<PathBuf> {
    let home = || folder(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    let cache = || folder("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")));
    folder("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))
}

/// The server from which published weights come, with the user's token, proxy and certificates.
pub fn remote() -> Result<Remote, Failure> {
    let mut remote = Remote::new(text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()));
    let token_file = folder("HF_TOKEN_PATH").or_else(|| Some(hub_home()?.join("token")));
    let kept = || std::fs::read_to_string(token_file?).ok();
    let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).or_else(kept);
    remote.token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    remote.proxy = Proxy::try_from_env();
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        let Some(path) = folder(name).filter(|path| path.is_file()) else { continue };
        let pem = std::fs::read(&path)
            .map_err(|error| Failure::error(format!("{name}: `{}`: {error}", path.display())))?;
        remote.certificates = Certificates::Pem(pem);
        break;
    }
    Ok(remote)
}

/// Why nothing may be fetched, if that is so.
pub fn offline(network: &Network) -> Option<&'static str> {
    let is_on = |name: &str| {
        text(name)
            .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
    };
    match () {
        () if network.offline => Some("--offline forbids fetching it"),
        () if is_on("HF_HUB_OFFLINE") => Some("HF_HUB_OFFLINE forbids fetching it"),
        () if is_on("TRANSFORMERS_OFFLINE") => Some("TRANSFORMERS_OFFLINE forbids fetching it"),
        () => None,
    }
}

/// A variable that is set to something.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A variable that names a file or folder; a leading `~` is the user's home.
fn folder(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)?;
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    match path.strip_prefix("~") {
        Ok(rest) => Some(home().unwrap_or_else(|| Path::new("~").to_owned()).join(rest)),
        Err(_) => Some(path),
    }
}

/// A flag that the first Ctrl-C or SIGTERM sets; the second ends the program with 130.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the shutdown looks at the flag before the same signal sets it.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::error(format!("cannot listen for signals: {error}")))?;
    }
    Ok(stop)
}

/// A file that grows past the process's limit shall be an error that can be told, not the end of the program.
pub fn ignore_file_size_signal() {
    #[cfg(unix)]
    {
        // Without the handler the default action ends the program; that is all that can be lost here.
        let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    }
}
