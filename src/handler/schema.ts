import { describeError, memberOf } from '../error-text.ts'
import { Permanent, type Schema } from './handler.ts'

/**
 * The extracted fields as the schema returns them: a schema of several sets also accepts a single one.
 * @throws Permanent when they do not fit, whatever the schema throws
 */
export async function fitted<T>(schema: Schema<T>, value: unknown): Promise<T> {
  try {
    return await check(schema, value)
  } catch (error) {
    if (!Array.isArray(value)) {
      const several = await check(schema, [value]).then(
        (checked) => ({ checked }),
        () => null,
      )
      if (several) return several.checked
    }
    throw new Permanent(`the extracted fields do not fit the schema: ${explainMismatch(error)}`, { cause: error })
  }
}

async function check<T>(schema: Schema<T>, value: unknown): Promise<T> {
  if (typeof schema.parseAsync === 'function') return schema.parseAsync(value)
  if (typeof schema.parse !== 'function') throw new Error('extracted() needs a schema with parse() or parseAsync()')
  return schema.parse(value)
}

/** Maximum number of issues that a message names. */
const MAX_ISSUES_NAMED = 20

/** zod's errors list issues; others have a message. A schema's own code can throw any value. */
function explainMismatch(error: unknown): string {
  if (typeof error !== 'object' || error === null) return `it threw ${describeError(error)}`
  const issues = membersOf(memberOf(error, 'issues'), MAX_ISSUES_NAMED).map(explainIssue)
  return issues.length === 0 ? describeError(error) : issues.join('; ')
}

function explainIssue(issue: unknown): string {
  const path = membersOf(memberOf(issue, 'path'), MAX_ISSUES_NAMED).map(stepOf).join('.')
  const message = memberOf(issue, 'message')
  return `${path || 'the whole'}: ${typeof message === 'string' && message !== '' ? message : describeError(issue)}`
}

/** A step of a path: a key, or an object with one. */
function stepOf(step: unknown): string {
  const key = typeof step === 'object' ? memberOf(step, 'key') : step
  return ['string', 'number', 'symbol'].includes(typeof key) ? String(key) : '?'
}

/** The first members of a list; none if it is not a list, or throws when it is read. */
function membersOf(list: unknown, most: number): readonly unknown[] {
  try {
    return Array.isArray(list) ? Array.prototype.slice.call(list, 0, most) : []
  } catch {
    return []
  }
}
