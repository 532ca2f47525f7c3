//! Reads answers of HTTP/1.1, as they come: for the tests of the source too.

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The answer that the bytes begin with, once it is whole.
    pub(crate) fn of(bytes: &[u8]) -> Option<Answer> {
        let text = std::str::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n")?;
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.expect("a length").parse().expect("a number");
        let body = body.get(..length)?.to_owned();
        let status = head.split(' ').nth(1)?.parse().expect("a status");
        Some(Answer { status, head, body })
    }
}
