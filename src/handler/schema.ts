import { describeError, memberOf } from '../error-text.ts'
import { Permanent, type Schema } from './handler.ts'

/**
 * The extracted fields as a schema gives them: one set of fields may be what a schema of several expects.
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
    throw new Permanent(`the extracted fields do not fit the schema: ${explain(error)}`, { cause: error })
  }
}

async function check<T>(schema: Schema<T>, value: unknown): Promise<T> {
  if (typeof schema.parseAsync === 'function') return schema.parseAsync(value)
  if (typeof schema.parse !== 'function') throw new Error('extracted() takes a schema with parse() or parseAsync()')
  return schema.parse(value)
}

/** Of very many, no more are told. */
const MAX_ISSUES_TOLD = 20

/** zod's errors list what is wrong; others have a message. A schema's own code can throw anything. */
function explain(error: unknown): string {
  if (typeof error !== 'object' || error === null) return `it threw ${describeError(error)}`
  const issues = membersOf(memberOf(error, 'issues'), MAX_ISSUES_TOLD).map(explainIssue)
  return issues.length === 0 ? describeError(error) : issues.join('; ')
}

function explainIssue(issue: unknown): string {
  const path = membersOf(memberOf(issue, 'path'), MAX_ISSUES_TOLD).map(stepOf).join('.')
  const message = memberOf(issue, 'message')
  return `${path || 'the whole'}: ${typeof message === 'string' && message !== '' ? message : describeError(issue)}`
}

/** A step of a path: a key, or an object with one. */
function stepOf(step: unknown): string {
  const key = typeof step === 'object' ? memberOf(step, 'key') : step
  return ['string', 'number', 'symbol'].includes(typeof key) ? String(key) : '?'
}

/** The first members of a list; none of what is no list, or throws when it is read. */
function membersOf(list: unknown, most: number): readonly unknown[] {
  try {
    return Array.isArray(list) ? Array.prototype.slice.call(list, 0, most) : []
  } catch {
    return []
  }
}
