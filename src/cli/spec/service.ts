import { command } from '../command.ts'
import { JSON_OUT } from './shared.ts'

export const serve = command({
  name: 'serve',
  does: 'the service (what runs without a command)',
  more: 'It takes no arguments: its settings come from the environment or .env.',
  examples: [['serve', 'runs until SIGTERM or SIGINT']],
})

export const status = command({
  name: 'status',
  does: 'how the service stands, and what needs a person',
  more: 'Exit 1 when something needs a person.',
  options: JSON_OUT,
  examples: [['status', 'running since when, paused or degraded why, counts, what waits, the next purge, disks']],
})

export const pause = command({
  name: 'pause',
  does: 'stops fetching and handing over, in every process and over restarts; deliveries are accepted',
  options: {
    reason: { takes: 'TEXT', does: 'why, for whoever looks: shown by status, /readyz and the log' },
    ...JSON_OUT,
  },
  examples: [['pause --reason "upgrade of the CRM"', 'before a maintenance']],
})

export const resume = command({
  name: 'resume',
  does: 'lets jobs be fetched and handed over again',
  options: JSON_OUT,
  examples: [['resume', 'ends a pause']],
})

export const backup = command({
  name: 'backup',
  args: 'FILE',
  takes: [1, 1],
  does: 'a consistent copy of the database, while the service runs',
  more: 'FILE is there as a whole or not at all, and no file is replaced.',
  options: JSON_OUT,
  examples: [['backup /backups/receiver-2026-11-24.db', 'copies the database of DATABASE_URL']],
})

export const restore = command({
  name: 'restore',
  args: 'FILE',
  takes: [1, 1],
  does: 'puts a backup in the place of the database, with the service stopped',
  more: 'The backup is checked first. The database that is there is kept beside it, under a name that is printed.',
  options: JSON_OUT,
  examples: [['restore /backups/receiver-2026-11-24.db', 'puts it in the place that DATABASE_URL names']],
})

export const move = command({
  name: 'move',
  does: 'puts the SQLite inbox into PostgreSQL, with the service stopped',
  more: 'The file is only read. A move that broke off goes on when it is run again. A password may also come from PGPASSWORD.',
  options: { to: { takes: 'URL', does: 'the database of the server, in which there is no inbox yet' }, ...JSON_OUT },
  examples: [
    ['move --to postgres://receiver@db.internal/receiver', 'moves the inbox of DATABASE_URL, and compares the counts'],
  ],
})

export const version = command({
  name: 'version',
  does: 'the version of this program',
  options: JSON_OUT,
  examples: [['version', '']],
})

export const help = command({
  name: 'help',
  args: '[COMMAND]',
  takes: [0, 2],
  does: 'all commands, or how one of them is used',
  options: { markdown: { does: 'prints docs/commands.md' } },
  examples: [['help jobs retry', 'the same as jobs retry --help']],
})

export const completion = command({
  name: 'completion',
  args: 'bash or zsh',
  takes: [1, 1],
  does: 'a script that completes commands and options in a shell',
  examples: [
    ['completion bash > ~/.local/share/bash-completion/completions/receiver', 'for bash'],
    ['completion zsh >> ~/.zshrc', 'for zsh'],
  ],
})
