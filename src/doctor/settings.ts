import type { Check } from './context.ts'
import { findingOf, ok, problem } from './finding.ts'

/** Whether the service would start with these settings. What they lack is not looked at further. */
export const settings: Check = {
  name: 'settings',
  group: 'here',
  async run({ settings: { problems } }) {
    if (problems.length === 0) return findingOf([ok('all are well formed')])
    return findingOf(problems.map((one) => problem(one, null)))
  },
}
