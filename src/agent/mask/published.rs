//! Every text of a frame that a client published.

use std::collections::HashMap;

use super::{Maskable, Masker, json};
use crate::frame::published::{
    BuildEvent, BuildResult, DeployEvent, LogLine, MirrorFrame, VerifyDone, VerifyEvent, VerifyFinding,
    VerifyProgress, VerifyStarted, VerifySubject, VerifySummary, build_event, mirror_frame, verify_event,
};

impl Maskable for MirrorFrame {
    fn hide(&mut self, masker: &Masker) {
        let Self { session_id: _, producer, sequence: _, received_unix_nano: _, payload } = self;
        producer.hide(masker);
        match payload {
            None => {}
            Some(mirror_frame::Payload::Log(line)) => line.hide(masker),
            Some(mirror_frame::Payload::Build(event)) => event.hide(masker),
            Some(mirror_frame::Payload::Deploy(DeployEvent { json })) => json::hide(json, masker),
            Some(mirror_frame::Payload::Raw(bytes)) => hide_bytes(bytes, masker),
            Some(mirror_frame::Payload::Verify(event)) => event.hide(masker),
            Some(mirror_frame::Payload::Control(fact)) => fact.hide(masker),
        }
    }
}

/// Text is masked as text. Other bytes are searched for the known values only.
fn hide_bytes(bytes: &mut Vec<u8>, masker: &Masker) {
    match String::from_utf8(std::mem::take(bytes)) {
        Ok(mut text) => {
            text.hide(masker);
            *bytes = text.into_bytes();
        }
        Err(not_text) => {
            *bytes = not_text.into_bytes();
            masker.known.blank(bytes);
        }
    }
}

impl Maskable for LogLine {
    fn hide(&mut self, masker: &Masker) {
        let Self {
            timestamp_unix_nano: _,
            formatted_timestamp: _,
            namespace,
            pod,
            container,
            raw,
            rendered,
            source,
            source_glyph: _,
            rendered_equals_raw: _,
        } = self;
        for text in [namespace, pod, container, raw, rendered, source] {
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
            Some(build_event::Body::Result(BuildResult { tags, digest: _, oci_output_dir, error })) => {
                tags.hide(masker);
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
