//! Every failure lands on its line: the diagnostics of the user's file are exactly those that its annotations show.

use serde_json::json;

use crate::story::{Helm, Story, apply, findings, verdict};

macro_rules! stories {
    ($($name:ident: $layer:literal;)*) => {$(
        mod $name {
            #[test]
            fn with_helm_4() {
                super::lands_on_its_line(super::Helm::V4, $layer);
            }

            #[test]
            fn with_helm_3() {
                super::lands_on_its_line(super::Helm::V3, $layer);
            }
        }
    )*};
}

stories! {
    yaml_that_does_not_parse: "broken-values";
    a_value_that_the_schema_refuses: "wrong-type";
    a_template_that_does_not_parse: "unknown-function";
    a_template_that_does_not_execute: "nil-value";
    an_object_that_the_cluster_refuses: "rejected";
    an_image_that_cannot_be_pulled: "no-such-image";
}

#[test]
fn a_container_that_crashes_is_told_with_what_it_said_last() {
    let Some(story) = Story::begin("crashing", &["web", "crashing"]) else { return };
    let file = story.workspace.annotated();
    let mut editor = story.editor();
    story.open(&editor, &file);
    let started = apply(&mut editor, json!({ "release": "web" }));
    editor.receive("window/logMessage", |log| log.to_string().contains("the database does not answer"));
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("failed"), "{verdict}");
    let found = findings(&mut editor, &story.workspace.uri(&file), &started);
    story.workspace.assert_found(&file, &found);
    let messages = serde_json::to_string(&found).expect("findings are JSON");
    assert!(messages.contains("it said last") && messages.contains("does not answer"), "{messages}");
    editor.quit();
}

#[test]
fn a_configuration_that_does_not_parse() {
    stops_before_it_starts("broken-config");
}

#[test]
fn a_chart_that_is_not_there() {
    stops_before_it_starts("missing-chart");
}

#[test]
fn a_values_file_that_is_not_there() {
    stops_before_it_starts("missing-values");
}

fn lands_on_its_line(helm: Helm, layer: &str) {
    let Some(story) = Story::with_helm(helm, layer, &["web", layer]) else { return };
    let file = story.workspace.annotated();
    let mut editor = story.editor();
    story.open(&editor, &file);
    let started = apply(&mut editor, json!({ "release": "web" }));
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("failed"), "{verdict}");
    let found = findings(&mut editor, &story.workspace.uri(&file), &started);
    story.workspace.assert_found(&file, &found);
    editor.quit();
}

fn stops_before_it_starts(layer: &str) {
    let Some(story) = Story::begin(layer, &["web", layer]) else { return };
    let file = story.workspace.annotated();
    let mut editor = story.editor();
    story.open(&editor, &file);
    let started = apply(&mut editor, json!({ "release": "web" }));
    editor.message("web was not started");
    let found = findings(&mut editor, &story.workspace.uri(&file), &started);
    story.workspace.assert_found(&file, &found);
    assert_eq!(story.revisions("web").len(), 0);
    editor.quit();
}
