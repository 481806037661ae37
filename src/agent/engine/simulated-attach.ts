import { untilAborted } from "../../resilience/signals.ts";
import { failureFromAnswer } from "./docker-errors.ts";
import { signalsAreForExecs } from "./attached-signals.ts";
import type { AttachOptions, EngineProcess, OutputPiece } from "./engine-streams.ts";
import { piecesOf, type SimulatedAttachment } from "./simulated-console.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** Somebody who is attached to a simulated container. */
export class SimulatedAttach implements EngineProcess {
  readonly output: AsyncIterable<OutputPiece>;
  readonly #container: SimulatedContainer;
  readonly #hasInput: boolean;
  readonly #attachment: SimulatedAttachment;
  readonly #onRelease: () => void;

  /** `onRelease` is called when it is let go of; maybe more than once. */
  constructor(container: SimulatedContainer, { stdin }: AttachOptions, onRelease: () => void) {
    this.#container = container;
    this.#hasInput = stdin && container.origin.spec.stdinOpen;
    this.#attachment = container.console.attach();
    this.#onRelease = onRelease;
    this.output = piecesOf(this.#attachment.output, () => this.#attachment.error);
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#hasInput && !this.#attachment.over) {
      await this.#container.console.session.write(data);
    }
  }

  async closeInput(): Promise<void> {
    if (this.#hasInput && !this.#attachment.over) {
      await this.#container.console.session.closeInput();
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    if (this.#attachment.over) {
      return;
    }
    if (this.#container.run === undefined) {
      throw failureFromAnswer(409, `Container ${this.#container.id} is not running`);
    }
    this.#container.console.session.resize(columns, rows);
  }

  exitCode(signal: AbortSignal): Promise<number> {
    return untilAborted(this.#attachment.ended.promise, signal);
  }

  async kill(): Promise<void> {
    if (!this.#container.origin.spec.tty) {
      // The input of a container belongs to the first one who has it, and ends with him.
      await this.closeInput();
    }
    this.#container.console.detach(this.#attachment);
    this.#onRelease();
  }

  async signal(): Promise<void> {
    throw signalsAreForExecs();
  }
}
