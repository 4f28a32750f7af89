//! Every text of a frame that a client published.

use std::collections::HashMap;

use super::{Maskable, Masked, Masker, json, voice::Border};
use crate::frame::{
    self,
    published::{
        BuildEvent, BuildResult, DeployEvent, LogLine, MirrorFrame, VerifyDone, VerifyEvent, VerifyFinding,
        VerifyProgress, VerifyStarted, VerifySubject, VerifySummary, build_event, mirror_frame, verify_event,
    },
};

impl Masked<MirrorFrame> {
    /// The same published frame as a frame's payload. It stays masked.
    pub fn into_payload(self) -> Masked<frame::Payload> {
        Masked(frame::Payload::Published(self.0))
    }
}

impl Maskable for MirrorFrame {
    fn hide(&mut self, masker: &Masker) {
        let Self { session_id: _, producer, sequence: _, received_unix_nano: _, payload } = self;
        match payload {
            None => {}
            Some(mirror_frame::Payload::Log(line)) => line.hide(masker),
            Some(mirror_frame::Payload::Build(event)) => event.hide(masker),
            Some(mirror_frame::Payload::Deploy(DeployEvent { json })) => json::hide_event(json, masker),
            Some(mirror_frame::Payload::Raw(bytes)) => hide_bytes(bytes, masker),
            Some(mirror_frame::Payload::Verify(event)) => event.hide(masker),
            Some(mirror_frame::Payload::Control(fact)) => fact.hide(masker),
        }
        producer.hide(masker);
    }
}

/// Bytes are the next piece of what their producer prints. The text in them is masked as text, whatever stands
/// between; and in what is no text at all the known values are blanked.
fn hide_bytes(bytes: &mut Vec<u8>, masker: &Masker) {
    let mut masked = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut text = chunk.valid().to_owned();
        masker.hide_next("raw", &mut text, Border::Cut);
        masked.extend_from_slice(text.as_bytes());
        masked.extend_from_slice(chunk.invalid());
    }
    masker.known.get().blank(&mut masked);
    *bytes = masked;
}

/// A line with more secrets than this is shown as it was written: its colors are not worth to look for each of them.
const MANY: usize = 64;

impl Maskable for LogLine {
    fn hide(&mut self, masker: &Masker) {
        let Self {
            timestamp_unix_nano: _,
            formatted_timestamp,
            namespace,
            pod,
            container,
            raw,
            rendered,
            source,
            source_glyph,
            rendered_equals_raw: _,
        } = self;
        let of = format!("log {namespace}/{pod}/{container}/{source}");
        let is_same = rendered == raw;
        let secrets = masker.hide_next(&of, raw, Border::Line);
        if is_same || secrets.len() > MANY {
            rendered.clone_from(raw);
        } else {
            masker.hide_shown(rendered, &secrets);
        }
        for text in [namespace, pod, container, source, formatted_timestamp, source_glyph] {
            text.hide(masker);
        }
    }
}

impl Maskable for BuildEvent {
    fn hide(&mut self, masker: &Masker) {
        let Self { timestamp_unix_nano: _, body } = self;
        match body {
            None => {}
            Some(build_event::Body::Log(line)) => line.hide(masker),
            Some(build_event::Body::Result(BuildResult { tags, digest, oci_output_dir, error })) => {
                tags.hide(masker);
                digest.hide(masker);
                oci_output_dir.hide(masker);
                error.hide(masker);
            }
        }
    }
}

impl Maskable for VerifyEvent {
    fn hide(&mut self, masker: &Masker) {
        let Self { timestamp_unix_nano: _, body } = self;
        match body {
            None | Some(verify_event::Body::Done(VerifyDone { passed: _, blocked: _ })) => {}
            Some(verify_event::Body::Started(VerifyStarted { target, ruleset, policy_ref, policy_mode })) => {
                for text in [target, ruleset, policy_ref, policy_mode] {
                    text.hide(masker);
                }
            }
            Some(verify_event::Body::Progress(VerifyProgress { phase, counts_by_kind })) => {
                phase.hide(masker);
                hide_keys(counts_by_kind, masker);
            }
            Some(verify_event::Body::Finding(finding)) => finding.hide(masker),
            Some(verify_event::Body::Summary(VerifySummary { total: _, by_severity, blocked: _ })) => {
                hide_keys(by_severity, masker);
            }
            Some(verify_event::Body::Json(text)) => json::hide(text, masker),
        }
    }
}

impl Maskable for VerifyFinding {
    fn hide(&mut self, masker: &Masker) {
        let Self { rule_id, severity, category, message, location, subject, help_url } = self;
        for text in [rule_id, severity, category, message, location, help_url] {
            text.hide(masker);
        }
        if let Some(VerifySubject { kind, namespace, name }) = subject {
            for text in [kind, namespace, name] {
                text.hide(masker);
            }
        }
    }
}

fn hide_keys(counts: &mut HashMap<String, i32>, masker: &Masker) {
    *counts = std::mem::take(counts)
        .into_iter()
        .map(|(mut key, count)| {
            key.hide(masker);
            (key, count)
        })
        .collect();
}
