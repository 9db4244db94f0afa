//! One file: fetched beside its place, gone on with where it was cut, verified, renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::client::{Ask, Client, header, one_line};
use super::digest::Digest;
use super::{HubError, PullEvent};

/// A file to be had.
pub(super) struct Wanted<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    pub address: &'a str,
    pub bytes: Option<u64>,
    /// `None` where nobody says it.
    pub digest: Option<Digest>,
}

/// How the bytes of one answer ended.
enum Ended {
    /// The answer is complete.
    Whole,
    /// The connection was cut.
    Cut(String),
}

/// Fetches a file to `target`, whose folder is there. Only one process may do so at a time.
///
/// # Errors
/// When it cannot be had. What was fetched stays beside it to be gone on with, but not if it is wrong.
pub(super) fn fetch(client: &Client<'_>, wanted: &Wanted<'_>, target: &Path) -> Result<(), HubError> {
    let partial = partial_of(target);
    let failed = HubError::io(&partial);
    let mut file = OpenOptions::new().create(true).append(true).open(&partial).map_err(&failed)?;
    let mut have = file.metadata().map_err(&failed)?.len();
    if wanted.bytes.is_some_and(|bytes| have > bytes) {
        have = restarted(&file).map_err(&failed)?;
    }
    let (patience, mut idle) = (&client.remote.patience, 0);
    while wanted.bytes != Some(have) {
        let before = have;
        let ask = if have == 0 { Ask::Get } else { Ask::From(have) };
        let response = client.ask(wanted.address, ask)?;
        let ended = match begins_at(&response, have) {
            true => {
                check_length(&response, wanted).inspect_err(|_| discard(&partial))?;
                copy(client, wanted, response, &mut file, &mut have).map_err(&failed)?
            }
            // The server sends all of it, or does not know that position.
            false if response.status() == StatusCode::OK => {
                have = restarted(&file).map_err(&failed)?;
                check_length(&response, wanted).inspect_err(|_| discard(&partial))?;
                copy(client, wanted, response, &mut file, &mut have).map_err(&failed)?
            }
            false => {
                have = restarted(&file).map_err(&failed)?;
                Ended::Cut(format!("status {} at byte {before}", response.status()))
            }
        };
        if let Some(expected) = wanted.bytes.filter(|bytes| have > *bytes) {
            discard(&partial);
            return Err(HubError::Length { address: wanted.address.to_owned(), expected, found: have });
        }
        let reason = match ended {
            Ended::Whole if wanted.bytes.is_none_or(|bytes| bytes == have) => break,
            Ended::Whole => "the answer ended early".to_owned(),
            Ended::Cut(reason) => reason,
        };
        // Only attempts that brought nothing count.
        idle = if have > before { 0 } else { idle + 1 };
        if idle >= patience.attempts {
            let reason = format!("{reason} at byte {have}");
            return Err(HubError::Unreachable { address: wanted.address.to_owned(), reason, attempts: idle });
        }
        client.pause(&reason, patience.pause_after(idle.max(1)));
    }
    file.sync_all().map_err(&failed)?;
    drop(file);
    if let Some(digest) = &wanted.digest {
        let found = digest.of(&partial).map_err(&failed)?;
        if !digest.is_met_by(&found) {
            discard(&partial);
            let (address, expected) = (wanted.address.to_owned(), digest.digits().to_owned());
            return Err(HubError::Digest { address, expected, found });
        }
    }
    fs::rename(&partial, target).map_err(HubError::io(target))
}

/// Where a file is while it is incomplete.
pub(super) fn partial_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".incomplete");
    name.into()
}

/// Whether the bytes of an answer begin at a position.
fn begins_at(response: &Response<Body>, position: u64) -> bool {
    let begins = header(response, "content-range")
        .and_then(|range| range.trim().strip_prefix("bytes ")?.split_once('-')?.0.parse::<u64>().ok());
    match response.status() {
        StatusCode::PARTIAL_CONTENT => begins == Some(position),
        StatusCode::OK => position == 0,
        _ => false,
    }
}

/// The length that an answer states for the whole file must be the announced one.
fn check_length(response: &Response<Body>, wanted: &Wanted<'_>) -> Result<(), HubError> {
    let stated = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            header(response, "content-range").and_then(|range| range.rsplit_once('/')).map(|(_, whole)| whole)
        }
        _ => header(response, "content-length"),
    };
    let stated: Option<u64> = stated.and_then(|text| text.trim().parse().ok());
    match (stated, wanted.bytes) {
        (Some(found), Some(expected)) if found != expected => {
            Err(HubError::Length { address: wanted.address.to_owned(), expected, found })
        }
        _ => Ok(()),
    }
}

/// Adds an answer's bytes to the file. Errors are those of writing.
fn copy(
    client: &Client<'_>,
    wanted: &Wanted<'_>,
    mut response: Response<Body>,
    file: &mut File,
    have: &mut u64,
) -> io::Result<Ended> {
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => return Ok(Ended::Whole),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Ended::Cut(one_line(&error))),
        };
        file.write_all(buffer.get(..count).unwrap_or_default())?;
        *have += count as u64;
        client.tell(&PullEvent::Fetched { file: wanted.name.to_owned(), done: *have, total: wanted.bytes });
        if wanted.bytes.is_some_and(|bytes| *have > bytes) {
            return Ok(Ended::Whole);
        }
    }
}

fn restarted(file: &File) -> io::Result<u64> {
    file.set_len(0).map(|()| 0)
}

/// Removes what is wrong; where that fails, the next attempt finds it wrong again.
fn discard(partial: &Path) {
    let _ = fs::remove_file(partial);
}
