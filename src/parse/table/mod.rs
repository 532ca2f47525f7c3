//! The formats that a template can say: the lists to add to, by family.
//!
//! Fields have the names of `docs/FIELDS.md`, whatever a format calls them.

mod access;
mod java;
mod program;
mod server;

/// A built-in text format.
pub(super) struct Format {
    /// As `parse:` takes it.
    pub(super) name: &'static str,
    /// Its variants; the first that matches reads the line.
    pub(super) templates: &'static [&'static str],
    /// How many of the templates, from the first on, `auto` tries: only what
    /// no other text looks like.
    pub(super) auto: usize,
    /// Whether its lines can be JSON objects too.
    pub(super) json: bool,
}

/// Every built-in text format, in the order that `auto` tries them.
pub(super) fn formats() -> impl Iterator<Item = &'static Format> {
    [
        access::FORMATS,
        server::FORMATS,
        java::FORMATS,
        program::FORMATS,
    ]
    .into_iter()
    .flatten()
}
