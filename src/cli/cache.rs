//! `tk cache`: what is remembered of frozen prefixes.

use std::time::SystemTime;

use transferkit::image;

use super::arguments::{Cache, CacheAction};
use super::{Failure, console, environment};

/// Runs the command.
pub fn run(arguments: Cache) -> Result<(), Failure> {
    match arguments.action {
        CacheAction::List { cache, json } => {
            let store = environment::cache(cache);
            let usages = store.usage().map_err(image::Error::from)?;
            for usage in &usages {
                let age = SystemTime::now().duration_since(usage.modified).unwrap_or_default().as_secs();
                if json {
                    let (key, bytes, files) = (&usage.key, usage.bytes, usage.shards);
                    let object =
                        serde_json::json!({ "key": key, "bytes": bytes, "files": files, "age_seconds": age });
                    console::json(&object)?;
                } else {
                    let megabytes = usage.bytes as f64 / 1e6;
                    console::line(&format!(
                        "{}  {megabytes:>9.1} MB  {:>5} files  {age} s old",
                        usage.key, usage.shards
                    ))?;
                }
            }
            let total: u64 = usages.iter().map(|usage| usage.bytes).sum();
            let root = store.root().map_or_else(|| "no folder".to_owned(), |root| root.display().to_string());
            console::note(&format!("{} keys, {:.1} MB in {root}", usages.len(), total as f64 / 1e6));
            Ok(())
        }
        CacheAction::Clear { cache } => {
            let freed = environment::cache(cache).clear().map_err(image::Error::from)?;
            console::line(&format!("{:.1} MB freed", freed as f64 / 1e6))
        }
    }
}
