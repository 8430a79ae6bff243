import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLinks, isSavedPath, LINK_LIFETIME_MS, type SavedLink } from '../../src/handler/links.ts'
import { newSecret } from '../../src/signing.ts'

const key = randomBytes(32)
const links = createLinks('https://receiver.example/prefix/', key)

function read(url: string): SavedLink {
  const { pathname, searchParams } = new URL(url)
  const [jobId = '', ...path] = pathname.replace('/prefix/results/', '').split('/')
  const [expires = '', signature = ''] = ['expires', 'signature'].map((name) => searchParams.get(name)!)
  return { jobId, path: path.join('/'), expires, signature }
}

describe('links', () => {
  it('are good for what they name, for seven days', () => {
    const url = links.to('job-1', 'files/1-url.json', 0)
    expect(url).toMatch(
      /^https:\/\/receiver\.example\/prefix\/results\/job-1\/files\/1-url\.json\?expires=604800&signature=[\w-]{43}$/,
    )
    const link = read(url)
    expect(links.isGood(link, 0)).toBe(true)
    expect(links.isGood(link, LINK_LIFETIME_MS)).toBe(true)
    expect(links.isGood(link, LINK_LIFETIME_MS + 1)).toBe(false)
  })

  const good = read(links.to('job-1', 'files/1-url.json', 0))
  it.each<Partial<SavedLink>>([
    { jobId: 'job-2' },
    { jobId: 'job-1/files', path: '1-url.json' },
    { jobId: '' },
    { path: 'job.json' },
    { path: './files/1-url.json' },
    { path: 'files//1-url.json' },
    { path: 'files\\1-url.json' },
    { expires: `${Number(good.expires) + 1}` },
    { expires: `0${good.expires}` },
    { expires: `+${good.expires}` },
    { expires: ` ${good.expires}` },
    { expires: `${good.expires}.0` },
    { expires: `${good.expires}\n` },
    { expires: '9e99' },
    { expires: '-1' },
    { expires: '0' },
    { expires: '' },
    { signature: '' },
    { signature: `${good.signature}A` },
    { signature: good.signature.slice(0, -1) },
    { signature: `${good.signature}=` },
    { signature: `${good.signature}\n` },
    { signature: 'A'.repeat(43) },
  ])('are not good for anything else: %j', (change) => {
    expect(links.isGood({ ...good, ...change }, 0)).toBe(false)
  })

  it('are not good with another way to write the last character of the signature', () => {
    const last = good.signature.at(-1)!
    for (const other of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
      if (other !== last)
        expect(links.isGood({ ...good, signature: good.signature.slice(0, -1) + other }, 0)).toBe(false)
  })

  it('further in the future than seven days are not good, even if they are signed', () => {
    const ahead = read(links.to('job-1', 'job.json', 1_000))
    expect(links.isGood(ahead, 1_000)).toBe(true)
    expect(links.isGood(ahead, 0)).toBe(false)
    expect(links.isGood(read(links.to('job-1', 'job.json', 365 * 86_400_000)), 0)).toBe(false)
  })

  it('cannot be made from what receivers of forwards know', () => {
    const secret = newSecret()
    const derived = createHmac('sha256', secret).update('links to saved results').digest()
    const forged = read(createLinks('https://receiver.example/prefix', derived).to('job-1', 'job.json', 0))
    expect(links.isGood(forged, 0)).toBe(false)
    expect(() => createLinks('https://receiver.example', Buffer.from('short'))).toThrow(/32 bytes/)
  })

  it.each([
    ['../job-2', 'job.json'],
    ['', 'job.json'],
    ['x'.repeat(129), 'job.json'],
    ['job-1', '../job-2/job.json'],
    ['job-1', '/etc/passwd'],
    ['job-1', 'files/'],
    ['job-1', ''],
    ['job-1', 'a\0b'],
    ['job-1', '%2e%2e/x'],
  ])('are not made for %j %j', (jobId, path) => {
    expect(() => links.to(jobId, path, 0)).toThrow(/cannot be a saved file/)
  })

  it('are good for one job, path and time alone, whatever these are', () => {
    const part = fc.string({ unit: fc.constantFrom(...'ab1-_./\n"\\,'), minLength: 1, maxLength: 12 })
    const jobId = fc.string({ unit: fc.constantFrom(...'ab1-_'), minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(jobId, part.filter(isSavedPath), jobId, part, part, (job, path, otherJob, otherPath, expires) => {
        const link = read(links.to(job, path, 0))
        expect(links.isGood(link, 0)).toBe(true)
        const other = { ...link, jobId: otherJob, path: otherPath }
        if (otherJob !== job || otherPath !== path) expect(links.isGood(other, 0)).toBe(false)
        expect(links.isGood({ ...link, path: `${path}\n${expires}` }, 0)).toBe(false)
      }),
      { numRuns: 2_000 },
    )
  })
})
