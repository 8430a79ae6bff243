#!/usr/bin/env node
// Plain JavaScript, so that an old Node says what is wrong with it rather than failing on the first type.
const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(
    `reducto-webhook-receiver runs on Node 24 or later; this is ${process.version}.\n` +
      'In the project folder `npm ci` brings Node 24 along (unless install scripts are switched off), and npm scripts\n' +
      'such as `npm start` then use it. Else install it from https://nodejs.org.\n',
  )
  process.exit(78)
}
await import('./main.ts')
