import { basename } from 'node:path'

/**
 * How this program is called: `receiver` in the container, elsewhere by the package's own name. Where that is not
 * installed npx asks the registry for it, which a stranger may have: it must not run what it finds there.
 */
export const PROGRAM =
  basename(process.argv[1] ?? '') === 'receiver' ? 'receiver' : 'npx --no-install reducto-webhook-receiver'
