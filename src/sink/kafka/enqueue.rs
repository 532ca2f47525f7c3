//! Messages into librdkafka's queue, many with one call.
//!
//! The `rdkafka` crate takes them one at a time; each costs an allocation for
//! the topic's name and a search for the topic under a lock that librdkafka's
//! own threads want too. All unsafe code of the sink is here, and all it does
//! is one call of `rd_kafka_produce_batch`, which copies what it is given.

use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_last_error, rd_kafka_message_t, rd_kafka_produce_batch,
    rd_kafka_topic_destroy, rd_kafka_topic_new,
};
use rdkafka::producer::Producer as _;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};

use super::producer::Producer;

/// Messages of one call: enough that its own cost is nothing beside theirs, in
/// 9 KB of stack.
pub(super) const MESSAGES_MAX: usize = 128;
/// librdkafka's `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
const ANY_PARTITION: i32 = -1;

/// A message without headers.
pub(super) struct Message<'a> {
    pub(super) payload: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
    /// Comes back with its report.
    pub(super) number: usize,
}

impl Message<'_> {
    fn to_raw(&self) -> rd_kafka_message_t {
        rd_kafka_message_t {
            payload: self.payload.as_ptr().cast_mut().cast(),
            len: self.payload.len(),
            key: self
                .key
                .map_or(ptr::null_mut(), |key| key.as_ptr().cast_mut().cast()),
            key_len: self.key.map_or(0, <[u8]>::len),
            _private: ptr::without_provenance_mut(self.number),
            ..BLANK
        }
    }
}

const BLANK: rd_kafka_message_t = rd_kafka_message_t {
    err: RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
    rkt: ptr::null_mut(),
    partition: ANY_PARTITION,
    payload: ptr::null_mut(),
    len: 0,
    key: ptr::null_mut(),
    key_len: 0,
    offset: 0,
    _private: ptr::null_mut(),
};

/// Gives messages to the producer, in order, [`MESSAGES_MAX`] at most; how many
/// it had room for. `refused` hears which of these it did not take, and why: no
/// report of them will come.
#[allow(unsafe_code)]
pub(super) fn enqueue<'a>(
    producer: &Producer,
    topic: &CStr,
    messages: impl Iterator<Item = Message<'a>>,
    mut refused: impl FnMut(usize, Code),
) -> usize {
    let mut all = [BLANK; MESSAGES_MAX];
    let mut count = 0;
    for (place, message) in all.iter_mut().zip(messages) {
        *place = message.to_raw();
        count += 1;
    }
    let all = &mut all[..count];
    // SAFETY: `producer` keeps the client alive during the call, and the topic
    // is given back before it ends. The pointers are those of slices and of a
    // string that are borrowed until then; none is kept, since payloads and
    // keys are copied and messages of the array belong to the caller. The
    // array has `count` elements, all initialised.
    unsafe {
        let client = producer.client().native_ptr();
        let topic = rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut());
        if topic.is_null() {
            let error = rd_kafka_last_error();
            all.iter_mut().for_each(|message| message.err = error);
        } else {
            let messages = all.as_mut_ptr();
            rd_kafka_produce_batch(
                topic,
                ANY_PARTITION,
                RD_KAFKA_MSG_F_COPY,
                messages,
                count as i32,
            );
            rd_kafka_topic_destroy(topic);
        }
    }
    for (at, message) in all.iter().enumerate() {
        match message.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            // So do all that follow.
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__QUEUE_FULL => return at,
            error => refused(at, Code::from(error)),
        }
    }
    count
}
