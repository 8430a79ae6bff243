import type { Role } from '../../src/answer/plan.ts'
import { type Reading, readingOf } from '../../src/answer/reading.ts'
import { createScanner } from '../../src/answer/scan.ts'

/** Scans a document, given as a value or as its text, in pieces. */
export function scan(value: unknown, role: Role = 'job', pieceBytes = 7): Reading {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const scanner = createScanner(role)
  for (let at = 0; at < bytes.length; at += pieceBytes) scanner.write(bytes.subarray(at, at + pieceBytes))
  return readingOf(scanner.end(), role)
}

export function pointers(value: unknown, role: Role = 'job'): string[] {
  return scan(value, role).links.map(({ pointer }) => pointer)
}

export const URL_1 = 'https://storage.example/1'
export const LINK = { type: 'url', url: URL_1 }
