//! What `-m` means: the embedded model, a folder, or a checkpoint file of a named architecture.

use std::path::Path;

use tk_image::architectures::find;
use tk_image::model::{EMBEDDED, ModelError, Origin};

use crate::classify::Error;

/// Where the weights of a model come from, by what it is called: `small`, `ARCHITECTURE=FILE`, or a folder with `config.json`. A bare
/// word never means a folder of the same name if it is a model's name too.
///
/// # Errors
/// When the name means nothing, or two things.
pub fn resolve(name: &str) -> Result<Origin, Error> {
    let path = Path::new(name);
    let is_word = !name.contains(['/', '\\']);
    if is_word && (name == EMBEDDED || find(name).is_ok()) {
        return if path.exists() {
            let message = format!("`{name}` is a model's name, and a folder here is called so too");
            Err(Error::usage_with(
                message,
                format!("for the folder say ./{name}; for the model go elsewhere"),
            ))
        } else if name == EMBEDDED {
            Ok(Origin::Embedded)
        } else {
            let message = format!("`{name}` is known, but its weights are not here");
            Err(Error::usage_with(
                message,
                format!("give a checkpoint file: -m {name}=FILE.safetensors (or .pth)"),
            ))
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
    Err(Error::usage_with(message, "a model is `small`, ARCHITECTURE=FILE, or a folder with config.json"))
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
        assert_eq!(resolve("small").unwrap(), Origin::Embedded);
        assert_eq!(resolve(&folder).unwrap(), Origin::Folder(folder.clone().into()));
        let origin = resolve("resnet50=w.pth").unwrap();
        assert_eq!(origin, Origin::File { architecture: "resnet50".into(), path: "w.pth".into() });
        for (name, expected) in [
            ("resnet50", "its weights are not here"),
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
}
