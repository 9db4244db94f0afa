//! `tk models pull` and `tk models verify`: published weights, fetched and recomputed.

use tk_image::catalog;
use transferkit::hub::{Checked, Files, Hub, HubError, Repository, Verdict};
use transferkit::image::repository_of_model;

use super::arguments::Network;
use super::{Failure, console, environment, weights};

/// Fetches what names mean.
pub fn pull(names: &[String], network: &Network) -> Result<(), Failure> {
    let all = names.iter().map(|name| Published::find(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(reason) = environment::offline(network) {
        return Err(Failure::usage(format!("`{}`: {reason}", names.join(" "))));
    }
    let hub = environment::hub();
    for published in all {
        let path = match published {
            Published::Repository(repository, None) => weights::pull(&hub, &repository, Files::Model)?,
            Published::Repository(repository, Some(file)) => {
                weights::pull(&hub, &repository, Files::Named(file))?.join(file)
            }
            Published::File(entry, url) => weights::pull_file(&hub, &entry.name, url, &entry.licence)?,
        };
        console::line(&path.display().to_string())?;
    }
    Ok(())
}

/// Recomputes the digests of what is here of names, or of everything.
pub fn verify(names: &[String], json: bool) -> Result<(), Failure> {
    let hub = environment::hub();
    let mut damaged = Vec::new();
    for (name, files) in checked(&hub, names)? {
        if files.is_empty() {
            return Err(
                Failure::usage(format!("`{name}` is not here")).help(format!("tk models pull {name}"))
            );
        }
        for Checked { model, commit, file, verdict } in files {
            let (word, remark) = match &verdict {
                Verdict::Good => ("good", String::new()),
                Verdict::Damaged { expected, found } => {
                    ("damaged", format!("digest {found}, expected {expected}"))
                }
                Verdict::Gone => ("gone", "a link to a blob that is not there".to_owned()),
                Verdict::Unknown => ("unknown", "its digest was not kept".to_owned()),
            };
            if json {
                let (found, commit) = (serde_json::json!(remark), serde_json::json!(commit));
                console::json(&serde_json::json!({
                    "model": model, "commit": commit, "file": file, "verdict": word, "remark": found,
                }))?;
            } else {
                console::line(format!("{word:<8} {model} {file}  {remark}").trim_end())?;
            }
            // An older commit is repaired under its own name.
            let again = match (&commit, name.contains('@')) {
                (Some(commit), false) if !is_current(&hub, &name, commit) => format!("{name}@{commit}"),
                _ => name.clone(),
            };
            if matches!(verdict, Verdict::Damaged { .. } | Verdict::Gone) && !damaged.contains(&again) {
                damaged.push(again);
            }
        }
    }
    match damaged.is_empty() {
        true => Ok(()),
        false => Err(Failure::error("some files are not what they should be")
            .help(format!("fetch them anew: tk models pull {}", damaged.join(" ")))),
    }
}

/// What a name stands for that weights can be fetched of.
enum Published {
    Repository(Repository, Option<&'static str>),
    File(&'static catalog::Entry, &'static str),
}

impl Published {
    fn find(name: &str) -> Result<Self, Failure> {
        let word = name.split_once('@').map_or(name, |(word, _)| word);
        let entry = catalog::find(word);
        if let Some(repository) = repository_of_model(name)? {
            return Ok(Self::Repository(repository, entry.and_then(|entry| entry.file.as_deref())));
        }
        if let Some((entry, url)) = entry.and_then(|entry| Some((entry, entry.url.as_deref()?))) {
            return Ok(Self::File(entry, url));
        }
        let failure = Failure::usage(format!("`{name}` is in no catalog, so there is nothing to fetch"));
        Err(match (name, weights::prefixed(name)) {
            (name, _) if weights::is_embedded(name) => {
                Failure::usage(format!("`{name}` is embedded: there is nothing to fetch"))
            }
            (_, Some(prefixed)) => {
                failure.help(format!("a repository of the hub: tk models pull {prefixed}"))
            }
            _ => failure.help("`tk models list` shows the catalog; a repository of the hub is hf:ORG/NAME"),
        })
    }
}

/// The files of names, or of everything that is here, with the name that pulls them.
fn checked(hub: &Hub, names: &[String]) -> Result<Vec<(String, Vec<Checked>)>, Failure> {
    let of_file = |entry: &catalog::Entry, url: &str| -> Result<Vec<Checked>, HubError> {
        Ok(hub.verify_file(&entry.name, url)?.into_iter().collect())
    };
    let mut all = Vec::new();
    for name in names {
        let files = match Published::find(name)? {
            Published::Repository(repository, _) => hub.verify(&repository).map_err(weights::failed)?,
            Published::File(entry, url) => of_file(entry, url).map_err(weights::failed)?,
        };
        all.push((name.clone(), files));
    }
    if names.is_empty() {
        for repository in hub.repositories().map_err(weights::failed)? {
            let files = hub.verify(&repository).map_err(weights::failed)?;
            all.push((format!("{}{repository}", transferkit::hub::PREFIX), files));
        }
        for (entry, url) in catalog::entries().iter().filter_map(|entry| Some((entry, entry.url.as_deref()?)))
        {
            all.push((entry.name.clone(), of_file(entry, url).map_err(weights::failed)?));
        }
        all.retain(|(_, files)| !files.is_empty());
    }
    Ok(all)
}

/// Whether a name means this commit.
fn is_current(hub: &Hub, name: &str, commit: &str) -> bool {
    let repository = repository_of_model(name).ok().flatten();
    repository
        .and_then(|repository| hub.snapshot(&repository))
        .is_some_and(|snapshot| snapshot.commit == commit)
}
