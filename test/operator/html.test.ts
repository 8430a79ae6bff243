import fc from 'fast-check'
import { parseFragment } from 'parse5'
import { describe, expect, it } from 'vitest'
import { html, shown, visible } from '../../src/operator/html.ts'
import { pairsLine, pairsList } from '../../src/operator/pairs.ts'
import { tableOf, tableRows } from '../../src/operator/preview/table.ts'
import { tree } from '../../src/operator/preview/tree.ts'

/** The names of all elements, and of all attributes, that a browser would make of it. */
function madeOf(text: string): { readonly elements: readonly string[]; readonly attributes: readonly string[] } {
  const [elements, attributes]: [string[], string[]] = [[], []]
  const open = [...parseFragment(text).childNodes]
  for (let node = open.pop(); node; node = open.pop()) {
    if ('attrs' in node) {
      elements.push(node.nodeName)
      attributes.push(...node.attrs.map(({ name }) => name))
    }
    if ('childNodes' in node) open.push(...node.childNodes)
  }
  return { elements: elements.toSorted(), attributes: attributes.toSorted() }
}

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(2)>',
  "' onmouseover='alert(3)",
  '</textarea><svg onload=alert(4)>',
  '&lt;b&gt; &amp;amp;',
  'javascript:alert(5)',
  '`alert(6)`{{7*7}}',
  '<!-- --><![CDATA[x]]>',
  '\u0000<b>',
]

describe('what others wrote never is HTML', () => {
  it.each(HOSTILE)('%s', (text) => {
    const written = html`<p title="${text}">${text}</p>`.toString()
    expect(madeOf(written)).toEqual({ elements: ['p'], attributes: ['title'] })
  })

  it('whatever it is: as a text, an attribute, metadata, a value of a result', () => {
    const plain = (name: string, value: string) => ({ [name]: value })
    const [line, list] = [pairsLine(plain('a', 'b')), pairsList(plain('a', 'b'))].map((one) => madeOf(String(one)))
    const leaf = madeOf(String(tree('x')))
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const written = html`<p title="${text}">${[text, [text]]}</p>`.toString()
        expect(madeOf(written)).toEqual({ elements: ['p'], attributes: ['title'] })
        if (text === '__proto__') return
        expect(madeOf(String(pairsLine(plain(text, text))))).toEqual(line)
        expect(madeOf(String(pairsList(plain(text, text))))).toEqual(list)
        expect(madeOf(String(tree(text)))).toEqual(leaf)
      }),
    )
  })

  it('metadata that poses as a template of ours is text', () => {
    const posing = { isEscaped: true, toString: '<b>bold</b>', callbacks: [1] }
    const written = String(pairsList({ a: posing, isEscaped: true }))
    expect(madeOf(written).elements).not.toContain('b')
    expect(written).toContain('&lt;b&gt;bold&lt;/b&gt;')
  })

  it('nothing, false and null write nothing; 0 is a number', () => {
    expect(html`${null}${undefined}${false}${0}${''}`.toString()).toBe('0')
  })
})

describe('visible', () => {
  it.each([
    ['\u202Egnp.exe', '⟨U+202E⟩gnp.exe'],
    ['a\u0000b\u001bc', 'a⟨U+0000⟩b⟨U+001B⟩c'],
    ['zero\u200Bwidth', 'zero⟨U+200B⟩width'],
    ['\u{E0041}tag', '⟨U+E0041⟩tag'],
    ['half \ud800', 'half ⟨U+D800⟩'],
    ['two\nlines\tand a tab', 'two\nlines\tand a tab'],
    ['Müller 漢字 🎉 עברית', 'Müller 漢字 🎉 עברית'],
  ])('%j is shown as %s', (text, expected) => expect(visible(text)).toBe(expected))

  it('leaves no character that is not seen, and changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const once = visible(text)
        expect(once.replaceAll(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
        expect(visible(once)).toBe(once)
      }),
    )
  })

  it('long texts are cut, and never in the middle of a character', () => {
    expect(shown('x'.repeat(600))).toBe(`${'x'.repeat(500)}…`)
    expect(shown('🎉🎉', 3)).toBe('🎉…')
  })
})

describe('tables of a document', () => {
  it('are tables of ours with the text of their cells', () => {
    const rows = tableRows(
      '<table onclick="x()"><tr><th colspan="2">Year <b onclick="y()">2025</b></th></tr><tr><td rowspan=3>a<br>b</td><td><script>alert(1)</script></td></tr></table>',
    )!
    const written = String(tableOf(rows))
    expect(madeOf(written).elements).toEqual(['div', 'table', 'tbody', 'td', 'td', 'th', 'tr', 'tr'])
    expect(madeOf(written).attributes.filter((name) => name.startsWith('on'))).toEqual([])
    expect(written).toContain('colspan="2"')
    expect(written).toContain('Year 2025')
  })

  it.each(['no table', 'a < b', '<tablet>', '<p>x</p>'])('%s is none', (text) => expect(tableRows(text)).toBeNull())

  it('neither depth, nor width, nor spans without end cost more than they may', () => {
    const deep = `<table>${'<tr><td><table>'.repeat(3_000)}`
    expect(String(tableOf(tableRows(deep) ?? [])).length).toBeLessThan(2_000_000)
    const wide = `<table><tr>${'<td>x</td>'.repeat(2_000)}</tr></table>`
    expect(tableRows(wide)![0]).toHaveLength(60)
    expect(tableRows('<table><tr><td colspan=1e9 rowspan=-1>x</td></tr></table>')![0]![0]).toMatchObject({
      across: 60,
      down: 1,
    })
  })
})
