//! The document against the router: nothing is served that it leaves out, and all that it says is true.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::DOCUMENT;
use crate::{
    auth::Browsers,
    frame::{Body as Said, Fact, Line},
    http::{Readiness, Web, routes, table},
    journal::{Batch, Journal},
    mask::MarkKey,
    session::{Meta, Owner, SessionId, Tags},
    store::{NewSession, sqlite::SqliteStore},
};

struct Served {
    router: Router,
    document: Value,
    _home: tempfile::TempDir,
}

/// An agent with the session of the examples, and one frame in it.
async fn served() -> Served {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&home.path().join("sessions.db")).unwrap();
    let journal = Journal::new(Arc::new(store), MarkKey::random());
    let id = SessionId::parse("example").unwrap();
    let masker = journal.masker(&id, []);
    let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
    let owner = Owner::Publisher;
    journal.create(NewSession { id: id.clone(), meta, tags, owner, request: None }).await.unwrap();
    let line = Fact { body: Some(Said::Line(Line { text: "one".into(), ..Line::default() })) };
    let batch = Batch { producer: "test".into(), counter: None, facts: vec![masker.mask(line)] };
    journal.append(&id, batch).await.unwrap();
    let (base, stop) = ("http://127.0.0.1:1".into(), CancellationToken::new());
    let web = Web { journal, browsers: Browsers::default(), base, stop, readiness: Readiness::default() };
    Served { router: routes(web), document: serde_json::from_str(DOCUMENT).unwrap(), _home: home }
}

impl Served {
    /// The status, the content type without its parameters, and the body of what is no stream.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String, String) {
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(path);
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        let answer = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap());
        let kind = kind.split(';').next().unwrap().to_owned();
        let status = answer.status().as_u16();
        // A stream does not end.
        let stays = kind == "text/event-stream";
        let body =
            if stays { Vec::new() } else { to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec() };
        (status, kind, String::from_utf8(body).unwrap())
    }

    /// What stands behind a `$ref`, or the thing itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => self.document.pointer(place.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    /// Every operation: its path, its method, and what the document says of it.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap();
            methods.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    fn parameters<'a>(&'a self, operation: &'a Value) -> impl Iterator<Item = &'a Value> {
        operation["parameters"].as_array().into_iter().flatten().map(|one| self.resolve(one))
    }

    /// The path with its examples, and whether it has to have parameters.
    fn example(&self, path: &str, operation: &Value) -> String {
        let wanted = self.parameters(operation).filter(|one| one["in"] == "query" && one["required"] == true);
        let query: Vec<String> = wanted.map(pair).collect();
        let path = path.replace("{id}", "example");
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Asserts that the document has this answer.
    #[track_caller]
    fn expect(&self, operation: &Value, asked: &str, (status, kind, body): &(u16, String, String)) {
        let said = &operation["responses"][status.to_string()];
        assert!(said.is_object(), "{asked}: {status} is not documented: {body}");
        let kinds = self.resolve(said)["content"].as_object();
        let known = kinds.map_or(kind.is_empty(), |kinds| kinds.contains_key(kind));
        assert!(known, "{asked}: {status} as {kind:?} is not documented: {body}");
    }
}

fn pair(parameter: &Value) -> String {
    let example = &parameter["example"];
    let example = example.as_str().map_or_else(|| example.to_string(), ToOwned::to_owned);
    format!("{}={example}", parameter["name"].as_str().unwrap())
}

#[tokio::test]
async fn every_route_is_documented_with_its_methods() {
    let served = served().await;
    for (path, _) in table() {
        let item = &served.document["paths"][path];
        assert!(item.is_object(), "{path} is served and not documented");
        let target = path.replace("{id}", "example");
        for method in ["get", "post", "put", "patch", "delete"] {
            let (status, ..) = served.ask(method, &target, &json!({})).await;
            assert_eq!(status != 405, item[method].is_object(), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn every_documented_operation_answers_as_documented() {
    let served = served().await;
    for (path, method, operation) in served.operations() {
        let asked = served.example(path, operation);
        let body = &operation["requestBody"]["content"]["application/json"]["example"];
        let answer = served.ask(method, &asked, body).await;
        assert_ne!(answer.0, 404, "{method} {path} is documented and not served");
        served.expect(operation, &format!("{method} {asked}"), &answer);
    }
}

#[tokio::test]
async fn every_documented_parameter_is_understood_and_no_other_one() {
    let served = served().await;
    let own =
        |path: &str| path.starts_with("/api/v1/") && !path.contains("/mirror/") && !path.contains("/auth/");
    for (path, method, operation) in served.operations().filter(|(path, ..)| own(path)) {
        let plain = served.example(path, operation);
        let join = if plain.contains('?') { '&' } else { '?' };
        let good =
            |one: &&Value| one["in"] == "query" && one["required"] != true && !one["example"].is_null();
        for parameter in served.parameters(operation).filter(good) {
            let asked = format!("{plain}{join}{}", pair(parameter));
            let answer = served.ask(method, &asked, &Value::Null).await;
            assert_eq!(answer.0, 200, "{asked}: {}", answer.2);
        }
        let answer = served.ask(method, &format!("{plain}{join}relase=web"), &Value::Null).await;
        assert_eq!(answer.0, 400, "{path} passes over a parameter that it does not know");
        let names: Vec<&str> = served
            .parameters(operation)
            .filter(|one| one["in"] == "query")
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        for name in names {
            assert!(answer.2.contains(name), "{path}: the refusal does not name {name}: {}", answer.2);
        }
    }
}

#[tokio::test]
async fn every_field_of_an_answer_is_documented() {
    let served = served().await;
    let schemas = &served.document["components"]["schemas"];
    let fields = |name: &str| -> BTreeSet<String> {
        schemas[name]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let check = |name: &str, found: &Value| {
        for key in found.as_object().unwrap().keys() {
            assert!(fields(name).contains(key), "{name} has no field {key}");
        }
        let required = schemas[name]["required"].as_array().into_iter().flatten();
        required.for_each(|key| assert!(!found[key.as_str().unwrap()].is_null(), "{name}: {key} is missing"));
    };
    let get = async |path: &str| served.ask("get", path, &Value::Null).await.2;
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    check("Session", &json(&get("/api/v1/sessions/example").await));
    check("ListResponse", &json(&get("/api/v1/sessions").await));
    let export = get("/api/v1/sessions/example/export").await;
    let lines: Vec<Value> = export.lines().map(json).collect();
    check("Frame", &lines[0]);
    check("Export", &lines[1]);
    check("Refusal", &json(&get("/api/v1/sessions/nope").await));
    let said = &schemas["Export"]["properties"]["export"]["properties"];
    lines[1]["export"].as_object().unwrap().keys().for_each(|key| assert!(said[key].is_object(), "{key}"));
}
