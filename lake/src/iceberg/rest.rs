//! The REST catalog: a server says which metadata a table has, and exchanges them where what was read still holds.
//!
//! https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml. A commit is sent once: an answer
//! that says neither yes nor no (5xx, none at all) is Unknown, and the table read anew tells.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Map, Value, json};

use crate::answer::{Fail, Result, fatal, told};
use crate::iceberg::catalog::{Catalog, Ident, Load, Loaded, Stores};
use crate::iceberg::metadata;
use crate::net::wait;
use crate::settings::Object;
use crate::store::Store;

/// A token is asked for anew when three quarters of its time have passed.
const LIFE_S: u64 = 3600;

pub struct Rest {
    uri: String,
    client: Client,
    warehouse: Option<String>,
    prefix: Option<String>,
    auth: Auth,
    /// Where the tables are, once the server has said so.
    base: Mutex<Option<String>>,
    token: Mutex<Option<(String, Instant)>>,
}

enum Auth {
    None,
    Token(String),
    /// OAuth2's client credentials.
    Client {
        at: String,
        id: String,
        secret: String,
        scope: String,
    },
}

/// What the server said.
struct Reply {
    status: u16,
    body: Value,
    text: String,
}

impl Reply {
    fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The reason, as errors of the specification have it.
    fn why(&self) -> String {
        let e = &self.body["error"];
        let said = match (e["message"].as_str(), e["type"].as_str(), self.body["error_description"].as_str()) {
            (Some(m), Some(t), _) => format!("{m} ({t})"),
            (Some(m), None, _) | (None, _, Some(m)) => m.to_string(),
            _ => self.text.clone(),
        };
        let first: String = said.lines().next().unwrap_or_default().chars().take(400).collect();
        format!("status {}: {first}", self.status)
    }
}

/// What is no letter, digit or one of -._~ becomes %XX.
fn encoded(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    text.bytes().map(|b| if plain(&b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Without the user and the password that it may have.
fn shown(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.into() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
}

fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(k, v)| format!("{k}={}", encoded(v))).collect::<Vec<_>>().join("&")
}

fn table_of(at: &Ident) -> String {
    format!("namespaces/{}/tables/{}", namespace_of(at), encoded(&at.name))
}

fn namespace_of(at: &Ident) -> String {
    at.namespace.iter().map(|n| encoded(n)).collect::<Vec<_>>().join("%1F")
}

fn loaded(reply: Reply) -> Option<Loaded> {
    let Value::Object(mut body) = reply.body else { return None };
    let metadata = body.remove("metadata").filter(Value::is_object)?;
    let location = match body.get("metadata-location").and_then(Value::as_str) {
        Some(l) => l.to_string(),
        // A server need not name a file: then what changes with each commit stands for it.
        None => format!(
            "{}/metadata/{}-{}",
            metadata["location"].as_str()?.trim_end_matches('/'),
            metadata["last-sequence-number"],
            metadata["last-updated-ms"]
        ),
    };
    Some(Loaded { location, metadata })
}

/// A call that changes nothing, or that may be done again, fails as an outage.
fn again(e: Fail) -> Fail {
    match e {
        Fail::Unknown(s) => Fail::Retry(s),
        e => e,
    }
}

impl Rest {
    pub fn open(uri: &str, o: &Object) -> Result<Rest> {
        let uri = uri.trim_end_matches('/').trim_end_matches("/v1").to_string();
        let text =
            |key: &str| -> Result<Option<String>> { Ok(o.text(key)?.filter(|t| !t.is_empty()).map(str::to_string)) };
        let auth = match (text("token")?, text("credential")?) {
            (Some(_), Some(_)) => return Err(fatal!("catalog.token and catalog.credential: only one may be set")),
            (Some(t), None) => Auth::Token(t),
            (None, Some(c)) => {
                let (id, secret) = c.split_once(':').unwrap_or(("", &c));
                Auth::Client {
                    at: text("oauth2_uri")?.unwrap_or_else(|| format!("{uri}/v1/oauth/tokens")),
                    id: id.into(),
                    secret: secret.into(),
                    scope: text("scope")?.unwrap_or_else(|| "catalog".into()),
                }
            }
            (None, None) => Auth::None,
        };
        let timeout = super::timeout(o)?;
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .user_agent(concat!("ods-sink/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| fatal!("the catalog's client: {e}"))?;
        let (warehouse, prefix) = (text("warehouse")?, text("prefix")?);
        Ok(Rest { uri, client, warehouse, prefix, auth, base: Mutex::new(None), token: Mutex::new(None) })
    }

    /// One request. An error is Retry where it certainly did not reach the server.
    fn send(&self, method: Method, url: &str, token: Option<&str>, body: Option<(&str, String)>) -> Result<Reply> {
        let mut request = self.client.request(method, url).header("Accept", "application/json");
        if let Some(t) = token {
            request = request.bearer_auth(t);
        }
        if let Some((kind, body)) = body {
            request = request.header("Content-Type", kind).body(body);
        }
        let answer = wait(async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        })?;
        match answer {
            Ok((status, text)) => Ok(Reply { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }),
            Err(e) => {
                let (not_made, not_sent) = (e.is_builder(), e.is_connect());
                // The causes say more than the error: refused, timed out, a certificate.
                let why = told(&e.without_url());
                let text = format!("the catalog {} does not answer: {why}", shown(&self.uri));
                Err(match (not_made, not_sent) {
                    (true, _) => Fail::Fatal(format!("{text}; look at catalog.uri and catalog.token")),
                    (_, true) => Fail::Retry(text),
                    _ => Fail::Unknown(text),
                })
            }
        }
    }

    fn fail(&self, what: &str, r: &Reply) -> Fail {
        let text = format!("the catalog {} refuses {what}: {}", shown(&self.uri), r.why());
        match r.status {
            408 | 425 | 429 | 500.. => Fail::Retry(text),
            401 | 403 | 419 => {
                Fail::Fatal(format!("{text}; look at catalog.token or catalog.credential, and at the rights there"))
            }
            _ => Fail::Fatal(text),
        }
    }

    fn token(&self) -> Result<Option<String>> {
        let Auth::Client { at, id, secret, scope } = &self.auth else {
            return Ok(match &self.auth {
                Auth::Token(t) => Some(t.clone()),
                _ => None,
            });
        };
        let mut kept = self.token.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((t, _)) = kept.as_ref().filter(|(_, until)| Instant::now() < *until) {
            return Ok(Some(t.clone()));
        }
        let mut pairs = vec![("grant_type", "client_credentials"), ("client_secret", secret), ("scope", scope)];
        if !id.is_empty() {
            pairs.push(("client_id", id));
        }
        let body = ("application/x-www-form-urlencoded", form(&pairs));
        let r = self.send(Method::POST, at, None, Some(body)).map_err(again)?;
        let given = r.body["access_token"].as_str().filter(|_| r.is_ok());
        let Some(t) = given.map(str::to_string) else {
            let text = format!("{} gives no token for catalog.credential: {}", shown(at), r.why());
            return Err(if r.status == 429 || r.status >= 500 { Fail::Retry(text) } else { Fail::Fatal(text) });
        };
        let life = r.body["expires_in"].as_u64().unwrap_or(LIFE_S);
        *kept = Some((t.clone(), Instant::now() + Duration::from_secs(life) * 3 / 4));
        Ok(Some(t))
    }

    /// A request with the token; one that is no longer taken is asked for anew, once.
    fn call(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Reply> {
        let mut renewed = false;
        loop {
            let token = self.token().map_err(again)?;
            let json = body.map(|b| ("application/json", b.to_string()));
            let r = self.send(method.clone(), url, token.as_deref(), json)?;
            if !matches!(r.status, 401 | 419) || renewed || !matches!(self.auth, Auth::Client { .. }) {
                return Ok(r);
            }
            *self.token.lock().unwrap_or_else(|e| e.into_inner()) = None;
            renewed = true;
        }
    }

    /// Where the catalog's own paths begin.
    fn base(&self) -> Result<String> {
        let mut base = self.base.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(b) = base.as_ref() {
            return Ok(b.clone());
        }
        let query = self.warehouse.as_ref().map(|w| format!("?warehouse={}", encoded(w))).unwrap_or_default();
        let r = self.call(Method::GET, &format!("{}/v1/config{query}", self.uri), None).map_err(again)?;
        if !r.is_ok() || !r.body.is_object() {
            let e = self.fail("to tell its configuration", &r);
            let hint = "; is catalog.uri that of an Iceberg REST catalog, and catalog.warehouse one that it has?";
            return Err(match e {
                Fail::Fatal(s) => Fail::Fatal(s + hint),
                e => e,
            });
        }
        let of = |part: &str, key: &str| r.body[part][key].as_str().filter(|p| !p.is_empty()).map(str::to_string);
        let uri = of("overrides", "uri").unwrap_or_else(|| self.uri.clone());
        let prefix = of("overrides", "prefix").or_else(|| self.prefix.clone()).or_else(|| of("defaults", "prefix"));
        let mut whole = format!("{}/v1", uri.trim_end_matches('/'));
        if let Some(p) = prefix {
            whole = format!("{whole}/{}", p.trim_matches('/'));
        }
        *base = Some(whole.clone());
        Ok(whole)
    }

    fn at(&self, path: &str) -> Result<String> {
        Ok(format!("{}/{path}", self.base()?))
    }

    fn find(&self, at: &Ident) -> Result<Option<Loaded>> {
        let r = self.call(Method::GET, &self.at(&table_of(at))?, None).map_err(again)?;
        match r.status {
            404 => Ok(None),
            200 => {
                let why =
                    || Fail::Retry(format!("the catalog {} does not tell the table's metadata", shown(&self.uri)));
                loaded(r).map(Some).ok_or_else(why)
            }
            _ => Err(self.fail(&format!("to load {}.{}", at.namespace.join("."), at.name), &r)),
        }
    }

    fn make_namespace(&self, at: &Ident) -> Result<()> {
        let r = self.call(Method::GET, &self.at(&format!("namespaces/{}", namespace_of(at)))?, None).map_err(again)?;
        if r.status != 404 {
            return if r.is_ok() { Ok(()) } else { Err(self.fail("to load a namespace", &r)) };
        }
        let body = json!({"namespace": at.namespace, "properties": {}});
        let r = self.call(Method::POST, &self.at("namespaces")?, Some(&body)).map_err(again)?;
        // Another one made it meanwhile.
        if r.is_ok() || r.status == 409 {
            return Ok(());
        }
        Err(self.fail(&format!("to make the namespace {}", at.namespace.join(".")), &r))
    }
}

/// What must still hold for the updates to be right.
fn requirements(v: &Value, updates: &[Value]) -> Vec<Value> {
    let parent = metadata::current(v).map(|s| s["snapshot-id"].clone()).unwrap_or_default();
    let mut all = vec![
        json!({"type": "assert-table-uuid", "uuid": v["table-uuid"]}),
        json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": parent}),
    ];
    if updates.iter().any(|u| u["action"] == "add-schema") {
        all.push(json!({"type": "assert-current-schema-id", "current-schema-id": v["current-schema-id"]}));
        all.push(json!({"type": "assert-last-assigned-field-id", "last-assigned-field-id": v["last-column-id"]}));
    }
    all
}

impl Catalog for Rest {
    fn load(&self, at: &Ident, known: Option<&str>, _: Stores) -> Result<Load> {
        Ok(match self.find(at)? {
            None => Load::None,
            Some(l) if known == Some(l.location.as_str()) => Load::Same,
            Some(l) => Load::New(l),
        })
    }

    fn create(&self, at: &Ident, metadata: Value, _: &dyn Store) -> Result<()> {
        self.make_namespace(at)?;
        let mut properties: Map<String, Value> = metadata["properties"].as_object().cloned().unwrap_or_default();
        properties.insert("format-version".into(), json!(metadata["format-version"].to_string()));
        let body = json!({
            "name": at.name, "location": metadata["location"], "schema": metadata["schemas"][0],
            "partition-spec": metadata["partition-specs"][0], "write-order": metadata["sort-orders"][0],
            "stage-create": false, "properties": properties,
        });
        let url = self.at(&format!("namespaces/{}/tables", namespace_of(at)))?;
        let r = self.call(Method::POST, &url, Some(&body)).map_err(again)?;
        // One that is there by now is found when it is loaded.
        if r.is_ok() || r.status == 409 {
            return Ok(());
        }
        Err(self.fail(&format!("to make {}.{}", at.namespace.join("."), at.name), &r))
    }

    fn commit(&self, at: &Ident, was: &Loaded, updates: &[Value], _: &dyn Store) -> Result<Option<Loaded>> {
        let body = json!({
            "identifier": {"namespace": at.namespace, "name": at.name},
            "requirements": requirements(&was.metadata, updates), "updates": updates,
        });
        let url = self.at(&table_of(at))?;
        self.token().map_err(again)?;
        crate::fault::step("commit")?;
        let r = self.call(Method::POST, &url, Some(&body))?;
        let why = format!("a commit to {}.{}", at.namespace.join("."), at.name);
        match r.status {
            200..300 => match loaded(r) {
                Some(l) => Ok(Some(l)),
                None => Err(Fail::Unknown(format!("{why}: the catalog {} tells no metadata", shown(&self.uri)))),
            },
            409 => Ok(None),
            500.. => Err(Fail::Unknown(format!("{why}: {}", r.why()))),
            400 | 422 => {
                // What others did meanwhile (a snapshot of another branch has the number) makes it wrong.
                let now = self.find(at)?;
                if now.is_some_and(|n| n.location != was.location) {
                    return Ok(None);
                }
                Err(self.fail(&why, &r))
            }
            _ => Err(self.fail(&why, &r)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        let at = Ident { namespace: vec!["a b".into(), "c".into()], name: "t/é.x".into() };
        assert_eq!(table_of(&at), "namespaces/a%20b%1Fc/tables/t%2F%C3%A9.x");
        assert_eq!(form(&[("a", "b c&d"), ("e", "f")]), "a=b%20c%26d&e=f");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("https://u:p@w@h:8181/c"), "https://h:8181/c");
        assert_eq!(shown("http://h"), "http://h");
    }

    #[test]
    fn tables_without_a_named_file() {
        let reply = |body: Value| Reply { status: 200, text: String::new(), body };
        let metadata = json!({"location": "s3://b/t/", "last-sequence-number": 3, "last-updated-ms": 7});
        let l = loaded(reply(json!({"metadata": metadata}))).unwrap();
        assert_eq!(l.location, "s3://b/t/metadata/3-7");
        assert_eq!(loaded(reply(json!({"metadata": metadata, "metadata-location": "f"}))).unwrap().location, "f");
        assert!(loaded(reply(json!({"config": {}}))).is_none());
    }

    #[test]
    fn what_must_hold() {
        let v = json!({"table-uuid": "u", "current-snapshot-id": -1, "current-schema-id": 3, "last-column-id": 9});
        let r = requirements(&v, &[json!({"action": "add-schema"})]);
        assert_eq!(r[1], json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null}));
        assert_eq!(r.len(), 4);
        assert_eq!(requirements(&v, &[]).len(), 2);
    }

    #[test]
    fn settings() {
        let open = |v: Value| {
            let known = ["token", "credential", "scope", "oauth2_uri", "timeout_ms", "warehouse", "prefix"];
            Rest::open("https://h/catalog/v1/", &Object::new("\"catalog\"", &v, &known).unwrap())
        };
        assert!(open(json!({"token": "t", "credential": "a:b"})).is_err());
        let r = open(json!({"credential": "a:b:c"})).unwrap();
        assert_eq!(r.uri, "https://h/catalog");
        let Auth::Client { at, id, secret, scope } = &r.auth else { panic!() };
        assert_eq!((at.as_str(), id.as_str()), ("https://h/catalog/v1/oauth/tokens", "a"));
        assert_eq!((secret.as_str(), scope.as_str()), ("b:c", "catalog"));
    }
}
