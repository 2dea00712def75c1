//! What a call answers when it is not OK.

use std::fmt;

/// The class decides what the caller does next; the text says what failed, where, why and what to do.
#[derive(Debug)]
pub enum Fail {
    /// An outage: nothing was committed, the same call may succeed later.
    Retry(String),
    /// A commit whose answer was lost.
    Unknown(String),
    /// Another writer has moved the offsets.
    Fenced(String),
    /// Does not get better by itself.
    Fatal(String),
    /// What is asked for has been deleted: the log of a version has expired, or a file of it is gone.
    Gone(String),
    /// One row of the array cannot be applied.
    Row(i64, String),
}

pub type Result<T> = std::result::Result<T, Fail>;

impl Fail {
    /// Puts what was being done in front of the text.
    pub fn about(self, what: impl fmt::Display) -> Fail {
        match self {
            Fail::Retry(s) => Fail::Retry(format!("{what}: {s}")),
            Fail::Unknown(s) => Fail::Unknown(format!("{what}: {s}")),
            Fail::Fenced(s) => Fail::Fenced(format!("{what}: {s}")),
            Fail::Fatal(s) => Fail::Fatal(format!("{what}: {s}")),
            Fail::Gone(s) => Fail::Gone(format!("{what}: {s}")),
            Fail::Row(n, s) => Fail::Row(n, format!("{what}: {s}")),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Fail::Retry(s) | Fail::Unknown(s) | Fail::Fenced(s) | Fail::Fatal(s) | Fail::Gone(s) | Fail::Row(_, s) => s,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Fail {}

impl From<arrow_schema::ArrowError> for Fail {
    fn from(e: arrow_schema::ArrowError) -> Self {
        Fail::Fatal(e.to_string())
    }
}

impl From<parquet::errors::ParquetError> for Fail {
    fn from(e: parquet::errors::ParquetError) -> Self {
        // A file that is read piece by piece hands its outages through the Parquet reader.
        let parquet::errors::ParquetError::External(inner) = &e else { return Fail::Fatal(e.to_string()) };
        let Some(io) = inner.downcast_ref::<std::io::Error>() else { return Fail::Fatal(e.to_string()) };
        match io.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Fail::Fatal(text)) => Fail::Fatal(text.clone()),
            _ if io.kind() == std::io::ErrorKind::UnexpectedEof => Fail::Fatal(e.to_string()),
            _ => Fail::Retry(e.to_string()),
        }
    }
}

/// An error and what it comes from, of which its own text says nothing: a connection that could not be made, and the
/// certificate that was not trusted.
pub fn told(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

macro_rules! fatal {
    ($($a:tt)*) => { $crate::answer::Fail::Fatal(format!($($a)*)) };
}
pub(crate) use fatal;
