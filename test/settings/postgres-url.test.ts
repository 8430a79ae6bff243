import { describe, expect, it } from 'vitest'
import { loadConfig, SettingsError } from '../../src/settings/config.ts'

function databaseOf(url: string) {
  return loadConfig({ DATABASE_URL: url }, ['database']).database
}

function problemOf(url: string): string {
  try {
    databaseOf(url)
  } catch (error) {
    if (error instanceof SettingsError) return error.problems.join('\n')
  }
  return ''
}

describe('DATABASE_URL of a server', () => {
  it.each([
    ['postgres://receiver:p%40ss@db.internal:5432/receiver', 'postgres://db.internal:5432/receiver'],
    [
      'postgresql://receiver@db.internal/receiver?sslmode=verify-full&sslrootcert=system',
      'postgres://db.internal/receiver',
    ],
    ['postgres://receiver@/receiver?host=/run/postgresql', 'postgres:///run/postgresql/receiver'],
  ])('%s is shown as %s', (url, location) => {
    expect(databaseOf(url)).toEqual({ kind: 'postgres', url, location })
  })

  it.each([
    ['postgres://db.internal', /must be postgres:/],
    ['postgres:/user:hunter2-sentinel@db/x', /must be postgres:/],
    ['postgres://u:hunter2-sentinel@/receiver', /must name a host/],
    ['postgres://u:hunter2-sentinel@db/receiver?options=-c%20x', /accepts host, port, sslmode/],
    ['postgres://u:hunter2-sentinel@db/receiver?sslmode=on', /one of disable, allow/],
    ['postgres://u:hunter2-sentinel@db/receiver?sslmode=verify-ca', /sslrootcert=FILE/],
    ['postgres://u:hunter2 sentinel@db/receiver', /spaces/],
    ['postgres://u:pa#hunter2-sentinel@db/receiver', /must be postgres:/],
    ['mysql://u:hunter2-sentinel@db/receiver', /must be sqlite:PATH/],
  ])('%s is refused without its password', (url, problem) => {
    const text = problemOf(url)
    expect(text).toMatch(problem)
    expect(text).not.toMatch(/hunter2|sentinel/)
  })

  it('keeps its password out of every text, as it is written and as it is meant', () => {
    const { secrets } = loadConfig({ DATABASE_URL: 'postgres://u:p%40ss-word@db/receiver' }, ['database'])
    expect(secrets).toEqual(expect.arrayContaining(['p%40ss-word', 'p@ss-word']))
    expect(loadConfig({ DATABASE_URL: 'sqlite:./data/receiver.db' }, ['database']).secrets).toEqual([])
  })
})
