import { nearest } from '../nearest.ts'
import { type CommandSpec, type Run, WrongUse } from './command.ts'
import { COMMANDS } from './commands.ts'
import { firstWords, groupOf } from './find.ts'
import { print } from './output.ts'
import type { completion } from './spec/service.ts'

const SHELLS = ['bash', 'zsh']

/** `completion bash|zsh`. */
export const runCompletion: Run<typeof completion> = async ({ args: [shell = ''] }) => {
  if (!SHELLS.includes(shell)) {
    const near = nearest(shell, SHELLS)
    throw new WrongUse(`completion takes one of bash and zsh${near ? `; did you mean ${near}?` : ''}`)
  }
  // zsh runs bash's.
  return print(
    shell === 'bash' ? script() : `autoload -U +X compinit bashcompinit && compinit && bashcompinit\n${script()}`,
  )
}

/** Words are all of our own making: letters, digits and hyphens, which no shell reads otherwise. */
function script(): string {
  const groups = firstWords().filter((word) => groupOf(word).length > 0)
  return `# Completion for receiver. Made by: receiver completion bash
_receiver() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=''
  local command="\${COMP_WORDS[1]}"
  case "$command" in ${groups.join('|')}) ((COMP_CWORD > 2)) && command="$command \${COMP_WORDS[2]}";; esac
  if ((COMP_CWORD == 1)); then words='${firstWords().join(' ')}'
  else
    case "$command:$before" in
${COMMANDS.flatMap(({ spec }) => choicesOf(spec)).join('\n')}
    *)
      case "$command" in
${groups.map((name) => `      '${name}') words='${subcommands(name)}';;`).join('\n')}
${COMMANDS.map(({ spec }) => `      '${spec.name}') words='${wordsOf(spec)}';;`).join('\n')}
      esac;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _receiver receiver reducto-webhook-receiver
`
}

function subcommands(group: string): string {
  return groupOf(group)
    .map(({ spec }) => spec.name.split(' ')[1])
    .join(' ')
}

function wordsOf(spec: CommandSpec): string {
  const options = [...Object.keys(spec.options ?? {}), 'help'].map((name) => `--${name}`)
  const own: Readonly<Record<string, string>> = {
    help: firstWords().join(' '),
    completion: SHELLS.join(' '),
    'send-test': 'completed failed ping',
  }
  return [own[spec.name], ...options].filter(Boolean).join(' ')
}

/** What an option takes where there are choices; nothing, so that files are offered, where there are none. */
function choicesOf({ name, options = {} }: CommandSpec): string[] {
  return Object.entries(options)
    .filter(([, { takes }]) => takes !== undefined)
    .map(([option, { choices = [] }]) => `    '${name}:--${option}') words='${choices.join(' ')}';;`)
}
