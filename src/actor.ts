/** Who operates the service, and what can be done: for the log of actions. */

/** What an operator does that is noted. Also the values of a label, so that they come from the code alone. */
export const ACTIONS = [
  'retry',
  'replay',
  'erase',
  'pause',
  'resume',
  'retry_deliveries',
  'erase_deliveries',
  'show',
  'show_delivery',
  'doctor',
] as const

export type ActionName = (typeof ACTIONS)[number]

/**
 * Who does something. `who` is a claim, not proof: `cli:<user>` from the command line, over HTTP a name or the role.
 * `role`: what let them do it, the command line or one of the two tokens.
 */
export type Actor = { readonly who: string; readonly role: 'cli' | 'write' | 'read' }
