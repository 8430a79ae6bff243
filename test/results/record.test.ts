import { expect, it } from 'vitest'
import { isResultPath, parseRecord } from '../../src/results/record.ts'
import { recordOf } from './contract.ts'

it.each([
  'record.json',
  'job.json',
  'files.jsonl',
  'files/1-url.json',
  'files/12-page_image_url.png',
  '3-0123abcd/job.json',
  `3-${'0123abcd'.repeat(4)}/files/1-url.json`,
])('a record can name %s', (path) => {
  expect(isResultPath(path)).toBe(true)
})

it.each([
  ...[
    '',
    '.',
    '..',
    '/',
    'files',
    'files/',
    'files/.',
    'files/..',
    'files/.hidden',
    'files/a..b',
    'files//a',
    'files/a/b',
  ],
  ...[
    './job.json',
    '/job.json',
    'job.json/',
    'job.json\n',
    'Job.json',
    '../job.json',
    'files/../job.json',
    '..%2fjob.json',
  ],
  ...[
    'files/%2e%2e',
    'files/a%00',
    'files/a\0',
    'files\\a',
    'files/a\\b',
    'files/a b',
    'files/ä',
    `files/${'x'.repeat(201)}`,
  ],
  ...[
    '3-0123abcd/record.json',
    '3-xyz/job.json',
    'a/job.json',
    '3-0123abcd/../job.json',
    '3-0123abcd/3-0123abcd/job.json',
  ],
  ...[null, undefined, 1, ['job.json'], { toString: () => 'job.json' }],
])('no record can name %j', (path) => {
  expect(isResultPath(path)).toBe(false)
})

it('reads records of versions before rounds, as of round 0', () => {
  const { round: _, ...old } = recordOf('job-1')
  expect(parseRecord(JSON.stringify(old), 'job-1')).toEqual({ ...old, round: 0 })
  expect(parseRecord(JSON.stringify({ ...old, round: 7, later: 'field' }), 'job-1')).toMatchObject({
    round: 7,
    later: 'field',
  })
})

it('takes a record of another job for none', () => {
  expect(parseRecord(JSON.stringify(recordOf('job-2')), 'job-1')).toBeNull()
})
