import { codeOf, describeError, isA } from '../error-text.ts'
import { CHECKS } from './checks.ts'
import type { Check, DoctorContext } from './context.ts'
import { type Finding, findingOf, type Item, problem, Skip, skipped } from './finding.ts'

/** One check may take so long, ms; those that wait for others as Svix does have a limit of their own. */
const MAX_CHECK_MS = 20_000

export type Checked = Finding & { readonly name: string; readonly group: Check['group']; readonly ms: number }

/** `settings`: some settings are wrong, so that not everything could be checked. */
export type Report = { readonly checks: readonly Checked[]; readonly worst: Finding['status'] }

/** Called when a check has ended. */
export type OnChecked = (checked: Checked, left: number) => void

/**
 * Runs all checks side by side, and tells what each found, in the order of `CHECKS`. It prints nothing, and always ends: a
 * check that throws or takes too long is a finding itself.
 */
export async function runDoctor(context: DoctorContext, onChecked: OnChecked = () => {}): Promise<Report> {
  let left = CHECKS.length
  const checks = await Promise.all(
    CHECKS.map(async (check) => {
      const checked = await runOne(check, context)
      onChecked(checked, --left)
      return checked
    }),
  )
  return { checks, worst: findingOf(checks).status }
}

async function runOne(check: Check, context: DoctorContext): Promise<Checked> {
  const began = performance.now()
  const limit = check.limit ?? MAX_CHECK_MS
  const controller = new AbortController()
  const late = Promise.withResolvers<Finding>()
  const timer = setTimeout(() => {
    late.resolve(findingOf([problem(`no result within ${limit / 1000} s`, 'see what it waits for, and try again')]))
    controller.abort()
  }, limit)
  try {
    // A check may throw before it returns a promise, and may reject when nobody waits for it any more.
    const running = (async () => check.run(context, controller.signal))().catch((error) => findingOf([itemOf(error)]))
    const finding = cleaned(await Promise.race([running, late.promise]), context)
    return { name: check.name, group: check.group, ...finding, ms: Math.round(performance.now() - began) }
  } finally {
    clearTimeout(timer)
    controller.abort()
  }
}

function itemOf(error: unknown): Item {
  if (isA(error, Skip)) return skipped(error.message, error.cure)
  const code = codeOf(error)
  const text = describeError(error)
  return problem(code === undefined || text.includes(code) ? text : `${text} (${code})`, null)
}

/** Characters of a finding. */
const MAX_FOUND_CHARS = 600

/** What others wrote is in it. */
function cleaned({ items }: Finding, { scrub }: DoctorContext): Finding {
  const clean = (text: string) => scrub(text, MAX_FOUND_CHARS)
  return findingOf(
    items.map(({ status, found, cure }) => ({ status, found: clean(found), cure: cure === null ? null : clean(cure) })),
  )
}
