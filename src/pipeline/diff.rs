//! What a reload changes: the running components beside the planned ones.

use std::collections::HashMap;

/// What becomes of a planned component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs already, as it is written: it lives on.
    Kept(usize),
    /// One of its name runs and is written otherwise: it takes its place.
    Replaces(usize),
    /// None of its name runs.
    Added,
}

impl Fate {
    /// The place of the running one that lives on.
    pub(super) fn kept(self) -> Option<usize> {
        match self {
            Fate::Kept(at) => Some(at),
            Fate::Replaces(_) | Fate::Added => None,
        }
    }
}

/// A component's name, and a hash of what is written of it.
pub(super) type Printed<'a> = (&'a str, u128);

/// The fate of each planned component, and the places of the running ones that
/// are in the plan no more.
pub(super) fn compare(running: &[Printed<'_>], planned: &[Printed<'_>]) -> (Vec<Fate>, Vec<usize>) {
    let mut left: HashMap<&str, (usize, u128)> = running
        .iter()
        .enumerate()
        .map(|(at, &(name, print))| (name, (at, print)))
        .collect();
    let fates = planned
        .iter()
        .map(|&(name, print)| match left.remove(name) {
            Some((at, same)) if same == print => Fate::Kept(at),
            Some((at, _)) => Fate::Replaces(at),
            None => Fate::Added,
        });
    let fates = fates.collect();
    let mut removed: Vec<usize> = left.into_values().map(|(at, _)| at).collect();
    removed.sort_unstable();
    (fates, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_who_lives_on_and_prints_as_what() {
        let running = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
        let planned = [("d", 4), ("e", 5), ("b", 9)];
        let (fates, removed) = compare(&running, &planned);
        assert_eq!(fates, [Fate::Kept(3), Fate::Added, Fate::Replaces(1)]);
        assert_eq!(removed, [0, 2]);
        assert_eq!(compare(&[], &[]), (vec![], vec![]));
        let (fates, removed) = compare(&running, &running);
        assert_eq!(fates, [0, 1, 2, 3].map(Fate::Kept));
        assert_eq!(removed, [0; 0]);
    }
}
