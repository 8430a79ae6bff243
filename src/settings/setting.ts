/** One setting: how it is parsed, and its description. */
export type Setting<T> = {
  /** Parses the given text. Throws an Error whose message continues `NAME: `, without the value of a secret. */
  readonly parse: (text: string) => T
  /** The default in written form. A setting without one may be absent. */
  readonly default: string | null
  /** The message for a missing required setting. */
  readonly required: string | null
  /** May come from a file (NAME_FILE), is scrubbed from all text, and leaves the environment once read. */
  readonly secret: boolean
  /** The parts of a secret that must not leave the process. */
  readonly secretParts: (text: string) => readonly string[]
  /** Any number of items, separated by spaces, commas or line breaks. */
  readonly list: boolean
  /** Other programs read it as well, also in lower case: it stays in the environment. */
  readonly shared: boolean
  readonly group: Group
  /** For `.env.example` and docs/settings.md: complete sentences, without line breaks. */
  readonly doc: string
}

/** Headings of `.env.example`, in order. */
export const GROUPS = [
  'Required',
  'More endpoints',
  'Reducto',
  'Where it listens',
  'For operators',
  'Where things are kept',
  'Your code',
  'The worker',
  'The process',
] as const
export type Group = (typeof GROUPS)[number]

type About<T> = Pick<Setting<T>, 'group' | 'doc'> & Partial<Omit<Setting<T>, 'group' | 'doc' | 'parse'>>

/** A setting with a default. */
export function setting<T>(parse: (text: string) => T, about: About<T> & { readonly default: string }): Setting<T> {
  return describe(reader(parse, about), about)
}

/** A setting that may be absent. */
export function optional<T>(parse: (text: string) => T, about: About<T>): Setting<T | undefined> {
  return describe<T | undefined>(reader(parse, about), about)
}

/** A secret that may be absent. `secretParts`: needed where only a part of the text is secret. */
export function secret<T>(parse: (text: string) => T, about: About<T>): Setting<T | undefined> {
  return describe<T | undefined>(parse, { ...about, secret: true })
}

/** A required secret. */
export function requiredSecret<T>(
  parse: (text: string) => T,
  about: About<T> & { readonly required: string },
): Setting<T> {
  return describe(parse, { ...about, secret: true })
}

/** Lists have their own grammar; shared settings are as strict as the programs that share them. */
function reader<T>(parse: (text: string) => T, { list, shared }: About<T>): (text: string) => T {
  return list || shared ? parse : (text) => parse(plain(text))
}

function describe<T>(parse: (text: string) => T, about: About<T>): Setting<T> {
  return {
    default: null,
    required: null,
    secret: false,
    secretParts: (text) => [text],
    list: false,
    shared: false,
    ...about,
    parse,
  }
}

/**
 * Refuses characters that the shell and `.env` remove, but container engines and systemd keep: quotes, comments,
 * spaces. They would become part of a file's name.
 * @throws Error
 */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are searched for
  if (/[\x00-\x1f\x7f\ufeff]/.test(text)) throw new Error('must be without line breaks and control characters')
  if (/^["'`]|["'`]$/.test(text))
    throw new Error('must be without quotes (the program that starts this service keeps them)')
  if (/\s#|^#/.test(text)) throw new Error('must be without a comment (the program that starts this service keeps it)')
  if (text !== text.trim()) throw new Error('must be without leading or trailing spaces')
  if (/\$\{|\$\(/.test(text))
    throw new Error('must be without variables (a $ and a bracket): they are not expanded here')
  return text
}
