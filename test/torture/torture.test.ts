import { expect, it } from 'vitest'
import { crash, powerCut } from './crash.ts'

it('killed 50 times at random moments under load: nothing acknowledged is lost, half-written or fetched twice', async () => {
  const { acknowledged, problems } = await crash(50)
  expect(problems).toEqual([])
  expect(acknowledged).toBeGreaterThan(200)
}, 300_000)

it('killed 20 times, and by its handler too, which fails at random: every job is handed over, and none fetched again', async () => {
  const { acknowledged, problems } = await crash(20, { withHandler: true })
  expect(problems).toEqual([])
  expect(acknowledged).toBeGreaterThan(50)
}, 300_000)

it('loses its power five times under load: what was acknowledged or settled had been synced', async (context) => {
  for (let cut = 0; cut < 5; cut++) {
    const damage = await powerCut()
    if (!damage) return context.skip('no C compiler')
    expect(damage.problems).toEqual([])
    expect(damage.acknowledged).toBeGreaterThan(0)
  }
}, 300_000)
