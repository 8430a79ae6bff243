import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/inbox/inbox.ts'
import { resolveId, resolveIds } from '../../src/operations/ids.ts'

function ledger(...ids: string[]): Pick<Ledger, 'idsFrom'> {
  return {
    idsFrom: async (_kind, prefix, limit) =>
      ids
        .filter((id) => id.startsWith(prefix))
        .sort()
        .slice(0, limit),
  }
}

describe('the start of an id', () => {
  it('is the id when it is the only one', async () => {
    expect(await resolveId(ledger('abcd-1', 'b'), 'job', 'abcd')).toEqual({ is: 'id', id: 'abcd-1' })
  })

  it('is itself when it is an id, also where longer ones begin so', async () => {
    expect(await resolveId(ledger('abcd', 'abcd-1'), 'job', 'abcd')).toEqual({ is: 'id', id: 'abcd' })
    expect(await resolveId(ledger('a', 'ab', 'ac', 'ad', 'ae'), 'job', 'a')).toEqual({ is: 'id', id: 'a' })
  })

  it('is refused when there are several, with some of them', async () => {
    const many = ledger('abcd-1', 'abcd-2', 'abcd-3', 'abcd-4')
    expect(await resolveId(many, 'job', 'abcd')).toEqual({
      is: 'refused',
      code: 'ambiguous',
      message: 'more than one job begins with abcd: abcd-1, abcd-2, abcd-3, …; give more of the id',
    })
  })

  it('is refused when it is nothing, or too short to be meant', async () => {
    expect(await resolveId(ledger('abcd-1'), 'job', 'x')).toMatchObject({ code: 'unknown' })
    expect(await resolveId(ledger('abcd-1'), 'job', 'abc')).toMatchObject({ message: 'there is no job abc' })
  })

  it('counts once among many, and what is none is skipped', async () => {
    expect(await resolveIds(ledger('abcd-1'), 'job', ['abcd', 'abcd-1', 'nobody', 'nobody'])).toEqual({
      ids: ['abcd-1'],
      skipped: [{ id: 'nobody', why: 'there is no such job' }],
    })
  })
})
