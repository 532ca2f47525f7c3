//! Headers of segments and records, byte by byte; the specification is in
//! [`super`].

use std::ops::Range;

/// The format that is written, and the only one that is read.
pub(super) const VERSION: u16 = 1;
/// A sector is written by a disk wholly or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// Two copies of the header, each in a sector of its own.
pub(super) const SEGMENT_HEADER_BYTES: usize = 2 * SECTOR_BYTES;
/// Bytes before a record's body.
pub(super) const RECORD_HEADER_BYTES: usize = 48;
/// The most a record's body may have: far more than a batch ever has, and its
/// places fit 32 bits.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 30;

const SEGMENT_MAGIC: [u8; 8] = *b"tflogseg";
/// Never part of UTF-8 text, so that looking for it rarely stops in a body.
pub(super) const RECORD_MAGIC: [u8; 4] = [0xf5, b't', b'f', 0xff];

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Its number, which is its file's name too.
    pub(super) id: u64,
    /// Where checksums of its records start, random: neither text that holds a
    /// record nor a stale block of another segment passes for one of its own.
    pub(super) salt: u32,
    /// The place of its first record.
    pub(super) first: Place,
    /// Up to where all was settled when it was made.
    pub(super) settled: Place,
}

/// A place between two records: the number of the next one, and of its first
/// event. Both count from the beginning of the log, so that what is between two
/// places is a subtraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) event: u64,
}

impl Place {
    /// Where a log begins.
    pub(super) const START: Place = Place { seq: 1, event: 0 };

    /// The place behind the record here, if it has so many events.
    pub(super) fn after(self, events: u32) -> Place {
        Place {
            seq: self.seq + 1,
            event: self.event + u64::from(events),
        }
    }
}

/// What stands in a header's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked<T> {
    /// What was written.
    Whole(T),
    /// Ours, of another version.
    Version(u16),
    /// Ours, and not as it was written.
    Damaged,
    /// Nothing yet, or the beginning of something of ours.
    Blank,
    /// Something else.
    Foreign,
}

/// Writes numbers one after another.
pub(super) struct Writer<'a>(pub(super) &'a mut [u8], pub(super) usize);

impl Writer<'_> {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
}

/// Reads numbers one after another; `None` past the end.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn place(&mut self) -> Option<Place> {
        Some(Place {
            seq: self.u64()?,
            event: self.u64()?,
        })
    }
}

/// A block that begins with a magic and the version and ends with a checksum of
/// all before: what every version has in common.
pub(super) fn seal(block: &mut [u8], magic: [u8; 8]) {
    block[..8].copy_from_slice(&magic);
    block[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let end = block.len() - 4;
    let sum = crc32c::crc32c(&block[..end]);
    block[end..].copy_from_slice(&sum.to_le_bytes());
}

/// What follows magic and version in a block made by [`seal`].
pub(super) fn unseal(block: &[u8], magic: [u8; 8]) -> Checked<Fields<'_>> {
    let start = &block[..block.len().min(8)];
    if start != magic {
        let same = |(a, b): &(&u8, u8)| **a == *b;
        let begun = start.iter().zip(magic).take_while(same).count();
        return if start[begun..].iter().all(|&b| b == 0) {
            Checked::Blank
        } else if start.iter().zip(magic).filter(same).count() > magic.len() / 2 {
            Checked::Damaged
        } else {
            Checked::Foreign
        };
    }
    let Some((whole, sum)) = block.split_last_chunk::<4>() else {
        return Checked::Damaged;
    };
    if whole.len() < 12 || crc32c::crc32c(whole) != u32::from_le_bytes(*sum) {
        return Checked::Damaged;
    }
    match u16::from_le_bytes([block[8], block[9]]) {
        VERSION => Checked::Whole(Fields(&whole[12..])),
        other => Checked::Version(other),
    }
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        for sector in bytes.chunks_exact_mut(SECTOR_BYTES) {
            let mut writer = Writer(sector, 12);
            writer.put(&self.salt.to_le_bytes());
            writer.put(&self.id.to_le_bytes());
            for place in [self.first, self.settled] {
                writer.put(&place.seq.to_le_bytes());
                writer.put(&place.event.to_le_bytes());
            }
            seal(sector, SEGMENT_MAGIC);
        }
        bytes
    }

    fn decode(fields: &mut Fields<'_>) -> Option<SegmentHeader> {
        Some(SegmentHeader {
            salt: fields.u32()?,
            id: fields.u64()?,
            first: fields.place()?,
            settled: fields.place()?,
        })
    }

    /// What the beginning of a segment says, and whether both copies do.
    pub(super) fn check(bytes: &[u8]) -> (Checked<SegmentHeader>, bool) {
        if bytes.len() < SEGMENT_HEADER_BYTES {
            // Cut off while it was made, if it is ours at all.
            let foreign = matches!(unseal(bytes, SEGMENT_MAGIC), Checked::Foreign);
            let blank = if foreign {
                Checked::Foreign
            } else {
                Checked::Blank
            };
            return (blank, false);
        }
        let mut copies = bytes.chunks_exact(SECTOR_BYTES).take(2).map(|sector| {
            match unseal(sector, SEGMENT_MAGIC) {
                Checked::Whole(mut fields) => match SegmentHeader::decode(&mut fields) {
                    Some(header) => Checked::Whole(header),
                    None => Checked::Damaged,
                },
                Checked::Version(other) => Checked::Version(other),
                Checked::Damaged => Checked::Damaged,
                Checked::Blank => Checked::Blank,
                Checked::Foreign => Checked::Foreign,
            }
        });
        let (Some(a), Some(b)) = (copies.next(), copies.next()) else {
            return (Checked::Blank, false);
        };
        match (a, b) {
            (Checked::Whole(_), b) => (a, a == b),
            // One copy that is ours makes the file ours.
            (_, Checked::Whole(_) | Checked::Version(_))
            | (Checked::Foreign | Checked::Blank, Checked::Damaged) => (b, false),
            (Checked::Foreign, _) | (Checked::Blank, Checked::Foreign) => (Checked::Foreign, false),
            _ => (a, false),
        }
    }
}

/// What precedes a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) place: Place,
    pub(super) events: u32,
    /// Bytes of the body as it is stored.
    pub(super) stored_bytes: u32,
    /// Bytes of the body once decompressed.
    pub(super) body_bytes: u32,
    pub(super) body_sum: u32,
    pub(super) coding: u8,
    /// How many of the records right before it were not known as durable when it
    /// was written, and one; 0: that is not told.
    pub(super) unsynced: u32,
}

impl RecordHeader {
    /// All records before this one were durable when it was written.
    pub(super) fn durable(&self) -> u64 {
        match self.unsynced {
            0 => 0,
            unsynced => (self.place.seq + 1).saturating_sub(unsynced.into()),
        }
    }

    pub(super) fn encode(&self, salt: u32, into: &mut [u8]) {
        let mut writer = Writer(into, 8);
        writer.put(&self.place.seq.to_le_bytes());
        writer.put(&self.place.event.to_le_bytes());
        for number in [
            self.events,
            self.stored_bytes,
            self.body_bytes,
            self.body_sum,
        ] {
            writer.put(&number.to_le_bytes());
        }
        writer.put(&[self.coding, 0, 0, 0]);
        writer.put(&self.unsynced.to_le_bytes());
        into[..4].copy_from_slice(&RECORD_MAGIC);
        let sum = crc32c::crc32c_append(salt, &into[8..RECORD_HEADER_BYTES]);
        into[4..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// What stands at the beginning of `bytes`, if it is a header.
    pub(super) fn decode(salt: u32, bytes: &[u8]) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES)?;
        let mut fields = Fields(bytes);
        if fields.array()? != RECORD_MAGIC
            || fields.u32()? != crc32c::crc32c_append(salt, &bytes[8..])
        {
            return None;
        }
        let header = RecordHeader {
            place: fields.place()?,
            events: fields.u32()?,
            stored_bytes: fields.u32()?,
            body_bytes: fields.u32()?,
            body_sum: fields.u32()?,
            coding: fields.array::<4>()?[0],
            unsynced: fields.u32()?,
        };
        Some(header)
    }

    /// Bytes of the record.
    pub(super) fn bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.stored_bytes)
    }
}

/// Makes the records of one segment those of another with its own salt.
pub(super) fn reseal(mut records: &mut [u8], old_salt: u32, new_salt: u32) {
    while let Some(mut header) = RecordHeader::decode(old_salt, records) {
        let Some((record, rest)) = records.split_at_mut_checked(header.bytes() as usize) else {
            return;
        };
        let body: Range<usize> = RECORD_HEADER_BYTES..record.len();
        header.body_sum = crc32c::crc32c_append(new_salt, &record[body]);
        header.encode(new_salt, record);
        records = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            id: 3,
            salt: 0xfeed,
            first: Place { seq: 7, event: 90 },
            settled: Place { seq: 5, event: 60 },
        }
    }

    #[test]
    fn one_copy_of_a_segment_header_is_enough() {
        let bytes = header().encode();
        let whole = Checked::Whole(header());
        assert_eq!(SegmentHeader::check(&bytes), (whole, true));
        for at in 0..bytes.len() {
            let mut bytes = bytes;
            bytes[at] ^= 0x40;
            assert_eq!(SegmentHeader::check(&bytes), (whole, false), "{at}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_segment_says_so() {
        let of = |bytes: &[u8]| SegmentHeader::check(bytes).0;
        assert_eq!(of(&[]), Checked::Blank);
        assert_eq!(of(&[0; 4096]), Checked::Blank);
        assert_eq!(of(&header().encode()[..700]), Checked::Blank);
        assert_eq!(of(b"some other file"), Checked::Foreign);
        assert_eq!(of(&[b'x'; 4096]), Checked::Foreign);
        let mut bytes = header().encode();
        bytes[20] ^= 1;
        bytes[532] ^= 1;
        assert_eq!(of(&bytes), Checked::Damaged);
        for sector in bytes.chunks_exact_mut(SECTOR_BYTES) {
            sector[8] = 2;
            let sum = crc32c::crc32c(&sector[..508]);
            sector[508..].copy_from_slice(&sum.to_le_bytes());
        }
        assert_eq!(of(&bytes), Checked::Version(2));
    }

    #[test]
    fn a_record_header_bears_no_flip_and_no_other_salt() {
        let header = RecordHeader {
            place: Place { seq: 9, event: 100 },
            events: 4,
            stored_bytes: 5,
            body_bytes: 6,
            body_sum: 7,
            coding: 1,
            unsynced: 3,
        };
        let mut bytes = [0; RECORD_HEADER_BYTES];
        header.encode(11, &mut bytes);
        assert_eq!(RecordHeader::decode(11, &bytes), Some(header));
        assert_eq!(RecordHeader::decode(12, &bytes), None);
        assert_eq!(header.durable(), 7);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert_eq!(RecordHeader::decode(11, &bytes), None, "{at}");
                bytes[at] ^= 1 << bit;
            }
        }
    }
}
