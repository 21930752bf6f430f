// Sentences as subtitles that a viewer has time to read, by the rule of the service's own (app/services/recognition/
// subtitles.py): at most two lines of 42 characters, one to seven seconds, 17 characters a second, never two at once.

const LINE = 42;
const LINES = 2;
const READING_SPEED = 17;
const MIN_MS = 1000;
const MAX_MS = 7000;
const QUESTION = "\u00a0[?]"; // behind a sentence with unsure signs

export const written = ({ sentence, unsure }) => (unsure.length ? sentence + QUESTION : sentence);

// The text in lines of at most `width` characters; a longer word has a line of its own, cut.
function wrapped(text, width) {
  const lines = [];
  for (const word of text.split(/[ \n]+/).filter(Boolean).flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "gu")))) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

// The text in as few lines as it takes, of about the same length.
function even(text) {
  const lines = wrapped(text, LINE);
  for (let width = Math.ceil(text.length / lines.length); width < LINE; width++) {
    const found = wrapped(text, width);
    if (found.length === lines.length) return found;
  }
  return lines;
}

// A sentence in parts that fit one subtitle each; they share its time by their length.
function parts({ start_ms, end_ms, ...line }) {
  const lines = wrapped(written(line), LINE);
  const count = Math.max(1, Math.ceil(lines.length / LINES), Math.ceil((end_ms - start_ms) / MAX_MS));
  const text = lines.join(" ");
  const words = count > 1 ? text.split(" ") : [text];
  const texts = [];
  for (const word of words) {
    const last = texts.at(-1);
    const full = last === undefined || wrapped(`${last} ${word}`, LINE).length > LINES
      || (last.length >= text.length / count && texts.length < count);
    if (full) texts.push(word);
    else texts[texts.length - 1] = `${last} ${word}`;
  }
  let at = 0;
  return texts.map((part) => {
    const from = start_ms + ((end_ms - start_ms) * at) / text.length;
    at += part.length + 1;
    const to = start_ms + ((end_ms - start_ms) * Math.min(at, text.length)) / text.length;
    return { start_ms: Math.round(from), end_ms: Math.round(to), text: part };
  });
}

// Subtitles { start_ms, end_ms, text } of lines { start_ms, end_ms, sentence, unsure }, in order. Where reading takes
// longer than signing, a subtitle stays longer and the next ones begin later.
export function cues(lines) {
  let free_ms = 0;
  return lines.flatMap(parts).map(({ start_ms, end_ms, text }) => {
    const needed_ms = Math.min(MAX_MS, Math.max(MIN_MS, Math.ceil((1000 * text.length) / READING_SPEED)));
    const from_ms = Math.max(start_ms, free_ms);
    free_ms = Math.min(Math.max(end_ms, from_ms + needed_ms), from_ms + MAX_MS);
    return { start_ms: from_ms, end_ms: free_ms, text: even(text).join("\n") };
  });
}

export function clock(ms, mark) {
  const pad = (n, width) => String(n).padStart(width, "0");
  const s = Math.floor(ms / 1000);
  const time = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60].map((n) => pad(n, 2)).join(":");
  return `${time}${mark}${pad(ms % 1000, 3)}`;
}

// Lines as "srt" or "vtt"; in WebVTT the text is escaped as the format requires.
export const subtitles = (lines, kind) => asSubtitles(cues(lines), kind);

// The same of subtitles { start_ms, end_ms, text } as they are.
export function asSubtitles(shown, kind) {
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const found = shown.map(({ start_ms, end_ms, text }, i) => {
    if (kind === "srt") return `${i + 1}\n${clock(start_ms, ",")} --> ${clock(end_ms, ",")}\n${text}\n`;
    return `${clock(start_ms, ".")} --> ${clock(end_ms, ".")}\n${escaped(text)}\n`;
  });
  return (kind === "vtt" ? "WEBVTT\n\n" : "") + found.join("\n");
}
