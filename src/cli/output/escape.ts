// Control characters of all three ranges (escape sequences begin with one of them), line and paragraph separators,
// and the marks that turn the direction of text around, with which a name can be made to look like another.
const unsafe = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]|\p{Surrogate}/gu;

/** Text of others, fit for a terminal: on one line, and with nothing in it that a terminal would obey. */
export function escapeText(text: string): string {
  return text.replace(unsafe, (character) => names[character] ?? hexadecimal(character));
}

/** JSON that is fit for a terminal too. `JSON.stringify` lets some such characters pass; here they are escaped. */
export function escapeJson(json: string): string {
  return json.replace(unsafe, (character) => (character === "\n" ? character : hexadecimal(character, 4)));
}

const names: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function hexadecimal(character: string, digits = 2): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 || digits > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
}
