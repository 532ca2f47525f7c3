//! Content codings: gzip (RFC 1952), deflate (zlib, RFC 1950, and the bare
//! RFC 1951 that some clients send), zstd (RFC 8878).
//!
//! Decoding is incremental into memory of a fixed size, so that a bomb costs
//! time up to the limit on decompressed bytes, and never memory.

use flate2::{Decompress, FlushDecompress, Status};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

use super::answer::Problem;

/// The largest zstd window, as RFC 9659 has it for HTTP: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Members of a gzip body, or frames of a zstd body: each costs a new state.
const MEMBERS_MAX: u32 = 10_000;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Coding {
    /// What the head says; one coding at most.
    pub(super) fn of(headers: &HeaderMap) -> Result<Coding, Problem> {
        let mut found = Coding::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().unwrap_or("?").split(',') {
                let name = name.trim().to_ascii_lowercase();
                let coding = match name.as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Coding::Gzip,
                    "deflate" => Coding::Deflate,
                    "zstd" => Coding::Zstd,
                    _ => return Err(unsupported()),
                };
                if found != Coding::Identity {
                    return Err(unsupported());
                }
                found = coding;
            }
        }
        Ok(found)
    }
}

fn unsupported() -> Problem {
    Problem::new(
        hyper::StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Content-Encoding must be one of gzip, zstd, deflate, identity",
    )
}

/// Decodes one body.
pub(super) struct Decoder {
    state: State,
    /// Whether what was read so far could be the whole body.
    complete: bool,
    members: u32,
}

enum State {
    Gzip(Decompress),
    /// Which of the two formats it is shows in the first byte.
    Deflate(Option<Decompress>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// What one call did.
pub(super) struct Decoded {
    /// Bytes of input that are used up.
    pub(super) used: usize,
    /// Whether more output may come without more input.
    pub(super) more: bool,
}

/// The body is not what its header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Corrupt(pub(super) &'static str);

impl From<Corrupt> for Problem {
    fn from(corrupt: Corrupt) -> Problem {
        Problem::malformed(corrupt.0)
    }
}

const BROKEN: Corrupt = Corrupt("the body cannot be decompressed as its Content-Encoding says");
const CUT: Corrupt = Corrupt("the compressed body ends too early");
const TRAILING: Corrupt = Corrupt("bytes follow the end of the compressed body");
const MEMBERS: Corrupt = Corrupt("the compressed body has too many members");

impl Decoder {
    /// A decoder; none for what is not encoded.
    pub(super) fn new(coding: Coding) -> Option<Decoder> {
        let state = match coding {
            Coding::Identity => return None,
            Coding::Gzip => State::Gzip(Decompress::new_gzip(15)),
            Coding::Deflate => State::Deflate(None),
            Coding::Zstd => {
                // Fails only for want of memory; so does all else then.
                let mut decoder = zstd::stream::raw::Decoder::new().ok()?;
                let limit = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
                decoder.set_parameter(limit).ok()?;
                State::Zstd(decoder)
            }
        };
        Some(Decoder {
            state,
            complete: true,
            members: 0,
        })
    }

    /// Decodes from `input` into the spare room of `out`, which is not grown.
    pub(super) fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, Corrupt> {
        match &mut self.state {
            State::Gzip(_) => self.gzip(input, out),
            State::Deflate(_) => self.deflate(input, out),
            State::Zstd(_) => self.zstd(input, out),
        }
    }

    /// Ends the body; an empty one is fine.
    pub(super) fn finish(&self) -> Result<(), Corrupt> {
        if self.complete { Ok(()) } else { Err(CUT) }
    }

    fn next_member(&mut self) -> Result<(), Corrupt> {
        self.members += 1;
        if self.members > MEMBERS_MAX {
            return Err(MEMBERS);
        }
        self.complete = false;
        Ok(())
    }

    fn gzip(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, Corrupt> {
        if self.complete {
            if input.is_empty() {
                return Ok(idle());
            }
            self.next_member()?;
            if self.members > 1 {
                // A body may be several members, one after the other.
                self.state = State::Gzip(Decompress::new_gzip(15));
            }
        }
        let State::Gzip(inflate) = &mut self.state else {
            return Err(BROKEN);
        };
        let (decoded, ended) = step(inflate, input, out)?;
        self.complete = ended;
        Ok(decoded)
    }

    fn deflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, Corrupt> {
        let State::Deflate(inflate) = &mut self.state else {
            return Err(BROKEN);
        };
        let inflate = match (inflate, input.first()) {
            (Some(_), Some(_)) if self.complete => return Err(TRAILING),
            (_, None) if self.complete => return Ok(idle()),
            (Some(inflate), _) => inflate,
            (none @ None, first) => {
                // zlib's first byte says method 8; a bare stream that began so
                // would be a stored block with padding that is not zero.
                let zlib = first.is_some_and(|byte| byte & 0x0f == 8);
                none.insert(Decompress::new(zlib))
            }
        };
        let (decoded, ended) = step(inflate, input, out)?;
        self.complete = ended;
        Ok(decoded)
    }

    fn zstd(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, Corrupt> {
        if self.complete {
            if input.is_empty() {
                return Ok(idle());
            }
            self.next_member()?;
        }
        let State::Zstd(decoder) = &mut self.state else {
            return Err(BROKEN);
        };
        let mut source = InBuffer::around(input);
        let start = out.len();
        let mut target = OutBuffer::around_pos(out, start);
        let hint = decoder.run(&mut source, &mut target).map_err(|_| BROKEN)?;
        let used = source.pos();
        self.complete = hint == 0;
        Ok(Decoded {
            used,
            more: !self.complete && out.len() == out.capacity(),
        })
    }
}

fn idle() -> Decoded {
    Decoded {
        used: 0,
        more: false,
    }
}

/// One step of inflating; also whether the stream has ended.
fn step(
    inflate: &mut Decompress,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(Decoded, bool), Corrupt> {
    let before = (inflate.total_in(), out.len());
    let status = inflate.decompress_vec(input, out, FlushDecompress::None);
    let status = status.map_err(|_| BROKEN)?;
    let used = (inflate.total_in() - before.0) as usize;
    let ended = status == Status::StreamEnd;
    if !ended && used == 0 && out.len() == before.1 && !input.is_empty() {
        // There is room and there is input: it can only be broken.
        return Err(BROKEN);
    }
    let more = !ended && out.len() == out.capacity();
    Ok((Decoded { used, more }, ended))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    /// Decodes in steps of so many bytes, into little room.
    fn decode(coding: Coding, body: &[u8], step: usize) -> Result<Vec<u8>, Corrupt> {
        let mut decoder = Decoder::new(coding).unwrap();
        let (mut all, mut out) = (Vec::new(), Vec::with_capacity(37));
        for mut part in body.chunks(step) {
            loop {
                out.clear();
                let Decoded { used, more } = decoder.decode(part, &mut out)?;
                part = &part[used..];
                all.extend_from_slice(&out);
                assert!(out.capacity() < 100, "it does not grow");
                if part.is_empty() && !more {
                    break;
                }
            }
        }
        decoder.finish()?;
        Ok(all)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn text() -> Vec<u8> {
        (0..2000)
            .flat_map(|i| format!("line {i}\n").into_bytes())
            .collect()
    }

    fn bodies() -> Vec<(Coding, Vec<u8>)> {
        let text = text();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&text).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&text).unwrap();
        let members = [gzip(&text[..100]), gzip(b""), gzip(&text[100..])].concat();
        let frames = [
            zstd::encode_all(&text[..100], 3).unwrap(),
            zstd::encode_all(&text[100..], 19).unwrap(),
        ];
        vec![
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, members),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, bare.finish().unwrap()),
            (
                Coding::Zstd,
                frames[0].iter().chain(&frames[1]).copied().collect(),
            ),
        ]
    }

    #[test]
    fn every_coding_is_read_however_it_is_cut_up() {
        for (coding, body) in bodies() {
            for step in [1, 2, 7, 1000, usize::MAX] {
                let decoded = decode(coding, &body, step.min(body.len()));
                assert_eq!(decoded, Ok(text()), "{coding:?} by {step}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_broken_is_an_error() {
        for (coding, body) in bodies() {
            assert_eq!(
                decode(coding, &body[..body.len() - 1], 50),
                Err(CUT),
                "{coding:?}"
            );
            assert_eq!(decode(coding, b"", 1), Ok(Vec::new()));
        }
        for coding in [Coding::Gzip, Coding::Zstd] {
            assert_eq!(
                decode(coding, b"plain text is not compressed", 9),
                Err(BROKEN)
            );
        }
        // Only these two have checksums.
        for at in [0, 2] {
            let (coding, mut broken) = bodies().swap_remove(at);
            let middle = broken.len() / 2;
            broken[middle..middle + 8].fill(0xff);
            assert!(decode(coding, &broken, 1000).is_err(), "{coding:?}");
        }
        let trailing = [bodies()[2].1.as_slice(), b"x"].concat();
        assert_eq!(decode(Coding::Deflate, &trailing, 9), Err(TRAILING));
    }

    #[test]
    fn many_empty_members_end() {
        let bomb = gzip(b"").repeat(MEMBERS_MAX as usize + 1);
        assert_eq!(decode(Coding::Gzip, &bomb, 1000), Err(MEMBERS));
    }

    #[test]
    fn a_zstd_window_beyond_the_limit_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&text()).unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(decode(Coding::Zstd, &body, 1000), Err(BROKEN));
    }

    #[test]
    fn codings_are_named_and_not_combined() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, value.parse().unwrap());
            Coding::of(&headers).map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(Coding::of(&HeaderMap::new()), Ok(Coding::Identity));
        assert_eq!(of("GZip"), Ok(Coding::Gzip));
        assert_eq!(of("identity, zstd"), Ok(Coding::Zstd));
        for refused in ["br", "gzip, gzip", "zstd,deflate", "gzip;q=1"] {
            assert_eq!(of(refused), Err(415), "{refused}");
        }
    }
}
