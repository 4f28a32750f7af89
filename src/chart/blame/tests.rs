//! Blame on the annotated failures, with the words of real helms.

use std::collections::BTreeMap;
use std::path::Path;

use ktl_fixtures::{Fixture, Mark, assert_marks};

use super::*;
use crate::config;
use crate::finding::{Confidence, Severity};
use crate::text::Span;

/// The helms whose texts the fixtures hold: a raw file `@helm4` is what helm 4 printed for the sources beside it.
const HELMS: [(&str, u32); 3] = [("3.17", 3), ("3", 3), ("4", 4)];

/// Blames each recorded text of a fixture and holds the findings against its annotations.
#[track_caller]
fn check(source: &str) -> usize {
    let fixture = Fixture::parse(source);
    let sources = fixture.files();
    let texts = fixture.raw();
    for (version, major) in HELMS {
        let Some(stderr) = texts.get(&format!("@helm{version}")) else { continue };
        let outcome = Outcome::Helm { step: HelmStep::Template, major, stderr: stderr.clone() };
        let found = crate::tests::marks(&blame_sources(&sources, &outcome));
        let expected: Vec<Mark> =
            fixture.expected().into_iter().filter_map(|mark| of_version(mark, version)).collect();
        assert_marks(&fixture, &expected, &found);
    }
    texts.len()
}

/// The case of the first release in `.ktl.yaml`.
fn blame_sources(sources: &BTreeMap<String, String>, outcome: &Outcome) -> Vec<Finding> {
    let config_path = sources.get_key_value(".ktl.yaml").map(|(path, _)| path.as_str());
    let text = config_path.map(|path| sources[path].as_str()).unwrap_or_default();
    let release = config::parse(".ktl.yaml", text).config.releases.into_iter().next();
    let values: Vec<String> =
        release.iter().flat_map(|release| &release.values).map(|path| path.value.clone()).collect();
    let chart =
        release.as_ref().and_then(|release| release.chart.as_ref()).map_or("chart", |chart| &chart.value);
    let name = release.as_ref().map_or("demo", |release| &release.name.value);
    blame(&Case { sources, chart, values: &values, config_path, release: name }, outcome)
}

/// An annotation that begins with `[3 4]` counts for these helms only.
fn of_version(mark: Mark, version: &str) -> Option<Mark> {
    let Some((versions, text)) = mark.text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
        return Some(mark);
    };
    let counts = versions.split(' ').any(|listed| listed == version);
    counts.then(|| Mark { text: text.to_owned(), place: mark.place.clone() })
}

#[test]
fn every_recorded_failure_lands_where_its_fixture_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/blame");
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        match std::panic::catch_unwind(|| check(&source)) {
            Ok(texts) => {
                assert!(texts >= 2, "{} holds no text of both helms", path.display());
                count += 1;
            }
            Err(_) => wrong.push(path.file_name().unwrap().to_owned()),
        }
    }
    assert!(count + wrong.len() >= 40, "fixtures are missing");
    assert!(wrong.is_empty(), "see above: {wrong:?}");
}

fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn workspace() -> BTreeMap<String, String> {
    sources(&[
        (
            ".ktl.yaml",
            "releases:\n  - { name: web, chart: ./chart, namespace: shop, cluster: { context: kind-dev } }\n",
        ),
        ("chart/Chart.yaml", "name: demo\nversion: 0.1.0\n"),
    ])
}

fn helm(step: HelmStep, stderr: &str) -> Outcome {
    Outcome::Helm { step, major: 4, stderr: stderr.to_owned() }
}

#[test]
fn a_refused_object_is_the_entry_of_the_release_with_object_and_field() {
    let sources = workspace();
    let object = ObjectRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        namespace: "shop".into(),
        name: "web".into(),
    };
    let outcome = Outcome::Object {
        object: object.clone(),
        field: Some("spec.replicas".into()),
        reason: "Invalid".into(),
        message: "must be greater than or equal to 0".into(),
    };
    let findings = blame_sources(&sources, &outcome);
    let [finding] = findings.as_slice() else { panic!("one finding") };
    let place = finding.place.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.span.of(&sources[".ktl.yaml"])), (".ktl.yaml", "web"));
    assert_eq!((finding.confidence, finding.severity), (Confidence::Likely, Severity::Error));
    assert_eq!((finding.object.as_ref(), finding.field.as_deref()), (Some(&object), Some("spec.replicas")));
    assert_eq!(
        finding.message,
        "Deployment shop/web spec.replicas: Invalid: must be greater than or equal to 0"
    );
}

#[test]
fn without_a_config_the_place_of_last_resort_is_the_name_of_the_chart() {
    let sources = sources(&[("chart/Chart.yaml", "apiVersion: v2\nname: demo\n")]);
    let finding = &blame_sources(&sources, &helm(HelmStep::Upgrade, "Error: UPGRADE FAILED: something"))[0];
    assert_eq!(finding.place.as_ref().unwrap().span, Span::new(21, 25));
    assert_eq!(finding.confidence, Confidence::Likely);
    let nothing = BTreeMap::new();
    let finding = &blame_sources(&nothing, &helm(HelmStep::Upgrade, "Error: UPGRADE FAILED: something"))[0];
    assert_eq!((finding.place.as_ref(), finding.confidence), (None, Confidence::None));
}

#[test]
fn an_api_rejection_in_helms_words_names_object_and_field() {
    let text = "level=WARN msg=\"upgrade failed\"\nError: UPGRADE FAILED: server-side apply failed for object shop/web apps/v1, \
                Kind=Deployment: Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value\n";
    let finding = &blame_sources(&workspace(), &helm(HelmStep::Upgrade, text))[0];
    let object = finding.object.as_ref().unwrap();
    assert_eq!((object.kind.as_str(), object.name.as_str()), ("Deployment", "web"));
    assert_eq!(finding.field.as_deref(), Some("spec.template.spec.containers[0].image"));
    assert_eq!(finding.confidence, Confidence::Likely);
}

#[test]
fn each_object_that_the_api_refused_is_a_finding_of_its_own() {
    let text = "Error: UPGRADE FAILED: 2 errors occurred:\n\t* Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0\n\t* Service \"web\" is invalid: [spec.ports[0].port: Invalid value: 0: out of range, spec.type: Unsupported value]\n\n";
    let findings = blame_sources(&workspace(), &helm(HelmStep::Upgrade, text));
    let said: Vec<_> =
        findings.iter().map(|finding| (finding.field.as_deref(), finding.message.as_str())).collect();
    let replicas = "Deployment web spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    let ports =
        "Service web: [spec.ports[0].port: Invalid value: 0: out of range, spec.type: Unsupported value]";
    assert_eq!(said, [(Some("spec.replicas"), replicas), (None, ports)]);
}

#[test]
fn a_cluster_out_of_reach_is_where_the_cluster_is_named() {
    let sources = workspace();
    let text = "Error: UPGRADE FAILED: Kubernetes cluster unreachable: context \"kind-dev\" does not exist\n";
    let finding = &blame_sources(&sources, &helm(HelmStep::Upgrade, text))[0];
    assert_eq!(finding.place.as_ref().unwrap().span.of(&sources[".ktl.yaml"]), "kind-dev");
    let text = "Error: UPGRADE FAILED: create: failed to create: namespaces \"shop\" not found\n";
    let finding = &blame_sources(&sources, &helm(HelmStep::Upgrade, text))[0];
    assert_eq!(finding.place.as_ref().unwrap().span.of(&sources[".ktl.yaml"]), "shop");
}

#[test]
fn what_nobody_understands_has_no_place_and_the_release_beside_it() {
    for text in [
        "",
        "Error: boom",
        "helm: command not found",
        "Error: template: x",
        "parse error at (",
        "Error: \n\n",
    ] {
        let findings = blame_sources(&workspace(), &helm(HelmStep::Template, text));
        assert_eq!(
            (findings[0].place.as_ref(), findings[0].confidence),
            (None, Confidence::None),
            "{text:?}"
        );
        assert_eq!(findings[0].related.len(), 1);
        assert!(!findings[0].message.is_empty());
    }
    let finding = &blame_sources(&workspace(), &Outcome::Message("the shim is gone".into()))[0];
    assert_eq!(finding.message, "the shim is gone");
}

#[test]
fn a_file_that_changed_since_is_likely_at_most() {
    let mut sources = workspace();
    sources.insert("chart/values.yaml".into(), "a: 1\n".into());
    let text = "Error: cannot load values.yaml: error converting YAML to JSON: yaml: line 3: did not find expected key";
    let finding = &blame_sources(&sources, &helm(HelmStep::Template, text))[0];
    assert_eq!((finding.code, finding.confidence), ("values-unreadable", Confidence::Likely));
    let gone = "Error: parse error at (demo/templates/gone.yaml:99): unexpected EOF";
    assert_eq!(blame_sources(&sources, &helm(HelmStep::Template, gone))[0].confidence, Confidence::None);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_text_of_helm_makes_it_panic_or_point_outside(
        head in "(Error: |parse error at \\(demo/templates/cm.yaml:[0-9]{1,3}\\): |template: demo/templates/cm.yaml:[0-9]{1,2}:[0-9]{1,3}: executing \"a\" at <|execution error at \\(demo/templates/cm.yaml:[0-9]:[0-9]{1,2}\\): |values don't meet the specifications of the schema\\(s\\) in the following chart\\(s\\):\ndemo:\n- at '/a/0')?",
        words in "(function \"é\" not defined|unexpected EOF|unclosed action|undefined variable \"\\$x\"|\"-\"|: |>: |'|/|nil pointer evaluating interface \\{\\}.b|\n  - at '/a': |x)*",
        template in "(\\{\\{|\\}\\}|-|/\\*|\\*/|\"|`|'| |\n|\r|é|😀|\\(|\\)|\\||\\.Values|\\.b|\\$x|if|end|range|define)*",
        values in "(a|b|: |\n|  |- |\\[|\\]|\\{|\\}|\"|\t|é|\\*x|&x |<<|\u{feff}|\r)*",
    ) {
        let mut sources = workspace();
        sources.insert("chart/templates/cm.yaml".into(), template);
        sources.insert("chart/values.yaml".into(), values);
        let findings = blame_sources(&sources, &helm(HelmStep::Template, &format!("{head}{words}")));
        proptest::prop_assert!(!findings.is_empty());
        for finding in findings {
            let places = finding.related.iter().map(|related| &related.place).chain(&finding.place);
            for place in places {
                let text = &sources[&place.file];
                let shown = text.get(place.span.range());
                proptest::prop_assert!(shown.is_some_and(|shown| !shown.is_empty() || text.is_empty()), "{:?} in {text:?}", place.span);
            }
        }
    }
}

/// A list that nobody closed.
const BROKEN: &str = "port: [1\n";

fn blamed_file(files: &[(&str, &str)], chart: &str, text: &str) -> Option<String> {
    let sources = sources(files);
    let case = Case { sources: &sources, chart, values: &[], config_path: None, release: "demo" };
    blame(&case, &helm(HelmStep::Template, text)).remove(0).place.map(|place| place.file)
}

#[test]
fn a_file_of_a_subchart_of_a_subchart_is_found_by_all_the_names() {
    let text = "Error: error unpacking subchart a in demo: error unpacking subchart c in a: cannot load values.yaml: \
                error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'";
    let files = [
        ("chart/Chart.yaml", "name: demo\n"),
        ("chart/charts/a/Chart.yaml", "name: a\n"),
        ("chart/charts/a/values.yaml", "fine: true\n"),
        ("chart/charts/a/charts/c/Chart.yaml", "name: c\n"),
        ("chart/charts/a/charts/c/values.yaml", BROKEN),
    ];
    assert_eq!(blamed_file(&files, "chart", text).as_deref(), Some("chart/charts/a/charts/c/values.yaml"));
}

#[test]
fn a_chart_at_the_root_of_the_sources_has_files_below_it_too() {
    let text = "Error: cannot load values.yaml: error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'";
    let files = [
        ("Chart.yaml", "name: demo\n"),
        ("values.yaml", "fine: true\n"),
        ("charts/a/Chart.yaml", "name: a\n"),
        ("charts/a/values.yaml", BROKEN),
    ];
    assert_eq!(blamed_file(&files, ".", text).as_deref(), Some("charts/a/values.yaml"));
}
