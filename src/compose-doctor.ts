import { runDoctor } from './doctor/doctor.ts'
import { openDoctorWithin, type RunningService } from './doctor/open.ts'
import { settingsOf } from './doctor/read-settings.ts'
import type { DoctorRunner } from './http/pages/deps.ts'
import type { Config } from './settings/config.ts'

/** Wires `doctor` for the process of a service with these settings. */
export type ComposeDoctor = (service: RunningService) => DoctorRunner

/** One at a time: it reads all of the database's file, and calls Reducto. */
export function createDoctor(config: Config): ComposeDoctor {
  return (service) => {
    let isRunning = false

    async function run(before: () => Promise<unknown>) {
      isRunning = true
      try {
        await before()
        const opened = openDoctorWithin(service, { settings: settingsOf(config) })
        try {
          return await runDoctor(opened.context)
        } finally {
          await opened.close()
        }
      } finally {
        isRunning = false
      }
    }

    return { run: (before) => (isRunning ? null : run(before)) }
  }
}
