// A workspace with one release for the tests, and a home for what its editor and agent keep.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const CHART = {
  "chart/Chart.yaml": "apiVersion: v2\nname: greeter\nversion: 0.1.0\n",
  "chart/templates/greeting.yaml": [
    "apiVersion: v1",
    "kind: ConfigMap",
    "metadata:",
    "  name: {{ .Release.Name }}",
    "data:",
    "  greeting: {{ .Values.greeting | quote }}",
    "",
  ].join("\n"),
};

export const BROKEN = "greeting: hello\nresources:\n  requests: small\n limits: large\n";
export const WHOLE = "greeting: hello\nresources:\n  requests: small\n  limits: large\n";

/** Writes it with these values and these further keys of the release's entry. */
export function createWorkspace({ values, keys = [] }) {
  const root = mkdtempSync(join(tmpdir(), "ktl-browser-"));
  const folder = join(root, "workspace");
  const entry = ["name: greeter", "chart: ./chart", "values: [values.yaml]", ...keys].join("\n    ");
  const files = { ...CHART, ".ktl.yaml": `releases:\n  - ${entry}\n`, "values.yaml": values };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return { folder, home: join(root, "home"), remove: () => rmSync(root, { recursive: true, force: true }) };
}
