//! From the wire to a request of ours. A mistake names its field.

use std::path::PathBuf;

use ktl_proto::control::v1 as wire;

use crate::{
    clusters::ClusterClaim,
    grpc::convert,
    helm::{SetKind, SetValue},
    op::{
        ApplyRequest, Claims, OpError, StartRequest,
        request::{DEFAULT_TIMEOUT_SECONDS, RequestError},
    },
    session::SessionId,
    sources::{ContentHash, Listed, Manifest, SourceError, SourcePath},
};

pub(super) fn start(request: wire::StartRequest) -> Result<StartRequest, OpError> {
    let wire::StartRequest {
        session_id,
        operation,
        sources,
        cluster,
        requester,
        args,
        tags,
        workspace,
        repository,
        versions,
    } = request;
    let Some(wire::start_request::Operation::Apply(apply)) = operation else {
        return Err(RequestError::new("operation", "is missing; this agent knows apply").into());
    };
    let id = match session_id.trim() {
        "" => None,
        text => Some(SessionId::parse(text)?),
    };
    let wire::Cluster { name, kubeconfig_paths, context } = cluster.unwrap_or_default();
    let kubeconfig = kubeconfig_paths.into_iter().map(PathBuf::from).collect();
    Ok(StartRequest {
        id,
        apply: decode_apply(apply)?,
        sources: manifest(sources)?,
        cluster: ClusterClaim { name, kubeconfig, context },
        claims: Claims {
            requester,
            args,
            tags: tags.into_iter().collect(),
            workspace,
            repository: convert::repository(repository),
            versions: versions.into_iter().collect(),
        },
    })
}

fn decode_apply(apply: wire::Apply) -> Result<ApplyRequest, OpError> {
    let timeout_seconds = match u64::try_from(apply.timeout_seconds) {
        Ok(0) => DEFAULT_TIMEOUT_SECONDS,
        Ok(seconds) => seconds,
        Err(_) => {
            return Err(RequestError::new("apply.timeout_seconds", "is negative; 0 means 300").into());
        }
    };
    let values = apply.values.iter().enumerate();
    let values = values.map(|(index, path)| named(format!("apply.values[{index}]"), SourcePath::parse(path)));
    let set = apply.set.into_iter().enumerate().map(|(index, value)| set_value(index, value));
    let config_path = match apply.config_path.as_str() {
        "" => None,
        path => Some(named("apply.config_path".to_owned(), SourcePath::parse(path))?),
    };
    Ok(ApplyRequest {
        release: apply.release,
        namespace: apply.namespace,
        chart: apply.chart,
        chart_version: apply.chart_version,
        values: values.collect::<Result<_, _>>()?,
        set: set.collect::<Result<_, _>>()?,
        wait: apply.wait,
        atomic: apply.atomic,
        timeout_seconds,
        create_namespace: apply.create_namespace,
        fail_fast: apply.fail_fast,
        queue: apply.queue.unwrap_or(true),
        config_path,
        dry_run: false,
        upgrade_only: false,
    })
}

fn set_value(index: usize, value: wire::SetValue) -> Result<SetValue, OpError> {
    let field = format!("apply.set[{index}]");
    let kind = match value.kind() {
        wire::SetKind::Set => SetKind::Set,
        wire::SetKind::String => SetKind::String,
        wire::SetKind::Json => SetKind::Json,
        wire::SetKind::File => SetKind::File,
        wire::SetKind::Literal => SetKind::Literal,
        wire::SetKind::Unspecified => return Err(RequestError::new(field, "has no kind").into()),
    };
    if value.expression.is_empty() {
        return Err(RequestError::new(field, "is empty; expected key=value").into());
    }
    Ok(SetValue { kind, expression: value.expression })
}

fn manifest(sources: Vec<wire::Source>) -> Result<Manifest, OpError> {
    let listed = sources.into_iter().enumerate().map(|(index, source)| {
        let path = named(format!("sources[{index}].path"), SourcePath::parse(&source.path))?;
        let sha256 = named(format!("sources[{index}].sha256"), ContentHash::parse(&source.sha256))?;
        Ok((path, Listed { sha256, size: source.size }))
    });
    let listed: Vec<_> = listed.collect::<Result<_, OpError>>()?;
    Ok(Manifest::new(listed)?)
}

fn named<T>(field: String, parsed: Result<T, SourceError>) -> Result<T, OpError> {
    Ok(parsed.map_err(|error| RequestError::new(field, error.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut wire::Apply)) -> wire::StartRequest {
        let mut apply = wire::Apply { release: "web".into(), chart: "web".into(), ..wire::Apply::default() };
        change(&mut apply);
        let operation = Some(wire::start_request::Operation::Apply(apply));
        wire::StartRequest { operation, ..wire::StartRequest::default() }
    }

    #[test]
    fn what_is_left_out_has_its_meaning() {
        let start = start(request(|_| {})).unwrap();
        assert_eq!((start.id, start.apply.timeout_seconds, start.apply.queue), (None, 300, true));
        assert_eq!((start.apply.wait, start.apply.config_path), (None, None));
    }

    #[test]
    fn mistakes_name_their_field() {
        let set = |kind: i32, expression: &str| vec![wire::SetValue { kind, expression: expression.into() }];
        for (request, field) in [
            (wire::StartRequest::default(), "operation: is missing"),
            (request(|apply| apply.timeout_seconds = -1), "apply.timeout_seconds: is negative"),
            (request(|apply| apply.values = vec!["a".into(), "../b".into()]), "apply.values[1]: source path"),
            (request(|apply| apply.set = set(0, "a=1")), "apply.set[0]: has no kind"),
            (request(|apply| apply.set = set(1, "")), "apply.set[0]: is empty"),
            (request(|apply| apply.config_path = "/x".into()), "apply.config_path"),
            (wire::StartRequest { session_id: "a/b".into(), ..request(|_| {}) }, "session_id"),
            (
                wire::StartRequest { sources: vec![wire::Source::default()], ..request(|_| {}) },
                "sources[0].path",
            ),
        ] {
            let error = start(request).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
