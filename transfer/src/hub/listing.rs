//! What a server says of a repository and of a file in it.

use serde::Deserialize;
use serde_json::Value;
use ureq::Body;
use ureq::http::Response;

use super::client::{Ask, Client, header, one_line};
use super::digest::Digest;
use super::repository::is_commit;
use super::{HubError, Repository};

/// A listing is refused above so many bytes.
const LISTING_BYTES: u64 = 64 << 20;

/// A repository at a commit.
pub(super) struct Listing {
    pub commit: String,
    /// Paths of all files.
    pub files: Vec<String>,
    /// As the model's card says.
    pub licence: Option<String>,
}

/// What a file is known by.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub digest: Digest,
    pub bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Model {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default, rename = "cardData")]
    card: Option<Card>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

#[derive(Deserialize)]
struct Card {
    #[serde(default)]
    license: Value,
    #[serde(default)]
    license_name: Option<String>,
}

#[derive(Deserialize)]
struct Refs {
    #[serde(default)]
    branches: Vec<Ref>,
    #[serde(default)]
    tags: Vec<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    name: String,
}

/// What a repository holds at its revision.
pub(super) fn list(client: &Client<'_>, repository: &Repository) -> Result<Listing, HubError> {
    let endpoint = &client.remote.endpoint;
    let (id, revision) = (repository.id(), repository.revision_in_address());
    let address = format!("{endpoint}/api/models/{id}/revision/{revision}");
    let model: Model = match client.ask(&address, Ask::Get) {
        Ok(response) => read(&address, response)?,
        Err(HubError::NotFound { .. }) => return Err(absent(client, repository)),
        Err(error) => return Err(error),
    };
    if !is_commit(&model.sha) {
        let problem = format!("`sha` is `{}`; expected a commit of 40 hexadecimal digits", model.sha);
        return Err(HubError::protocol(&address, problem));
    }
    let files = model.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    let licence = model
        .card
        .and_then(licence_of)
        .or_else(|| model.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned));
    Ok(Listing { commit: model.sha, files, licence })
}

/// The address of a file at a commit.
pub(super) fn address_of(client: &Client<'_>, repository: &Repository, commit: &str, file: &str) -> String {
    format!("{}/{}/resolve/{commit}/{file}", client.remote.endpoint, repository.id())
}

/// What a file at a commit is known by.
pub(super) fn describe(client: &Client<'_>, address: &str, commit: &str) -> Result<Described, HubError> {
    let response = client.ask(address, Ask::Head)?;
    let said = header(&response, "x-repo-commit");
    if let Some(said) = said.filter(|said| *said != commit) {
        return Err(HubError::protocol(address, format!("the file is of commit {said}; expected {commit}")));
    }
    let tag = header(&response, "x-linked-etag").or_else(|| header(&response, "etag"));
    let Some(digest) = tag.and_then(|tag| Digest::of_tag(tag.trim_start_matches("W/").trim_matches('"')))
    else {
        let found = tag.unwrap_or("none");
        let problem = format!("the entity tag says no digest, so the file could not be verified: {found}");
        return Err(HubError::protocol(address, problem));
    };
    let linked = header(&response, "x-linked-size");
    // A redirect's own length is not the file's.
    let own = || header(&response, "content-length").filter(|_| response.status().is_success());
    let bytes = linked.or_else(own).and_then(|text| text.trim().parse().ok());
    Ok(Described { digest, bytes })
}

/// What is missing, and what is there instead.
fn absent(client: &Client<'_>, repository: &Repository) -> HubError {
    let endpoint = &client.remote.endpoint;
    let (id, revision) = (repository.id(), repository.revision());
    let address = format!("{endpoint}/api/models/{id}/refs");
    let refs = client.ask(&address, Ask::Get).and_then(|response| read::<Refs>(&address, response));
    let (what, exists) = match refs {
        Ok(Refs { branches, tags }) => {
            let names = branches.into_iter().chain(tags).map(|found| found.name).collect();
            (format!("revision `{revision}` of {id}"), names)
        }
        Err(_) => (format!("repository `{id}`"), Vec::new()),
    };
    HubError::NotFound { what, address: endpoint.clone(), exists }
}

fn licence_of(card: Card) -> Option<String> {
    let said = match card.license {
        Value::String(text) => text,
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        _ => return None,
    };
    match card.license_name {
        Some(name) if said == "other" => Some(name),
        _ => Some(said).filter(|said| !said.is_empty()),
    }
}

fn read<T: serde::de::DeserializeOwned>(address: &str, mut response: Response<Body>) -> Result<T, HubError> {
    let text = response.body_mut().with_config().limit(LISTING_BYTES).read_to_string();
    let text = text.map_err(|error| HubError::protocol(address, one_line(&error)))?;
    serde_json::from_str(&text).map_err(|error| HubError::protocol(address, one_line(&error)))
}
