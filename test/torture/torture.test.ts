import { expect, it } from 'vitest'
import { crash, powerCut } from './crash.ts'
import { soak } from './soak.ts'

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

it('killed 10 times while its results go to a bucket: every one that is done is whole', async () => {
  const { acknowledged, problems } = await crash(10, { onS3: true })
  expect(problems).toEqual([])
  expect(acknowledged).toBeGreaterThan(20)
}, 300_000)

it('loses its power five times under load: what was acknowledged or settled had been synced', async (context) => {
  for (let cut = 0; cut < 5; cut++) {
    const damage = await powerCut()
    if (!damage) return context.skip('no C compiler')
    expect(damage.problems).toEqual([])
    expect(damage.acknowledged).toBeGreaterThan(0)
  }
}, 300_000)

it.each(['module', 'forward'] as const)(
  'hands 600 jobs of all kinds over to a %s, and holds no more descriptors than after 60',
  async (way) => {
    const { done, early, late } = await soak(600, way)
    expect(done).toBe(600)
    // V8's heap and the database's caches are still growing to their size: `npm run soak` shows where that ends.
    expect(late.rss - early.rss).toBeLessThan(256 * 1024 * 1024)
    expect(late.descriptors - early.descriptors).toBeLessThan(16)
  },
  120_000,
)
