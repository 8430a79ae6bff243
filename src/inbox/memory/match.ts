/** What each part of a filter asks of a row. */
export type Conditions<Row, Filter> = {
  readonly [K in keyof Filter]-?: (row: Row, value: NonNullable<Filter[K]>) => boolean
}

/** Whether a row matches all that a filter gives. */
export function isEvery<Row, Filter extends object>(
  conditions: Conditions<Row, Filter>,
  row: Row,
  filter: Filter,
): boolean {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  return given.every(([part, value]) => conditions[part as keyof Filter](row, value))
}

/** As SQL compares without regard to case: the letters of ASCII alone. */
export function lower(text: string | null): string | null {
  return text?.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) ?? null
}
