import { describe, expect, it, vi } from 'vitest'
import { type Inbox, type JobFilter, MAX_SEARCH_LENGTH } from '../../../src/inbox/inbox.ts'
import { delivery, freeSlots } from '../../support/service.ts'
import { attempt, because, dead, done, type InboxTest } from './support.ts'

/** What `q` finds: the same before an index has seen a job, and after. */
export function searchContract(name: string, openTest: () => Promise<InboxTest>): void {
  /** Accepts a job whose metadata is this JSON text. */
  const accept = (inbox: Inbox, jobId: string, metadata: string) =>
    inbox.accept({ ...delivery(jobId), body: `{"status":"Completed","job_id":"${jobId}","metadata":${metadata}}` })

  async function find(inbox: Inbox, q: string, more: JobFilter = {}): Promise<string[]> {
    const ids: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await inbox.list({ q, ...more }, { limit: 50, ...(cursor ? { cursor } : {}) })
      ids.push(...page.rows.map(({ jobId }) => jobId))
      cursor = page.next
    }
    return ids
  }

  const indexed = (inbox: Inbox) => vi.waitUntil(async () => (await inbox.searchLag()) === 0, { timeout: 10_000 })

  /** Each question, before and after all is indexed. */
  async function expectFound(inbox: Inbox, cases: readonly (readonly [q: string, ids: readonly string[]])[]) {
    for (const when of ['before', 'after']) {
      for (const [q, ids] of cases) expect(await find(inbox, q), `${when}: ${q}`).toEqual(ids)
      await indexed(inbox)
    }
    for (const [q, ids] of cases) expect(await find(inbox, q), `indexed: ${q}`).toEqual(ids)
  }

  describe(`${name}: search`, () => {
    it('finds metadata that was registered, before and after the webhook, which says nothing of it', async () => {
      const { inbox } = await openTest()
      await inbox.expect('a', { metadata: { user: 'Ada Lovelace', n: 7 }, by: 'test' })
      await inbox.expect('b', { metadata: { user: 'Alan Turing' }, by: 'test' })
      await inbox.expect('c', { by: 'test' })
      await accept(inbox, 'c', '{"user":"Grace Hopper"}')
      await expectFound(inbox, [
        ['lovelace', ['a']],
        ['turing', ['b']],
        ['hopper', ['c']],
      ])
      await accept(inbox, 'a', '{"user":"Somebody"}')
      await expectFound(inbox, [
        ['lovelace', ['a']],
        ['somebody', []],
      ])
      await inbox.expect('b', { metadata: { user: 'Alonzo Church' }, by: 'test' })
      await expectFound(inbox, [
        ['church', ['b']],
        ['turing', []],
      ])
    })

    it('finds whole words of metadata values, the last one by its beginning, all of them', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"user":"Ada Lovelace","file":"inv-2026_7.pdf","n":48213}')
      await accept(inbox, 'b', '{"user":"Alan Turing","file":"https://x.example/inv/7?a=b","at":"12:30"}')
      await expectFound(inbox, [
        ['lovelace', ['a']],
        ['ADA  Lovelace', ['a']],
        ['lovelace ada', ['a']],
        ['"ada lovelace"', ['a']],
        ['"lovelace ada"', []],
        ['lovel', ['a']],
        ['lo', []],
        ['love ada', []],
        ['"lovel"', []],
        ['ada turing', []],
        ['inv-2026', ['a']],
        ['2026-inv', []],
        ['inv', ['b', 'a']],
        ['https://x.example/inv', ['b']],
        ['12:30', ['b']],
        ['48213', ['a']],
        ['482', ['a']],
        ['48', []],
        ['4821 ada', []],
        ['user', []],
      ])
    })

    it('finds a value below a key', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"user_id":"123","customer":{"name":"Ada","tags":["gold",{"x:y":"deep"}]}}')
      await accept(inbox, 'b', '{"other":"123","name":"gold","__proto__":"polluted","rawJSON":"raw"}')
      await expectFound(inbox, [
        ['user_id:123', ['a']],
        ['User-ID:123', ['a']],
        ['id:123', []],
        ['other:123', ['b']],
        ['customer:ada', ['a']],
        ['name:ada', ['a']],
        ['tags:gold', ['a']],
        ['name:gold', ['b']],
        ['name:"gold"', ['b']],
        ['x:y:deep', ['a']],
        ['nobody:123', []],
        ['user_id:', []],
        ['__proto__:polluted', ['b']],
        ['rawJSON:raw', ['b']],
        ['user_id:123 gold', ['a']],
      ])
    })

    it('finds words however they are written, and numbers with all their digits', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"name":"M\\u00fcller Stra\\u00dfe","big":12345678901234567890,"f":1.50,"yes":true}')
      await accept(
        inbox,
        'b',
        '{"name":"Mu\\u0308ller","wide":"\\uff21\\uff22\\uff23","city":"東京都","bad":"\\ud800lone"}',
      )
      await expectFound(inbox, [
        ['muller', ['b', 'a']],
        ['MÜLLER', ['b', 'a']],
        ['mu\u0308ller', ['b', 'a']],
        ['strasse', ['a']],
        ['abc', ['b']],
        ['東京都', ['b']],
        ['lone', ['b']],
        ['12345678901234567890', ['a']],
        ['12345678901234567891', []],
        ['1.50', ['a']],
        ['yes:true', ['a']],
      ])
    })

    it('takes nothing that is asked for as an instruction', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"x":"near and or not plus"}')
      for (const q of [
        '"',
        '""',
        '*',
        'x*',
        'a"b',
        '"near',
        'near(',
        'NEAR/2',
        '^near',
        'text:near',
        '-',
        '(',
        "'",
        ';--',
        '\0',
        'a\0b',
      ])
        expect(await find(inbox, q, { state: 'dead' }), q).toEqual([])
      await expectFound(inbox, [
        ['NOT near OR', ['a']],
        ['near*', ['a']],
        ['^near', ['a']],
        ['"near', ['a']],
        ['near\0and', ['a']],
        ['zzz OR near', []],
        ['words:near', []],
        ['   ', []],
        ['%', []],
        ['***', []],
        [`near ${'x'.repeat(MAX_SEARCH_LENGTH)}`, []],
        [`a${' '.repeat(MAX_SEARCH_LENGTH)}`, ['a']],
        ['near '.repeat(MAX_SEARCH_LENGTH / 5), ['a']],
      ])
    })

    it('knows the beginning of large metadata, nested as deep as it may be', async () => {
      const { inbox } = await openTest()
      const many = Array.from({ length: 40_000 }, (_, index) => `"k${index}":"value number ${index}"`).join(',')
      await accept(inbox, 'many', `{"first":"needle",${many},"last":"haystack"}`)
      await accept(inbox, 'long', JSON.stringify({ first: `needle ${'x'.repeat(1_000_000)} haystack` }))
      await accept(inbox, 'deep', `{"a":${'['.repeat(90)}"needle"${']'.repeat(90)}}`)
      await accept(inbox, 'array', '["needle"]')
      await accept(inbox, 'null', 'null')
      await expectFound(inbox, [
        ['needle', ['array', 'deep', 'long', 'many']],
        ['haystack', []],
      ])
    })

    it('finds words of the error of jobs that are dead or tried again', async () => {
      const { inbox } = await openTest()
      for (const id of ['a', 'b', 'c']) await accept(inbox, id, `{"name":"job ${id}"}`)
      const claims = await inbox.claim('fetch', freeSlots(3))
      const claim = (id: string) => claims.find(({ jobId }) => jobId === id)!
      const reason = because('http_500', 'Übler Fehler: timed out')
      await inbox.settle(claim('a'), { ...dead(claim('a')), reason }, attempt('dead', null), null)
      const retrying = { ...claim('b').progress, state: 'queued', reason, failures: 1 } as const
      await inbox.settle(claim('b'), retrying, attempt('retry', null), null)
      await inbox.settle(claim('c'), { ...done(claim('c')), reason }, attempt(), null)
      await expectFound(inbox, [
        ['timed out', ['b', 'a']],
        ['ubler', ['b', 'a']],
        ['http_500', ['b', 'a']],
        ['"job a" timed', ['a']],
        ['error:timed', []],
        ['out-timed', []],
      ])
    })

    it('finds ids by their beginning', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('6f1c0000-1', { svixId: 'msg_2abcdefghijk' }))
      await inbox.accept(delivery('6f1c0000-1', { svixId: 'msg_2abcdefghxyz' }))
      await inbox.accept(delivery('6f1c0001-2', { svixId: 'msg_2abcdzzz' }))
      await expectFound(inbox, [
        ['6f1c0000', ['6f1c0000-1']],
        [' 6f1c0000-1 ', ['6f1c0000-1']],
        ['6f1c', ['6f1c0001-2', '6f1c0000-1']],
        ['6F1C', []],
        ['msg_2abcdefghx', ['6f1c0000-1']],
        ['msg_2abcd', ['6f1c0001-2', '6f1c0000-1']],
      ])
    })

    it('forgets what was erased', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"name":"secret"}')
      await accept(inbox, 'b', '{"name":"secret"}')
      await indexed(inbox)
      await inbox.erase('a')
      expect(await find(inbox, 'secret')).toEqual(['b'])
    })

    it('finds a delivery that was taken for a job later, and one that an expected job got later', async () => {
      const { inbox } = await openTest()
      const body = '{"status":"Completed","job_id":"late","metadata":{"name":"needle"}}'
      await inbox.accept({ ...delivery('', { svixId: 'msg_late' }), body, content: { is: 'ignored' } })
      await accept(inbox, 'early', '{"name":"needle"}')
      await indexed(inbox)
      await inbox.reread('msg_late', { is: 'job', jobId: 'late', status: 'Completed' })
      await expectFound(inbox, [['needle', ['late', 'early']]])
    })

    it('turns exact pages while new jobs arrive, between pages that are not full too', async () => {
      const { inbox } = await openTest()
      const count = 2_600
      const body = (index: number) =>
        `{"kind":"${index % 2 ? 'odd' : 'even'}","n":"item ${index}"${index % 100 ? '' : ',"rare":"gem"'}}`
      await Promise.all(
        Array.from({ length: count }, (_, index) =>
          accept(inbox, `job-${String(index).padStart(4, '0')}`, body(index)),
        ),
      )
      for (const [q, expected] of [
        ['odd', count / 2],
        ['even ite', count / 2],
        ['gem', count / 100],
        ['job-', count],
      ] as const) {
        const ids: string[] = []
        for (let cursor: string | null | undefined; cursor !== null; ) {
          const page: Awaited<ReturnType<Inbox['list']>> = await inbox.list(
            { q },
            { limit: 97, ...(cursor ? { cursor } : {}) },
          )
          expect(page.searchedTo === null).toBe(page.next === null)
          ids.push(...page.rows.map(({ jobId }) => jobId))
          cursor = page.next
          if (ids.length % 2 === 1)
            await accept(inbox, `new-${q}-${ids.length}`, '{"kind":"odd even","n":"item","rare":"gem"}')
        }
        const old = ids.filter((id) => id.startsWith('job-'))
        expect(old.length, q).toBe(expected)
        expect(new Set(ids).size, q).toBe(ids.length)
        expect(old, q).toEqual(old.toSorted().reverse())
      }
    })

    it('holds for all that takes a filter', async () => {
      const { inbox } = await openTest()
      await accept(inbox, 'a', '{"name":"needle"}')
      await accept(inbox, 'b', '{"name":"hay"}')
      for (const claim of await inbox.claim('fetch', freeSlots(9)))
        await inbox.settle(claim, dead(claim), attempt('dead', null), null)
      expect(await find(inbox, 'needle', { state: 'done' })).toEqual([])
      expect(await find(inbox, 'needle', { jobIds: ['a', 'b'] })).toEqual(['a'])
      expect(await inbox.oldest({ q: 'needle' })).toMatchObject({ jobId: 'a' })
      expect(await inbox.requeue({ q: 'needle', state: 'dead' })).toBe(1)
    })
  })
}
