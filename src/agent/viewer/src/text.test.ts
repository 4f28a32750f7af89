import { describe, expect, test } from "vitest";

import { pieces, plain } from "./ansi";
import { excerptRows } from "./excerpt";
import { ago, clock, count, duration } from "./format";
import { matching, tail } from "./log";
import { codeOf, route } from "./route";
import type { LogRow } from "./session";

describe("colors", () => {
  test("what a program colored stays colored", () => {
    expect(pieces("a\x1b[1;31mb\x1b[0mc")).toEqual([
      { text: "a", classes: "" },
      { text: "b", classes: "ansi-red bold" },
      { text: "c", classes: "" },
    ]);
  });

  test.each([
    ["\x1b[38;5;196mred\x1b[39m", "red"],
    ["\x1b[48;2;1;2;3mrgb", "rgb"],
    ["\x1b]8;;https://example.com\x07link\x1b]8;;\x07", "link"],
    ["\x1b]0;title\x1b\\text", "text"],
    ["\x1b[2Kgone\x1b[1A", "gone"],
    ["bell\x07 and\rreturn", "bell andreturn"],
    ["cut \x1b", "cut "],
    ["tab\tstays", "tab\tstays"],
  ])("of %j only the words are left", (line, words) => {
    expect(plain(line)).toBe(words);
    expect(
      pieces(line)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(words);
  });
});

describe("excerpts", () => {
  const place = (line: number, column: number, endLine: number, endColumn: number) => ({
    file: "f",
    line,
    column,
    endLine,
    endColumn,
  });
  const marks = (lines: string[], ...range: [number, number, number, number]) =>
    excerptRows({ firstLine: 4, lines }, place(...range)).map((row) => row.marked);

  test("the range is marked to its exclusive end, in UTF-16 units", () => {
    expect(marks(["a", "x: 🦀 crab"], 5, 4, 5, 6)).toEqual(["", "🦀"]);
  });

  test("a range over several lines marks each from its text on", () => {
    expect(marks(["a: [", "  b,", "  c]"], 4, 4, 6, 5)).toEqual(["[", "b,", "c]"]);
  });

  test("a range that ends at the start of a line does not mark that line", () => {
    expect(marks(["a:", "b:"], 4, 1, 5, 1)).toEqual(["a:", ""]);
  });

  test("the end of a line is marked as one space", () => {
    expect(marks(["key"], 4, 4, 4, 4)).toEqual([" "]);
  });

  test("a place outside the excerpt or beyond the line breaks nothing", () => {
    expect(marks(["a"], 90, 1, 90, 4)).toEqual([""]);
    expect(marks(["a"], 4, 50, 4, 60)).toEqual([" "]);
  });
});

describe("the log", () => {
  const row = (level: LogRow["level"], text: string): LogRow => ({
    number: 0,
    at: 0,
    level,
    source: "helm",
    text,
  });
  const rows = [row("debug", "one"), row("warn", "T\x1b[31mW\x1b[0mO"), row("error", "three")];

  test("the level filter keeps what is as bad or worse", () => {
    expect(matching(rows, "warn", "").map((found) => found.level)).toEqual(["warn", "error"]);
  });

  test("the search reads a line without its colors and without case", () => {
    expect(matching(rows, "debug", " two ")).toEqual([rows[1]]);
    expect(matching(rows, "debug", "HELM")).toHaveLength(3);
  });

  test("what is not in the page is counted", () => {
    expect(tail(rows, 2)).toEqual({ hidden: 1, shown: rows.slice(1) });
    expect(tail(rows, 3).shown).toBe(rows);
  });
});

describe("words for numbers", () => {
  test.each([
    [-5, "0 ms"],
    [9, "9 ms"],
    [440, "0.4 s"],
    [9_960, "10 s"],
    [59_940, "1 min"],
    [65_000, "1 min 5 s"],
    [7_380_000, "2 h 3 min"],
  ])("%i ms took %s", (millis, words) => {
    expect(duration(millis)).toBe(words);
  });

  test("counts and ages read as people say them", () => {
    expect([count(1, "line"), count(2000, "line")]).toEqual(["1 line", "2,000 lines"]);
    expect([ago(0, 30_000), ago(0, 150_000), ago(0, 90_000_000)]).toEqual([
      "just now",
      "2 min ago",
      "1 day ago",
    ]);
    expect(clock(0)).toBe("");
  });
});

describe("the address", () => {
  test("names a session or the list", () => {
    expect(route("/s/a%3Ab")).toEqual({ page: "session", id: "a:b" });
    expect(route("/")).toEqual({ page: "sessions" });
    expect(route("/s/%zz")).toEqual({ page: "session", id: "%zz" });
  });

  test("may carry a code in its fragment", () => {
    expect([codeOf("#k=abc-_"), codeOf("#k="), codeOf("")]).toEqual(["abc-_", null, null]);
  });
});
