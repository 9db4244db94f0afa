//! What the command line takes from its surroundings: threads, instruction set, cache folder, signals.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use transferkit::image::PrefixStore;
use transferkit::{Isa, Machine, Precision};

use super::{Failure, console};

/// Prefix results are kept up to so many bytes.
const CACHE_BYTES: u64 = 8 << 30;

/// The machine: so many threads (0: one for each processor), and the instruction set that `TRANSFERKIT_ISA` names, if it does.
pub fn machine(threads: usize) -> Result<Machine, Failure> {
    let machine = Machine::new(threads);
    let Some(name) = std::env::var("TRANSFERKIT_ISA").ok().filter(|name| !name.is_empty()) else {
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
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = variable("TRANSFERKIT_CACHE") {
        return Some(folder);
    }
    let platform = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    platform.map(|folder| folder.join("transferkit").join("prefix"))
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
