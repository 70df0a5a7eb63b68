/**
 * Statements run synchronously; this lets timers and sockets have their turn.
 *
 * @since 0.1.0
 */
import { setImmediate } from "node:timers"

/** Runs work at once, until the current turn of the event loop has taken 10 ms. */
export class EventLoopTurn {
  #startedAt = 0
  #running = false
  #waiting: (() => void) | undefined

  /** Runs `work` now, or in the next turn. One at a time: the last one must have run. */
  use(work: () => void): void {
    if (!this.#running) {
      this.#running = true
      this.#startedAt = performance.now()
      setImmediate(() => this.#next())
      work()
    } else if (performance.now() - this.#startedAt < TURN_MS_MAX) work()
    else this.#waiting = work
  }

  #next(): void {
    this.#running = false
    const work = this.#waiting
    this.#waiting = undefined
    if (work !== undefined) this.use(work)
  }
}

// internal

/** Milliseconds of statements in one turn; a lag of 10 ms is what a server's other work does not notice. */
const TURN_MS_MAX = 10
