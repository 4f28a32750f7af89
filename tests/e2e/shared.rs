//! Several editors and terminals, one session; several sessions, one release.

use serde_json::json;

use crate::story::{Story, apply, assert_logged, facts, verdict};
use crate::terminal::run;

#[test]
fn two_editors_on_one_session_see_the_same() {
    let Some(story) = Story::begin("two", &["web", "gated"]) else { return };
    let mut first = story.editor();
    let mut second = story.editor();
    let id = format!("two-{}", story.namespace.name());
    let started = apply(&mut first, json!({ "release": "web", "sessionId": id }));
    assert_eq!(started.session, id, "a new id is used as given");
    story.namespace.wait_for_gate();
    let joined = apply(&mut second, json!({ "release": "web", "sessionId": id }));
    assert_eq!(joined.session, id);
    story.namespace.open_gate();
    for editor in [&mut first, &mut second] {
        let verdict = verdict(editor, &started);
        assert!(verdict.contains("done"), "{verdict}");
    }
    let agent = story.agent();
    let frames = agent.export(&id);
    assert_eq!(facts(&frames, "started").len(), 1, "the second joined the run of the first");
    for mut editor in [first, second] {
        assert_logged(&mut editor, "web", &id, &frames);
        editor.quit();
    }
}

#[test]
fn an_editor_that_leaves_a_shared_session_takes_nothing_from_the_other() {
    let Some(story) = Story::begin("leaves", &["web", "gated"]) else { return };
    let mut first = story.editor();
    let started = apply(&mut first, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    let helm = story.helms();
    let mut second = story.editor();
    let request = second.execute("ktl.attach", json!({ "sessionId": started.session }));
    second.response(request).expect("ktl.attach is accepted");
    second.receive("$/progress", |params| params["value"]["kind"] == "begin");
    // The one who started it goes, in an orderly way.
    first.quit();
    assert_eq!((story.helms(), helm.len()), (helm.clone(), 1), "the same helm works on");
    story.namespace.open_gate();
    let verdict = verdict(&mut second, &started);
    assert!(verdict.contains("done"), "{verdict}");
    let frames = story.agent().export(&started.session);
    assert_logged(&mut second, "web", &started.session, &frames);
    second.quit();
}

#[test]
fn a_known_id_joins_its_end_and_refuses_another_request() {
    let Some(story) = Story::begin("same", &["web"]) else { return };
    let id = format!("same-{}", story.namespace.name());
    let arguments = ["apply", "web", "--session-id", &id];
    assert_eq!(run(&story, &arguments).code, 0);
    let again = run(&story, &arguments);
    assert_eq!(again.code, 0, "the recorded end: {again:?}");
    assert_eq!(story.revisions("web").len(), 1, "never a second run");
    story.workspace.write("values/dev.yaml", "replicas: 2\n");
    let other = run(&story, &arguments);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.stderr.contains(&id) && other.stderr.contains("values/dev.yaml"), "{other:?}");
    assert_eq!(story.revisions("web").len(), 1);
}

#[test]
fn a_second_apply_of_a_release_waits_and_names_the_session_ahead() {
    let Some(story) = Story::begin("queue", &["web", "gated"]) else { return };
    let mut first = story.editor();
    let ahead = apply(&mut first, json!({ "release": "web" }));
    story.namespace.wait_for_gate();

    let config = story.workspace.text(".ktl.yaml").replace("createNamespace: true", "queue: false");
    story.workspace.write(".ktl.yaml", &config);
    let refused = run(&story, &["apply", "web"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains(&ahead.session), "{refused:?}");
    story.workspace.write(".ktl.yaml", story.workspace.text(".ktl.yaml"));

    let mut second = story.editor();
    let queued = apply(&mut second, json!({ "release": "web" }));
    assert_ne!(queued.session, ahead.session);
    second.receive("$/progress", |params| {
        params["value"]["message"].as_str().is_some_and(|message| message.contains(&ahead.session))
    });
    let agent = story.agent();
    let frames = agent.export(&queued.session);
    assert_eq!(frames[0]["fact"]["queued"]["session_ahead"], ahead.session.as_str(), "{frames:#?}");
    assert!(facts(&frames, "started").is_empty());
    story.namespace.open_gate();
    assert!(verdict(&mut first, &ahead).contains("done"));
    story.namespace.open_gate();
    // Whoever opens the workspace sees what runs in it.
    assert!(verdict(&mut second, &ahead).contains("done"));
    assert!(verdict(&mut second, &queued).contains("done"));
    assert_eq!(story.revisions("web").len(), 2);
    first.quit();
    second.quit();
}
