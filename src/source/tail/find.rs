//! Which files there are: patterns against directories, whole or one new name
//! at a time.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::glob::{Part, Pattern};
use crate::seam::Files;

/// Directories below each other that `**` goes down: deeper trees hold no logs.
const DEPTH_MAX: usize = 64;

/// The part of a pattern that names in a directory are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pattern: usize,
    part: usize,
    depth: usize,
}

/// Hears of what is found.
pub(super) trait Visit {
    /// Where to look.
    fn files(&self) -> &dyn Files;

    /// A directory in which new names may matter.
    fn directory(&mut self, path: &Path, place: Place);

    /// A path that is meant, whatever stands there.
    fn file(&mut self, path: PathBuf);

    /// A directory that cannot be looked into.
    fn refused(&mut self, path: &Path, error: &io::Error);
}

/// Patterns of files.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    pub(super) patterns: Vec<Pattern>,
    pub(super) exclude: Vec<Pattern>,
}

impl Finder {
    /// Visits everything that is there now.
    pub(super) fn all(&self, visit: &mut impl Visit) {
        for (pattern, Pattern { root, .. }) in self.patterns.iter().enumerate() {
            let place = Place {
                pattern,
                part: 0,
                depth: 0,
            };
            self.descend(root, place, visit);
        }
    }

    /// Whether a path is one of those that are meant.
    pub(super) fn means(&self, path: &Path) -> bool {
        let covers = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.covers(path));
        covers(&self.patterns) && !covers(&self.exclude)
    }

    /// Visits what a new name in a visited directory leads to.
    pub(super) fn enter(
        &self,
        directory: &Path,
        place: Place,
        name: &OsStr,
        visit: &mut impl Visit,
    ) {
        let path = directory.join(name);
        match &self.patterns[place.pattern].parts[place.part] {
            // The directory itself was visited for the next part too.
            Part::Any if Part::Any.matches(name) && visit.files().is_real_directory(&path) => {
                self.deeper(&path, place, visit);
            }
            Part::Any => {}
            part if part.matches(name) => self.reach(path, place, visit),
            _ => {}
        }
    }

    fn descend(&self, directory: &Path, place: Place, visit: &mut impl Visit) {
        let part = &self.patterns[place.pattern].parts[place.part];
        if let Part::Name(name) = part {
            let path = directory.join(name);
            if self.is_last(place) || !is_directory(visit.files(), &path) {
                visit.directory(directory, place);
            }
            return self.reach(path, place, visit);
        }
        visit.directory(directory, place);
        if *part == Part::Any {
            self.descend(directory, self.next(place), visit);
        }
        let entries = match visit.files().list(directory) {
            Ok(entries) => entries,
            Err(error) => {
                let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
                if !gone.contains(&error.kind()) {
                    visit.refused(directory, &error);
                }
                return;
            }
        };
        for (name, is_directory) in entries {
            match part {
                Part::Any if part.matches(&name) && is_directory => {
                    self.deeper(&directory.join(name), place, visit);
                }
                Part::Any => {}
                part if part.matches(&name) => self.reach(directory.join(name), place, visit),
                _ => {}
            }
        }
    }

    /// One more directory down, at the same part.
    fn deeper(&self, directory: &Path, place: Place, visit: &mut impl Visit) {
        if place.depth < DEPTH_MAX {
            let depth = place.depth + 1;
            self.descend(directory, Place { depth, ..place }, visit);
        }
    }

    fn reach(&self, path: PathBuf, place: Place, visit: &mut impl Visit) {
        if !self.is_last(place) {
            if is_directory(visit.files(), &path) {
                self.descend(&path, self.next(place), visit);
            }
        } else if !self.exclude.iter().any(|exclude| exclude.covers(&path)) {
            visit.file(path);
        }
    }

    fn is_last(&self, place: Place) -> bool {
        place.part + 1 == self.patterns[place.pattern].parts.len()
    }

    fn next(&self, place: Place) -> Place {
        // The last part is never `**`.
        debug_assert!(!self.is_last(place));
        Place {
            part: place.part + 1,
            ..place
        }
    }
}

fn is_directory(files: &dyn Files, path: &Path) -> bool {
    files.facts(path).is_ok_and(|facts| facts.is_directory())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Default)]
    struct Seen {
        files: BTreeSet<PathBuf>,
        directories: Vec<(PathBuf, Place)>,
    }

    impl Visit for Seen {
        fn files(&self) -> &dyn Files {
            &crate::seam::RealFiles
        }
        fn directory(&mut self, path: &Path, place: Place) {
            self.directories.push((path.to_path_buf(), place));
        }
        fn file(&mut self, path: PathBuf) {
            assert!(self.files.insert(path), "each once");
        }
        fn refused(&mut self, path: &Path, error: &io::Error) {
            panic!("{}: {error}", path.display());
        }
    }

    fn finder(pattern: &str, exclude: &[&str]) -> Finder {
        Finder {
            patterns: vec![Pattern::parse(pattern).unwrap()],
            exclude: exclude.iter().map(|e| Pattern::parse(e).unwrap()).collect(),
        }
    }

    /// Whatever the order in which names appear, `enter` finds what `all` does.
    #[test]
    fn new_names_are_found_as_if_they_had_been_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let paths = [
            "a/x.log",
            "a/b/y.log",
            "a/b/c/z.log",
            "a/b/c/z.txt",
            "a/.h/x.log",
        ];
        let pattern = format!("{}/a/**/[xyz].*", root.display());
        let finder = finder(&pattern, &["*.txt"]);
        let mut seen = Seen::default();
        finder.all(&mut seen);
        assert!(seen.files.is_empty());
        for path in paths {
            let mut at = root.to_path_buf();
            for name in Path::new(path) {
                let directory = at.clone();
                at.push(name);
                if at.exists() {
                    continue;
                }
                if at.extension().is_some() {
                    std::fs::write(&at, "x").unwrap();
                } else {
                    std::fs::create_dir(&at).unwrap();
                }
                let watched = seen.directories.iter().filter(|d| d.0 == directory);
                for (directory, place) in watched.cloned().collect::<Vec<_>>() {
                    finder.enter(&directory, place, name, &mut seen);
                }
            }
        }
        let expected = ["a/x.log", "a/b/y.log", "a/b/c/z.log"].map(|path| root.join(path));
        assert_eq!(seen.files, BTreeSet::from(expected.clone()));
        let mut again = Seen::default();
        finder.all(&mut again);
        assert_eq!(again.files, BTreeSet::from(expected));
    }
}
