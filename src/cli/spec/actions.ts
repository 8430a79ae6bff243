import { command } from '../command.ts'
import { JSON_OUT, PAGE, WIDE } from './shared.ts'

export const actionsList = command({
  name: 'actions list',
  does: 'what operators did, newest first: who, what, and for how many',
  more: 'A name over HTTP is a claim. With --json each has the first thousand ids that it was for.',
  options: { ...PAGE, ...WIDE, ...JSON_OUT },
  examples: [['actions list --limit 50', 'the last fifty']],
})
