//! Messages of the contract as canonical protobuf JSON with `snake_case` names.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

/// Everything that the contract describes. A test reads it.
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(ktl_proto::DESCRIPTORS).unwrap_or_default());

/// A message as one line of JSON: 64-bit numbers as strings, enums by name, defaults left out.
pub(crate) fn to_json(name: &str, message: &impl Message) -> String {
    let Some(descriptor) = POOL.get_message_by_name(name) else { return "{}".into() };
    let mut dynamic = DynamicMessage::new(descriptor);
    let mut line = Vec::with_capacity(256);
    let options = SerializeOptions::new().use_proto_field_name(true);
    let written = dynamic.merge(message.encode_to_vec().as_slice()).is_ok()
        && dynamic.serialize_with_options(&mut serde_json::Serializer::new(&mut line), &options).is_ok();
    if written { String::from_utf8(line).unwrap_or_else(|_| "{}".into()) } else { "{}".into() }
}
