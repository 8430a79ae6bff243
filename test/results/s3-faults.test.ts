import { getEventListeners } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { S3Unavailable } from '../../src/results/s3/errors.ts'
import { createS3Results } from '../../src/results/s3.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { type Fault, faultyS3, type S3Call } from '../support/faulty-s3.ts'
import { answerOf, neverAborts, ours, pieces, recordOf, save, text, textOf, theirs } from './contract.ts'

const MIB = 1024 * 1024
const DAY = 24 * 3_600_000

async function openTest(fault?: (call: S3Call) => Fault | undefined) {
  const s3 = await faultyS3(fault)
  const open = (owner = ours) =>
    createS3Results({ bucket: 'results', prefix: 'p', region: null, endpoint: s3.endpoint }, { owner })
  return { s3, open, results: open() }
}

async function* large(mib = 12): AsyncIterable<Uint8Array> {
  for (let index = 0; index < mib; index++) yield Buffer.alloc(MIB, index)
}

const on = (operation: string, fault: Fault) => (call: S3Call) => (call.operation === operation ? fault : undefined)

describe('a store that fails', () => {
  it.each([
    ['CreateMultipartUpload', 403, 'AccessDenied', 'not authorized to perform: kms:GenerateDataKey on resource: key'],
    ['UploadPart', 403, 'AccessDenied', 'not authorized to perform: kms:Decrypt on resource: key'],
    ['UploadPart', 503, 'SlowDown', 'Please reduce your request rate.'],
    ['UploadPart', 507, 'XMinioStorageFull', 'Storage backend has reached its minimum free drive threshold.'],
    ['CompleteMultipartUpload', 400, 'EntityTooSmall', 'too small'],
    // As S3 does when it fails after it has begun to answer.
    ['CompleteMultipartUpload', 200, 'InternalError', 'We encountered an internal error.'],
  ])(
    'is told in its own words: %s %i %s',
    async (operation, status, code, message) => {
      const { s3, results } = await openTest(on(operation, { status, code, message }))
      let closed = false
      async function* source() {
        try {
          yield* large()
        } finally {
          closed = true
        }
      }
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const error = await draft.write('files/1', source()).catch((thrown) => thrown)
      expect(error).toBeInstanceOf(ResultsUnavailable)
      expect(error.message).toContain(`S3: ${code}: ${message}`)
      expect(error.message).toContain(operation)
      if (message.includes('kms:')) expect(error.message).toContain('needs kms:GenerateDataKey and kms:Decrypt')
      expect(closed).toBe(true)
      // Its parts would be paid for.
      expect(s3.uploads.size).toBe(0)
      expect(s3.objects.size).toBe(0)
    },
    15_000,
  )

  it.each<[string, Fault, RegExp]>([
    [
      'a wrong region, told in words',
      {
        status: 400,
        code: 'AuthorizationHeaderMalformed',
        message: "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
      },
      /the bucket is in the region eu-central-1: name it in RESULTS_URL, as the parameter region \(region=eu-central-1\)/,
    ],
    [
      'another endpoint',
      { status: 301, code: 'PermanentRedirect', message: 'The bucket must be addressed using the specified endpoint.' },
      /the bucket is in another region, or behind another endpoint: name it in RESULTS_URL, as the parameter region or endpoint/,
    ],
    ['a redirect without words', { status: 307, text: '' }, /name it in RESULTS_URL, as the parameter region/],
    [
      'very many words',
      { status: 301, code: 'PermanentRedirect', message: 'Please go elsewhere. '.repeat(1_000) },
      /name it in RESULTS_URL, as the parameter region/,
    ],
    [
      'a key, at length',
      { status: 403, code: 'AccessDenied', message: `no kms:Decrypt on ${'arn:aws:'.repeat(200)}` },
      /needs kms:GenerateDataKey and kms:Decrypt on that key/,
    ],
  ])('is told with what to do, also when it was scrubbed: %s', async (_name, fault, advice) => {
    const { results } = await openTest(() => fault)
    const error = await results.record('job-1', neverAborts).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ResultsUnavailable)
    expect(createScrub([])(error.message)).toMatch(advice)
  })

  it('keeps its advice when no region is set', () => {
    const { message } = new S3Unavailable(new Error('Region is missing'), 'GetObject')
    expect(createScrub([])(message)).toBe(message)
    expect(message).toMatch(/name the region of the bucket in RESULTS_URL, as the parameter region/)
  })

  it('does not hide what the source of a file throws in the middle of an upload', async () => {
    const { s3, results } = await openTest()
    const thrown = new Error('the download broke off')
    async function* source() {
      yield* large()
      throw thrown
    }
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    await expect(draft.write('files/1', source())).rejects.toBe(thrown)
    expect(s3.operations()).toContain('UploadPart')
    expect(s3.uploads.size).toBe(0)
  })

  it('is told by what it says when it says nothing that is S3', async () => {
    const { results } = await openTest(() => ({ status: 403, text: '<html>a proxy stands here</html>' }))
    const error = await results.check(neverAborts).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ResultsUnavailable)
    expect(error.message).toContain('HTTP 403')
  })
})

describe('a store that hangs', () => {
  const calls: [
    string,
    'hang' | 'stall',
    (results: ReturnType<typeof createS3Results>, signal: AbortSignal) => Promise<unknown>,
  ][] = [
    ['GetObject', 'hang', (results, signal) => results.record('job-1', signal)],
    ['GetObject', 'stall', (results, signal) => results.record('job-1', signal)],
    ['GetObject', 'hang', (results, signal) => results.open('job-1', 'record.json', signal)],
    ['GetObject', 'stall', async (results, signal) => text((await results.open('job-1', 'record.json', signal))!.body)],
    ['PutObject', 'hang', async (results, signal) => save(results, 'job-1', 'x', { signal })],
    [
      'UploadPart',
      'hang',
      async (results, signal) => (await results.draft('job-1', 1, { signal })).write('files/1', large()),
    ],
    ['GetObject', 'hang', async (results, signal) => results.draft('job-1', 1, { signal, from: 'saved' })],
    ['ListObjectsV2', 'hang', (results, signal) => results.remove('job-1', signal)],
    ['DeleteObject', 'hang', (results, signal) => results.remove('job-1', signal)],
    ['CreateMultipartUpload', 'hang', (results, signal) => results.check(signal)],
  ]
  it.each(calls)('holds up nothing that has been told to stop: %s, %s', async (operation, fault, run) => {
    const { s3, results } = await openTest(on(operation, fault))
    const stop = new AbortController()
    const running = run(results, stop.signal)
    running.catch(() => {})
    await s3.called(operation)
    const reason = new Error('stopped')
    stop.abort(reason)
    const error = (await running.catch((thrown) => thrown)) as Error
    // Node breaks a body off with an error of its own, which names the reason.
    expect([error, error.cause]).toContain(reason)
    expect(getEventListeners(stop.signal, 'abort').length).toBe(0)
  })

  it('ends a list of old results with what was removed so far', async () => {
    const { s3, results } = await openTest(on('ListObjectsV2', 'hang'))
    const stop = new AbortController()
    const expiring = results.expire({ before: Date.now(), signal: stop.signal })
    await s3.called('ListObjectsV2')
    stop.abort()
    expect(await expiring).toBe(0)
  })

  it('does not keep a draft that is given up from ending', async () => {
    const { s3, results } = await openTest()
    const stop = new AbortController()
    const draft = await results.draft('job-1', 1, { signal: stop.signal })
    await draft.write('files/1', pieces('x'))
    s3.fail(() => 'hang')
    const discarding = draft.discard()
    await s3.called('ListObjectsV2')
    stop.abort()
    await discarding
    await draft.discard()
  })
})

describe('a store that refuses to delete many at once', () => {
  it.each([
    [501, 'NotImplemented'],
    [400, 'InvalidRequest'],
    [400, 'MissingContentMD5'],
    [405, 'MethodNotAllowed'],
    [403, 'AccessDenied'],
    [404, 'NotFound'],
  ])('gets them one by one: %i %s', async (status, code) => {
    const { s3, results } = await openTest(on('DeleteObjects', { status, code }))
    await save(results, 'job-1', 'x', { files: { '1.png': 'a', '2.png': 'b' } })
    await save(results, 'job-1', 'y', { token: 2, replace: true })
    expect(s3.objects.size).toBe(3)
    await results.remove('job-1', neverAborts)
    expect(s3.objects.size).toBe(0)
  })

  it('has removed a job only when all of its objects are gone', async () => {
    const { s3, results } = await openTest()
    await save(results, 'job-1', 'x', { files: { '1.png': 'a' } })
    const { size } = s3.objects
    s3.fail(({ operation, key }) => {
      if (operation === 'DeleteObjects') return { status: 501, code: 'NotImplemented' }
      if (operation === 'DeleteObject' && key.endsWith('1.png'))
        return { status: 403, code: 'AccessDenied', message: 'locked' }
      return undefined
    })
    await expect(results.remove('job-1', neverAborts)).rejects.toThrow('AccessDenied: locked')
    expect(s3.objects.size).toBeLessThan(size)
    expect(await results.record('job-1', neverAborts)).toBeNull()
    // One that says that it has, and has not.
    s3.fail(({ operation }) => (operation.startsWith('DeleteObject') ? { status: 200, text: '' } : undefined))
    await expect(results.remove('job-1', neverAborts)).rejects.toBeInstanceOf(ResultsUnavailable)
    s3.fail(() => undefined)
    await results.remove('job-1', neverAborts)
    expect(s3.objects.size).toBe(0)
  })
})

describe('what a store wants to know of a body’s integrity', () => {
  const sums = ({ headers }: S3Call) =>
    Object.keys(headers).filter((name) => name === 'content-md5' || name.startsWith('x-amz-checksum-'))
  const isBody = ({ operation }: S3Call) => operation === 'PutObject' || operation === 'UploadPart'

  it('it gets the header that all know, so that a bucket with Object Lock takes it', async () => {
    const { s3, results } = await openTest((call) =>
      isBody(call) && sums(call).length === 0
        ? { status: 400, code: 'InvalidRequest', message: 'Content-MD5 OR x-amz-checksum- HTTP header is required' }
        : undefined,
    )
    await results.check(neverAborts)
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const job = await draft.write('job.json', large())
    await draft.commit(recordOf('job-1', { job }), { replace: false })
    for (const call of s3.calls.filter(isBody)) expect(sums(call)).toEqual(['content-md5'])
  })

  it.each([
    ['any', (call: S3Call) => sums(call).length > 0, []],
    [
      'an MD5, but wants a checksum',
      (call: S3Call) => !sums(call).includes('x-amz-checksum-crc32'),
      ['x-amz-checksum-crc32'],
    ],
  ])('it refuses %s: it is told in another way, and from then on at once', async (_, refuses, last) => {
    const { s3, results } = await openTest((call) =>
      isBody(call) && refuses(call) ? { status: 501, code: 'NotImplemented' } : undefined,
    )
    for (const token of [1, 2]) {
      const draft = await results.draft('job-1', token, { signal: neverAborts })
      await draft.write('job.json', pieces('x'))
      await draft.write('files/1', large(6))
    }
    const sent = s3.calls.filter(isBody)
    expect(sent.filter(refuses).length).toBeLessThanOrEqual(2)
    expect(sums(sent.at(-1)!)).toEqual(last)
    expect(s3.uploads.size).toBe(0)
  })
})

it('Amazon gets checksums of its own kind, without an endpoint in RESULTS_URL', async () => {
  const s3 = await faultyS3()
  for (const [name, value] of [
    ['AWS_ENDPOINT_URL_S3', s3.endpoint],
    ['AWS_REGION', 'eu-west-1'],
  ] as const) {
    const before = process.env[name]
    process.env[name] = value
    onTestFinished(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const results = createS3Results({ bucket: 'results', prefix: '', region: null, endpoint: null })
  await results.check(neverAborts)
  await save(results, 'job-1', 'x')
  const sums = s3.calls.filter(({ operation }) => ['PutObject', 'UploadPart'].includes(operation))
  for (const { headers } of sums) expect(headers['x-amz-checksum-crc32']).toMatch(/^[A-Za-z0-9+/]{6}==$/)
  expect(sums.length).toBeGreaterThan(4)
})

describe('conditions', () => {
  it('make one of two that commit at once win', async () => {
    const { open, results } = await openTest()
    const saved = await Promise.all([results, open(theirs)].map((one, index) => save(one, 'job-1', `by ${index}`)))
    const winners = saved.filter((one) => one !== null)
    expect(winners).toHaveLength(1)
    expect(await answerOf(results, 'job-1')).toBe(winners[0]!.record.metadata)
  })

  it('are left out where a store does not know them', async () => {
    const { s3, results } = await openTest(({ headers }) =>
      headers['if-none-match'] ? { status: 501, code: 'NotImplemented' } : undefined,
    )
    await results.check(neverAborts)
    expect(await save(results, 'job-1', 'x')).not.toBeNull()
    expect(await save(results, 'job-2', 'x')).not.toBeNull()
    const tried = s3.calls.filter(({ key, headers }) => key.endsWith('record.json') && headers['if-none-match'])
    expect(new Set(tried.map(({ key }) => key))).toEqual(new Set(['p/job-1/record.json']))
  })

  it('that meet another commit are tried again', async () => {
    const { s3, results } = await openTest()
    let left = 1
    s3.fail(({ operation, key }) =>
      operation === 'PutObject' && key.endsWith('record.json') && left-- > 0
        ? { status: 409, code: 'ConditionalRequestConflict' }
        : undefined,
    )
    expect(await save(results, 'job-1', 'x')).not.toBeNull()
  })

  it.each([
    ['retried', { status: 500, code: 'InternalError', after: true }],
    ['failed', { status: 403, code: 'AccessDenied', after: true }],
  ] as const)('after the record was sent nothing is discarded, whatever was answered: %s', async (is, loss) => {
    const { s3, results } = await openTest()
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const job = await draft.write('job.json', pieces('{}'))
    let left = 1
    s3.fail(({ operation, key }) =>
      operation === 'PutObject' && key.endsWith('record.json') && left-- > 0 ? loss : undefined,
    )
    const saved = await draft.commit(recordOf('job-1', { job }), { replace: false }).catch(async () => {
      await draft.discard()
      return 'failed'
    })
    expect(saved).toBe(is === 'failed' ? 'failed' : true)
    expect(await answerOf(results, 'job-1')).toBe('{}')
  })
})

describe('a commit', () => {
  it('of which an object was removed makes no result', async () => {
    const { s3, results } = await openTest()
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const job = await draft.write('job.json', pieces('{}'))
    const image = await draft.write('files/1.png', pieces('png'))
    s3.objects.delete(`p/job-1/${image.path}`)
    await expect(draft.commit(recordOf('job-1', { job }), { replace: false })).rejects.toThrow('files/1.png')
    expect(await results.record('job-1', neverAborts)).toBeNull()
  })

  it('believes an object that the list does not know yet', async () => {
    const { results } = await openTest(
      on('ListObjectsV2', { status: 200, text: '<?xml version="1.0"?><ListBucketResult></ListBucketResult>' }),
    )
    expect(await save(results, 'job-1', 'x')).not.toBeNull()
  })

  it('clears away what dead processes left, and no living draft of another service', async () => {
    const { s3, open, results } = await openTest()
    const write = async (owner: string, token: number) => {
      const draft = await open(owner).draft('job-1', token, { signal: neverAborts })
      return `p/job-1/${(await draft.write('files/1.png', pieces('png'))).path}`
    }
    const [dead, newer, living, old] = [
      await write(ours, 1),
      await write(ours, 9),
      await write(theirs, 1),
      await write(theirs, 2),
    ]
    s3.objects.set(old, { body: Buffer.from('png'), at: new Date(Date.now() - DAY - 60_000) })
    s3.objects.set('p/job-1/mine.txt', { body: Buffer.from('not ours'), at: new Date(0) })
    await save(results, 'job-1', 'x', { token: 2 })
    const kept = (key: string) => s3.objects.has(key)
    expect([dead, newer, living, old, 'p/job-1/mine.txt'].map(kept)).toEqual([false, true, true, false, true])
    await results.remove('job-1', neverAborts)
    expect([...s3.objects.keys()]).toEqual(['p/job-1/mine.txt'])
  })
})

describe('other tenants of a bucket', () => {
  it('keep what is theirs: nothing of it is read, expired or removed', async () => {
    const { s3, results } = await openTest()
    const at = new Date(0)
    const foreign = ['p/job-1/record.json', 'p/job-1/secrets.json', 'p/job-1/1-0123abcd/other/x', 'other/job.json']
    for (const key of foreign) s3.objects.set(key, { body: Buffer.from('{"theirs":true}'), at })
    expect(await results.record('job-1', neverAborts)).toBeNull()
    expect(await results.expire({ before: Date.now() })).toBe(0)
    for (const path of ['secrets.json', '../../other/job.json', '1-0123abcd/other/x'])
      expect(await results.open('job-1', path)).toBeNull()
    expect([...s3.objects.keys()]).toEqual(foreign)
  })

  it('one job’s record is not another’s', async () => {
    const { s3, results } = await openTest()
    s3.objects.set('p/job-1/record.json', { body: Buffer.from(JSON.stringify(recordOf('job-2'))), at: new Date() })
    expect(await results.record('job-1', neverAborts)).toBeNull()
  })
})

describe('a check', () => {
  it('does what a commit does, once, and leaves nothing', async () => {
    const { s3, results } = await openTest()
    await results.check(neverAborts)
    expect(s3.operations()).toEqual([
      ...['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'PutObject', 'GetObject', 'ListObjectsV2'],
      'DeleteObjects',
    ])
    expect(s3.objects.size).toBe(0)
    const before = s3.calls.length
    await results.check(neverAborts)
    expect(s3.operations().slice(before)).toEqual(['ListObjectsV2'])
  })

  it.each(['UploadPart', 'CompleteMultipartUpload', 'PutObject', 'GetObject', 'ListObjectsV2', 'DeleteObject'])(
    'finds out that %s is not allowed, and again until it is',
    async (operation) => {
      const denied = { status: 403, code: 'AccessDenied', message: `s3:${operation}` } as const
      const { s3, results } = await openTest((call) => (call.operation.startsWith(operation) ? denied : undefined))
      for (let time = 0; time < 2; time++)
        await expect(results.check(neverAborts)).rejects.toThrow(`AccessDenied: s3:${operation}`)
      expect(s3.uploads.size).toBe(0)
      s3.fail(() => undefined)
      await results.check(neverAborts)
    },
  )

  it('looks thoroughly again after something failed', async () => {
    const { s3, results } = await openTest()
    await results.check(neverAborts)
    s3.fail(on('PutObject', { status: 403, code: 'AccessDenied' }))
    await expect(save(results, 'job-1', 'x')).rejects.toBeInstanceOf(ResultsUnavailable)
    await expect(results.check(neverAborts)).rejects.toThrow('AccessDenied')
  })
})

it.each(['stall', 'reset'] as const)(
  'begins no improvement when the list of what is saved breaks off: %s',
  async (fault) => {
    const { s3, results } = await openTest()
    await save(results, 'job-1', 'x')
    const list = ({ operation, key }: S3Call) => operation === 'GetObject' && key.endsWith('files.jsonl')
    const stop = new AbortController()
    const asked = s3.calls.length
    s3.fail((call) => (list(call) ? fault : undefined))
    const making = results.draft('job-1', 2, { signal: stop.signal, from: 'saved' })
    making.catch(() => {})
    await expect.poll(() => s3.calls.slice(asked).some(list)).toBe(true)
    if (fault === 'stall') stop.abort(new ResultsUnavailable('results', 'stopped'))
    await expect(making).rejects.toBeInstanceOf(ResultsUnavailable)
  },
)

it('keeps the files of an improved result that other drafts brought', async () => {
  const { results } = await openTest()
  const first = (await save(results, 'job-1', 'answer', { files: { '1.png': 'one' } }))!
  let entries = [{ in: '', pointer: '/1', path: first.paths[0]!, bytes: 3 }]
  for (const [token, name] of [
    [2, '2.png'],
    [3, '3.png'],
  ] as const) {
    const draft = await results.draft('job-1', token, { signal: neverAborts, from: 'saved' })
    const late = await draft.write(`files/${name}`, pieces(name))
    entries = [...entries, { in: '', pointer: `/${name}`, ...late }]
    const list = await draft.write('files.jsonl', pieces(...entries.map((one) => `${JSON.stringify(one)}\n`)))
    const record = recordOf('job-1', { job: first.record.job, files: { ...list, count: entries.length, failed: 0 } })
    expect(await draft.commit(record, { replace: true })).toBe(true)
  }
  expect(await answerOf(results, 'job-1')).toBe('answer')
  const texts = await Promise.all(entries.map(({ path }) => textOf(results, 'job-1', path)))
  expect(texts).toEqual(['one', '2.png', '3.png'])
})
