//! The fields of an event: values as they leave, and where in the line they
//! stand.
//!
//! Names and values are those of the JSON encoder. Where a value stands is
//! asked of the parser: the line is read once more with every field as a
//! column, whose cells are spans.

use crate::event::time::Timestamp;
use crate::event::{Batch, Column, ColumnKind, Columns, Level, Needs, Path, Role};
use crate::parse::Formats;
use crate::route::text_at;
use crate::sink::encode::{Encoder, Options};

/// Fields that are shown of one event; what has more is no log line.
const FIELDS_MAX: usize = 1000;

/// A field of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSeen {
    /// Its name, as rules write it where no role or metadata is in the way.
    pub name: String,
    /// Its value, as JSON output has it.
    pub value: serde_json::Value,
    /// Where it stands in the line, in bytes; none if it stands nowhere.
    pub span: Option<std::ops::Range<usize>>,
}

/// What a role means for an event.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSeen {
    /// The role.
    pub role: Role,
    /// Its value as a rule sees it.
    pub value: String,
    /// Where that came from.
    pub origin: Origin,
}

/// Where a role's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of the event.
    Field(String),
    /// The source: content cannot overwrite it.
    Metadata,
    /// The format knows it without a field of its own: a syslog priority.
    Format,
}

/// The columns of every role.
pub(super) struct Roles(Vec<RoleColumns>);

struct RoleColumns {
    role: Role,
    text: usize,
    /// The typed column of `level` and `timestamp`.
    typed: Option<usize>,
}

impl Roles {
    pub(super) fn compile(needs: &mut Needs) -> Roles {
        let roles = Role::ALL.into_iter().map(|role| {
            let path = Path::of(role.name());
            let kind = match role {
                Role::Level => Some(ColumnKind::Level),
                Role::Timestamp => Some(ColumnKind::Time),
                _ => None,
            };
            RoleColumns {
                role,
                text: needs.slot(&path, ColumnKind::Text),
                typed: kind.map(|kind| needs.slot(&path, kind)),
            }
        });
        Roles(roles.collect())
    }

    /// The roles that the event has.
    pub(super) fn see(&self, batch: &Batch, fields: &[FieldSeen]) -> Vec<RoleSeen> {
        let columns = batch.columns();
        let each = self.0.iter().filter_map(|role| {
            let text = text_at(batch, role.text);
            let typed = role.typed.and_then(|slot| typed(columns.column(slot)));
            let value = typed.or_else(|| {
                let text = text.as_ref().filter(|_| role.typed.is_none())?;
                Some(String::from_utf8_lossy(text).into_owned())
            })?;
            let origin = match columns.column(role.text) {
                Column::Same(_) => Origin::Metadata,
                Column::Text(cells) if cells[0].is_present() => {
                    let span = cells[0].range();
                    let field = fields.iter().find(|f| f.span.as_ref() == Some(&span));
                    field.map_or(Origin::Format, |field| Origin::Field(field.name.clone()))
                }
                _ => Origin::Format,
            };
            Some(RoleSeen {
                role: role.role,
                value,
                origin,
            })
        });
        each.collect()
    }
}

fn typed(column: &Column) -> Option<String> {
    match column {
        Column::Level(values) if values[0] != Level::ABSENT.0 => {
            Some(Level(values[0]).name().to_owned())
        }
        Column::Time(values) if values[0] != Timestamp::ABSENT.0 => {
            let mut text = Vec::new();
            Timestamp(values[0]).write_rfc3339(&mut text);
            String::from_utf8(text).ok()
        }
        _ => None,
    }
}

/// The fields of a batch's one event, whose line has the format `format`.
pub(super) fn fields(batch: &Batch, format: &str) -> Vec<FieldSeen> {
    let mut found = Vec::new();
    let failed = batch.columns().failed().contains(0);
    flatten(batch, &mut found);
    let mut needs = super::fields_only();
    let slots: Vec<_> = found
        .iter()
        .map(|(path, _)| needs.slot(path, ColumnKind::Text))
        .collect();
    let format = if failed { "raw" } else { format };
    let columns = super::formats(format, &needs).map(|formats| read(&formats, batch));
    let each = found.into_iter().zip(slots).map(|((path, value), slot)| {
        let span = columns.as_ref().and_then(|columns| {
            let Column::Text(cells) = columns.column(slot) else {
                return None;
            };
            cells[0].is_present().then(|| cells[0].range())
        });
        FieldSeen {
            name: name(&path),
            value,
            span,
        }
    });
    each.collect()
}

/// A change that a `with` list made to a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The field.
    pub field: String,
    /// What it was; none if it was not there.
    pub from: Option<serde_json::Value>,
    /// What it is; none if it is gone.
    pub to: Option<serde_json::Value>,
}

/// What is different in the one event of `after`.
pub(super) fn changes(before: &Batch, after: &Batch) -> Vec<Change> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    flatten(before, &mut old);
    flatten(after, &mut new);
    let find = |all: &[(Path, serde_json::Value)], path: &Path| {
        let found = all.iter().find(|(known, _)| known == path);
        found.map(|(_, value)| value.clone())
    };
    let added = new.iter().filter(|(path, _)| find(&old, path).is_none());
    let changes = old.iter().chain(added).map(|(path, _)| Change {
        field: name(path),
        from: find(&old, path),
        to: find(&new, path),
    });
    changes.filter(|change| change.from != change.to).collect()
}

fn name(path: &Path) -> String {
    path.to_string().trim_start_matches('.').to_owned()
}

/// The fields that JSON output would have.
fn flatten(batch: &Batch, found: &mut Vec<(Path, serde_json::Value)>) {
    let encoder = Encoder::build("json", Options::default(), &mut Needs::default());
    let mut output = Vec::new();
    if let Ok(mut encoder) = encoder {
        encoder.encode_row(batch, 0, &mut output);
    }
    if let Ok(serde_json::Value::Object(tree)) = serde_json::from_slice(&output) {
        collect(&mut Vec::new(), &tree, found);
    }
}

/// As deep as JSON may be nested at all, which the parser has checked.
fn collect(
    parts: &mut Vec<Box<str>>,
    tree: &serde_json::Map<String, serde_json::Value>,
    found: &mut Vec<(Path, serde_json::Value)>,
) {
    for (key, value) in tree {
        if found.len() >= FIELDS_MAX {
            return;
        }
        parts.push(key.as_str().into());
        match value {
            serde_json::Value::Object(inner) if !inner.is_empty() => collect(parts, inner, found),
            value => found.push((Path::new(parts.clone(), true), value.clone())),
        }
        parts.pop();
    }
}

fn read(formats: &Formats, batch: &Batch) -> Columns {
    let mut columns = Columns::default();
    columns.set_joined(batch.columns().joined());
    let mut reader = formats.reader();
    reader.read(batch.observed, batch.text(), batch.ends(), &mut columns);
    columns
}

/// Whether a format reads the batch's one line, in a way of its own.
pub(super) fn reads(formats: &Formats, batch: &Batch) -> bool {
    let columns = read(formats, batch);
    // Formats whose lines can be JSON too read a JSON line just as `json` does.
    let same = columns.json().contains(0) && batch.columns().json().contains(0);
    !columns.failed().contains(0) && !same
}
