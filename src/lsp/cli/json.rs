//! JSON, one value a line.
//!
//! Messages of the protocol are printed as protobuf's own JSON, with the names of the `.proto` files. Findings that
//! were never sent are printed as findings are everywhere.

use ktl_proto::control::v1 as wire;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

/// The JSON of a message of `ktl.control.v1`.
pub(super) struct Protojson {
    pool: DescriptorPool,
}

impl Protojson {
    /// Reads the descriptors that the contract was compiled from.
    pub(super) fn new() -> Result<Self, String> {
        let pool = DescriptorPool::decode(ktl_proto::DESCRIPTORS)
            .map_err(|error| format!("the contract in this program cannot be read: {error}"))?;
        Ok(Self { pool })
    }

    /// A frame.
    pub(super) fn frame(&self, frame: &wire::Frame) -> String {
        self.message("ktl.control.v1.Frame", frame)
    }

    /// A session.
    pub(super) fn session(&self, session: &wire::Session) -> String {
        self.message("ktl.control.v1.Session", session)
    }

    fn message(&self, name: &str, message: &impl Message) -> String {
        let write = || {
            let descriptor = self.pool.get_message_by_name(name)?;
            let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok()?;
            let mut json = serde_json::Serializer::new(Vec::new());
            let options = SerializeOptions::new().use_proto_field_name(true);
            dynamic.serialize_with_options(&mut json, &options).ok()?;
            String::from_utf8(json.into_inner()).ok()
        };
        // Both sides come from the same files, so this cannot fail; if it did, a line in its place says so.
        write()
            .unwrap_or_else(|| json!({ "error": format!("{name} could not be written as JSON") }).to_string())
    }
}

/// The first line: what is about to be followed.
pub(super) fn header(session: &str, url: Option<&str>) -> String {
    json!({ "sessionId": session, "url": url }).to_string()
}

/// A finding as it looks everywhere.
pub(super) fn finding(finding: &wire::Finding) -> Value {
    let mut value = place(finding.place.as_ref());
    value["severity"] = severity(finding.severity()).into();
    value["code"] = finding.code.clone().into();
    value["confidence"] = confidence(finding.confidence()).into();
    value["message"] = crate::runs::message(finding).into();
    value["related"] = finding
        .related
        .iter()
        .map(|related| {
            let mut value = place(related.place.as_ref());
            value["message"] = related.message.clone().into();
            value
        })
        .collect();
    value["fixes"] = finding.fixes.iter().map(fix).collect();
    value
}

fn fix(fix: &wire::Fix) -> Value {
    let edits: Vec<Value> = fix
        .edits
        .iter()
        .map(|edit| {
            let mut value = place(edit.place.as_ref());
            value["new_text"] = edit.new_text.clone().into();
            value
        })
        .collect();
    json!({ "title": fix.title, "edits": edits })
}

/// Without a place there is no `file` either: nobody should take 0:0 for one.
fn place(place: Option<&wire::Place>) -> Value {
    let Some(place) = place else { return json!({}) };
    json!({
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    })
}

/// A severity as a word.
pub(super) fn severity(severity: wire::Severity) -> &'static str {
    match severity {
        wire::Severity::Error | wire::Severity::Unspecified => "error",
        wire::Severity::Warning => "warning",
        wire::Severity::Information => "information",
        wire::Severity::Hint => "hint",
    }
}

/// A confidence as a word.
pub(super) fn confidence(confidence: wire::Confidence) -> &'static str {
    match confidence {
        wire::Confidence::Exact => "exact",
        wire::Confidence::Likely => "likely",
        wire::Confidence::None | wire::Confidence::Unspecified => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_protobufs_own_json_with_the_names_of_the_contract() {
        let line =
            wire::Line { level: wire::Level::Info.into(), text: "hello".to_owned(), ..wire::Line::default() };
        let fact = wire::Fact { body: Some(wire::fact::Body::Line(line)) };
        let frame = wire::Frame {
            epoch: 1,
            seq: 2,
            at_unix_nano: 3,
            payload: Some(wire::frame::Payload::Fact(fact)),
            ..wire::Frame::default()
        };
        let value: Value = serde_json::from_str(&Protojson::new().unwrap().frame(&frame)).unwrap();
        assert_eq!(
            value,
            json!({
                "epoch": "1", "seq": "2", "at_unix_nano": "3",
                "fact": { "line": { "level": "LEVEL_INFO", "text": "hello" } },
            })
        );
    }

    #[test]
    fn a_finding_without_a_place_has_no_file() {
        let value = finding(&wire::Finding { message: "no".to_owned(), ..wire::Finding::default() });
        assert!(value.get("file").is_none());
        assert_eq!(value["confidence"], "none");
        assert_eq!(value["related"], json!([]));
    }

    #[test]
    fn the_header_says_null_while_the_address_is_not_known() {
        assert_eq!(header("a", None), r#"{"sessionId":"a","url":null}"#);
    }
}
