//! The wanted differences that the recorded calls show. Each has its row and its reason in `src/agent/README.md`.

use serde_json::Value;

/// A difference that is wanted.
pub(super) struct Difference {
    /// As the table of people names it.
    pub(super) name: &'static str,
    /// The calls that it may show in, by the beginning of their names.
    pub(super) calls: &'static str,
    /// Checks that it is the difference that is meant and takes it out of both answers; false when there is none.
    pub(super) settle: fn(&mut Value, &mut Value) -> bool,
}

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference { name: "no wildcard CORS", calls: "http/", settle: no_cors },
    Difference { name: "ids of the tail", calls: "sse/", settle: ids },
    Difference { name: "extra events of the tail", calls: "sse/", settle: extra_events },
];

/// Theirs lets every page read; ours says nothing to any.
fn no_cors(theirs: &mut Value, ours: &mut Value) -> bool {
    let name = "access-control-allow-origin";
    assert!(ours["headers"].get(name).is_none(), "{ours}");
    theirs["headers"].as_object_mut().unwrap().remove(name).is_some()
}

/// Theirs is a bare number; ours says in which history it counts.
fn ids(_: &mut Value, ours: &mut Value) -> bool {
    let mut found = false;
    for event in ours["events"].as_array_mut().unwrap() {
        let Some(id) = event["id"].as_str() else { continue };
        let (epoch, sequence) = id.split_once(':').unwrap();
        assert!(epoch.parse::<u64>().unwrap() > 0);
        event["id"] = sequence.into();
        found = true;
    }
    found
}

/// Ours says more of the stream itself, in events that public clients pass over.
fn extra_events(theirs: &mut Value, ours: &mut Value) -> bool {
    const EXTRA: [&str; 5] = ["caught_up", "gap", "resync", "end", "bye"];
    let events = ours["events"].as_array_mut().unwrap();
    let before = events.len();
    events.retain(|event| !event["event"].as_str().is_some_and(|name| EXTRA.contains(&name)));
    let found = before > events.len();
    // The recording stopped after these.
    events.truncate(theirs["events"].as_array().unwrap().len());
    found
}
