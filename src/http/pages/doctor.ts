import { noteServiceAction } from '../../operations/acting.ts'
import { doctorPage } from '../../operator/doctor.ts'
import { actingIn } from './changes.ts'
import { sendPage } from './context.ts'
import type { DoctorRunner } from './deps.ts'
import { UnderWay } from './trouble.ts'
import type { Handle } from './visit.ts'

/** Offers the checks, and makes none. */
export const doctorRoute: Handle = async ({ response, page }) => sendPage(response, page, doctorPage(page, null))

/** `POST /doctor`: makes the checks once it is noted who asked for them. */
export function runDoctorRoute(doctor: DoctorRunner): Handle {
  return async (visit) => {
    const running = doctor.run(() => noteServiceAction(actingIn(visit), 'doctor', null))
    if (running === null) throw new UnderWay('doctor is at work')
    const report = await running
    // Nobody waits any more: what was found is not kept.
    if (visit.end.aborted) return
    sendPage(visit.response, visit.page, doctorPage(visit.page, report))
  }
}
