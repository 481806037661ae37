/** One command of a script. */
export interface ScriptCommand {
  readonly words: readonly string[];
  /** Its output goes to the standard error. */
  readonly toStderr: boolean;
  /** It is run only when the one before it succeeded. */
  readonly ifSucceeded: boolean;
}

const tokenPattern = /\s*(?:(;|&&|\n)|(>&2|1>&2)|((?:'[^']*'|"[^"$`\\]*"|\\.|[^\s;&|<>$`(){}*?#'"\\])+))/y;

/**
 * Takes apart the few kinds of shell script that a simulated process understands: commands with quoted words, one after the
 * other by ";" or "&&", and ">&2". Undefined: the script needs a real shell.
 */
export function parseScript(script: string): ScriptCommand[] | undefined {
  const commands: ScriptCommand[] = [];
  let words: string[] = [];
  let toStderr = false;
  let ifSucceeded = false;
  const finish = () => {
    if (words.length > 0) {
      commands.push({ words, toStderr, ifSucceeded });
    }
    words = [];
    toStderr = false;
  };
  const text = script.trim();
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const token = tokenPattern.exec(text);
    if (token === null) {
      return undefined;
    }
    const [, separator, redirection, word] = token;
    if (separator !== undefined) {
      finish();
      ifSucceeded = separator === "&&";
    } else if (redirection !== undefined) {
      toStderr = true;
    } else if (word !== undefined) {
      words.push(unquote(word));
    }
  }
  finish();
  return commands;
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"([^"]*)"|\\(.)/g,
    (_, single?: string, double?: string, escaped?: string) => {
      return single ?? double ?? escaped ?? "";
    },
  );
}
