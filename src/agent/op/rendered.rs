//! What `helm template` gave: the objects of a release, and its hooks.

use ktl_chart::yaml::{Kind, Node, Tree, scalar};
use serde_json::{Map, Value};

use crate::{
    frame::ObjectRef,
    kube::kinds,
    mask::{find_secrets, secrets_of},
};

/// The documents of one rendered release.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// The objects, in helm's order.
    pub objects: Vec<Object>,
    /// The hooks; helm runs them and they are not part of the release.
    pub hooks: Vec<Object>,
}

/// One object as it was rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its name in the cluster.
    pub name: ObjectRef,
    /// All of it.
    pub body: Value,
}

impl Rendered {
    /// Reads helm's output. Documents that are no objects are left out: helm says what is wrong with them.
    pub fn parse(manifest: &str, namespace: &str) -> Self {
        let mut rendered = Self::default();
        for document in documents(manifest) {
            let tree = Tree::parse(document);
            let Some(object) = tree.root().and_then(|root| object(root, namespace)) else { continue };
            let annotations = &object.body["metadata"]["annotations"];
            // CRDs and tests have the annotation too, with values that never run in an upgrade.
            match annotations["helm.sh/hook"].as_str() {
                Some(_) => rendered.hooks.push(object),
                None => rendered.objects.push(object),
            }
        }
        rendered
    }

    /// The names of the objects.
    pub fn names(&self) -> Vec<ObjectRef> {
        self.objects.iter().map(|object| object.name.clone()).collect()
    }
}

/// The secret values in helm's output: by how it is written, of a part of it too, and by what it means, in whatever
/// style its YAML is.
pub fn secrets(manifest: &str) -> Vec<String> {
    let mut found = find_secrets(manifest);
    if manifest.contains("Secret") {
        for document in documents(manifest) {
            let tree = Tree::parse(document);
            found.extend(tree.root().into_iter().flat_map(|root| secrets_of(&to_json(root, 0))));
        }
    }
    found
}

/// Helm splits at lines that begin with `---`; what follows on the line, but for blanks, belongs to the document.
fn documents(manifest: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut offset = 0;
    for line in manifest.split_inclusive('\n') {
        if line.starts_with("---") {
            found.push(&manifest[start..offset]);
            start = offset + 3;
        }
        offset += line.len();
    }
    found.push(&manifest[start..]);
    found
}

fn object(root: Node<'_>, namespace: &str) -> Option<Object> {
    let text = |node: Option<Node<'_>>| node.and_then(Node::text).map(str::to_owned);
    let metadata = root.get("metadata")?;
    let api_version = text(root.get("apiVersion")).filter(|text| !text.is_empty())?;
    let kind = text(root.get("kind")).filter(|text| !text.is_empty())?;
    let name = text(metadata.get("name")).filter(|text| !text.is_empty())?;
    let own = text(metadata.get("namespace")).filter(|text| !text.is_empty());
    let namespace = if kinds::is_cluster_scoped(&api_version, &kind) {
        String::new()
    } else {
        own.unwrap_or_else(|| namespace.to_owned())
    };
    Some(Object { name: ObjectRef { api_version, kind, namespace, name }, body: to_json(root, 0) })
}

/// The deepest nesting that is read; YAML aliases can make a tree that never ends.
const MAX_DEPTH: usize = 64;

fn to_json(node: Node<'_>, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let node = node.resolved();
    match node.kind() {
        Kind::Mapping => {
            let fields = node.merged_entries().into_iter();
            let field = |entry: ktl_chart::yaml::Entry<'_>| {
                Some((entry.key.text()?.to_owned(), to_json(entry.value, depth + 1)))
            };
            Value::Object(fields.filter_map(field).collect::<Map<_, _>>())
        }
        Kind::Sequence => node.items().map(|item| to_json(item, depth + 1)).collect(),
        _ => match scalar::resolve(node) {
            Some(scalar::Scalar::Bool(value)) => Value::Bool(value),
            Some(scalar::Scalar::Int(value)) => i64::try_from(value).map_or(Value::Null, Value::from),
            Some(scalar::Scalar::Float(value)) => Value::from(value),
            Some(scalar::Scalar::Text(value)) => Value::from(value),
            Some(scalar::Scalar::Null) | None => Value::Null,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANIFEST: &str = "---
# Source: web/templates/sa.yaml
apiVersion: v1
kind: ServiceAccount
metadata: { name: web }
---apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: reader
  namespace: ignored
---
# only a comment
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: other
spec:
  replicas: 0x2
  paused: no
  template: { spec: { containers: [{ name: app, image: \"web:1\", args: ['5'] }] } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, annotations: { helm.sh/hook: pre-upgrade } }
---
kind: Broken
";

    #[test]
    fn objects_and_hooks_are_named() {
        let rendered = Rendered::parse(MANIFEST, "shop");
        let names: Vec<String> =
            rendered.names().iter().map(|it| format!("{} {}/{}", it.kind, it.namespace, it.name)).collect();
        assert_eq!(names, ["ServiceAccount shop/web", "ClusterRole /reader", "Deployment other/web"]);
        assert_eq!(rendered.hooks[0].name.name, "migrate");
    }

    #[test]
    fn scalars_are_what_helm_makes_of_them() {
        let rendered = Rendered::parse(MANIFEST, "shop");
        let spec = &rendered.objects[2].body["spec"];
        assert_eq!(spec["replicas"], json!(2));
        assert_eq!(spec["paused"], json!(false));
        assert_eq!(
            spec["template"]["spec"]["containers"][0],
            json!({ "name": "app", "image": "web:1", "args": ["5"] })
        );
    }

    #[test]
    fn secrets_are_known_in_every_style_of_yaml() {
        for manifest in [
            "kind: Secret\nstringData: { note: canary-4711, more: 'x y' }\n",
            "kind: Secret\nstringData: {\n  note: canary-4711,\n  more: x\n}\n",
            r#"{"kind":"Secret","data":{"note":"Y2FuYXJ5LTQ3MTE="}}"#,
            "kind: List\nitems:\n- { kind: Secret, stringData: { note: \"canary\\x2d4711\" } }\n",
            "a: &a { note: canary-4711 }\nkind: Secret\nstringData: *a\n",
            "kind: Pod\n---\nkind: Secret\nstringData:\n  note:\n    canary-4711\n",
        ] {
            assert!(secrets(manifest).iter().any(|value| value == "canary-4711"), "{manifest}");
        }
        assert!(secrets("kind: ConfigMap\ndata: { note: canary-4711 }\n# Secret\n").is_empty());
    }

    #[test]
    fn an_alias_without_end_is_cut() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\na: &a { b: [*a, 1] }\n";
        assert_eq!(Rendered::parse(text, "n").objects.len(), 1);
    }
}
