//! What `-m` means for photographs: the embedded model, published weights, a folder, or a checkpoint file of a named architecture.

use std::path::Path;

use tk_image::architectures::find;
use tk_image::catalog::{self, Entry};
use tk_image::model::{EMBEDDED, ModelError, Origin};

use crate::classify::Error;
use crate::hub::{self, Hub, Repository};

/// Where the weights of a model come from, by what it is called: `small`, a name of the catalog or `hf:ORG/NAME`, both as they are in the
/// hub's cache and with `@REVISION` or without, `ARCHITECTURE=FILE`, or a folder with `config.json`. A bare word never means a folder of
/// the same name if it is a model's name too.
///
/// # Errors
/// When the name means nothing, or two things, or its weights are not here.
pub fn resolve(name: &str, hub: &Hub) -> Result<Origin, Error> {
    if let Some(repository) = Repository::of_model(name) {
        return Ok(Origin::Folder(hub::snapshot(hub, &repository?)?.folder));
    }
    let path = Path::new(name);
    let is_word = !name.contains(['/', '\\']);
    if is_word && (name == EMBEDDED || find(revision_of(name).0).is_ok()) {
        return if path.exists() {
            let message = format!("`{name}` is a model's name, and a folder here is called so too");
            Err(Error::usage_with(
                message,
                format!("for the folder say ./{name}; for the model go elsewhere"),
            ))
        } else if name == EMBEDDED {
            Ok(Origin::Embedded)
        } else {
            published(name, hub)
        };
    }
    if path.is_dir() {
        return Ok(Origin::Folder(path.to_owned()));
    }
    if let Some((architecture, file)) = name.split_once('=') {
        find(architecture).map_err(ModelError::from)?;
        return Ok(Origin::File { architecture: architecture.to_owned(), path: file.into() });
    }
    if path.is_file() {
        let message = format!("`{name}` is a checkpoint, and does not say of which architecture");
        return Err(Error::usage_with(message, format!("say so: -m ARCHITECTURE={name}")));
    }
    if is_word {
        find(name).map_err(ModelError::from)?;
    }
    let message = format!("no model at `{name}`: no such folder");
    Err(Error::usage_with(
        message,
        "a model is `small`, a name that `tk models list` shows, hf:ORG/NAME, ARCHITECTURE=FILE, or a folder with config.json",
    ))
}

/// The repository that a model's name means, with its revision; `None` where it comes from elsewhere.
///
/// # Errors
/// When a repository or revision cannot be called so.
pub fn repository(name: &str) -> Result<Option<Repository>, Error> {
    if let Some(repository) = Repository::of_model(name) {
        return Ok(Some(repository?));
    }
    let (word, revision) = revision_of(name);
    let Some(id) = catalog::find(word).and_then(|entry| entry.repository.as_deref()) else { return Ok(None) };
    let repository = Repository::new(id)?;
    Ok(Some(match revision {
        Some(revision) => repository.at(revision)?,
        None => repository,
    }))
}

/// A model's name that means the same later: with the commit that its repository has here.
pub(crate) fn pinned(name: &str, hub: &Hub) -> Result<String, Error> {
    if Path::new(name).exists() {
        return Ok(name.to_owned());
    }
    let Some(repository) = repository(name)? else { return Ok(name.to_owned()) };
    let repository = hub::pinned(hub, repository)?;
    Ok(match catalog::find(revision_of(name).0) {
        Some(entry) => format!("{}@{}", entry.name, repository.revision()),
        None => format!("{}{repository}", hub::PREFIX),
    })
}

/// The weights of a known name.
fn published(name: &str, hub: &Hub) -> Result<Origin, Error> {
    let word = revision_of(name).0;
    let Some(entry) = catalog::find(word) else {
        let message = format!("`{name}` is known, but no weights of it are in the catalog");
        let help = format!("give a checkpoint file: -m {word}=FILE.safetensors (or .pth)");
        return Err(Error::usage_with(message, help));
    };
    match place(entry, repository(name)?, hub) {
        Some(path) => Ok(Origin::File { architecture: entry.name.clone(), path }),
        None => {
            let message = format!("`{name}` is known, but its weights are not here");
            let file = format!("or give a checkpoint file: -m {word}=FILE.safetensors (or .pth)");
            Err(Error::usage_with(message, format!("fetch them: tk models pull {name}; {file}")))
        }
    }
}

/// Where the weights of an entry are.
fn place(entry: &Entry, repository: Option<Repository>, hub: &Hub) -> Option<std::path::PathBuf> {
    match (repository, &entry.file, &entry.url) {
        (Some(repository), Some(file), _) => hub.snapshot(&repository)?.file(file),
        (_, _, Some(url)) => hub.file(&entry.name, url),
        _ => None,
    }
}

/// A name without its revision, and the revision.
fn revision_of(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(word, revision)| (word, Some(revision)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_mean_one_thing_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap().to_owned();
        let file = format!("{folder}/x.pth");
        std::fs::write(&file, "x").unwrap();
        let resolve = |name: &str| resolve(name, &Hub::none());
        assert_eq!(resolve("small").unwrap(), Origin::Embedded);
        assert_eq!(resolve(&folder).unwrap(), Origin::Folder(folder.clone().into()));
        let origin = resolve("resnet50=w.pth").unwrap();
        assert_eq!(origin, Origin::File { architecture: "resnet50".into(), path: "w.pth".into() });
        for (name, expected) in [
            ("resnet50", "its weights are not here"),
            ("resnet50@v1", "its weights are not here"),
            ("resnet50.none_such", "no weights of it are in the catalog"),
            ("hf:org/name@v1", "`hf:org/name@v1` is known, but its weights are not here"),
            ("hf:org/name/x", "is no repository"),
            ("resnet51", "unknown architecture `resnet51`"),
            ("resnet51=w.pth", "unknown architecture `resnet51`"),
            ("./none/at/all", "no such folder"),
            (file.as_str(), "is a checkpoint"),
        ] {
            let error = resolve(name).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.help().is_some(), "{name}");
            assert_eq!(error.kind(), crate::image::Kind::Usage, "{name}");
        }
    }

    #[test]
    fn published_weights_are_found_at_the_commit_that_is_here() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, files) = (folder.path().join("hub"), folder.path().join("files"));
        let hub = Hub::at(&cache, &files);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let repository = cache.join("models--timm--resnet50.a1_in1k");
        let snapshot = repository.join("snapshots").join(commit);
        for place in [&snapshot, &repository.join("refs"), &files.join("legacy_xception.tf_in1k")] {
            std::fs::create_dir_all(place).unwrap();
        }
        std::fs::write(repository.join("refs/main"), commit).unwrap();
        let weights = snapshot.join("model.safetensors");
        std::fs::write(&weights, "x").unwrap();
        let other = files.join("legacy_xception.tf_in1k/xception-43020ad28.pth");
        std::fs::write(&other, "x").unwrap();
        let file = |architecture: &str, path: &Path| Origin::File {
            architecture: architecture.to_owned(),
            path: path.to_owned(),
        };
        let named = format!("resnet50.a1_in1k@{commit}");
        let hf = format!("hf:timm/resnet50.a1_in1k@{commit}");
        for (name, origin, later) in [
            ("resnet50", file("resnet50.a1_in1k", &weights), &*named),
            (&named, file("resnet50.a1_in1k", &weights), &named),
            ("hf:timm/resnet50.a1_in1k", Origin::Folder(snapshot.clone()), &hf),
            ("legacy_xception", file("legacy_xception.tf_in1k", &other), "legacy_xception"),
        ] {
            assert_eq!(resolve(name, &hub).unwrap(), origin, "{name}");
            assert_eq!(pinned(name, &hub).unwrap(), later, "{name}");
        }
        let id = repository_id("resnet50@v1");
        assert_eq!(id.as_deref(), Some("timm/resnet50.a1_in1k@v1"));
        assert_eq!(repository_id("small"), None);
    }

    fn repository_id(name: &str) -> Option<String> {
        repository(name).unwrap().map(|repository| repository.to_string())
    }
}
