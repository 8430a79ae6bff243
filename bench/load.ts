import { execFileSync, spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Load: deliveries signed beforehand, sent by a process of its own. */

export type Load = { readonly perSecond: number; readonly p50: number; readonly p99: number; readonly errors: number }

export const generator: 'wrk' | 'autocannon' = hasWrk() ? 'wrk' : 'autocannon'

function hasWrk(): boolean {
  try {
    execFileSync('wrk', ['-v'], { stdio: 'ignore' })
    return true
  } catch (error) {
    // wrk -v prints its version and exits with 1.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

/**
 * Writes `count` signed deliveries, one a line, fields by tabs. Ids are in order of time, as Svix makes them. Signed with
 * Node's own HMAC, since hundreds of thousands are wanted.
 */
export function writeDeliveries(folder: string, secret: string, count: number, name = 'deliveries'): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const timestamp = Math.floor(Date.now() / 1000)
  const lines: string[] = []
  for (let index = 0; index < count; index++) {
    const id = messageId(Date.now(), index)
    const body = JSON.stringify({
      status: 'Completed',
      job_id: randomUUID(),
      metadata: { user_id: '123', document_type: 'invoice' },
    })
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    lines.push(`${id}\t${timestamp}\tv1,${signature}\t${body}`)
  }
  const file = join(folder, `${name}.tsv`)
  writeFileSync(file, lines.join('\n'))
  return file
}

/** 27 characters, in order of time and then of `index`, like Svix's KSUIDs. */
export function messageId(now: number, index: number): string {
  return `msg_${now.toString(36).padStart(9, '0')}${index.toString(36).padStart(8, '0')}${Math.random().toString(36).slice(2, 12).padEnd(10, '0')}`
}

/** Sends for `seconds` over `connections`. Each delivery once, until they run out. */
export async function load(url: string, file: string, connections: number, seconds: number): Promise<Load> {
  const output =
    generator === 'wrk'
      ? await runWrk(url, file, connections, seconds)
      : await runCannon(url, file, connections, seconds)
  return JSON.parse(output.trim().split('\n').at(-1)!) as Load
}

function runWrk(url: string, file: string, connections: number, seconds: number): Promise<string> {
  const script = resolve(import.meta.dirname, 'deliveries.lua')
  return run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '15s', '-s', script, url, '--', file])
}

function runCannon(url: string, file: string, connections: number, seconds: number): Promise<string> {
  return run(process.execPath, [
    resolve(import.meta.dirname, 'cannon.ts'),
    url,
    file,
    String(connections),
    String(seconds),
  ])
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', failed)
    child.on('close', (code) => (code === 0 ? done(output) : failed(new Error(`${command} exited with ${code}`))))
  })
}
