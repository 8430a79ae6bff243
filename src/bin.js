#!/usr/bin/env node
// Plain JavaScript, so that an old Node reports its version rather than fails on the first type.

// Before anything is loaded: with DEBUG, which packages read on import, they print requests, including keys and tokens.
delete process.env.DEBUG
// Files of this service are for its own user only.
process.umask(0o077)

const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `reducto-webhook-receiver runs on Node 24 or later; this is ${process.version}.\n` +
      'In the project folder `npm ci` installs Node 24 (unless optional packages are omitted), and npm scripts such\n' +
      'as `npm start` then use it. Otherwise install it from https://nodejs.org.\n',
  )
  process.exit(78)
}
if (process.env.NODE_DEBUG) withoutNodeDebug()

// Each chunk of a download has memory outside of V8's heap. With a young generation of 32 MiB chunks are promoted
// before they are collected, and every 6 MiB of them cost a full collection. A small young generation frees them early:
// a third less CPU and half the memory for a large result. Only this V8 version is known to have the flag.
if (process.versions.v8.startsWith('13.6.'))
  (await import('node:v8')).setFlagsFromString('--scavenger-max-new-space-capacity-mb=1')

// The compile cache: types are stripped and code is compiled once, not at every start and in every thread. It halves
// the start-up time and saves 15 MiB per thread. Set as a variable, because threads do not inherit it otherwise. Stored
// beside the packages, where only users who may change the code can write.
const { enableCompileCache } = await import('node:module')
const { fileURLToPath } = await import('node:url')
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/node', import.meta.url))
enableCompileCache(process.env.NODE_COMPILE_CACHE)
await import('./main.ts')

/**
 * Node reads NODE_DEBUG at its start and then prints URLs, including signed ones: replaces this process by one without
 * it.
 */
function withoutNodeDebug() {
  const { NODE_DEBUG: _, ...environment } = process.env
  if (!process.execve || process.platform === 'win32') {
    process.stderr.write('NODE_DEBUG: makes Node print URLs, tokens among them: unset it.\n')
    process.exit(78)
  }
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], environment)
}
