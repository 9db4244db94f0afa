//! A server on loopback that speaks the hub's protocol, and misbehaves as it is told.
//!
//! It listens on two ports: the hub's, and that of the storage to which the hub redirects for large files. Both answer one request on a
//! connection and close it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{sleep, spawn};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit of the repository.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What happens to one request for a file's bytes.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A status without a body, and a header.
    Status(u16, &'static str),
    /// The connection is cut after so many bytes.
    CutAfter(usize),
    /// Nothing more comes after so many bytes, for so long.
    SilentAfter(usize, Duration),
    /// Parts of so many bytes with pauses between them.
    Slow(usize, Duration),
    /// Other bytes of the same length.
    OtherBytes,
    /// Bytes are added, and the length says so.
    Longer,
    /// All bytes, whatever range was asked for.
    IgnoresRange,
    /// A range that begins earlier than the one that was asked for.
    WrongRange,
    /// A redirect to the same place.
    Loop,
}

/// Where a file's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// On the hub itself; the entity tag is git's.
    InGit,
    /// In the storage; the redirect to it says size and digest.
    InStorage,
}

/// A request, as far as tests look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// `hub` or `storage`.
    pub port: &'static str,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

/// What the server has, does and saw.
#[derive(Default)]
pub struct State {
    /// The repository.
    pub id: String,
    pub files: BTreeMap<String, (Kept, Vec<u8>)>,
    /// What happens to the next requests for the bytes of a file, first to last.
    pub faults: BTreeMap<String, Vec<Fault>>,
    /// The token without which the hub tells nothing.
    pub token: Option<&'static str>,
    /// The status of everything that the hub is asked, where it is down.
    pub down: Option<(u16, &'static str)>,
    /// The entity tag of a file, instead of the right one.
    pub tags: BTreeMap<String, String>,
    pub requests: Vec<Request>,
}

/// A running server.
#[derive(Clone)]
pub struct Server {
    pub hub: String,
    storage: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A server with the repository `org/model`.
    pub fn start(files: &[(&str, Kept, &[u8])]) -> Self {
        Self::start_with("org/model", files)
    }

    /// A server with a repository.
    pub fn start_with(id: &str, files: &[(&str, Kept, &[u8])]) -> Self {
        let [hub, storage] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let server = Self { hub: address(&hub), storage: address(&storage), state: Arc::default() };
        server.state().id = id.to_owned();
        for (name, kept, bytes) in files {
            server.state().files.insert((*name).to_owned(), (*kept, bytes.to_vec()));
        }
        for (listener, port) in [(hub, "hub"), (storage, "storage")] {
            let server = server.clone();
            spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    // A client that goes away is no fault of the server.
                    spawn(move || server.answer(&stream, port).is_ok());
                }
            });
        }
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets the next requests for a file's bytes fail.
    pub fn fail(&self, file: &str, faults: &[Fault]) {
        self.state().faults.insert(file.to_owned(), faults.to_vec());
    }

    /// The requests so far for the bytes of a file, by their ranges.
    pub fn ranges(&self, file: &str) -> Vec<Option<String>> {
        let state = self.state();
        let is_kept = |request: &&Request| match state.files.get(file) {
            Some((Kept::InStorage, _)) => request.port == "storage",
            _ => request.port == "hub",
        };
        let requests = state.requests.iter().filter(|request| request.method == "GET");
        requests
            .filter(|request| request.path.ends_with(&format!("/{file}")))
            .filter(is_kept)
            .map(|request| request.range.clone())
            .collect()
    }

    fn answer(&self, stream: &TcpStream, port: &'static str) -> io::Result<()> {
        let request = read(stream, port)?;
        self.state().requests.push(request.clone());
        let mut out = stream;
        let state = self.state();
        if let Some((status, header)) = state.down.filter(|_| port == "hub") {
            return write!(
                out,
                "HTTP/1.1 {status} Down\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        let is_known =
            state.token.is_none_or(|token| request.authorization == Some(format!("Bearer {token}")));
        if port == "hub" && !is_known {
            return head(out, "401 Unauthorized", "X-Error-Code: RepoNotFound\r\n", 0);
        }
        let path = request.path.trim_start_matches('/');
        if let Some(rest) = path.strip_prefix(&format!("api/models/{}/", state.id)) {
            let text = listing(&state, rest);
            return match text {
                Some(text) => {
                    head(out, "200 OK", "", text.len()).and_then(|()| out.write_all(text.as_bytes()))
                }
                None => head(out, "404 Not Found", "X-Error-Code: RevisionNotFound\r\n", 0),
            };
        }
        // A repository that was renamed.
        if let Some(rest) = path.strip_prefix("api/models/org/old/") {
            let header = format!("Location: /api/models/org/model/{rest}\r\n");
            return head(out, "307 Temporary Redirect", &header, 0);
        }
        let file = path
            .strip_prefix(&format!("{}/resolve/{COMMIT}/", state.id))
            .or_else(|| path.strip_prefix(&format!("org/old/resolve/{COMMIT}/")))
            .or_else(|| path.strip_prefix("files/"));
        let Some((file, (kept, bytes))) =
            file.and_then(|file| Some((file.to_owned(), state.files.get(file)?.clone())))
        else {
            return head(out, "404 Not Found", "X-Error-Code: RepoNotFound\r\n", 0);
        };
        let tag = state.tags.get(&file).cloned().unwrap_or_else(|| tag(kept, &bytes));
        drop(state);
        if port == "hub" && kept == Kept::InStorage && !path.starts_with("files/") {
            let header = format!(
                "X-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{tag}\"\r\nX-Linked-Size: {}\r\nLocation: {}/files/{file}\r\n",
                bytes.len(),
                self.storage
            );
            return head(out, "302 Found", &header, 0);
        }
        let headers = format!("X-Repo-Commit: {COMMIT}\r\nETag: \"{tag}\"\r\n");
        if request.method == "HEAD" {
            return head(out, "200 OK", &headers, bytes.len());
        }
        self.send(stream, &request, &file, &headers, bytes)
    }

    /// Sends a file's bytes, with the next fault.
    fn send(
        &self,
        mut out: &TcpStream,
        request: &Request,
        file: &str,
        headers: &str,
        mut bytes: Vec<u8>,
    ) -> io::Result<()> {
        let fault =
            self.state().faults.get_mut(file).filter(|list| !list.is_empty()).map(|list| list.remove(0));
        let mut begin: usize = request
            .range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
            .unwrap_or(0);
        match fault {
            Some(Fault::Status(status, header)) => return head(out, &format!("{status} Fault"), header, 0),
            Some(Fault::Loop) => {
                return head(out, "302 Found", &format!("Location: {}\r\n", request.path), 0);
            }
            Some(Fault::OtherBytes) => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
            Some(Fault::Longer) => bytes.extend(b"more"),
            Some(Fault::WrongRange) => begin /= 2,
            _ => {}
        }
        if begin == 0 || matches!(fault, Some(Fault::IgnoresRange)) {
            head(out, "200 OK", headers, bytes.len())?;
            begin = 0;
        } else if begin >= bytes.len() {
            return head(out, "416 Range Not Satisfiable", "", 0);
        } else {
            let range = format!("Content-Range: bytes {begin}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            head(out, "206 Partial Content", &format!("{headers}{range}"), bytes.len() - begin)?;
        }
        let body = &bytes[begin..];
        match fault {
            Some(Fault::CutAfter(count)) => out.write_all(&body[..count.min(body.len())]),
            Some(Fault::SilentAfter(count, time)) => {
                out.write_all(&body[..count.min(body.len())])?;
                sleep(time);
                Ok(())
            }
            Some(Fault::Slow(count, time)) => body.chunks(count).try_for_each(|part| {
                out.write_all(part)?;
                sleep(time);
                Ok(())
            }),
            _ => out.write_all(body),
        }
    }
}

/// The entity tag of a file's bytes.
pub fn tag(kept: Kept, bytes: &[u8]) -> String {
    let digest: Vec<u8> = match kept {
        Kept::InGit => {
            let header = format!("blob {}\0", bytes.len());
            Sha1::new().chain_update(header).chain_update(bytes).finalize().to_vec()
        }
        Kept::InStorage => Sha256::digest(bytes).to_vec(),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listing(state: &State, asked: &str) -> Option<String> {
    match asked {
        "refs" => {
            Some(r#"{"branches": [{"name": "main"}, {"name": "dev"}], "tags": [{"name": "v1"}]}"#.to_owned())
        }
        _ if ["revision/main", "revision/v1", &format!("revision/{COMMIT}")].contains(&asked) => {
            let names: Vec<_> =
                state.files.keys().map(|name| format!(r#"{{"rfilename": "{name}"}}"#)).collect();
            Some(format!(
                r#"{{"sha": "{COMMIT}", "cardData": {{"license": "apache-2.0"}}, "siblings": [{}]}}"#,
                names.join(", ")
            ))
        }
        _ => None,
    }
}

fn head(mut out: &TcpStream, status: &str, headers: &str, length: usize) -> io::Result<()> {
    write!(out, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")
}

fn read(stream: &TcpStream, port: &'static str) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        port,
        ..Request::default()
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.trim().to_owned()),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Ok(request)
}
