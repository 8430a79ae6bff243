import type { CommandSpec, Options, Run } from './command.ts'
import { actionsList } from './spec/actions.ts'
import { deliveriesList, deliveriesRetry, deliveriesShow } from './spec/deliveries.ts'
import { demo, handle, sendTest } from './spec/develop.ts'
import { doctor } from './spec/doctor.ts'
import { jobsAdd, jobsCauses, jobsDelete, jobsList, jobsReplay, jobsRetry, jobsShow } from './spec/jobs.ts'
import { backup, completion, help, move, pause, restore, resume, serve, status, version } from './spec/service.ts'
import { dashboard, reconcile, submit } from './spec/submit.ts'

/** A command: what it is, as data, and how its code is loaded, which is not before it is called. */
export type Entry = { readonly spec: CommandSpec; readonly load: () => Promise<Run<CommandSpec>> }

/** Keeps together a spec and code that is made for it. */
function entry<O extends Options>(spec: CommandSpec<O>, load: () => Promise<Run<CommandSpec<O>>>): Entry {
  return { spec: spec as unknown as CommandSpec, load: load as unknown as Entry['load'] }
}

/** All commands, in the order in which help shows them. */
export const COMMANDS: readonly Entry[] = [
  entry(serve, async () => (await import('./serve.ts')).runServe),
  entry(demo, async () => (await import('./demo.ts')).runDemo),
  entry(handle, async () => (await import('./handle/handle.ts')).runHandle),
  entry(sendTest, async () => (await import('./send-test/send-test.ts')).runSendTest),
  entry(doctor, async () => (await import('./doctor/doctor.ts')).runDoctorCommand),
  entry(status, async () => (await import('./status.ts')).runStatus),
  entry(pause, async () => (await import('./pause.ts')).runPause),
  entry(resume, async () => (await import('./pause.ts')).runResume),
  entry(jobsList, async () => (await import('./jobs/list.ts')).runList),
  entry(jobsCauses, async () => (await import('./jobs/causes.ts')).runCauses),
  entry(jobsShow, async () => (await import('./jobs/show.ts')).runShow),
  entry(jobsAdd, async () => (await import('./jobs/add.ts')).runAdd),
  entry(jobsRetry, async () => (await import('./jobs/retry.ts')).runRetry),
  entry(jobsReplay, async () => (await import('./jobs/replay.ts')).runReplay),
  entry(jobsDelete, async () => (await import('./jobs/delete.ts')).runDelete),
  entry(deliveriesList, async () => (await import('./deliveries/list.ts')).runListDeliveries),
  entry(deliveriesShow, async () => (await import('./deliveries/show.ts')).runShowDelivery),
  entry(deliveriesRetry, async () => (await import('./deliveries/retry.ts')).runRetryDeliveries),
  entry(actionsList, async () => (await import('./actions.ts')).runListActions),
  entry(submit, async () => (await import('./submit/submit.ts')).runSubmit),
  entry(dashboard, async () => (await import('./dashboard.ts')).runDashboard),
  entry(reconcile, async () => (await import('./reconcile.ts')).runReconcile),
  entry(backup, async () => (await import('./backup.ts')).runBackup),
  entry(restore, async () => (await import('./restore.ts')).runRestore),
  entry(move, async () => (await import('./move.ts')).runMove),
  entry(completion, async () => (await import('./completion.ts')).runCompletion),
  entry(help, async () => (await import('./help.ts')).runHelp),
  entry(version, async () => (await import('./version.ts')).runVersion),
]
