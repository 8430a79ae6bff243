import express from 'express'
import Reducto from 'reductoai'
import request from 'supertest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createReceiver, expecting, type Handler, type Registrar } from '../../src/index.ts'
import type { Reducto as Simulated } from '../../src/simulator/reducto.ts'
import { newSigningSecret, signDelivery, testSettings } from '../../src/testing.ts'
import { testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** A client as a user makes one, against a Reducto whose jobs do not end by themselves. */
async function client(fault?: { registrar: Registrar }) {
  const reducto: Simulated = await testReducto({ jobTime: 3_600_000 })
  const expected: (readonly [jobId: string, options: unknown])[] = []
  const registrar = fault?.registrar ?? {
    async expect(jobId: string, options: unknown) {
      expected.push([jobId, options])
    },
  }
  const sdk = new Reducto({ apiKey: reducto.apiKey, baseURL: reducto.url })
  return { reducto, sdk, expected, registrar }
}

const svix = { mode: 'svix' as const, channels: [] }
const input = 'https://example.com/a.pdf'

describe('expecting(client, receiver)', () => {
  it('registers the job of every kind, with its metadata from where the kind has it', async () => {
    const { sdk, expected, registrar } = await client()
    const wrapped = expecting(sdk, registrar, { endpoint: 'dev' })
    const async = { webhook: svix, metadata: { n: 1 } }
    const ids = [
      (await wrapped.parse.runJob({ input, async })).job_id,
      (await wrapped.extract.runJob({ input, async })).job_id,
      (await wrapped.split.runJob({ input, async, split_description: [] })).job_id,
      (await wrapped.pipeline.runJob({ input, async, pipeline_id: 'p' })).job_id,
      (
        await wrapped.edit.runJob({
          ...{ document_url: input, edit_instructions: 'fill in' },
          webhook: { ...svix, metadata: { n: 1 } },
        })
      ).job_id,
    ]
    expect(expected).toEqual(ids.map((id) => [id, { metadata: { n: 1 }, endpoint: 'dev' }]))
  })

  it('registers it whichever way the answer is taken, and once', async () => {
    const { sdk, expected, registrar } = await client()
    const { parse } = expecting(sdk, registrar)
    const { data, response } = await parse.runJob({ input }).withResponse()
    expect(response.status).toBe(200)
    const raw = (await (await parse.runJob({ input }).asResponse()).json()) as { job_id: string }
    const call = parse.runJob({ input })
    const [first, second] = [await call, await call.finally(() => {})]
    expect(second).toBe(first)
    expect(expected).toEqual(
      [data, raw, first].map(({ job_id }) => [job_id, { metadata: undefined, endpoint: undefined }]),
    )
  })

  it('registers it although nobody waits for the answer', async () => {
    const { reducto, sdk } = await client()
    const registered = Promise.withResolvers<string>()
    const registrar = { expect: async (jobId: string) => registered.resolve(jobId) }
    void expecting(sdk, registrar).parse.runJob({ input })
    const jobId = await registered.promise
    expect(
      (await fetch(`${reducto.url}/job/${jobId}`, { headers: { authorization: `Bearer ${reducto.apiKey}` } })).status,
    ).toBe(200)
  })

  it('leaves everything else as it is, and errors of the call to the call', async () => {
    const { reducto, sdk, expected, registrar } = await client()
    const wrapped = expecting(sdk, registrar)
    expect(wrapped.apiKey).toBe(reducto.apiKey)
    expect(wrapped.parse).toBe(wrapped.parse)
    expect(await wrapped.webhook.run()).toContain('https://')
    reducto.setAccountFault({ is: 'status', status: 422, body: { detail: 'no such input' } })
    await expect(wrapped.parse.runJob({ input })).rejects.toThrow('422')
    await expect(wrapped.parse.runJob({ input }).asResponse()).rejects.toThrow('422')
    expect(expected).toEqual([])
  })

  it('does not fail a submission that could not be registered: it would be repeated', async () => {
    const { sdk } = await client()
    const errors: unknown[] = []
    const registrar = { expect: () => Promise.reject(new Error('disk full')) }
    const wrapped = expecting(sdk, registrar, {
      onError(error, jobId) {
        errors.push([jobId, (error as Error).message])
        throw new Error('a bad observer')
      },
    })
    const { job_id } = await wrapped.parse.runJob({ input })
    expect(errors).toEqual([[job_id, 'disk full']])
  })

  it('has a receiver know the job before its webhook: the metadata reaches the handler', async () => {
    const { reducto, sdk } = await client()
    const [secret, folder] = [newSigningSecret(), tempFolder()]
    const seen = Promise.withResolvers<unknown>()
    const handler: Handler = async (result) => seen.resolve(result.record.metadata)
    const receiver = createReceiver({ settings: testSettings(reducto, folder, secret), handler, log: null })
    onTestFinished(() => receiver.stop())
    await expect(receiver.expect('job-0')).rejects.toThrow('not started')
    await receiver.start()
    await expect(receiver.expect('../jobs')).rejects.toThrow(TypeError)
    await expect(receiver.expect('job-0', { endpoint: 'nowhere' })).rejects.toThrow('there are default')
    const { job_id } = await expecting(sdk, receiver).parse.runJob({
      input,
      async: { webhook: svix, metadata: { user: 'Ada' } },
    })
    expect(await receiver.expect(job_id)).toBe('expected')
    reducto.end(job_id)
    const { headers, body } = signDelivery({ secret, jobId: job_id })
    await request(express().use(receiver.router)).post('/webhook').set(headers).send(body).expect(200)
    expect(await seen.promise).toEqual({ user: 'Ada' })
    expect(await receiver.expect(job_id)).toBe('known')
  })
})
