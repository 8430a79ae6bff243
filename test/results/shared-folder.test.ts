import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { isJobId } from '../../src/job.ts'
import { createFileResults } from '../../src/results/file.ts'
import type { FileEntry } from '../../src/results/record.ts'
import { tempFolder } from '../support/temp.ts'
import { neverAborts, textOf } from './contract.ts'

const KILLS = 8

/** Runs a service until it has printed so many lines, then kills it. Resolves to what it printed. */
function runAndKill(root: string, owner: string, lines: number): Promise<string> {
  const script = resolve(import.meta.dirname, 'saving-service.ts')
  const child = spawn(process.execPath, [script, root, owner], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.split('\n').length > lines) child.kill('SIGKILL')
  })
  return new Promise((done) => child.once('close', () => done(output)))
}

it('three services that share a folder and are killed at random leave whole results, and in the end no debris', async () => {
  const root = tempFolder()
  const owners = ['1', '2', '3'].map((one) => one.repeat(16))
  const outputs = await Promise.all(
    owners.map(async (owner) => {
      let output = ''
      for (let kill = 0; kill < KILLS; kill++)
        output += await runAndKill(root, owner, 5 + Math.floor(Math.random() * 40))
      return output
    }),
  )
  expect(outputs.join('')).toContain('committed')
  // Nobody's draft was removed while it was being written.
  expect(outputs.join('')).not.toContain('failed while writing')

  for (const owner of owners)
    await createFileResults({ root, minFree: 0, owner }).removeAbandonedDrafts(async () => true, neverAborts)
  expect(readdirSync(join(root, '.tmp'))).toEqual([])

  const results = createFileResults({ root, minFree: 0 })
  const jobs = readdirSync(root).filter(isJobId)
  expect(jobs.length).toBeGreaterThan(4)
  for (const jobId of jobs) {
    const record = await results.record(jobId, neverAborts)
    expect(record, jobId).not.toBeNull()
    const list = await textOf(results, jobId, record!.files.path)
    const entries = list!
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as FileEntry)
    expect(entries).toHaveLength(3)
    for (const entry of entries) {
      if (!('path' in entry)) throw new Error('an entry without a file')
      const content = await textOf(results, jobId, entry.path)
      expect(createHash('sha256').update(content!).digest('hex')).toBe(entry.sha256)
    }
    expect(readdirSync(join(root, jobId)).sort()).toEqual(['files', 'files.jsonl', 'job.json', 'record.json'])
  }
}, 120_000)
