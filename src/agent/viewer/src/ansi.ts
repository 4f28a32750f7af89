// Terminal colors out of a line: what a program colored stays colored, everything else of a terminal is dropped.
// The result is text with class names, so a line can never become HTML.

export type Piece = { text: string; classes: string };

type Style = { color: string; bold: boolean; faint: boolean; underline: boolean };

const PLAIN: Style = { color: "", bold: false, faint: false, underline: false };
const COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// CSI sequences, OSC sequences (titles, links) up to their end, other escapes, and the remaining control characters.
// eslint-disable-next-line no-control-regex
const SEQUENCE = /\x1b\[([0-9;:]*)([A-Za-z])|\x1b\].*?(?:\x07|\x1b\\|$)|\x1b.?|[\x00-\x08\x0b-\x1f\x7f]/g;

/** The line in pieces of one style each. A line without colors is one piece. */
export function pieces(line: string): Piece[] {
  const found: Piece[] = [];
  let style = PLAIN;
  let from = 0;
  const push = (to: number) => {
    if (to > from) found.push({ text: line.slice(from, to), classes: classes(style) });
  };
  for (const match of line.matchAll(SEQUENCE)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") style = restyle(style, match[1] ?? "");
  }
  push(line.length);
  return found;
}

/** The line without any of it, for search and copying. */
export function plain(line: string): string {
  return line.replaceAll(SEQUENCE, "");
}

function restyle(style: Style, parameters: string): Style {
  let next = style;
  const codes = parameters.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    // 256 colors and RGB carry arguments. They are dropped: this page has two themes and they know only one.
    if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4;
    else next = restyleOne(next, code);
  }
  return next;
}

function restyleOne(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, faint: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 22) return { ...style, bold: false, faint: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 39) return { ...style, color: "" };
  const color = COLORS[code >= 90 ? code - 90 : code - 30];
  return color === undefined || code < 30 ? style : { ...style, color };
}

function classes(style: Style): string {
  const names = [style.bold && "bold", style.faint && "faint", style.underline && "underlined"];
  return [style.color && `ansi-${style.color}`, ...names].filter(Boolean).join(" ");
}
