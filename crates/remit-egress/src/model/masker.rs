//! Masking of requests: the way in of this module.

use std::{borrow::Cow, sync::Arc};

use remit_core::{DataAction, DataClass, Detector, ModelApi};

use super::{Socket, Unmasker, Vault, request};

/// What is done about each class on this host.
pub trait MaskRules: Send + Sync {
    /// [`DataAction::Mask`] is done here, every other action is the caller's.
    fn action(&self, class: &DataClass) -> DataAction;
}

/// Masks what goes to a model and restores what comes back.
#[derive(Clone)]
pub struct Masker {
    pub(crate) vault: Arc<Vault>,
    pub(crate) detector: Arc<dyn Detector>,
    pub(crate) rules: Arc<dyn MaskRules>,
}

/// The body of a request to a model host, decoded (no content encoding).
#[derive(Clone, Copy, Debug)]
pub struct ModelRequest<'a> {
    /// What the host speaks.
    pub api: ModelApi,
    /// The request's `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Whether a signature in the head covers the body ([`is_signed`]).
    pub signed: bool,
    /// All of it.
    pub body: &'a [u8],
}

/// A request that may go out once the caller has acted on `findings`.
#[derive(Debug)]
pub struct Masked<'a> {
    /// What to send; borrowed when nothing was replaced.
    pub body: Cow<'a, [u8]>,
    /// What was found.
    pub findings: Vec<Found>,
    /// Bodies or parts too large to be searched, or in a form that is not read.
    pub unread: usize,
}

/// Findings of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What they are.
    pub class: DataClass,
    /// What is to be done: [`DataAction::Mask`] is done already. A value that was to be masked and
    /// stands where nothing can be replaced is [`DataAction::Block`].
    pub action: DataAction,
    /// Where they stand.
    pub place: Place,
    /// How many.
    pub count: usize,
}

/// Where in a request a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In text, where it can be replaced.
    Text,
    /// In thinking, an id or a word of the protocol, which must come back unchanged.
    Fixed,
    /// In a number.
    Number,
    /// In a file, an image or an upload.
    Data,
}

/// Why a request cannot be masked. It must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A signature covers the body, so nothing in it can be replaced.
    #[error("the request is signed, so values in it cannot be masked")]
    Signed,
    /// It has more values or is nested deeper than is read.
    #[error("the request is too large or too deep to be masked")]
    TooMuch,
    /// The session has more values than are kept.
    #[error("the session has more sensitive values than can be masked")]
    Full,
}

impl Masker {
    /// Masks with these parts.
    pub fn new(vault: Arc<Vault>, detector: Arc<dyn Detector>, rules: Arc<dyn MaskRules>) -> Self {
        Self { vault, detector, rules }
    }

    /// Masks the body of a request.
    pub fn request<'a>(&self, request: &ModelRequest<'a>) -> Result<Masked<'a>, MaskError> {
        request::mask(self, request)
    }

    /// Masks one message towards a model over WebSocket.
    pub fn message<'a>(&self, api: ModelApi, body: &'a [u8]) -> Result<Masked<'a>, MaskError> {
        self.request(&ModelRequest { api, content_type: None, signed: false, body })
    }

    /// Restores the body of an answer (no content encoding) while it arrives.
    pub fn response(&self, api: ModelApi, content_type: Option<&str>) -> Unmasker {
        Unmasker::new(Arc::clone(&self.vault), api, content_type)
    }

    /// Restores the messages that come from a model over one WebSocket connection.
    pub fn socket(&self, api: ModelApi) -> Socket {
        Socket::new(Arc::clone(&self.vault), api)
    }
}

impl Masked<'_> {
    /// The strictest thing that is to be done.
    pub fn action(&self) -> DataAction {
        self.findings.iter().map(|found| found.action).max().unwrap_or(DataAction::Allow)
    }
}

/// Whether an `Authorization` header is a signature over the body: AWS Signature Version 4 hashes
/// the payload into it. Bearer keys do not.
pub fn is_signed(authorization: &str) -> bool {
    authorization.trim_start().starts_with("AWS4-")
}
