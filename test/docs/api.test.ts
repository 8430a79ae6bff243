import { expect, it } from 'vitest'
import { apiTable } from '../../src/http/api/api.ts'
import { firstCells, read } from './support.ts'

it('docs/api.md has every route of the API, and no other', () => {
  const documented = firstCells(read('docs/api.md'), 'Routes').map((cell) => cell.replaceAll('`', ''))
  const routes = apiTable('1.0.0').map(
    ({ method, path }) => `${method} ${path.replace('*file', 'PATH').replaceAll(/:\w+_id/g, 'ID')}`,
  )
  expect(documented.toSorted()).toEqual(routes.toSorted())
})
