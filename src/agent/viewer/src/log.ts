// Which rows of a log are shown. Pure.

import { plain } from "./ansi";
import type { LogRow } from "./session";
import type { Level } from "./wire";

export const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

/** Rows of at least `level` that contain `search`, in any case, as they read without colors. */
export function matching(rows: readonly LogRow[], level: Level, search: string): readonly LogRow[] {
  const least = LEVELS.indexOf(level);
  const wanted = search.trim().toLowerCase();
  if (least === 0 && wanted === "") return rows;
  return rows.filter((row) => {
    if (LEVELS.indexOf(row.level) < least) return false;
    return wanted === "" || `${row.source} ${plain(row.text)}`.toLowerCase().includes(wanted);
  });
}

/** The rows that go into the page: the last `limit`, and how many stand before them. */
export function tail(rows: readonly LogRow[], limit: number): { hidden: number; shown: readonly LogRow[] } {
  const hidden = Math.max(0, rows.length - limit);
  return { hidden, shown: hidden === 0 ? rows : rows.slice(hidden) };
}
