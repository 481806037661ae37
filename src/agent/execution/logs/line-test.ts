import { RE2JS, RE2JSException } from "re2js";
import { FleetError } from "../../../domain/errors.ts";
import type { LogMatch } from "../../../gen/fairlead/container/v1/log_pb.js";

/** Whether a line, without its newline, is wanted. */
export type LineTest = (line: string) => boolean;

/** The test of a match. Undefined: there is no pattern, every line is wanted. Throws INVALID_ARGUMENT for a pattern that RE2 does not take. */
export function lineTest({ pattern, ignoreCase, invert }: LogMatch): LineTest | undefined {
  if (pattern.case === undefined) return undefined;
  const holds =
    pattern.case === "text" ? textTest(pattern.value, ignoreCase) : regexTest(pattern.value, ignoreCase);
  return invert ? (line) => !holds(line) : holds;
}

function textTest(text: string, ignoreCase: boolean): LineTest {
  if (!ignoreCase) return (line) => line.includes(text);
  const wanted = text.toLowerCase();
  return (line) => line.toLowerCase().includes(wanted);
}

// Linear in the length of the line, whatever the pattern: one from the network must not stop the agent.
function regexTest(regex: string, ignoreCase: boolean): LineTest {
  try {
    const compiled = RE2JS.compile(regex, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    return (line) => compiled.matcher(line).find();
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new FleetError(
      "INVALID_ARGUMENT",
      `the pattern is no regular expression of RE2: ${error.message}`,
      {
        violations: [{ field: "match.regex", description: error.message }],
      },
    );
  }
}
