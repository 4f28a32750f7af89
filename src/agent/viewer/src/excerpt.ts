// Cuts the lines of an excerpt where a place begins and ends. Lines and columns are 1-based, columns count UTF-16 units
// as JavaScript's own strings do, ends are exclusive.

import type { Excerpt, Place } from "./wire";

export type ExcerptRow = { number: number; before: string; marked: string; after: string; hit: boolean };

/** The rows to show. `marked` is what to underline; on a hit where no text is (the end of a line) it is one space. */
export function excerptRows(excerpt: Excerpt, place: Place | null): ExcerptRow[] {
  return excerpt.lines.map((text, index) => {
    const number = excerpt.firstLine + index;
    const hit = place !== null && number >= place.line && number <= lastLine(place);
    if (!hit) return { number, before: text, marked: "", after: "", hit };
    const indent = text.length - text.trimStart().length;
    const start = number === place.line ? place.column - 1 : indent;
    const end = number === place.endLine ? place.endColumn - 1 : text.length;
    const from = Math.min(Math.max(0, start), text.length);
    const to = Math.min(Math.max(from, end), text.length);
    const marked = text.slice(from, to);
    return { number, before: text.slice(0, from), marked: marked || " ", after: text.slice(to), hit };
  });
}

/** A range that ends at the start of a line does not mean that line. */
function lastLine(place: Place): number {
  const last = place.endColumn <= 1 ? place.endLine - 1 : place.endLine;
  return Math.max(place.line, last);
}

export function placeText(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}
