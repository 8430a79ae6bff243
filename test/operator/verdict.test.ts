import { describe, expect, it } from 'vitest'
import { type Situation, verdictOf } from '../../src/operator/verdict.ts'

const NOW = Date.parse('2026-11-25T12:00:00Z')
const HOUR = 3_600_000

const CALM: Situation = {
  now: NOW,
  notReady: [],
  degraded: [],
  pause: null,
  jobs: { queued: 0, running: 0, done: 12, dead: 0 },
  causes: [],
  atRisk: { jobs: 0, purgeAt: null },
  lastDeliveryAt: NOW - 60_000,
}

const trouble = (name: string) => ({ name, message: `trouble with ${name}`, since: NOW - 2 * HOUR })

const FULL_OF_TROUBLE: Situation = {
  ...CALM,
  notReady: ['inbox'],
  degraded: ['reducto', 'handler', 'disk'].map(trouble),
  pause: { since: NOW - HOUR, reason: 'a new handler' },
  jobs: { queued: 3, running: 1, done: 12, dead: 18 },
  causes: [
    { text: 'Refused by your handler', jobs: 9, isSaved: true },
    { text: 'Reducto answered 503', jobs: 5, isSaved: false },
  ],
  atRisk: { jobs: 4, purgeAt: NOW + 2 * HOUR },
  lastDeliveryAt: NOW - 30 * HOUR,
}

describe('the verdict', () => {
  /** Each line takes the worst trouble of the one above away. */
  const ORDER: readonly (readonly [saysFirst: string, without: Partial<Situation>])[] = [
    ['Deliveries cannot be recorded.', { notReady: [] }],
    ['A person paused the worker.', { pause: null }],
    ['The disk is full.', { degraded: ['reducto', 'handler'].map(trouble) }],
    ['4 results are still only at Reducto.', { atRisk: { jobs: 4, purgeAt: NOW + 4 * HOUR } }],
    ['18 jobs need a person.', { jobs: { ...FULL_OF_TROUBLE.jobs, dead: 0 } }],
    ['Your handler fails.', { degraded: [trouble('reducto')] }],
    ['Reducto does not answer.', { degraded: [] }],
    ['Nothing has arrived for 1 d 6 h.', { lastDeliveryAt: NOW }],
    ['All is well.', {}],
  ]

  it('names what is lost first, in this order', () => {
    let situation = FULL_OF_TROUBLE
    for (const [bold, without] of ORDER) {
      expect(verdictOf(situation).bold).toBe(bold)
      situation = { ...situation, ...without }
    }
  })

  it.each<[name: string, changes: Partial<Situation>, expected: object]>([
    ['nothing arrived so far', { lastDeliveryAt: null }, { bold: 'No delivery has arrived yet.', cure: null }],
    [
      'one dead job',
      { jobs: { ...CALM.jobs, dead: 1 } },
      { bold: '1 job needs a person.', cure: { is: 'link', text: 'Look at the dead', path: ['dead'] } },
    ],
    [
      'a pause says why and since when',
      { pause: { since: NOW - 2 * HOUR, reason: 'a new handler' }, jobs: { ...CALM.jobs, queued: 1 } },
      { rest: 'Deliveries are accepted; 1 job waits.', why: expect.stringContaining('2 h ago. “a new handler”') },
    ],
    [
      'a pause is ended with a button',
      { pause: { since: NOW, reason: null } },
      { cure: { is: 'resume', text: 'Resume' } },
    ],
    [
      'the purge that is over',
      { atRisk: { jobs: 1, purgeAt: NOW - 1 } },
      { bold: '1 result is still only at Reducto.', rest: 'The first is deleted there about now.' },
    ],
    ['work on its way', { jobs: { ...CALM.jobs, queued: 1, running: 2 } }, { rest: '3 jobs are on the way.' }],
    [
      'a degradation that is not known yet',
      { degraded: [trouble('quasar')] },
      { why: 'Trouble with quasar. For 2 h.' },
    ],
    ['an unreadiness that is not known yet', { notReady: ['quasar'] }, { why: 'The service says: quasar.' }],
  ])('%s', (_name, changes, expected) => {
    expect(verdictOf({ ...CALM, ...changes })).toMatchObject(expected)
  })
})
