//! Asking a server: redirects, the token, and asking again.

use std::thread::sleep;
use std::time::Duration;

use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::{Certificates, HubError, PullEvent, Remote};

/// A chain of redirects ends after so many.
const HOPS: usize = 10;

/// The client of one pull.
pub(super) struct Client<'a> {
    pub(super) remote: &'a Remote,
    agent: Agent,
    observe: &'a dyn Fn(&PullEvent),
}

/// What is asked of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// What is said of it. A redirect that says it is not followed.
    Head,
    /// All of it.
    Get,
    /// Its bytes from a position on.
    From(u64),
}

/// Why one attempt failed.
enum Failed {
    /// For good.
    Finally(HubError),
    /// Another attempt may succeed, perhaps after a pause that the server wishes.
    Now { reason: String, status: Option<u16>, wish_seconds: Option<u64> },
}

impl<'a> Client<'a> {
    pub(super) fn new(remote: &'a Remote, observe: &'a dyn Fn(&PullEvent)) -> Result<Self, HubError> {
        let roots = match &remote.certificates {
            Certificates::Public => RootCerts::WebPki,
            Certificates::Pem(text) => {
                let items = parse_pem(text).collect::<Result<Vec<_>, _>>();
                let items = items.map_err(|error| HubError::protocol("certificates", error.to_string()))?;
                let certificates = items.into_iter().filter_map(|item| match item {
                    PemItem::Certificate(certificate) => Some(certificate),
                    _ => None,
                });
                RootCerts::from(certificates)
            }
        };
        let patience = &remote.patience;
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(remote.proxy.clone())
            .timeout_connect(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .user_agent(concat!("transferkit/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Ok(Self { remote, agent: Agent::new_with_config(config), observe })
    }

    pub(super) fn tell(&self, event: &PullEvent) {
        (self.observe)(event);
    }

    /// Pauses before another attempt, and says why.
    pub(super) fn pause(&self, reason: &str, pause: Duration) {
        self.tell(&PullEvent::Again { reason: reason.to_owned(), pause });
        sleep(pause);
    }

    /// The answer of an address, status 2xx, 206 or 416 to a position, or for [`Ask::Head`] a redirect that says what is wanted.
    pub(super) fn ask(&self, address: &str, ask: Ask) -> Result<Response<Body>, HubError> {
        let patience = &self.remote.patience;
        let mut attempt = 1;
        loop {
            let (reason, status, wish) = match self.attempt(address, ask) {
                Ok(response) => return Ok(response),
                Err(Failed::Finally(error)) => return Err(error),
                Err(Failed::Now { reason, status, wish_seconds }) => (reason, status, wish_seconds),
            };
            let wish_pause = wish.map(Duration::from_secs);
            let is_too_long = wish_pause.is_some_and(|wish| wish > patience.longest_pause);
            if attempt >= patience.attempts || is_too_long {
                let address = address.to_owned();
                return Err(match status {
                    Some(status) => {
                        HubError::Busy { address, status, attempts: attempt, retry_after_seconds: wish }
                    }
                    None => HubError::Unreachable { address, reason, attempts: attempt },
                });
            }
            self.pause(&reason, wish_pause.unwrap_or_else(|| patience.pause_after(attempt)));
            attempt += 1;
        }
    }

    fn attempt(&self, address: &str, ask: Ask) -> Result<Response<Body>, Failed> {
        let mut at = address.to_owned();
        for _ in 0..HOPS {
            let response = self.send(&at, ask)?;
            let status = response.status();
            if !status.is_redirection() {
                return self.judge(address, &at, response, ask);
            }
            if ask == Ask::Head && header(&response, "x-linked-etag").is_some() {
                return Ok(response);
            }
            let Some(target) = header(&response, "location") else {
                let problem = format!("a redirect ({status}) without Location");
                return Err(Failed::Finally(HubError::protocol(&at, problem)));
            };
            let next = joined(&at, target).map_err(Failed::Finally)?;
            if at.starts_with("https:") && next.starts_with("http:") {
                let problem = format!("a redirect from https to {next}");
                return Err(Failed::Finally(HubError::protocol(&at, problem)));
            }
            at = next;
        }
        Err(Failed::Finally(HubError::protocol(address, format!("more than {HOPS} redirects"))))
    }

    /// One request, with the token where the address is the server's own.
    fn send(&self, at: &str, ask: Ask) -> Result<Response<Body>, Failed> {
        let mut request = match ask {
            Ask::Head => self.agent.head(at),
            Ask::Get | Ask::From(_) => self.agent.get(at),
        };
        // Digests and positions are those of the plain bytes.
        request = request.header("accept-encoding", "identity");
        if let Ask::From(position) = ask {
            request = request.header("range", format!("bytes={position}-"));
        }
        if let Some(token) = &self.remote.token
            && origin(at).is_some_and(|found| Some(found) == origin(&self.remote.endpoint))
        {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_) => {
                Failed::Now { reason: one_line(&error), status: None, wish_seconds: None }
            }
            _ => Failed::Finally(HubError::protocol(at, one_line(&error))),
        })
    }

    /// What a status means.
    fn judge(
        &self,
        address: &str,
        at: &str,
        response: Response<Body>,
        ask: Ask,
    ) -> Result<Response<Body>, Failed> {
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(response),
            StatusCode::RANGE_NOT_SATISFIABLE if matches!(ask, Ask::From(_)) => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failed::Finally(HubError::Refused {
                address: address.to_owned(),
                status: status.as_u16(),
                code: header(&response, "x-error-code").map(str::to_owned),
                had_token: self.remote.token.is_some(),
            })),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Failed::Finally(HubError::NotFound {
                what: format!("`{}`", address.rsplit('/').next().unwrap_or(address)),
                address: address.to_owned(),
                exists: Vec::new(),
            })),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(busy(&response)),
            _ if status.is_server_error() => Err(busy(&response)),
            _ => Err(Failed::Finally(HubError::protocol(at, format!("status {status}, unexpected here")))),
        }
    }
}

fn busy(response: &Response<Body>) -> Failed {
    let status = response.status().as_u16();
    Failed::Now {
        reason: format!("status {status}"),
        status: Some(status),
        wish_seconds: header(response, "retry-after").and_then(|text| text.trim().parse().ok()),
    }
}

/// A header's text.
pub(super) fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> Option<(String, String, u16)> {
    let uri: Uri = address.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

/// Where a redirect from an address leads (RFC 3986, section 5, for what servers send).
fn joined(from: &str, target: &str) -> Result<String, HubError> {
    let fail = || HubError::protocol(from, format!("a redirect to `{target}`, which is no address"));
    if target.starts_with("https://") || target.starts_with("http://") {
        return Ok(target.to_owned());
    }
    let (scheme, rest) = from.split_once("://").ok_or_else(fail)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match target {
        _ if target.starts_with("//") => Ok(format!("{scheme}:{target}")),
        _ if target.starts_with('/') => Ok(format!("{scheme}://{authority}{target}")),
        _ => Err(fail()),
    }
}

/// An error's text on one line.
pub(super) fn one_line(error: &impl ToString) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        for (target, expected) in [
            ("https://cdn/x?y=1", "https://cdn/x?y=1"),
            ("/a/b", "https://h:8/a/b"),
            ("//cdn/x", "https://cdn/x"),
        ] {
            assert_eq!(joined("https://h:8/q/r?s", target).unwrap(), expected);
        }
        assert!(joined("https://h/", "file:///etc/passwd").is_err());
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        assert_eq!(origin("https://H/a"), origin("https://h:443/b"));
        for other in ["http://h/a", "https://h:8443/a", "https://h.evil/a", "https://x@evil/h"] {
            assert_ne!(origin(other), origin("https://h/a"), "{other}");
        }
    }
}
