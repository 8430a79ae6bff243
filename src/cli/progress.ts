import type { OnSearched } from '../operations/walk.ts'

type Terminal = { readonly isTTY?: boolean; write(text: string): unknown }

const CLEAR_LINE = '\r\x1b[K'

export type Progress = {
  readonly searched: OnSearched
  readonly done: (done: number, total: number) => void
  say(text: string): void
  end(): void
}

/** Tells how far work has come, on one line that `end` removes; nothing where no person looks on. */
export function showProgress(terminal: Terminal): Progress {
  let isShown = false
  function say(text: string): void {
    if (!terminal.isTTY) return
    terminal.write(`${CLEAR_LINE}${text}`)
    isShown = true
  }
  return {
    say,
    searched: (searchedTo) => say(`searched back to ${new Date(searchedTo).toISOString()}`),
    done: (done, total) => say(`${done} of ${total}`),
    end() {
      if (isShown) terminal.write(CLEAR_LINE)
      isShown = false
    },
  }
}
