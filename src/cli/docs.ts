import type { CommandSpec } from './command.ts'
import { COMMANDS } from './commands.ts'
import { argsOf, call } from './help.ts'

/** docs/commands.md, made of the same data as the help. */
export function commandsPage(): string {
  const parts = COMMANDS.map(({ spec }) => section(spec))
  return `# Commands

\`npx --no-install reducto-webhook-receiver COMMAND\` in the project's folder, \`receiver COMMAND\` in the container. This page
is made by \`receiver help --markdown\`, of the data that the help is made of; a test compares the two.

Commands work beside a running service, which sees within a second what they have changed. The unambiguous start of an id
(four characters or more) stands for the id. Exit codes: 0 done, 1 found a problem, 2 wrong use, 78 wrong settings. With
\`--json\` a command prints one line of JSON; its fields are only ever added. Long work shows its progress on a terminal.
Settings come from the environment or \`.env\`; each command needs only those that it uses.

${parts.join('\n')}`
}

function section(spec: CommandSpec): string {
  const options = Object.entries(spec.options ?? {})
  const table = options.map(([name, option]) => `| \`${cell(call(name, option))}\` | ${cell(option.does)} |\n`)
  const examples = spec.examples.map(([one, does]) => `receiver ${one}${does ? `    # ${does}` : ''}\n`)
  return [
    `## ${spec.name}${argsOf(spec)}\n`,
    `${spec.does.charAt(0).toUpperCase()}${spec.does.slice(1)}.${spec.more ? ` ${spec.more}` : ''}\n`,
    ...(table.length > 0 ? [`| Option | |\n|---|---|\n${table.join('')}`] : []),
    `\`\`\`sh\n${examples.join('')}\`\`\`\n`,
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
