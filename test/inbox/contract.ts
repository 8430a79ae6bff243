import { onTestFinished } from 'vitest'
import type { Inbox } from '../../src/inbox/inbox.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { tempFolder } from '../support/temp.ts'
import { acceptContract } from './contract/accept.ts'
import { choiceContract } from './contract/choice.ts'
import { claimContract } from './contract/claim.ts'
import { expectedContract } from './contract/expected.ts'
import { fleetContract } from './contract/fleet.ts'
import { journalContract } from './contract/journal.ts'
import { ledgerContract } from './contract/ledger.ts'
import { operatorsContract } from './contract/operators.ts'
import { readyContract } from './contract/ready.ts'
import { requeueContract } from './contract/requeue.ts'
import { restartContract } from './contract/restart.ts'
import { retentionContract } from './contract/retention.ts'
import { searchContract } from './contract/search.ts'
import { sideFilesContract } from './contract/side-files.ts'
import type { InboxTest } from './contract/support.ts'

/** Opens an inbox on what is kept under `place`; opened again, it is the same inbox after a restart. */
export type OpenForTest = (options: { place: string; clock: ManualClock }) => Promise<Inbox>

/** What every inbox promises, whatever it stores things in: by topic, in the folder `contract`. */
export function inboxContract(name: string, openForTest: OpenForTest): void {
  async function openTest(): Promise<InboxTest> {
    const place = tempFolder()
    const clock = createManualClock()
    const opened: Inbox[] = []
    const open = async () => {
      const inbox = await openForTest({ place, clock })
      opened.push(inbox)
      return { inbox }
    }
    onTestFinished(async () => {
      for (const inbox of opened) await inbox.close()
    })
    return { clock, open, ...(await open()) }
  }

  acceptContract(name, openTest)
  claimContract(name, openTest)
  choiceContract(name, openTest)
  sideFilesContract(name, openTest)
  readyContract(name, openTest)
  expectedContract(name, openTest)
  ledgerContract(name, openTest)
  journalContract(name, openTest)
  requeueContract(name, openTest)
  operatorsContract(name, openTest)
  retentionContract(name, openTest)
  fleetContract(name, openTest)
  restartContract(name, openTest)
  searchContract(name, openTest)
}
