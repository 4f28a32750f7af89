//! Both wordings of a schema failure, read into the same facts.

use super::*;

/// A context as a person reads it.
fn words(context: &Context) -> String {
    match context {
        Context::Pointer(steps) if steps.is_empty() => "values".to_owned(),
        Context::Pointer(steps) => steps.join("."),
        Context::Dotted(words) if words == "(root)" => "values".to_owned(),
        Context::Dotted(words) => words.clone(),
    }
}

fn shown(lines: &str) -> Vec<(String, Kind, String)> {
    let lines: Vec<&str> = lines.lines().collect();
    let violations = parse(&lines).into_iter();
    violations.map(|violation| (words(&violation.context), violation.kind, violation.message)).collect()
}

fn one(lines: &str) -> (String, Kind, String) {
    let violations = shown(lines);
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations.into_iter().next().unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn both_wordings_name_the_same_place() {
    let new = one("- at '/image/tag': got number, want string");
    assert_eq!((new.0.as_str(), &new.1), ("image.tag", &Kind::Value));
    let old = one("- image.tag: Invalid type. Expected: string, given: integer");
    assert_eq!((old.0.as_str(), &old.1), ("image.tag", &Kind::Value));
}

#[test]
fn keys_missing_and_not_allowed_are_told_apart() {
    assert_eq!(
        one("- at '/image': additional properties 'repo', 'tga' not allowed").1,
        Kind::Key(names(&["repo", "tga"]))
    );
    assert_eq!(one("- image: Additional property tga is not allowed").1, Kind::Key(names(&["tga"])));
    assert_eq!(
        one("- at '': missing property 'host'"),
        ("values".into(), Kind::Missing(names(&["host"])), "missing property 'host'".into())
    );
    assert_eq!(one("- (root): host is required").1, Kind::Missing(names(&["host"])));
    assert_eq!(one("- at '': properties 'cert' required, if 'tls' exists").1, Kind::Key(names(&["tls"])));
    assert_eq!(one("- at '': invalid propertyName 'BAD'").1, Kind::Key(names(&["BAD"])));
    assert_eq!(one("- at '/hosts': items at 0 and 2 are equal").1, Kind::Item(2));
    assert_eq!(one("- hosts: array items[0,2] must be unique").1, Kind::Item(2));
}

#[test]
fn pointers_and_quotes_are_undone() {
    let (context, ..) = one("- at '/annotations/example.com~1it\\'s~0': got number, want string");
    assert_eq!(context, "annotations.example.com/it's~");
}

#[test]
fn alternatives_are_one_violation_with_their_causes() {
    let (context, kind, message) = one(
        "- at '/port': 'anyOf' failed\n  - at '/port': got boolean, want integer\n  - at '/port': got boolean, want string",
    );
    assert_eq!((context.as_str(), kind), ("port", Kind::Value));
    assert_eq!(message, "'anyOf' failed: got boolean, want integer; got boolean, want string");
    let (_, kind, message) = one(
        "- port: Must validate at least one schema (anyOf)\n- port: Invalid type. Expected: integer, given: boolean",
    );
    assert_eq!(kind, Kind::Value);
    assert_eq!(
        message,
        "Must validate at least one schema (anyOf): Invalid type. Expected: integer, given: boolean"
    );
}

#[test]
fn alternatives_that_all_miss_a_key_miss_it() {
    let (context, kind, _) = one(
        "- at '/storage': 'oneOf' failed, none matched\n  - at '/storage': missing property 's3'\n  - at '/storage': missing property 'gcs'",
    );
    assert_eq!((context.as_str(), kind), ("storage", Kind::Missing(vec![])));
}

#[test]
fn the_one_alternative_that_got_further_is_meant() {
    let tree = "- at '/svc': 'anyOf' failed\n  - at '/svc': got object, want string\n  - at '/svc': 'allOf' failed\n    - at '/svc/port': got string, want integer";
    let (context, kind, message) = one(tree);
    assert_eq!((context.as_str(), kind), ("svc.port", Kind::Value));
    assert!(message.contains("port: got string, want integer"), "{message}");
}

#[test]
fn several_violations_stay_several() {
    assert_eq!(shown("- at '/b': got string, want integer\n- at '/a': got number, want string").len(), 2);
    assert_eq!(shown("- a: Invalid type. Expected: string, given: integer\n- a.b: x is required").len(), 2);
}

#[test]
fn frames_around_violations_give_way_to_them() {
    let tree = "- at '': validation failed\n  - at '': missing property 'host'\n  - at '/image': validation failed\n    - at '/image': missing property 'repository'\n    - at '/image': additional properties 'tga' not allowed";
    let found: Vec<_> = shown(tree).into_iter().map(|(context, kind, _)| (context, kind)).collect();
    let missing = |name: &str| Kind::Missing(names(&[name]));
    let expected = [
        ("values", missing("host")),
        ("image", missing("repository")),
        ("image", Kind::Key(names(&["tga"]))),
    ];
    assert_eq!(found, expected.map(|(context, kind)| (context.to_owned(), kind)));
}

#[test]
fn a_key_that_is_named_stays_named_whatever_is_below() {
    let tree = "- at '/m': invalid propertyName 'BAD'\n  - at '': 'BAD' does not match pattern '^[a-z]+$'";
    let (context, kind, _) = one(tree);
    assert_eq!((context.as_str(), kind), ("m", Kind::Key(names(&["BAD"]))));
}
