//! From a release to everything that an apply needs: chart, values, cluster, sources.

use std::path::{Path, PathBuf};

use ktl_chart::{
    config::{ApplyOptions, SetKind},
    finding::Finding,
};

use self::parts::{Chart, Flag, Parts};
use super::{
    Cluster, Kubeconfigs, Release, Sources, cluster,
    collect::{Collection, relative},
};
use crate::workspace::Buffers;

mod parts;

/// An apply, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The release.
    pub(crate) release: String,
    /// Where it goes.
    pub(crate) cluster: Cluster,
    /// A path inside the sources, or a reference.
    pub(crate) chart: String,
    /// For charts from a repository.
    pub(crate) chart_version: String,
    /// Paths inside the sources, low to high.
    pub(crate) values: Vec<String>,
    /// Single values over them.
    pub(crate) set: Vec<SetFlag>,
    /// How to apply.
    pub(crate) options: ApplyOptions,
    /// The file that describes the release, inside the sources; empty for a bare chart.
    pub(crate) config_path: String,
    /// The files.
    pub(crate) sources: Sources,
}

/// One of helm's `--set…` flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetFlag {
    /// Which.
    pub(crate) kind: SetKind,
    /// Its argument, with file paths inside the sources.
    pub(crate) expression: String,
}

/// Collects what an apply of `release` needs. Every problem is told, not only the first. `kubeconfigs` is `None` for
/// a remote agent, which knows clusters by name.
pub(crate) fn plan(
    release: &Release,
    kubeconfigs: Option<&Kubeconfigs>,
    folders: &[PathBuf],
    buffers: &Buffers,
) -> Result<Plan, Vec<Finding>> {
    let mut problems = release.stops.clone();
    // What a file that does not parse seems to lack may stand right behind the fault.
    if problems.iter().any(|finding| finding.code == "config-syntax") {
        return Err(problems);
    }
    let mut collection = Collection::default();
    let cluster = match kubeconfigs {
        None => Some(cluster::named(release)),
        Some(environment) => {
            cluster::from_kubeconfig(release, environment).map_err(|finding| problems.push(*finding)).ok()
        }
    };
    if let Err(problem) = collection.add(&release.path, buffers) {
        problems.push(release.error(release.place, "sources", problem));
    }
    let mut parts = Parts { release, buffers, collection, problems };
    let chart = parts.chart();
    let values = parts.values();
    let set = parts.set();
    let Parts { collection, mut problems, .. } = parts;
    let (Some(cluster), Some(chart), true) = (cluster, chart, problems.is_empty()) else {
        return Err(problems);
    };
    let assembled = assemble(release, cluster, &chart, &values, set, collection, folders);
    assembled.map_err(|problem| {
        problems.push(release.error(release.place, "sources", problem));
        problems
    })
}

fn assemble(
    release: &Release,
    cluster: Cluster,
    chart: &Chart,
    values: &[PathBuf],
    set: Vec<Flag>,
    collection: Collection,
    folders: &[PathBuf],
) -> Result<Plan, String> {
    let sources = collection.rooted(folders)?;
    let inside = |path: &Path| relative(&sources.root, path);
    let chart = match chart {
        Chart::Folder(path) | Chart::Archive(path) => inside(path)?,
        Chart::Reference(reference) => reference.clone(),
    };
    let entry = release.entry();
    Ok(Plan {
        release: release.name.clone(),
        cluster,
        // A chart at the root itself has the empty path, which would read as "no chart".
        chart: if chart.is_empty() { ".".to_owned() } else { chart },
        chart_version: entry
            .and_then(|entry| entry.chart_version.as_ref())
            .map(|version| version.value.clone())
            .unwrap_or_default(),
        values: values.iter().map(|path| inside(path)).collect::<Result<_, _>>()?,
        set: set.into_iter().map(|flag| flag.inside(&sources.root)).collect::<Result<_, _>>()?,
        options: entry.map(|entry| entry.apply.clone()).unwrap_or_default(),
        config_path: if entry.is_some() { inside(&release.path)? } else { String::new() },
        sources,
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use super::*;
    use crate::{
        releases::{Definition, in_config},
        samples::folder,
    };

    const CONFIG: &str = "releases:\n  - name: web\n    chart: ./charts/web\n    values: [values/dev.yaml]\n    set: [image.tag=1]\n    setFile: [motd=motd.txt]\n";

    fn planned(folder: &Path, config: &str, buffers: &Buffers) -> Result<Plan, Vec<(String, String)>> {
        fs::write(folder.join(".ktl.yaml"), config).unwrap();
        let release = in_config(&folder.join(".ktl.yaml"), config).remove(0);
        plan(&release, None, &[folder.to_owned()], buffers).map_err(|findings| {
            findings
                .into_iter()
                .map(|finding| (finding.place.unwrap().span.of(config).to_owned(), finding.message))
                .collect()
        })
    }

    #[test]
    fn a_plan_holds_every_file_by_its_path_in_the_workspace() {
        let folder = folder(&[
            ("charts/web/Chart.yaml", "name: web"),
            ("values/dev.yaml", "a: 1"),
            ("motd.txt", "hi"),
        ]);
        let plan = planned(folder.path(), CONFIG, &Buffers::default()).unwrap();
        assert_eq!((plan.chart.as_str(), plan.config_path.as_str()), ("charts/web", ".ktl.yaml"));
        assert_eq!(plan.values, ["values/dev.yaml"]);
        assert_eq!(plan.set[1], SetFlag { kind: SetKind::File, expression: "motd=motd.txt".to_owned() });
        let paths: Vec<_> = plan.sources.files.keys().map(String::as_str).collect();
        assert_eq!(paths, [".ktl.yaml", "charts/web/Chart.yaml", "motd.txt", "values/dev.yaml"]);
    }

    #[test]
    fn everything_that_is_missing_is_told_on_the_item_that_names_it() {
        let folder = folder(&[]);
        let problems = planned(folder.path(), CONFIG, &Buffers::default()).unwrap_err();
        let places: Vec<_> = problems.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["./charts/web", "values/dev.yaml", "motd=motd.txt"], "{problems:?}");
    }

    #[test]
    fn a_file_that_does_not_parse_is_not_blamed_for_what_it_lacks() {
        let config = "releases:\n  - name: web\n    chart: ./charts: web\n";
        let problems = planned(folder(&[]).path(), config, &Buffers::default()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn a_values_file_with_an_unresolved_secret_does_not_start() {
        let folder = folder(&[
            ("charts/web/Chart.yaml", "name: web"),
            ("values/dev.yaml", "password: secret://local/db"),
            ("motd.txt", "hi"),
        ]);
        let problems = planned(folder.path(), CONFIG, &Buffers::default()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].1.starts_with("`secret://` values are not supported yet"), "{problems:?}");
    }

    #[test]
    fn a_folder_without_a_chart_in_it_is_told_on_the_chart() {
        let folder = folder(&[("charts/web/readme.md", "")]);
        let problems = planned(
            folder.path(),
            "releases:\n  - name: web\n    chart: ./charts/web\n",
            &Buffers::default(),
        );
        let (place, message) = problems.unwrap_err().remove(0);
        assert_eq!(place, "./charts/web");
        assert!(message.contains("no Chart.yaml"), "{message}");
    }

    #[test]
    fn a_values_file_that_was_never_saved_is_sent() {
        let folder = folder(&[("charts/web/Chart.yaml", "name: web"), ("motd.txt", "hi")]);
        let path = folder.path().join("values/dev.yaml");
        let buffers = Buffers::new(HashMap::from([(path, "unsaved: true".into())]));
        let plan = planned(folder.path(), CONFIG, &buffers).unwrap();
        assert_eq!(plan.sources.files["values/dev.yaml"].bytes, b"unsaved: true");
    }

    #[test]
    fn charts_of_a_registry_or_repository_are_left_to_the_agent() {
        let folder = folder(&[]);
        for (chart, version) in
            [("oci://registry.example/web", ""), ("repo/web", "    chartVersion: 1.2.3\n")]
        {
            let config = format!("releases:\n  - name: web\n    chart: {chart}\n{version}");
            assert_eq!(planned(folder.path(), &config, &Buffers::default()).unwrap().chart, chart);
        }
        let config = "releases:\n  - name: web\n    chart: repo/web\n";
        let (_, message) = planned(folder.path(), config, &Buffers::default()).unwrap_err().remove(0);
        assert!(message.contains("chartVersion"), "{message}");
    }

    #[test]
    fn a_bare_chart_at_the_root_has_a_path() {
        let folder = folder(&[("Chart.yaml", "name: web\nversion: 1.0.0\n"), ("values-dev.yaml", "")]);
        let mut release =
            crate::releases::bare(&folder.path().join("Chart.yaml"), &Buffers::default()).unwrap();
        release.definition =
            Definition::Bare { offered: Vec::new(), layers: vec!["values-dev.yaml".to_owned()] };
        let plan = plan(&release, None, &[folder.path().to_owned()], &Buffers::default()).unwrap();
        assert_eq!((plan.chart.as_str(), plan.config_path.as_str()), (".", ""));
        assert_eq!(plan.values, ["values-dev.yaml"]);
    }
}
