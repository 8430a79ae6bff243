import { expect, it } from 'vitest'
import { type DoctorReport, doctorPage } from '../../src/operator/doctor.ts'
import { layout } from '../../src/operator/layout.ts'
import type { Page } from '../../src/operator/page.ts'

const PAGE: Page = {
  ...{ root: './', assets: 'assets/x/', now: 0, zone: 'UTC', theme: null, role: 'write', label: null },
  ...{ dead: 0, notice: null, hidesContent: false },
}

const draw = (report: DoctorReport | null, page: Partial<Page> = {}) => {
  const whole = { ...PAGE, ...page }
  return String(layout(whole, doctorPage(whole, report)))
}

const REPORT: DoctorReport = {
  checks: [
    { name: 'disk', group: 'here', items: [{ status: 'ok', found: '2 GiB free', cure: 'nothing at all' }] },
    {
      name: 'key',
      group: 'here',
      items: [
        { status: 'problem', found: 'refused: <img src=x onerror=x()> \u202egnp', cure: 'make a new key & restart' },
        { status: 'warning', found: 'slow', cure: null },
      ],
    },
    { name: 'dns', group: 'outside', items: [{ status: 'skipped', found: 'no public URL is known', cure: 'set it' }] },
  ],
}

it('before the checks there is a sentence and a button, for those who may change things', () => {
  expect(draw(null)).toMatch(/<form method="post" action="\.\/doctor"><button class="main">Run the checks</)
  expect(draw(null)).not.toContain('<table')
  expect(draw(null, { role: 'read' })).not.toContain('action="./doctor"')
  expect(draw(null, { role: 'read' })).toContain('only reads')
})

it('after them each finding has a mark, a word, what was found, and what to do about it', () => {
  const page = draw(REPORT)
  expect(page).toContain('1 problem, 1 warning.')
  expect(page).toMatch(/✓<\/b><span>Fine<.*<b>disk<\/b><div class="found">2 GiB free</)
  expect(page).toMatch(/✗<\/b><span>Problem<.*<b>key<.*What to do: make a new key &amp; restart/)
  expect(page).toMatch(/!<\/b><span>Warning<.*slow/)
  expect(page).toMatch(/-<\/b><span>Not checked<.*no public URL is known.*What to do: set it/)
  expect(page).toMatch(/In this service.*From outside/s)
  // Where nothing is wrong there is nothing to do.
  expect(page).not.toContain('nothing at all')
})

it('text of others is text, and seen', () => {
  const page = draw(REPORT)
  expect(page).toContain('refused: &lt;img src=x onerror=x()&gt; ⟨U+202E⟩gnp')
  expect(page).not.toContain('<img')
})

it('says so when nothing is wrong', () => {
  expect(draw({ checks: REPORT.checks.slice(0, 1) })).toContain('No problem was found.')
})
