//! Refusals of the control API.

use serde_json::json;

use super::{Response, response};

/// The kind of every answer of the control API.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// Why the control API does not do what was asked: a status, a word for programs, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Something in the request is not as it must be.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    /// What the path names is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not-found", message)
    }

    /// `{"error":{"code":...,"message":...}}`.
    pub(crate) fn response(&self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        response(self.status, JSON, body.to_string())
    }
}
