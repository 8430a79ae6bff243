import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { parseLossless, stringifyLossless } from '../../src/lossless-json.ts'
import { metadataOf } from '../../src/receive/metadata.ts'
import { parse } from '../../src/receive/parse.ts'
import { admitDirect } from '../../src/receive/verify.ts'

const read = (body: string) => parse(admitDirect(Buffer.from(body)))
const BOM = '\uFEFF'
const JOB = { is: 'job', jobId: 'a', status: 'Completed' }

describe('what a body is', () => {
  it.each<[body: string, expected: object]>([
    ['{"job_id":"a","status":"Completed"}', JOB],
    [`${BOM}{"job_id":"a","status":"Completed"}`, JOB],
    [`${BOM}${BOM}{"job_id":"a","status":"Completed"}`, { is: 'rejected', reason: 'not JSON' }],
    [BOM, { is: 'rejected', reason: 'not JSON' }],
    ['{"type":"async.update","data":{"job_id":"a","status":"Completed","metadata":1}}', JOB],
    ['{"data":{"job_id":"a","status":"Completed"}}', JOB],
    [`${BOM}{"type":"x","timestamp":1,"data":{"status":"Completed","job_id":"a"}}`, JOB],
    // The update itself may have a member of that name.
    ['{"job_id":"a","status":"Completed","data":{"job_id":"b","status":"Failed"}}', JOB],
    ['{"job_id":7,"data":{"job_id":"a","status":"Completed"}}', { is: 'rejected' }],
    ['{"job_id":null,"data":{"job_id":"a","status":"Completed"}}', { is: 'rejected' }],
    ['{"data":{"job_id":7,"status":"Completed"}}', { is: 'rejected' }],
    ['{"data":{"job_id":"../jobs","status":"Completed"}}', { is: 'rejected' }],
    ['{"data":{"job_id":"a"}}', { is: 'rejected' }],
    ['{"data":{"job_id":"a","status":""}}', { is: 'rejected' }],
    ['{"type":"svix.ping","data":{"success":true}}', { is: 'ignored' }],
    ['{"data":[{"job_id":"a","status":"Completed"}]}', { is: 'ignored' }],
    ['{"data":"{\\"job_id\\":\\"a\\"}"}', { is: 'ignored' }],
    ['{"data":null}', { is: 'ignored' }],
    ['{"data":{"data":{"job_id":"a","status":"Completed"}}}', { is: 'ignored' }],
    ['{"__proto__":{"job_id":"a","status":"Completed"}}', { is: 'ignored' }],
    ['{"data":{"__proto__":{"job_id":"a","status":"Completed"}}}', { is: 'ignored' }],
    ['{"job_id":"a\\n","status":"Completed"}', { is: 'rejected' }],
    ['{"job_id":"","status":"Completed"}', { is: 'rejected' }],
    ['{"job_id":"ä","status":"Completed"}', { is: 'rejected' }],
    [`{"data":${'{"a":'.repeat(63)}1${'}'.repeat(63)}}`, { is: 'ignored' }],
    [`{"data":${'{"a":'.repeat(64)}1${'}'.repeat(64)}}`, { is: 'rejected', reason: 'nested deeper than 64' }],
  ])('%s', (body, expected) => {
    expect(read(body)).toMatchObject(expected)
  })
})

describe('the metadata of a body', () => {
  it.each<[body: string, metadata: string]>([
    ['{"job_id":"a","metadata":{"user":"1"}}', '{"user":"1"}'],
    [`${BOM}{"job_id":"a","metadata":[1]}`, '[1]'],
    ['{"type":"x","data":{"job_id":"a","metadata":{"id":12345678901234567890}}}', '{"id":12345678901234567890}'],
    ['{"job_id":"a","metadata":1.0}', '1.0'],
    [
      '{"job_id":"a","metadata":{"a":1.10,"b":-0,"c":1E5,"d":"1.0","e":[0.1,1e400]}}',
      '{"a":1.10,"b":-0,"c":1E5,"d":"1.0","e":[0.1,1e400]}',
    ],
    [
      '{"job_id":"a", "metadata" : { "a" : [ 1.0 , true , null ] , "b\\"" : { } , "c" : [ ] } }',
      '{"a":[1.0,true,null],"b\\"":{},"c":[]}',
    ],
    ['{"job_id":"a","metadata":1,"metadata":2.0}', '2.0'],
    ['{"job_id":"a","metadata":{"__proto__":{"x":1.0}}}', '{"__proto__":{"x":1.0}}'],
    ['{"job_id":"a","metadata":"text with 1.0 in it"}', '"text with 1.0 in it"'],
    ['{"job_id":"a","data":{"job_id":"b","metadata":2},"metadata":1}', '1'],
    ['{"job_id":"a"}', 'null'],
    ['{"success":true,"metadata":1}', 'null'],
    ['[]', 'null'],
    ['null', 'null'],
    ['', 'null'],
    ['not JSON', 'null'],
    ['{"job_id":"a","metadata":"cut o', 'null'],
    [`{"job_id":"a","metadata":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'null'],
  ])('%s', (body, metadata) => {
    expect(stringifyLossless(metadataOf(body))).toBe(metadata)
  })

  it('is what an exact parser finds, for any body', () => {
    const number = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
      fc.stringMatching(/^-?(0|[1-9]\d{0,25})(\.\d{1,25})?([eE][+-]?\d{1,3})?$/),
    )
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { maxDepth: 5 },
        number,
        fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
        fc.constantFrom('true', 'false', 'null', '""', '"\\\\"', '"\\u0041\\""'),
        fc.array(tie('json'), { maxLength: 4 }).map((items) => `[ ${items.join(' ,')}]`),
        fc
          .array(fc.tuple(fc.string(), tie('json')), { maxLength: 4 })
          .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)} :${value}`).join(',\n')} }`),
      ),
    }))
    fc.assert(
      fc.property(json, (metadata) => {
        const found = metadataOf(`{"job_id":"a","metadata":${metadata},"status":"x"}`)
        expect(stringifyLossless(found)).toBe(stringifyLossless(parseLossless(String(metadata))))
      }),
      { numRuns: 500 },
    )
  })

  it('is found without a function call for every value, which takes half a second for 1 MiB of small ones', () => {
    const parsed = vi.spyOn(JSON, 'parse')
    metadataOf(`{"job_id":"a","metadata":[${'1,'.repeat(1_000)}1.0]}`)
    expect(parsed).toHaveBeenCalledTimes(1)
    expect(parsed.mock.calls[0]).toHaveLength(1)
    parsed.mockRestore()
  })
})
