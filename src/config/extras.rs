//! What a plan is made of beside the config: the command line, the terminal, and
//! what runs already.

use std::collections::HashMap;

use crate::event::Path;
use crate::pipeline::Seed;
use crate::route::Expression;
use crate::sink::encode::Screen;
use crate::source::Source;

/// What a plan is made of beside the config.
#[derive(Default)]
pub struct Extras {
    /// Events that do not match it are left out.
    pub filter: Option<Expression>,
    /// What terminals show.
    pub view: View,
    /// Sources already built, in the place of the configured ones of that name.
    pub sources: HashMap<String, Box<dyn Source>>,
    /// Whether the plan is to explain events instead of running.
    pub explain: bool,
    /// What a plan that follows a running one is built upon.
    pub seed: Seed,
}

/// How events are shown to people.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether to colour.
    pub color: bool,
    /// The terminal's size.
    pub screen: Option<Screen>,
    /// Only these fields.
    pub fields: Option<Vec<Path>>,
}
