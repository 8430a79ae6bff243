/** What an error of a transaction means. Errors of the server have a code of five characters (SQLSTATE). */

/** A COMMIT was sent and not answered: what it was to keep may be kept. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown'
}

/** A prepared statement is refused: a pooler in transaction mode stands in between. */
const UNNAMED = ['26000', '42P05', '08P01']

function codeOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : null
}

/** Whether the server said it, rather than the network. */
function isFromServer(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '') && 'severity' in (error as object)
}

/** Whether prepared statements are refused. */
export function refusesNames(error: unknown): boolean {
  return isFromServer(error) && UNNAMED.includes(codeOf(error)!)
}

/**
 * Whether the connection is of no use any more: it broke, the server is going away (57P01 to 57P03), ended this session, which
 * stood still for too long (25P03, 25P04), or takes no writes (25006: it was the primary, or never was). A new connection asks DNS again.
 */
export function breaksConnection(error: unknown): boolean {
  if (!isFromServer(error)) return true
  const code = codeOf(error)!
  return ['25006', '25P03', '25P04'].includes(code) || code.startsWith('57P') || code.startsWith('08')
}

/** Whether the same transaction may succeed at once: others were in the way. */
export function isContention(error: unknown): boolean {
  return isFromServer(error) && ['40001', '40P01'].includes(codeOf(error)!)
}

/** Whether a row is at fault: its values cannot be stored (22, 23), or not in an index, being too long (54). */
export function isOfRow(error: unknown): boolean {
  return isFromServer(error) && /^(22|23|54)/.test(codeOf(error)!)
}

/**
 * Whether time may mend it, without a person: the connection broke, another transaction was in the way (40, 55P03), the server
 * lacks connections, memory or disk (53), was interrupted (57) or met a fault of the system (58).
 */
export function mayPass(error: unknown): boolean {
  return breaksConnection(error) || /^(40|53|55P03|57|58)/.test(codeOf(error)!)
}

/** The code of the server's error; null for any other. */
export function sqlState(error: unknown): string | null {
  return isFromServer(error) ? codeOf(error) : null
}
