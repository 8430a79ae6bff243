import { describe, expect, it } from 'vitest'
import { causeOf } from '../src/job-cause.ts'
import type { CleanText } from '../src/telemetry/scrub.ts'

const cause = (message: string, code = 'x') => causeOf({ code, message: message as CleanText })

describe('the cause of a death', () => {
  it.each([
    ['Reducto answered 503', 'Reducto answered 504'],
    ['job 5f0c-11ee is gone', 'job 77aa-0b0c is gone'],
    ['no field "total" in it', 'no field "sum of \\"all\\"" in it'],
    ["cannot find 'a b'", "cannot find 'c'"],
    ['the text “Ada” is odd', 'the text “Grace” is odd'],
    ['msg_2xAbC was refused', 'msg_9Z was refused'],
    ['write to ada@example.com failed', 'write to grace@other.example failed'],
    ['10.0.0.1:443 timed out after 60s', '192.168.1.1:8443 timed out after 5s'],
    ['at 12:30:01, 2026-01-02', 'at 09:00:59, 2025-11-30'],
    ['token abcdefghijklmnopqrstuvwxyz', 'token zyxwvutsrqponmlkjihgfedcba'],
    ['answer was "cut off in the mid', 'answer was "cut off'],
    ['key deadbeef', 'key cafebabe'],
    ['a\n  b 1', 'a b 22'],
  ])('is the same for %j and %j', (one, other) => {
    expect(cause(one)).toBe(cause(other))
  })

  it.each([
    ["it doesn't work", "it can't work"],
    ['Reducto answered 503', 'the forward answered 503'],
  ])('is another for %j and %j', (one, other) => {
    expect(cause(one)).not.toBe(cause(other))
    expect(cause(one, 'a')).not.toBe(cause(one, 'b'))
  })

  it('has the code, and at most 160 characters of whole ones', () => {
    expect(cause('Reducto answered 503', 'http_503')).toBe('http_503: Reducto answered #')
    const long = cause('ä😀 '.repeat(400))
    expect(long.length).toBeLessThanOrEqual(160)
    expect(long.isWellFormed()).toBe(true)
  })

  it('takes no longer for what somebody made to be slow', () => {
    const began = performance.now()
    for (const part of ['"\\', "'", '#', '@a', 'a@', '[', '-1', '1.']) cause(part.repeat(100_000))
    expect(performance.now() - began).toBeLessThan(500)
  })
})
