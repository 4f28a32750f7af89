// Times and durations as people read them. Pure; the time zone is the browser's.

/** `9 ms`, `0.4 s`, `12 s`, `1 min 5 s`, `2 h 3 min`. */
export function duration(millis: number): string {
  if (millis < 100) return `${Math.max(0, Math.round(millis))} ms`;
  const tenths = Math.round(millis / 100);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(tenths / 10);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** `14:03:07.250`: the clock of a log row. */
export function clock(millis: number): string {
  if (millis <= 0) return "";
  const at = new Date(millis);
  const two = (value: number) => String(value).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return `${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** `2026-11-22 14:03:07` */
export function dateTime(millis: number): string {
  if (millis <= 0) return "";
  const at = new Date(millis);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${date} ${clock(millis).slice(0, 8)}`;
}

/** `just now`, `3 min ago`, `2 h ago`, `5 days ago`. */
export function ago(millis: number, now: number): string {
  const minutes = Math.floor((now - millis) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.floor(hours / 24);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

/** A count with its noun: `1 frame`, `2,000 frames`. */
export function count(amount: number, noun: string): string {
  return `${amount.toLocaleString("en-US")} ${noun}${amount === 1 ? "" : "s"}`;
}
