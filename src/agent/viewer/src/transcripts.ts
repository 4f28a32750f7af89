// Transcripts of fixtures/frames for the tests: frames as `/export` gives them, one a line.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { emptyView, fold, type View } from "./session";
import { decodeFrame, type FollowEvent, type Json } from "./wire";

export function transcriptLines(name: string): string[] {
  const path = join(import.meta.dirname, `../../../../fixtures/frames/${name}.jsonl`);
  return readFileSync(path, "utf8").trimEnd().split("\n");
}

export function transcript(name: string): FollowEvent[] {
  return transcriptLines(name).map((line) => ({
    type: "frame",
    frame: decodeFrame(JSON.parse(line) as Json),
  }));
}

export function viewOf(name: string): View {
  return fold(emptyView(), transcript(name));
}
