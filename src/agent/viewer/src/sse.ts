// Server-sent events out of a byte stream. The browser's EventSource hides the status code of a refusal, and this
// page has to tell "not allowed" from "away", so it reads the stream itself.

export type ServerEvent = { type: string; data: string; id: string | null; retry: number | null };

/** The events of a response's body, as they arrive. Ends with the body; an event cut off by the end is dropped. */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  let event = emptyEvent();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A CR at the very end may be half of a CR LF: it waits for the next piece.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line !== "") event = takeLine(event, line);
        else if (event.lines.length > 0 || event.retry !== null) {
          yield { type: event.type, data: event.lines.join("\n"), id: event.id, retry: event.retry };
          event = emptyEvent();
        } else event = emptyEvent();
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

type Pending = { type: string; lines: string[]; id: string | null; retry: number | null };

function emptyEvent(): Pending {
  return { type: "message", lines: [], id: null, retry: null };
}

function takeLine(event: Pending, line: string): Pending {
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  switch (field) {
    case "event":
      return { ...event, type: value };
    case "data":
      return { ...event, lines: [...event.lines, value] };
    case "id":
      return { ...event, id: value };
    case "retry":
      return /^\d+$/.test(value) ? { ...event, retry: Number(value) } : event;
    default:
      return event;
  }
}
