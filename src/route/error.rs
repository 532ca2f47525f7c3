//! What is wrong with a rule, and where.

use std::fmt;

/// Why a rule was refused: a place in its text, what was expected there and
/// what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Where in the rule's text, in bytes.
    pub offset: usize,
    /// How many bytes are at fault; 0 at the end of the text.
    pub len: usize,
    /// What is wrong, lower case: `expected …, found …`.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the rule", self.message, self.offset)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleError {}
