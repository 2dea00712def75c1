//! A table's files in a bucket of S3, or of storage that speaks as S3 does.
//!
//! A commit is a put with `If-None-Match: *`. It is sent once: whether one was made whose answer is lost is read from
//! the log, by its batch id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use serde_json::{Value, json};

use crate::answer::{Fail, Result, fatal, told};
use crate::net::wait;
use crate::settings::Object;
use crate::store::{Entry, Input, Put, Store, missing};

/// Parts of an upload that is larger than this.
const PART: usize = 16 << 20;

#[derive(Clone)]
pub struct Bucket {
    /// Reads, and uploads of names that nobody else uses, are tried again.
    many: Arc<AmazonS3>,
    once: Arc<AmazonS3>,
    name: String,
    prefix: Vec<String>,
}

impl Bucket {
    /// `place` is "bucket/prefix".
    pub fn open(place: &str, settings: Option<&Value>) -> Result<Bucket> {
        let none = json!({});
        let known = [
            "endpoint",
            "region",
            "path_style",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "skip_signature",
            "timeout_ms",
            "retries",
        ];
        let o = Object::new("\"s3\"", settings.unwrap_or(&none), &known)?;
        let mut parts = place.split('/').filter(|p| !p.is_empty()).map(str::to_string);
        let name =
            parts.next().ok_or_else(|| fatal!("\"location\" names no bucket: write it as s3://bucket/prefix"))?;
        let timeout = Duration::from_millis(o.number("timeout_ms")?.unwrap_or(30_000));
        let retries = o.number("retries")?.unwrap_or(2) as usize;
        let endpoint = o.text("endpoint")?;
        let plain = endpoint.is_some_and(|e| e.starts_with("http://"));
        let build = |retries: usize| -> Result<AmazonS3> {
            let mut b = AmazonS3Builder::from_env()
                .with_bucket_name(&name)
                .with_conditional_put(S3ConditionalPut::ETagMatch)
                .with_client_options(
                    ClientOptions::new().with_timeout(timeout).with_connect_timeout(timeout).with_allow_http(plain),
                )
                .with_retry(RetryConfig { max_retries: retries, retry_timeout: timeout * 2, ..RetryConfig::default() });
            if let Some(e) = endpoint {
                b = b.with_endpoint(e.trim_end_matches('/'));
            }
            let path_style = o.flag("path_style")?.unwrap_or(endpoint.is_some());
            b = b.with_virtual_hosted_style_request(!path_style);
            if let Some(r) = o.text("region")? {
                b = b.with_region(r);
            }
            if let Some(k) = o.text("access_key_id")? {
                b = b.with_access_key_id(k);
            }
            if let Some(k) = o.text("secret_access_key")? {
                b = b.with_secret_access_key(k);
            }
            if let Some(t) = o.text("session_token")? {
                b = b.with_token(t);
            }
            b = b.with_skip_signature(o.flag("skip_signature")?.unwrap_or(false));
            b.build().map_err(|e| fatal!("the settings of s3://{name}: {e}"))
        };
        Ok(Bucket {
            many: Arc::new(build(retries)?),
            once: Arc::new(build(0)?),
            name: name.clone(),
            prefix: parts.collect(),
        })
    }

    /// A folder of the same bucket by its whole location.
    pub fn at(&self, location: &str) -> Result<S3> {
        let prefix = location.strip_prefix("s3://").and_then(|l| l.strip_prefix(self.name.as_str()));
        match prefix.and_then(|p| p.strip_prefix('/')) {
            Some(p) => Ok(S3 {
                many: self.many.clone(),
                once: self.once.clone(),
                place: location.into(),
                prefix: p.trim_end_matches('/').into(),
            }),
            None => Err(fatal!("the table is in {location}, which is not in the bucket {} of the target", self.name)),
        }
    }

    pub fn table(&self, parts: &[String]) -> S3 {
        let all: Vec<&str> = self.prefix.iter().chain(parts).map(String::as_str).collect();
        S3 {
            many: self.many.clone(),
            once: self.once.clone(),
            place: format!("s3://{}/{}", self.name, all.join("/")),
            prefix: all.join("/"),
        }
    }
}

pub struct S3 {
    many: Arc<AmazonS3>,
    once: Arc<AmazonS3>,
    place: String,
    prefix: String,
}

impl S3 {
    fn path(&self, name: &str) -> Result<Path> {
        Path::parse(format!("{}/{name}", self.prefix)).map_err(|e| fatal!("the name {name}: {e}"))
    }

    /// What an error means when the request certainly changed nothing that matters.
    fn fail(&self, what: &str, name: &str, e: &Error) -> Fail {
        let text = format!("cannot {what} {}/{name}: {}", self.place, told(e));
        match e {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Fail::Fatal(format!("{text}; the credentials, or the rights of their user on this bucket, are wrong"))
            }
            Error::NotFound { .. } => Fail::Fatal(format!("{text}; is the bucket there?")),
            Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                Fail::Fatal(format!("{text}; the storage must know conditional writes (If-None-Match: *)"))
            }
            _ => Fail::Retry(text),
        }
    }
}

/// What is not there is the file, or the upload, and not the bucket.
fn is_file(e: &Error) -> bool {
    matches!(e, Error::NotFound { source, .. } if !source.to_string().contains("NoSuchBucket"))
}

impl Store for S3 {
    fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name)?;
        let got = wait(async { self.many.get(&path).await?.bytes().await })?;
        match got {
            Ok(b) => Ok(Some(b)),
            Err(e) if is_file(&e) => Ok(None),
            Err(e) => Err(self.fail("read", name, &e)),
        }
    }

    fn open(&self, name: &str) -> Result<Input> {
        match self.get(name)? {
            Some(b) => Ok(Input::Whole(b)),
            None => Err(missing(&format!("{}/{name}", self.place))),
        }
    }

    fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(name)?;
        let parts = bytes.len() > PART;
        let done = wait(async {
            if !parts {
                return self.many.put(&path, bytes.into()).await.map(|_| ());
            }
            let mut upload = self.many.put_multipart(&path).await?;
            let mut at = 0;
            while at < bytes.len() {
                let end = (at + PART).min(bytes.len());
                if let Err(e) = upload.put_part(bytes.slice(at..end).into()).await {
                    let _ = upload.abort().await;
                    return Err(e);
                }
                at = end;
            }
            let done = upload.complete().await;
            if done.is_err() {
                let _ = upload.abort().await; // the parts of one that was not made cost room
            }
            done.map(|_| ())
        })?;
        done.map_err(|e| match self.fail("write", name, &e) {
            // An upload that is not there was ended, or made by a call whose answer was lost: it is sent anew.
            Fail::Fatal(text) if parts && is_file(&e) => Fail::Retry(text),
            e => e,
        })
    }

    fn replace(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.put(name, bytes)
    }

    fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put> {
        let path = self.path(name)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match wait(async { self.once.put_opts(&path, bytes.into(), options).await })? {
            Ok(_) => Ok(Put::Done),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Exists),
            Err(e) => match self.fail("write", name, &e) {
                Fail::Retry(s) => Err(Fail::Unknown(s)),
                e => Err(e),
            },
        }
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self, under: &str) -> Result<Vec<Entry>> {
        use futures_util::TryStreamExt;
        let path = self.path(under)?;
        let prefix = format!("{}/", self.prefix);
        let found: std::result::Result<Vec<object_store::ObjectMeta>, Error> =
            wait(async { self.many.list(Some(&path)).try_collect().await })?;
        let found = found.map_err(|e| self.fail("list", under, &e))?;
        Ok(found
            .into_iter()
            .map(|m| Entry {
                name: m.location.as_ref().strip_prefix(&prefix).unwrap_or(m.location.as_ref()).to_string(),
                size: m.size,
                modified_ms: m.last_modified.timestamp_millis(),
            })
            .collect())
    }

    fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match wait(async { self.many.delete(&path).await })? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.fail("delete", name, &e)),
        }
    }

    fn place(&self) -> &str {
        &self.place
    }
}
