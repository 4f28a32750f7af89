//! On each release: apply it, cancel what runs, see what ran. The same offers are lenses and code actions.

use std::{path::Path, time::SystemTime};

use ktl_chart::text::Span;
use lsp_types::{CodeLens, Command as LspCommand};
use ropey::Rope;

use crate::{
    capabilities::{Agreed, Encoding},
    command::Arguments,
    convert,
    releases::{Definition, Kubeconfigs, Label, Release, bare, in_config, is_layer_name, label},
    runs::{Held, Run, Runs, State, ago, status_word},
    workspace::{self, Buffers},
};

/// A release of a document, and where it would go.
#[derive(Debug, Clone)]
pub(crate) struct Labeled {
    pub(crate) release: Release,
    pub(crate) label: Label,
}

/// Something that can be done with a release.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    /// Where it is offered: the name of the release.
    pub(crate) at: Span,
    /// The lines that it is offered on as a code action: the whole entry.
    pub(crate) entry: Span,
    pub(crate) title: String,
    pub(crate) command: &'static str,
    pub(crate) arguments: Arguments,
}

/// The releases that a document describes. Reads kubeconfigs; `is_local` says that they count.
pub(crate) fn labeled(path: &Path, buffers: &Buffers, is_local: bool) -> Vec<Labeled> {
    let releases = if workspace::is_config(path, buffers) {
        buffers.text(path).map(|text| in_config(path, &text)).unwrap_or_default()
    } else if path.file_name().is_some_and(|name| name == "Chart.yaml") && !is_described(path, buffers) {
        bare(path, buffers).into_iter().collect()
    } else {
        Vec::new()
    };
    let kubeconfigs = is_local.then(Kubeconfigs::of_environment);
    releases
        .into_iter()
        .map(|release| Labeled { label: label(&release, kubeconfigs.as_ref()), release })
        .collect()
}

/// Whether lenses of any document may say something else after a change of this file.
pub(crate) fn depend_on(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    workspace::has_config_name(path) || name == "Chart.yaml" || is_layer_name(name)
}

/// A chart below a file that describes releases, or inside another chart, is not a release of its own.
fn is_described(chart_yaml: &Path, buffers: &Buffers) -> bool {
    let mut folders = chart_yaml.ancestors().skip(1);
    folders.any(|folder| {
        let is_outer_chart = chart_yaml.parent() != Some(folder) && buffers.has(&folder.join("Chart.yaml"));
        is_outer_chart || !workspace::configs_in(folder, buffers).is_empty()
    })
}

/// Everything that can be done with the releases of a document, now.
pub(crate) fn offers(releases: &[Labeled], runs: &Runs, now: SystemTime) -> Vec<Offer> {
    releases
        .iter()
        .flat_map(|labeled| {
            let Release { path, name, .. } = &labeled.release;
            let newest = runs.newest_of(path, name, |_| true);
            // One that never ran has no page, and does not hide that of the one before.
            let last_ended = runs.newest_of(path, name, |run| ended(run).is_some());
            offers_of(labeled, newest.as_ref(), last_ended.as_ref(), now)
        })
        .collect()
}

fn offers_of(
    labeled: &Labeled,
    newest: Option<&Held>,
    last_ended: Option<&Held>,
    now: SystemTime,
) -> Vec<Offer> {
    let Labeled { release, label } = labeled;
    let entry = release.entry().map_or(release.place, |entry| entry.entry);
    let offer =
        |title: String, command, arguments| Offer { at: release.place, entry, title, command, arguments };
    let apply = Arguments::of_release(&release.name, release.folder());
    let place = format!("{}/{}", label.cluster, label.namespace);
    let mut offers = Vec::new();
    let running = newest.filter(|held| held.run.is_running());
    if let Some(held) = running {
        let session = Arguments::of_session(&held.run.session);
        offers.push(offer(format!("Cancel apply to {place}"), "ktl.cancel", session.clone()));
        offers.push(offer("Open live view".to_owned(), "ktl.openReplay", session));
    } else {
        if let Some(held) = newest.filter(|held| held.run.is_in_doubt()) {
            let session = Arguments::of_session(&held.run.session);
            offers.push(offer(format!("Cancel apply to {place}"), "ktl.cancel", session));
        }
        offers.push(offer(format!("Apply ({place})"), "ktl.apply", apply.clone()));
        for layer in offered(release) {
            let arguments = Arguments { values: vec![layer.clone()], ..apply.clone() };
            offers.push(offer(format!("Apply with {layer} ({place})"), "ktl.apply", arguments));
        }
        if let Some((held, status)) = last_ended.and_then(|held| Some((held, ended(&held.run)?))) {
            let title = format!("Replay: {status} {}", ago(held.run.last, now));
            offers.push(offer(title, "ktl.openReplay", Arguments::of_session(&held.run.session)));
        }
    }
    offers
}

fn ended(run: &Run) -> Option<&'static str> {
    match &run.state {
        State::Ended { status, .. } => Some(status_word(*status)),
        State::Starting | State::Running | State::NotStarted(_) | State::InDoubt(_) => None,
    }
}

fn offered(release: &Release) -> &[String] {
    match &release.definition {
        Definition::Bare { offered, .. } => offered,
        Definition::Entry(_) => &[],
    }
}

/// Offers as lenses.
pub(crate) fn lenses(offers: &[Offer], text: &Rope, agreed: &Agreed) -> Vec<CodeLens> {
    offers
        .iter()
        .map(|offer| CodeLens {
            range: convert::range(text, offer.at, agreed.encoding),
            command: Some(command(offer, agreed)),
            data: None,
        })
        .collect()
}

/// An offer as the command that carries it out.
pub(super) fn command(offer: &Offer, agreed: &Agreed) -> LspCommand {
    LspCommand {
        title: offer.title.clone(),
        command: agreed.command_id(offer.command),
        arguments: Some(offer.arguments.list()),
    }
}

/// Whether a range of the document touches the lines of an offer.
pub(super) fn touches(offer: &Offer, text: &Rope, range: lsp_types::Range, encoding: Encoding) -> bool {
    let lines = convert::range(text, offer.entry, encoding);
    range.start.line <= lines.end.line && range.end.line >= lines.start.line
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use ktl_proto::control::v1::{Ended, Started, Status, fact::Body};

    use super::*;
    use crate::runs::tests::frame;

    pub(crate) const CONFIG: &str =
        "releases:\n  - name: web\n    chart: ./web\n  - name: db\n    chart: ./db\n";

    pub(crate) fn releases() -> Vec<Labeled> {
        let label = Label { cluster: "dev".to_owned(), namespace: "shop".to_owned() };
        in_config(Path::new("/w/.ktl.yaml"), CONFIG)
            .into_iter()
            .map(|release| Labeled { release, label: label.clone() })
            .collect()
    }

    fn add(runs: &Runs, bodies: Vec<Body>) {
        add_as(runs, "s1", bodies);
    }

    fn add_as(runs: &Runs, session: &str, bodies: Vec<Body>) {
        let mut run = Run::new(session, "web");
        for (number, body) in bodies.into_iter().enumerate() {
            run.apply(&frame(number as u64 + 1, body));
        }
        runs.add(Held::new(run, "/w".into(), "/w/.ktl.yaml".into()));
    }

    fn titles(runs: &Runs) -> Vec<String> {
        let now = UNIX_EPOCH + Duration::from_secs(122);
        offers(&releases(), runs, now).into_iter().map(|offer| offer.title).collect()
    }

    fn started() -> Body {
        Body::Started(Started { release: "web".to_owned(), ..Started::default() })
    }

    #[test]
    fn each_release_offers_to_apply_it_and_says_where() {
        assert_eq!(titles(&Runs::default()), ["Apply (dev/shop)", "Apply (dev/shop)"]);
    }

    #[test]
    fn what_runs_can_be_cancelled_and_not_started_again() {
        let runs = Runs::default();
        add(&runs, vec![started()]);
        assert_eq!(titles(&runs), ["Cancel apply to dev/shop", "Open live view", "Apply (dev/shop)"]);
    }

    #[test]
    fn what_ended_can_be_seen_again() {
        let runs = Runs::default();
        add(&runs, vec![started(), Body::Ended(Ended { status: Status::Error.into(), ..Ended::default() })]);
        assert_eq!(titles(&runs), ["Apply (dev/shop)", "Replay: failed 2 min ago", "Apply (dev/shop)"]);
    }

    #[test]
    fn what_may_run_can_be_cancelled_and_applied() {
        let runs = Runs::default();
        add(&runs, Vec::new());
        runs.update("s1", |held| held.run.state = State::InDoubt("no answer".to_owned()));
        assert_eq!(titles(&runs), ["Cancel apply to dev/shop", "Apply (dev/shop)", "Apply (dev/shop)"]);
    }

    #[test]
    fn a_run_that_never_started_does_not_hide_the_last_one_that_did() {
        let runs = Runs::default();
        add(&runs, vec![started(), Body::Ended(Ended { status: Status::Error.into(), ..Ended::default() })]);
        add_as(&runs, "s2", Vec::new());
        runs.update("s2", |held| held.run.state = State::NotStarted("no chart".to_owned()));
        assert_eq!(titles(&runs), ["Apply (dev/shop)", "Replay: failed 2 min ago", "Apply (dev/shop)"]);
        let offers = offers(&releases(), &runs, UNIX_EPOCH);
        assert_eq!(offers[1].arguments, Arguments::of_session("s1"));
        add_as(&runs, "s3", vec![started()]);
        assert_eq!(titles(&runs), ["Cancel apply to dev/shop", "Open live view", "Apply (dev/shop)"]);
    }

    #[test]
    fn an_offer_stands_at_the_name_and_carries_what_it_needs() {
        let offer = offers(&releases(), &Runs::default(), UNIX_EPOCH).remove(1);
        assert_eq!(offer.at.of(CONFIG), "db");
        assert_eq!(offer.arguments, Arguments::of_release("db", Path::new("/w")));
    }
}
