//! The `buffer` of a sink: what waits for it in memory and on disk.

use super::component::Places;
use super::diagnostic::Diagnostic;
use super::document::Node;
use super::keys::{self, nearest};
use super::plan::Planner;
use super::read::Reader;
use super::{BufferConfig, Config, SinkConfig};
use crate::buffer::disk::Compression;
use crate::component::ByteSize;
use crate::pipeline::{DiskBuffer, Fsync};
use crate::seam::{StateDirectory, World};

/// The least that a buffer on disk may take: room for the largest batches.
const DISK_MIN: ByteSize = ByteSize(8 << 20);

impl Reader<'_> {
    pub(super) fn buffer(&mut self, sink: &str, node: Node) -> Option<BufferConfig> {
        let place = node.place.clone();
        let what = format!("the buffer of sink `{sink}`");
        let mut fields = self.map(&what, node, keys::BUFFER)?;
        let memory = self.size(&mut fields, "memory");
        let disk = self.size(&mut fields, "disk");
        let mut word = |key, words| {
            let node = fields.take(key)?;
            self.word(key, &node, words)
        };
        let (fsync, compression) = (
            word("fsync", keys::FSYNC),
            word("compression", keys::BUFFER_COMPRESSION),
        );
        if disk.is_none() && (fsync.is_some() || compression.is_some()) {
            let message = format!("{what} is in memory: nothing of it is synced or compressed");
            let error = Diagnostic::error("config::buffer", message).at(&place);
            self.errors
                .push(error.help("add `disk`, such as `disk: 2GiB`"));
        }
        Some(BufferConfig {
            memory,
            disk,
            fsync: match fsync {
                Some("interval") => Fsync::Interval,
                _ => Fsync::Ack,
            },
            compression: match compression {
                Some("zstd") => Compression::Zstd,
                _ => Compression::None,
            },
        })
    }

    /// One of the words that a key takes.
    pub(super) fn word(
        &mut self,
        key: &str,
        node: &Node,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        let text = self.text(key, node)?;
        let found = words.iter().find(|word| **word == text.value);
        if found.is_none() {
            let near = nearest(&text.value, words.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let help = format!("{near}valid are {}", words.join(", "));
            let message = format!("`{key}` must be one of its words");
            let error = Diagnostic::error("config::value", message).at(&text.place);
            self.errors.push(error.help(help));
        }
        found.copied()
    }
}

/// The state directory, if disk buffers lie there that an earlier config had: the
/// plan names them, whether it keeps state itself or not.
pub(super) fn left_behind(config: &Config, world: &World) -> Option<StateDirectory> {
    let path = &config.state.as_ref()?.value;
    let state = || StateDirectory::new(path, world.disk.clone());
    path.join(StateDirectory::BUFFERS).is_dir().then(state)
}

impl Planner<'_> {
    /// The sink's buffer on disk, if it is to have one.
    pub(super) fn disk_buffer(&mut self, sink: &SinkConfig) -> Option<DiskBuffer> {
        let disk = sink.buffer.disk?;
        let mut refuse = |message: String, help: &str| {
            let place = Places::of(&sink.places, Some("buffer.disk"));
            let error = Diagnostic::error("buffer", message).at(place);
            self.errors.push(error.help(help.to_owned()));
        };
        if disk < DISK_MIN {
            refuse(
                format!("the disk buffer of sink `{}` is too small", sink.name),
                "give it 8MiB or more: what fills it is to be worth the files",
            );
        }
        if self.config.state.is_none() {
            refuse(
                format!(
                    "sink `{}` has a disk buffer, and there is no state directory for it",
                    sink.name
                ),
                "write `state: /var/lib/tflog`, or set TFLOG_STATE",
            );
        }
        self.state()?;
        Some(DiskBuffer {
            bytes_max: disk.0,
            fsync: sink.buffer.fsync,
            compression: sink.buffer.compression,
        })
    }
}
