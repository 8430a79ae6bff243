import { expect, it } from 'vitest'
import { hasMetadata } from '../../src/inbox/metadata.ts'

const of = (metadata: string) => `{"job_id":"a","status":"Completed","metadata":${metadata}}`

it.each([
  ['a text with escapes', of('{"user":"Ada \\u00fc"}'), { user: 'Ada ü' }],
  ['an empty text', of('{"user":""}'), { user: '' }],
  ['the JSON of a list, without its spaces and escapes', of('{"tags":[ "\\u00fc", 1.50 ]}'), { tags: '["ü",1.50]' }],
  ['the JSON of an object', of('{"a":{"b":null}}'), { a: '{"b":null}' }],
  [
    'a name that objects have anyway',
    of('{"__proto__":"x","toString":"y"}'),
    JSON.parse('{"__proto__":"x","toString":"y"}'),
  ],
  ['a wrapped body', '{"data":{"job_id":"a","metadata":{"n":1}}}', { n: '1' }],
  ['a byte order mark', `\ufeff${of('{"n":1}')}`, { n: '1' }],
  ['no member at all', of('{}'), {}],
])('finds %s', (_, body, wanted) => {
  expect(hasMetadata(body, wanted)).toBe(true)
})

it.each([
  ['a name that only every object has', of('{}'), { toString: 'function toString() { [native code] }' }],
  ['the number of a place in a list', of('["x"]'), { 0: 'x' }],
  ['a letter of a text', of('"x"'), { 0: 'x' }],
  ['null', of('null'), {}],
  ['another number that a double cannot tell from it', of('{"n":12345678901234567890}'), { n: '12345678901234567891' }],
  ['the wrapped one beside one of its own', '{"job_id":"a","data":{"metadata":{"n":1}}}', { n: '1' }],
  ['one of two', of('{"a":"x"}'), { a: 'x', b: 'y' }],
  ['anything in what is no JSON', '{"job_id"', {}],
  ['anything in what is no object', '[]', {}],
])('does not find %s', (_, body, wanted) => {
  expect(hasMetadata(body, wanted as unknown as Record<string, string>)).toBe(false)
})
