import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { linesOf } from '../../src/results/lines.ts'

const read = (...pieces: string[]) => Array.fromAsync(linesOf(Readable.from(pieces.map((piece) => Buffer.from(piece)))))

it('gives lines whole, however they arrive, and splits at nothing but line feeds', async () => {
  expect(await read('{"a":1}\n{"b', '":2}\n')).toEqual(['{"a":1}', '{"b":2}'])
  expect(await read('{"name":"a\u2028b\u2029c\u0085"}\n')).toEqual(['{"name":"a\u2028b\u2029c\u0085"}'])
  expect(await read('last')).toEqual(['last'])
  expect(await read()).toEqual([])
})

it('joins a character that was split, and refuses a line without an end', async () => {
  const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)]
  expect(await Array.fromAsync(linesOf(Readable.from([first, second])))).toEqual(['é'])
  await expect(Array.fromAsync(linesOf(Readable.from([Buffer.alloc(2 * 1024 * 1024, 'x')])))).rejects.toThrow(
    'too long',
  )
})

it('fails when its source fails', async () => {
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from('{}\n')
      throw new Error('EIO')
    })(),
  )
  await expect(Array.fromAsync(linesOf(broken))).rejects.toThrow('EIO')
})
