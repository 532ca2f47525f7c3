//! The terms of a `with` list, and why events leave one.

/// Why a `with` list takes an event out, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `sample` did not choose it.
    Sample,
    /// `limit` was over its rate.
    Limit,
    /// `dedupe` has seen its like.
    Dedupe,
}

impl Reason {
    /// Every reason, in the order of [`WithTerms::filtered`].
    pub const ALL: [Reason; 3] = [Reason::Sample, Reason::Limit, Reason::Dedupe];

    /// What metrics and reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Sample => "sample",
            Reason::Limit => "limit",
            Reason::Dedupe => "dedupe",
        }
    }
}

/// What became of the events that entered one `with` list:
/// `entered + made = Σ filtered + merged + held + returned + dropped + out`.
///
/// As part of a transfer, `merged` are events that were held until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithTerms {
    /// Events that came in.
    pub entered: u64,
    /// Events created.
    pub made: u64,
    /// Of them, those that were complete only because of a bound. Not a term of
    /// the equation.
    pub cut: u64,
    /// Events taken out, by [`Reason`].
    pub filtered: [u64; Reason::ALL.len()],
    /// Events that went into others.
    pub merged: u64,
    /// Events that wait in a transform.
    pub held: u64,
    /// Events that were held and that their source sends again.
    pub returned: u64,
    /// Events that were held when a stage failed.
    pub dropped: u64,
    /// Events that went on.
    pub out: u64,
}

impl WithTerms {
    /// Counts events that were taken out.
    pub fn filter(&mut self, reason: Reason, events: u64) {
        self.filtered[reason as usize] += events;
    }

    /// Events taken out, for whatever reason.
    #[must_use]
    pub fn filtered_total(&self) -> u64 {
        self.filtered.iter().sum()
    }

    /// Whether no event ever came in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entered + self.made == 0
    }

    /// Whether the equation holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        let gone = self.filtered_total() + self.merged + self.held;
        self.entered + self.made == gone + self.returned + self.dropped + self.out
    }

    /// Held events go: their holder failed.
    pub(super) fn let_go(&mut self, events: u64, returned: u64) {
        self.held -= events;
        self.returned += returned;
        self.dropped += events - returned;
    }

    /// Adds the terms of one batch.
    pub(super) fn add(&mut self, other: &WithTerms) {
        self.entered += other.entered;
        self.made += other.made;
        self.cut += other.cut;
        for (mine, more) in self.filtered.iter_mut().zip(other.filtered) {
            *mine += more;
        }
        self.merged += other.merged;
        self.held += other.held;
        self.held -= other.merged;
        self.returned += other.returned;
        self.dropped += other.dropped;
        self.out += other.out;
    }
}

/// Whose `with` list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The batch's source.
    Source,
    /// A route, by its place in the plan.
    Route(usize),
    /// A sink, by its place in the plan.
    Sink(usize),
}
