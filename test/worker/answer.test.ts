import { describe, expect, it } from 'vitest'
import { DocumentCrashed, NotJson } from '../../src/answer/errors.ts'
import type { Reading, ScanDocument } from '../../src/answer/scan-thread.ts'
import { fetchAnswer } from '../../src/worker/answer.ts'

/** How an answer of Reducto's is read, and when it is believed although it cannot be read. */

const READ: Reading = { status: 'Completed', reason: null, type: 'Parse', links: [], lacks: null, isJson: true }

/** Answers in turn, the last one again and again; `read` fails for those that cannot be read. */
function asking(bodies: readonly string[], read: (text: string, time: number) => Reading = () => READ) {
  let [calls, reads] = [0, 0]
  const scan: ScanDocument = () => {
    const pieces: Uint8Array[] = []
    return {
      write: async (piece) => void pieces.push(piece),
      end: async () => read(Buffer.concat(pieces).toString(), ++reads),
      drop() {},
    }
  }
  const fetchJob = async () => Buffer.from(bodies[Math.min(calls++, bodies.length - 1)]!)
  const answer = fetchAnswer('job-1', { fetchJob, scan }, new AbortController().signal)
  return { answer, calls: () => calls }
}
const unreadable = () => {
  throw new NotJson('unexpected N at 9')
}

it('what can be read is believed, and asked for once', async () => {
  const text = '{"status":"Completed"}'
  const on = asking([text])
  expect(await on.answer).toEqual({ body: Buffer.from(text), reading: READ, warning: null })
  expect(on.calls()).toBe(1)
})

describe('bytes that cannot be read', () => {
  const text = '{"status":"Completed","total":NaN}'

  it('are asked for again at once', async () => {
    const read = (body: string) => (body === '{}' ? READ : unreadable())
    const on = asking([text, '{}'], read)
    expect(await on.answer).toMatchObject({ warning: null })
    expect(on.calls()).toBe(2)
  })

  it.each(['', '\uFEFF'])('are believed when they stay the same and name how the job ended (%j)', async (mark) => {
    const on = asking([mark + text], unreadable)
    expect(await on.answer).toMatchObject({
      reading: { status: 'Completed', links: [], isJson: false },
      warning: expect.stringContaining('unexpected N'),
    })
    expect(on.calls()).toBe(3)
  })

  it.each([
    ['break off', ['{"status":"Completed","total":NaN'], 3],
    ['do not say that the job has ended', ['{"status":"Pending","total":NaN}'], 3],
    ['are no text of an object', ['<html>"status":"Completed"}'], 3],
    ['are others each time', [text, `${text} `], 2],
  ])('are not when they %s', async (_name, bodies, calls) => {
    const on = asking(bodies, unreadable)
    await expect(on.answer).rejects.toBeInstanceOf(NotJson)
    expect(on.calls()).toBe(calls)
  })
})

describe('an answer that ends the thread that reads it', () => {
  const crash = () => {
    throw new DocumentCrashed('the document ended the thread that read it')
  }

  it('is read once more', async () => {
    const on = asking(['{}'], (_text, time) => (time === 1 ? crash() : READ))
    expect(await on.answer).toMatchObject({ warning: null })
  })

  it('and no more', async () => {
    const on = asking(['{}'], crash)
    await expect(on.answer).rejects.toBeInstanceOf(DocumentCrashed)
    expect(on.calls()).toBe(2)
  })
})
