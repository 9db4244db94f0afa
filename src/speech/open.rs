//! The model that settings name, with symbols for the transcripts.

use std::path::Path;

use tk_audio::data::Utterances;
use tk_audio::recognition::{EMBEDDED, SpeechModel, Spelling, SymbolChoice, Vocabulary};

use crate::classify::{Error, ModeName, Settings};
use crate::hub::{self, Hub, Repository};

/// The model, and the settings completed with its name.
pub(super) fn open_model(
    settings: &mut Settings,
    hub: &Hub,
    data: &Utterances,
    mode: ModeName,
) -> Result<SpeechModel, Error> {
    let name = settings.model.get_or_insert_with(|| EMBEDDED.to_owned()).clone();
    let kinds = "a model for speech is `speech` (the embedded default), hf:ORG/NAME, or a folder as transformers writes it for Wav2Vec2ForCTC or HubertForCTC";
    let folder = hub::model_folder(&name, hub, EMBEDDED, kinds)?;
    if let Some(repository) = Repository::of_model(&name) {
        settings.model = Some(format!("{}{}", hub::PREFIX, hub::pinned(hub, repository?)?));
    }
    let (seed, spelling) = (settings.seed.unwrap_or(0), settings.spelling.unwrap_or_default());
    let texts = || data.samples().iter().map(|spoken| spoken.text.as_str());
    let fits = |vocabulary: &Vocabulary| {
        texts().all(|text| vocabulary.encode(&vocabulary.spell(text, spelling)).is_ok())
    };
    let make = || of_texts(texts(), spelling);
    let given = match settings.vocabulary.get_or_insert_with(|| "auto".into()).as_str() {
        "auto" | "model" => None,
        "data" => Some(make()),
        file => Some(Vocabulary::read(Path::new(file))?),
    };
    let symbols = match (&given, settings.vocabulary.as_deref()) {
        (Some(vocabulary), _) => SymbolChoice::Given(vocabulary),
        (None, Some("model")) => SymbolChoice::Published,
        _ => SymbolChoice::Fitting(&fits, &make),
    };
    let mut model = SpeechModel::open(&folder, &symbols, seed)?;
    for path in [&mut settings.words, &mut settings.vocabulary].into_iter().flatten() {
        if Path::new(path.as_str()).is_file() {
            *path =
                std::path::absolute(&*path).map_or_else(|_| path.clone(), |path| path.display().to_string());
        }
    }
    if settings.from_scratch == Some(true) {
        model = model.from_scratch(seed);
    }
    if mode == ModeName::Lora {
        let (rank, alpha) = settings.low_rank()?;
        model = model.with_low_rank(rank, alpha, seed)?;
    }
    Ok(model)
}

/// The characters of texts, as the spelling writes them.
fn of_texts<'a>(texts: impl Iterator<Item = &'a str>, spelling: Spelling) -> Vocabulary {
    let case = tk_audio::recognition::Case::Lower;
    let spelled: Vec<String> = texts.map(|text| spelling.apply(text, case, |_| false)).collect();
    Vocabulary::of_texts(spelled.iter().map(String::as_str))
}
