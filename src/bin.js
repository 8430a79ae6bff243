#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what is wrong with it rather than failing on the first type.

// Before anything is loaded: with DEBUG, packages print requests, keys and tokens among them, and read it when imported.
delete process.env.DEBUG
// What this service makes is for its own user alone.
process.umask(0o077)

const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `reducto-webhook-receiver runs on Node 24 or later; this is ${process.version}.\n` +
      'In the project folder `npm ci` brings Node 24 along (unless optional packages are left out), and npm scripts such\n' +
      'as `npm start` then use it. Else install it from https://nodejs.org.\n',
  )
  process.exit(78)
}
if (process.env.NODE_DEBUG) withoutNodeDebug()

// Every piece of a download has memory outside of V8's heap. With a young generation of 32 MiB the pieces grow old before
// they are looked at, and each 6 MiB of them cost a collection of everything. One that stays small frees them while they
// are young: a third less CPU and half the memory for a large result. Only this V8 is known to have the flag.
if (process.versions.v8.startsWith('13.6.'))
  (await import('node:v8')).setFlagsFromString('--scavenger-max-new-space-capacity-mb=1')

// Types are stripped and code is compiled once, not at every start and in every thread again: half the start-up time,
// and 15 MiB less for each thread. Set as a variable, because threads do not inherit it otherwise. Beside the packages,
// where only who may change the code can write.
const { enableCompileCache } = await import('node:module')
const { fileURLToPath } = await import('node:url')
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/node', import.meta.url))
enableCompileCache(process.env.NODE_COMPILE_CACHE)
await import('./main.ts')

/** Node reads NODE_DEBUG as it starts and then prints URLs, signed ones too: so this process becomes one without it. */
function withoutNodeDebug() {
  const { NODE_DEBUG: _, ...environment } = process.env
  if (!process.execve || process.platform === 'win32') {
    process.stderr.write('NODE_DEBUG: makes Node print URLs, tokens among them: unset it.\n')
    process.exit(78)
  }
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], environment)
}
