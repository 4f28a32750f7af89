//! From the options of a public apply to a request of ours and its files.

use std::{collections::BTreeMap, path::PathBuf};

use ktl_chart::chart_file;
use ktl_proto::api::v1::DeployApplyOptions;
use tonic::Status;

use crate::{
    helm::{SetKind, SetValue},
    op::{
        ApplyRequest, OpError,
        request::{DEFAULT_TIMEOUT_SECONDS, RequestError},
    },
    sources::{
        ContentHash, Manifest, SourcePath,
        local::{Allowed, Gathered},
    },
};

/// What is to be done, on which files.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) apply: ApplyRequest,
    pub(super) sources: Manifest,
    pub(super) contents: BTreeMap<ContentHash, Vec<u8>>,
    /// The chart's own name and version, where it lies in the sources.
    pub(super) chart_name: String,
    pub(super) chart_version: String,
}

/// The files that the options name, found before any is read.
struct Named {
    chart: Option<PathBuf>,
    values: Vec<PathBuf>,
    set_files: Vec<(String, PathBuf)>,
}

impl Plan {
    /// Reads the files; waits for the disk.
    pub(super) fn read(options: DeployApplyOptions, allowed: &Allowed) -> Result<Self, Status> {
        if options.diff {
            return Err(Status::unimplemented(
                "this version of the agent does not show diffs yet: ask for dry_run instead",
            ));
        }
        let named = Named::find(&options, allowed)?;
        let gathered = named.gather(allowed)?;
        let place = |path: &PathBuf| gathered.place(path).map_err(OpError::from);
        let chart = match &named.chart {
            Some(path) => place(path)?.to_string(),
            None => options.chart.trim().to_owned(),
        };
        let (chart_name, chart_version) = about(&chart, &options.version, &gathered);
        let files =
            named.set_files.iter().map(|(key, path)| Ok((SetKind::File, format!("{key}={}", place(path)?))));
        let files: Vec<_> = files.collect::<Result<_, OpError>>()?;
        let plain = |kind, list: Vec<String>| list.into_iter().map(move |expression| (kind, expression));
        let set = plain(SetKind::Set, options.set_values)
            .chain(plain(SetKind::String, options.set_string_values))
            .chain(files);
        let set = set.map(|(kind, expression)| SetValue { kind, expression }).collect();
        let values: Vec<SourcePath> = named.values.iter().map(place).collect::<Result<_, _>>()?;
        let apply = ApplyRequest {
            release: options.release.trim().to_owned(),
            namespace: options.namespace.trim().to_owned(),
            chart,
            chart_version: options.version.trim().to_owned(),
            values,
            set,
            wait: Some(options.wait),
            atomic: options.atomic,
            timeout_seconds: u64::try_from(options.timeout_seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            create_namespace: options.create_namespace,
            fail_fast: false,
            queue: true,
            config_path: None,
            dry_run: options.dry_run,
            upgrade_only: options.upgrade_only,
        };
        let sources = gathered.manifest().map_err(OpError::from)?;
        apply.check(&sources).map_err(OpError::from)?;
        let contents = gathered.files().values().map(|content| (ContentHash::of(content), content.clone()));
        Ok(Self { apply, sources, contents: contents.collect(), chart_name, chart_version })
    }
}

impl Named {
    fn find(options: &DeployApplyOptions, allowed: &Allowed) -> Result<Self, Status> {
        let chart = options.chart.trim();
        let chart = if is_reference(chart) { None } else { Some(allowed.find("options.chart", chart)?) };
        let values = options.values_files.iter().enumerate();
        let values = values.map(|(at, path)| allowed.find(&format!("options.values_files[{at}]"), path));
        let values = values.collect::<Result<_, _>>()?;
        let mut set_files = Vec::new();
        for (at, expression) in options.set_file_values.iter().enumerate() {
            let field = format!("options.set_file_values[{at}]");
            for pair in expression.split(',') {
                let expected =
                    || RequestError::new(&*field, "is not key=path, or several with commas between them");
                let (key, path) = pair.split_once('=').ok_or_else(expected).map_err(OpError::from)?;
                set_files.push((key.to_owned(), allowed.find(&field, path)?));
            }
        }
        Ok(Self { chart, values, set_files })
    }

    fn gather(&self, allowed: &Allowed) -> Result<Gathered, Status> {
        let set_files = self.set_files.iter().map(|(_, path)| path);
        let all: Vec<PathBuf> = self.chart.iter().chain(&self.values).chain(set_files).cloned().collect();
        Ok(allowed.gather("options", &all)?)
    }
}

/// What helm looks for elsewhere. `repo/name` is one too; a path of two names is written with `./`.
fn is_reference(chart: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let in_repository = chart.split_once('/').is_some_and(|(repo, name)| is_name(repo) && is_name(name));
    ["oci://", "https://", "http://"].iter().any(|scheme| chart.starts_with(scheme)) || in_repository
}

/// The name and the version of a chart: its own, else what its reference tells.
fn about(chart: &str, version: &str, gathered: &Gathered) -> (String, String) {
    let own = SourcePath::parse(&format!("{chart}/Chart.yaml")).ok();
    let own = own.and_then(|path| gathered.files().get(&path)).map(|bytes| String::from_utf8_lossy(bytes));
    if let Some(text) = own {
        let file = chart_file::parse("Chart.yaml", &text);
        let text = |field: Option<ktl_chart::text::Spanned<String>>| {
            field.map(|field| field.value).unwrap_or_default()
        };
        return (text(file.name), text(file.version));
    }
    let last = chart.rsplit('/').next().unwrap_or(chart);
    (last.to_owned(), version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn disk() -> (tempfile::TempDir, Allowed, String) {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        fs::create_dir_all(root.join("web")).unwrap();
        fs::write(root.join("web/Chart.yaml"), "name: web\nversion: 0.1.0\n").unwrap();
        fs::write(root.join("dev.yaml"), "a: 1\n").unwrap();
        let allowed = Allowed::new(vec![root.clone()]);
        (home, allowed, root.to_str().unwrap().to_owned())
    }

    fn options(root: &str) -> DeployApplyOptions {
        DeployApplyOptions {
            release: "web".into(),
            chart: format!("{root}/web"),
            values_files: vec![format!("{root}/dev.yaml")],
            set_values: vec!["a=b".into()],
            set_file_values: vec![format!("ca={root}/dev.yaml")],
            ..DeployApplyOptions::default()
        }
    }

    #[test]
    fn options_become_a_request_on_sources() {
        let (_home, allowed, root) = disk();
        let plan = Plan::read(options(&root), &allowed).unwrap();
        assert_eq!((plan.chart_name.as_str(), plan.chart_version.as_str()), ("web", "0.1.0"));
        assert_eq!((plan.apply.chart.as_str(), plan.apply.values[0].as_str()), ("web", "dev.yaml"));
        assert_eq!((plan.apply.timeout_seconds, plan.apply.wait), (300, Some(false)));
        let set: Vec<_> = plan.apply.set.iter().map(|value| value.expression.as_str()).collect();
        assert_eq!(set, ["a=b", "ca=dev.yaml"]);
        assert_eq!((plan.sources.iter().count(), plan.contents.len()), (2, 2));
    }

    #[test]
    fn what_is_not_allowed_names_its_field_and_the_flag() {
        let (_home, allowed, root) = disk();
        let with = |change: fn(&mut DeployApplyOptions)| {
            let mut options = options(&root);
            change(&mut options);
            Plan::read(options, &allowed).unwrap_err()
        };
        for (status, field) in [
            (with(|options| options.chart = "/etc".into()), "options.chart"),
            (with(|options| options.values_files[0] = "/etc/passwd".into()), "options.values_files[0]"),
            (
                with(|options| options.set_file_values[0] = "a=/etc/passwd".into()),
                "options.set_file_values[0]",
            ),
            (with(|options| options.chart = "./any".into()), "options.chart"),
        ] {
            assert_eq!(status.code(), tonic::Code::PermissionDenied);
            assert!(
                status.message().contains(field) && status.message().contains("--allow-path"),
                "{status}"
            );
        }
    }

    #[test]
    fn a_reference_is_no_path() {
        for reference in ["oci://r.example/web", "https://x/web-1.tgz", "repo/web"] {
            assert!(is_reference(reference), "{reference}");
        }
        for path in ["./web", "/srv/web", "web", "a/b/c", "../web", "repo/.web", ""] {
            assert!(!is_reference(path), "{path}");
        }
    }
}
