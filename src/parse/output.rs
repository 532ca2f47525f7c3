//! Where a value goes once it is found: into the columns that the plan wants
//! it for, and into the row's field list.

use std::sync::Arc;

use super::pairs::is_number;
use crate::event::time::{Layout, any_prefix};
use crate::event::{Cell, Columns, Defs, Field, FieldKind, Level, Needs, Path, Role, Timestamp};

/// One named value of a format.
#[derive(Clone, Debug)]
pub(super) struct Output {
    def: u32,
    slots: Box<[usize]>,
}

impl Output {
    /// The value `name` (dotted where nested) with the role it has, if any.
    pub(super) fn new(
        name: &str,
        role: Option<Role>,
        layout: Option<Arc<Layout>>,
        needs: &Needs,
        defs: &mut Defs,
    ) -> Output {
        let feeds = |path: &Path| match path.role() {
            Some(wanted) => role == Some(wanted),
            None => path.dotted() == name,
        };
        let slots = needs.columns.iter().enumerate();
        Output {
            def: defs.add(name, role, layout),
            slots: slots
                .filter(|(_, n)| feeds(&n.path))
                .map(|(slot, _)| slot)
                .collect(),
        }
    }

    /// Whether nobody wants it when field lists are not wanted.
    pub(super) fn has_columns(&self) -> bool {
        !self.slots.is_empty()
    }

    /// The columns that want it.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Writes it to its columns.
    #[inline]
    pub(super) fn put(&self, out: &mut Columns, row: usize, text: &[u8], cell: Cell) {
        for &slot in &self.slots {
            out.put(slot, row, text, cell);
        }
    }

    /// Writes a time to its columns: as it was read where a time is wanted.
    #[inline]
    pub(super) fn put_time(
        &self,
        out: &mut Columns,
        row: usize,
        text: &[u8],
        cell: Cell,
        time: Timestamp,
    ) {
        for &slot in &self.slots {
            out.put(slot, row, text, cell);
            out.put_time(slot, row, time);
        }
    }

    /// Writes a level that stands in no span.
    pub(super) fn put_level(&self, out: &mut Columns, row: usize, level: Level) {
        for &slot in &self.slots {
            out.put_level(slot, row, level);
        }
    }

    /// Writes a number that stands in no span.
    pub(super) fn put_number(&self, out: &mut Columns, row: usize, number: u32) {
        for &slot in &self.slots {
            if let crate::event::Column::Number(values) = out.column_mut(slot) {
                values[row] = f64::from(number);
            }
        }
    }

    /// Writes plain text to columns and, if wanted, to the field list.
    #[inline]
    pub(super) fn text(
        &self,
        out: &mut Columns,
        row: usize,
        text: &[u8],
        start: usize,
        end: usize,
    ) {
        self.put(out, row, text, Cell::new(start, end));
        if out.wants_fields() {
            out.push_field(self.field(FieldKind::Text, start, end));
        }
    }

    /// Its entry for a field list.
    #[inline]
    pub(super) fn field(&self, kind: FieldKind, start: usize, end: usize) -> Field {
        Field::new(self.def, kind, start, end)
    }

    /// Its entry for a field list, of a level that stands in no span.
    pub(super) fn level_field(&self, level: Level) -> Field {
        Field::level(self.def, level)
    }

    /// Its entry for a field list, of a number that stands in no span.
    pub(super) fn integer_field(&self, value: u32) -> Field {
        Field::integer(self.def, value)
    }

    /// The index of its definition.
    pub(super) fn def(&self) -> u32 {
        self.def
    }
}

/// The time in each of several layouts, as the value `timestamp`.
pub(super) fn times(
    layouts: &[&str],
    needs: &Needs,
    defs: &mut Defs,
) -> Box<[(Arc<Layout>, Output)]> {
    let compiled = layouts.iter().filter_map(|l| Layout::compile(l).ok());
    let times = compiled.map(Arc::new).map(|layout| {
        let role = Some(Role::Timestamp);
        let output = Output::new("timestamp", role, Some(layout.clone()), needs, defs);
        (layout, output)
    });
    times.collect()
}

/// A value whose name is known only from a header or an expression.
#[derive(Clone, Debug)]
pub(super) struct Value {
    output: Output,
    is_time: bool,
}

impl Value {
    /// Writes `text[span]`: a time, a number unless it was quoted, or text.
    pub(super) fn put(
        &self,
        out: &mut Columns,
        row: usize,
        text: &[u8],
        span: std::ops::Range<usize>,
        quoted: bool,
        reference: Timestamp,
    ) {
        let bytes = &text[span.clone()];
        let cell = Cell::new(span.start, span.end);
        let mut kind = FieldKind::Text;
        if self.is_time {
            match any_prefix(bytes, reference) {
                Some((time, len, _)) if len == bytes.len() => {
                    self.output.put_time(out, row, text, cell, time);
                    kind = FieldKind::Time;
                }
                _ => self.output.put(out, row, text, cell),
            }
        } else {
            self.output.put(out, row, text, cell);
            if !quoted && is_number(bytes) {
                kind = FieldKind::Number;
            }
        }
        if out.wants_fields() {
            out.push_field(self.output.field(kind, span.start, span.end));
        }
    }
}

/// The values called `names`, each with its place among them: in output order,
/// and of two with one role the stronger name has it. Names that are empty or
/// were there before are left out.
pub(super) fn values(names: &[&str], needs: &Needs, defs: &mut Defs) -> Vec<(usize, Value)> {
    let layout = Layout::compile("%*").ok().map(Arc::new);
    let strongest = |role: Role| {
        let ranks = names.iter().filter_map(|n| role_of(n));
        ranks
            .filter(|(other, _)| *other == role)
            .map(|(_, rank)| rank)
            .min()
    };
    let mut order: Vec<(usize, usize)> = Vec::new();
    let mut all: Vec<Option<Value>> = Vec::new();
    for (place, &name) in names.iter().enumerate() {
        let usable = !name.is_empty() && !name.split('.').any(str::is_empty);
        if !usable || names[..place].contains(&name) {
            all.push(None);
            continue;
        }
        let role = role_of(name).filter(|(role, rank)| strongest(*role) == Some(*rank));
        let role = role.map(|(role, _)| role);
        let is_time = role == Some(Role::Timestamp);
        let layout = layout.clone().filter(|_| is_time);
        all.push(Some(Value {
            output: Output::new(name, role, layout, needs, defs),
            is_time,
        }));
        // `Role::ALL` begins with the roles that are written first.
        order.push((role.map_or(3, |role| (role as usize).min(3)), place));
    }
    order.sort_unstable();
    let ordered = order.into_iter();
    ordered
        .filter_map(|(_, place)| Some((place, all[place].take()?)))
        .collect()
}

/// The role that a field name means and how strongly (0 is strongest).
pub(super) fn role_of(name: &str) -> Option<(Role, usize)> {
    Role::ALL.into_iter().find_map(|role| {
        let rank = role.aliases().iter().position(|alias| *alias == name)?;
        Some((role, rank))
    })
}
