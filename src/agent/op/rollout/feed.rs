//! What the cluster says about a release, as one stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{
    StreamExt as _, future,
    stream::{self, BoxStream, SelectAll},
};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, TypeMeta},
    discovery,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use crate::{frame::ObjectRef, kube::kinds};

/// How often time itself is news: delays and deadlines are looked at this often.
const TICK: Duration = Duration::from_millis(500);
/// How long an object that is not there yet is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How many objects are looked for at a time.
const LOOKS_AT_ONCE: usize = 32;

/// One piece of news.
#[derive(Debug, Clone)]
pub enum Seen {
    /// An object is there. `is_first` while the state before the watch is told.
    Object(Box<DynamicObject>, bool),
    /// An object is gone.
    Gone(Box<DynamicObject>),
    /// This kind cannot be watched; it will not be heard of again.
    Denied {
        /// `pods`, in the words of the API.
        resource: String,
        /// The group of the kind.
        group: String,
        /// The kind.
        kind: String,
        /// Where.
        namespace: String,
    },
    /// The cluster does not take our credentials: nothing will be heard of it any more.
    LoggedOut,
    /// Time passed.
    Tick,
}

/// Everything that is watched for one release.
pub struct Feed {
    /// Never locked: the mutex makes the streams `Sync`, so that work that holds them can be looked at.
    watches: Mutex<SelectAll<BoxStream<'static, Seen>>>,
    tick: Interval,
}

impl Feed {
    /// Begins to watch the kinds that these objects need, each once per namespace.
    pub fn open(client: &Client, objects: impl IntoIterator<Item = ObjectRef>) -> Self {
        let mut watches = SelectAll::new();
        let (watched, looked_for): (Vec<_>, Vec<_>) = objects.into_iter().partition(kinds::becomes_ready);
        for ((namespace, _), gvk) in wanted(watched) {
            watches.push(watch(client, &namespace, ApiResource::from_gvk(&gvk)));
        }
        watches.push(look_for(client.clone(), looked_for));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { watches: Mutex::new(watches), tick }
    }

    /// The next piece of news. Safe to drop while waiting.
    pub async fn next(&mut self) -> Seen {
        tokio::select! {
            Some(seen) = self.watches.get_mut().next() => seen,
            _ = self.tick.tick() => Seen::Tick,
        }
    }
}

type Wanted = BTreeMap<(String, String), GroupVersionKind>;

/// The kinds of the objects that become ready, and what stands behind workloads: pods, replica sets, warnings.
fn wanted(objects: impl IntoIterator<Item = ObjectRef>) -> Wanted {
    let mut wanted = Wanted::new();
    let mut namespaces = BTreeSet::new();
    for object in objects {
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        let gvk = GroupVersionKind::gvk(group, version, &object.kind);
        if !object.namespace.is_empty() {
            namespaces.insert(object.namespace.clone());
        }
        wanted.insert((object.namespace, format!("{group}/{}", object.kind)), gvk);
    }
    let beside = [("", "v1", "Pod"), ("apps", "v1", "ReplicaSet"), ("", "v1", "Event")];
    for namespace in namespaces {
        for (group, version, kind) in beside {
            let key = (namespace.clone(), format!("{group}/{kind}"));
            wanted.entry(key).or_insert_with(|| GroupVersionKind::gvk(group, version, kind));
        }
    }
    wanted
}

fn watch(client: &Client, namespace: &str, resource: ApiResource) -> BoxStream<'static, Seen> {
    let api: Api<DynamicObject> = match namespace {
        "" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let config = watcher::Config::default();
    let config = if resource.kind == "Event" { config.fields("type=Warning") } else { config };
    let namespace = namespace.to_owned();
    let news = watcher(api, config).default_backoff();
    let mut is_first = true;
    let news = news.map(move |event| news_of(event, &resource, &namespace, &mut is_first));
    // After a denial nothing else will come, so the stream ends with it.
    let until_denied = news.scan(false, |denied, news| {
        let is_denial = matches!(news, Some(Seen::Denied { .. } | Seen::LoggedOut));
        let is_over = std::mem::replace(denied, is_denial);
        future::ready((!is_over).then_some(news))
    });
    until_denied.filter_map(future::ready).boxed()
}

/// Looks for objects that are ready when they exist, each until it is found. What this user may not see is left to
/// helm's own answer.
fn look_for(client: Client, objects: Vec<ObjectRef>) -> BoxStream<'static, Seen> {
    let found = stream::iter(objects).map(move |object| find(client.clone(), object));
    found.buffer_unordered(LOOKS_AT_ONCE).filter_map(future::ready).boxed()
}

async fn find(client: Client, object: ObjectRef) -> Option<Seen> {
    loop {
        match metadata_of(&client, &object).await {
            Ok(Some(metadata)) => {
                let types = TypeMeta { api_version: object.api_version, kind: object.kind };
                let found = DynamicObject { types: Some(types), metadata, data: serde_json::Value::Null };
                return Some(Seen::Object(Box::new(found), false));
            }
            Err(kube::Error::Api(status)) if status.code == 401 => return Some(Seen::LoggedOut),
            Err(kube::Error::Api(status)) if status.code == 403 => return None,
            // Not there yet, or its kind is not, or the API server is away.
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}

async fn metadata_of(client: &Client, object: &ObjectRef) -> kube::Result<Option<ObjectMeta>> {
    let mut resource = kinds::resource(object);
    if !kinds::is_builtin(&object.api_version) {
        let gvk = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        resource = discovery::pinned_kind(client, &gvk).await?.0;
    }
    let api: Api<DynamicObject> = match object.namespace.as_str() {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    Ok(api.get_metadata_opt(&object.name).await?.map(|found| found.metadata))
}

fn news_of(
    event: Result<watcher::Event<DynamicObject>, watcher::Error>,
    resource: &ApiResource,
    namespace: &str,
    is_first: &mut bool,
) -> Option<Seen> {
    match event {
        Ok(watcher::Event::Init) => None,
        Ok(watcher::Event::InitApply(object)) => Some(Seen::Object(typed(object, resource), *is_first)),
        Ok(watcher::Event::InitDone) => {
            *is_first = false;
            None
        }
        Ok(watcher::Event::Apply(object)) => Some(Seen::Object(typed(object, resource), false)),
        Ok(watcher::Event::Delete(object)) => Some(Seen::Gone(typed(object, resource))),
        Err(error) => match refusal(&error) {
            Some(401) => Some(Seen::LoggedOut),
            Some(403 | 404) => Some(Seen::Denied {
                resource: resource.plural.clone(),
                group: resource.group.clone(),
                kind: resource.kind.clone(),
                namespace: namespace.to_owned(),
            }),
            _ => {
                // The watcher tries again by itself; an API server that is away is helm's to complain about.
                tracing::debug!(resource = resource.plural, %error, "a watch was interrupted");
                None
            }
        },
    }
}

/// Items of a list do not repeat what they are.
fn typed(mut object: DynamicObject, resource: &ApiResource) -> Box<DynamicObject> {
    let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
    object.types.get_or_insert(types);
    Box::new(object)
}

/// The status with which the API server refused a watch.
fn refusal(error: &watcher::Error) -> Option<u16> {
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) => cause,
        // A watch that goes on was there once: that its kind is gone since is for the next list to say.
        watcher::Error::WatchError(status) => return Some(status.code).filter(|code| *code != 404),
        _ => return None,
    };
    if let kube::Error::Api(status) = cause { Some(status.code) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_watched_once_per_namespace() {
        let object = |api_version: &str, kind: &str, namespace: &str, name: &str| ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        };
        let keys = wanted([
            object("apps/v1", "Deployment", "shop", "a"),
            object("apps/v1", "Deployment", "shop", "b"),
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "d"),
        ]);
        let keys: Vec<String> = keys.keys().map(|(namespace, kind)| format!("{namespace}:{kind}")).collect();
        let expected = [
            ":apiextensions.k8s.io/CustomResourceDefinition",
            "shop:/Event",
            "shop:/Pod",
            "shop:apps/Deployment",
            "shop:apps/ReplicaSet",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn credentials_that_are_refused_are_another_thing_than_missing_rights() {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
        let seen = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            let error = watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)));
            news_of(Err(error), &resource, "shop", &mut false)
        };
        assert!(matches!(seen(401), Some(Seen::LoggedOut)));
        assert!(matches!(seen(403), Some(Seen::Denied { .. })));
        assert!(matches!(seen(404), Some(Seen::Denied { .. })));
        assert!(seen(500).is_none());
    }
}
