/**
 * What makes Docker let go of a terminal. It wants some, holds back the first of them until the next key, and its own begin
 * with Control-P, which shells use: these begin with Control-^, and nobody types the rest.
 */
export const detachKeys = "ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@";
