/** What to do with a newcomer. */
export type CloneVerdict =
  | { readonly kind: "admitted" }
  /** Another process with the same identity holds the session and keeps it. `news`: worth telling people, and not told a moment ago. */
  | { readonly kind: "refused"; readonly news: boolean };

/** When two processes are seen to be clones. */
export interface CloneRule {
  /** How long a change of process is remembered, in milliseconds. */
  readonly windowMs: number;
  /** How often processes may throw each other out within the window. */
  readonly switches: number;
}

/** docs/protocol.md "Clones". */
export const defaultCloneRule: CloneRule = { windowMs: 60_000, switches: 3 };

interface Switch {
  /** The process that lost its session, by its instance id. */
  readonly from: string;
  readonly at: number;
}

interface Contest {
  readonly switches: readonly Switch[];
  /** Set while one process is kept out for the sake of another. */
  readonly refused?: { readonly newcomer: string; readonly incumbent: string };
  readonly toldAt?: number;
}

/**
 * Tells clones (two processes with one identity, from a copied disk) from restarts. A process that lost its session to another one
 * and is back is a clone of it: a restarted process has a new instance id and never comes back. Once they have thrown each other out
 * too often, whoever holds the session keeps it for as long as it lasts. Remembers only agents whose sessions were taken over.
 */
export class CloneGuard {
  readonly #rule: CloneRule;
  readonly #contests = new Map<string, Contest>();
  #sweptAt = -Infinity;

  constructor(rule: CloneRule = defaultCloneRule) {
    this.#rule = rule;
  }

  /** How many agents are remembered. */
  get size(): number {
    return this.#contests.size;
  }

  /**
   * Judges a newcomer at `now`, of a monotonic clock in milliseconds. `incumbent` is the instance id of the process that holds the
   * agent's session; undefined: nobody does, so that nobody is thrown out.
   */
  judge(agentId: string, incumbent: string | undefined, newcomer: string, now: number): CloneVerdict {
    if (incumbent === undefined || incumbent === newcomer) return { kind: "admitted" };
    const known = this.#contests.get(agentId);
    const switches = this.#recent(known, now);
    if (this.#isFight(switches, incumbent, newcomer) || isKeptOut(known, incumbent, newcomer)) {
      return this.#refuse(agentId, { switches, refused: { newcomer, incumbent } }, known, now);
    }
    this.#sweep(now);
    this.#contests.set(agentId, { switches: [...switches, { from: incumbent, at: now }] });
    return { kind: "admitted" };
  }

  /** The agent's session has ended and no other took its place: whoever comes next may have it. */
  released(agentId: string): void {
    const contest = this.#contests.get(agentId);
    if (contest?.refused !== undefined) this.#contests.set(agentId, { switches: contest.switches });
  }

  // Only what the two did to each other counts: processes that were restarted before them have gone.
  #isFight(switches: readonly Switch[], incumbent: string, newcomer: string): boolean {
    const isBack = switches.some(({ from }) => from === newcomer);
    const mutual = switches.filter(({ from }) => from === newcomer || from === incumbent);
    return isBack && mutual.length >= this.#rule.switches;
  }

  #refuse(agentId: string, contest: Contest, known: Contest | undefined, now: number): CloneVerdict {
    const toldAt = known?.toldAt;
    const news = toldAt === undefined || now - toldAt >= this.#rule.windowMs;
    this.#contests.set(agentId, { ...contest, toldAt: news ? now : toldAt });
    return { kind: "refused", news };
  }

  #recent(contest: Contest | undefined, now: number): readonly Switch[] {
    return contest?.switches.filter(({ at }) => now - at < this.#rule.windowMs) ?? [];
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < this.#rule.windowMs) return;
    this.#sweptAt = now;
    for (const [agentId, contest] of this.#contests) {
      if (contest.refused === undefined && this.#recent(contest, now).length === 0) {
        this.#contests.delete(agentId);
      }
    }
  }
}

// The others' fight is over, but the copied disk is still there: it would begin anew once a window has passed.
function isKeptOut(contest: Contest | undefined, incumbent: string, newcomer: string): boolean {
  return contest?.refused?.newcomer === newcomer && contest.refused.incumbent === incumbent;
}
