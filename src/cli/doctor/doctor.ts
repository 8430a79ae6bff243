import { type OnChecked, runDoctor } from '../../doctor/doctor.ts'
import type { Run } from '../command.ts'
import { WrongUse } from '../command.ts'
import { print, printJson } from '../output.ts'
import { showProgress } from '../progress.ts'
import { endBySignal } from '../signals.ts'
import type { doctor } from '../spec/doctor.ts'
import { openDoctor } from './context.ts'
import { describe, summary } from './text.ts'

/** Wrong settings have the exit code that they have everywhere. */
const EXIT = { fine: 0, problem: 1, settings: 78 } as const

/** `doctor [--url URL] [--no-sample] [--json]` */
export const runDoctorCommand: Run<typeof doctor> = async ({ values }) => {
  const url = values.url === undefined ? null : publicUrl(values.url)
  const opened = await openDoctor({ url, sample: !values['no-sample'] })
  const unwatch = endBySignal(opened.clear)
  const progress = showProgress(process.stderr)
  const onChecked: OnChecked = ({ name }, left) => progress.say(`${name}: done; ${left} to go`)
  try {
    const report = await runDoctor(opened.context, onChecked)
    progress.end()
    const { version } = opened.context
    if (values.json) printJson({ version, url: opened.url, worst: report.worst, checks: report.checks })
    else print(`${describe(report, { width: process.stdout.columns })}\n${summary(report)}\n`)
    if (opened.context.settings.problems.length > 0) return EXIT.settings
    return report.worst === 'problem' ? EXIT.problem : EXIT.fine
  } finally {
    progress.end()
    unwatch()
    await opened.close()
  }
}

/** Of the service, with or without the end that Svix is given. */
function publicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new WrongUse('--url takes a URL that begins with http:// or https://, such as https://example.com')
  if (url.username || url.password) throw new WrongUse('--url takes a URL without user name and password')
  if (url.search || url.hash) throw new WrongUse('--url takes a URL without ? and #')
  if (url.port === '0') throw new WrongUse('--url takes a URL with another port')
  url.pathname = url.pathname.replace(/\/webhook(\/[a-z0-9]+)?\/?$/, '')
  return url
}
