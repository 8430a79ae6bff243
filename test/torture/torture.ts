import { parseArgs } from 'node:util'
import { crash, powerCut } from './crash.ts'
import { fleetCrash } from './fleet.ts'

/**
 * `npm run torture [-- --kills 2000 --cuts 500]`: the crash tests, for as long as you have patience. With `--postgres` three
 * services on one PostgreSQL are killed, and the server with them.
 */

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '2000' },
    cuts: { type: 'string', default: '500' },
    postgres: { type: 'boolean' },
  },
})
const ROUND_SIZE = 50
let [acknowledged, problems] = [0, 0]

function tell(what: string, damage: { acknowledged: number; problems: readonly string[] }): void {
  acknowledged += damage.acknowledged
  problems += damage.problems.length
  process.stdout.write(`${what}: ${acknowledged} acknowledged so far, ${problems} problems\n`)
  for (const problem of damage.problems) process.stdout.write(`  ${problem}\n`)
}

for (let kills = 0; values.postgres && kills < Number(values.kills); kills += ROUND_SIZE)
  tell(`${kills + ROUND_SIZE} kills of services on PostgreSQL, and of the server`, await fleetCrash(ROUND_SIZE))
for (let kills = 0; !values.postgres && kills < Number(values.kills); kills += ROUND_SIZE) {
  const round = kills / ROUND_SIZE
  const withHandler = round % 2 === 1
  const onS3 = round % 4 >= 2
  const how = `${withHandler ? ', handler too' : ''}${onS3 ? ', on S3' : ''}`
  tell(`${kills + ROUND_SIZE} kills${how}`, await crash(ROUND_SIZE, { withHandler, onS3 }))
}
for (let cut = 1; !values.postgres && cut <= Number(values.cuts); cut++) {
  const damage = await powerCut()
  if (!damage) throw new Error('the power cut needs a C compiler (cc)')
  tell(`${cut} power cuts`, damage)
}
process.exitCode = problems === 0 ? 0 : 1
