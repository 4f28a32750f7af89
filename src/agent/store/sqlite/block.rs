//! A block: frames in one piece, compressed, and what is known of them from outside.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::rows;
use crate::frame::{Body, Fact, Payload};

/// The most frames of a block.
pub(super) const FRAMES: usize = 256;
/// A block is full with the frame that reaches so many bytes.
pub(super) const BYTES: usize = 1 << 20;
/// No block of ours unpacks to more: a full one and the largest frame.
const LARGEST: usize = BYTES + 2 * crate::store::MAX_FRAME_BYTES;
/// Higher levels gain nothing on frames.
const LEVEL: i32 = 1;

/// A frame as a block holds it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Packed {
    #[prost(uint64, tag = "1")]
    pub(super) seq: u64,
    #[prost(sint64, tag = "2")]
    pub(super) at: i64,
    #[prost(string, tag = "3")]
    pub(super) producer: String,
    #[prost(uint64, optional, tag = "4")]
    pub(super) counter: Option<u64>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) payload: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(message, repeated, tag = "1")]
    frames: Vec<Packed>,
}

/// A block with its index.
pub(super) struct Block {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
    pub(super) count: usize,
    pub(super) kinds: i64,
    pub(super) objects: String,
    pub(super) raw: usize,
    pub(super) sum: u32,
    pub(super) data: Vec<u8>,
    /// The last number of each producer that counts.
    pub(super) counters: BTreeMap<String, u64>,
}

/// Packs frames, of which there is at least one.
pub(super) fn seal(frames: Vec<Packed>) -> std::io::Result<Block> {
    let bounds = |at: Option<&Packed>| at.map_or((0, 0), |frame| (frame.seq, frame.at));
    let ((first, first_at), (last, last_at)) = (bounds(frames.first()), bounds(frames.last()));
    let mut counters = BTreeMap::new();
    let (mut kinds, mut objects) = (0, BTreeSet::new());
    for frame in &frames {
        if let Some(counter) = frame.counter {
            let highest = counters.entry(frame.producer.clone()).or_insert(counter);
            *highest = counter.max(*highest);
        }
        if let Some(payload) = rows::payload(&frame.payload) {
            kinds |= kind(&payload);
            mention(&payload, &mut objects);
        }
    }
    let count = frames.len();
    let piece = Piece { frames }.encode_to_vec();
    let data = zstd::bulk::compress(&piece, LEVEL)?;
    let objects = objects.into_iter().collect::<Vec<_>>().join("\n");
    let (raw, sum) = (piece.len(), crc32fast::hash(&data));
    Ok(Block { first, last, first_at, last_at, count, kinds, objects, raw, sum, data, counters })
}

/// Unpacks a block; an error says what is wrong with it.
pub(super) fn open(data: &[u8], raw: u64, sum: u64) -> Result<Vec<Packed>, String> {
    if u64::from(crc32fast::hash(data)) != sum {
        return Err("its checksum is another".into());
    }
    let raw = usize::try_from(raw).unwrap_or(usize::MAX);
    if raw > LARGEST {
        return Err(format!("it would have {raw} bytes"));
    }
    let piece = zstd::bulk::decompress(data, raw).map_err(|error| error.to_string())?;
    Piece::decode(piece.as_slice()).map(|piece| piece.frames).map_err(|error| error.to_string())
}

/// The bit of a kind. Bits keep their meaning for ever: they are on disks.
fn kind(payload: &Payload) -> i64 {
    let bit = match payload {
        Payload::Published(_) => 0,
        Payload::Fact(Fact { body: None }) => return 0,
        Payload::Fact(Fact { body: Some(body) }) => match body {
            Body::Started(_) => 1,
            Body::Queued(_) => 2,
            Body::Phase(_) => 3,
            Body::Line(_) => 4,
            Body::Objects(_) => 5,
            Body::Object(_) => 6,
            Body::Event(_) => 7,
            Body::Finding(_) => 8,
            Body::Note(_) => 9,
            Body::Ended(_) => 15,
        },
    };
    1 << bit
}

fn mention(payload: &Payload, objects: &mut BTreeSet<String>) {
    let Payload::Fact(Fact { body: Some(body) }) = payload else { return };
    let (list, one) = match body {
        Body::Objects(list) => (list.objects.as_slice(), None),
        Body::Object(state) => (&[][..], state.object.as_ref()),
        Body::Event(event) => (&[][..], event.object.as_ref()),
        Body::Finding(finding) => (&[][..], finding.object.as_ref()),
        _ => return,
    };
    for object in list.iter().chain(one) {
        objects.insert(format!("{}/{}/{}", object.kind, object.namespace, object.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Note, ObjectRef, ObjectState};

    fn frame(seq: u64, body: Body) -> Packed {
        let payload = Some(Payload::Fact(Fact { body: Some(body) }));
        let wire = ktl_proto::control::v1::Frame { payload, ..ktl_proto::control::v1::Frame::default() };
        let counter = seq.is_multiple_of(2).then_some(seq);
        Packed { seq, at: 7, producer: "helm".into(), counter, payload: wire.encode_to_vec() }
    }

    fn object(name: &str) -> Body {
        let object = ObjectRef { kind: "Pod".into(), name: name.into(), ..ObjectRef::default() };
        Body::Object(ObjectState { object: Some(object), ..ObjectState::default() })
    }

    #[test]
    fn a_block_says_what_is_in_it_and_gives_it_back() {
        let frames =
            vec![frame(3, object("b")), frame(4, object("a")), frame(5, Body::Note(Note::default()))];
        let block = seal(frames.clone()).unwrap();
        assert_eq!((block.first, block.last, block.count), (3, 5, 3));
        assert_eq!((block.kinds, block.objects.as_str()), (1 << 6 | 1 << 9, "Pod//a\nPod//b"));
        assert_eq!(block.counters, BTreeMap::from([("helm".to_owned(), 4)]));
        assert_eq!(open(&block.data, block.raw as u64, block.sum.into()), Ok(frames));
    }

    #[test]
    fn a_flipped_bit_and_a_wrong_size_are_noticed() {
        let block = seal(vec![frame(1, object("a"))]).unwrap();
        for at in 0..block.data.len() {
            let mut data = block.data.clone();
            data[at] ^= 1;
            assert!(open(&data, block.raw as u64, block.sum.into()).is_err(), "byte {at}");
        }
        assert!(open(&block.data, u64::MAX, block.sum.into()).unwrap_err().contains("would have"));
        assert!(open(&block.data, 1, block.sum.into()).is_err());
    }
}
