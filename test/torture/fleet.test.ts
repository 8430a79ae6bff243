import { expect, it } from 'vitest'
import { fleetCrash } from './fleet.ts'

it('three services and their PostgreSQL, killed 12 times under load: nothing acknowledged is lost, every result is whole', async () => {
  const { acknowledged, problems } = await fleetCrash(12)
  expect(problems).toEqual([])
  expect(acknowledged).toBeGreaterThan(50)
}, 300_000)
