import { hostname } from 'node:os'
import type { About, Replica } from '../fleet.ts'
import { DATABASE_NOW } from './candidates.ts'
import type { Lane } from './lane.ts'
import { halfMoved } from './migrate.ts'
import { storable, storableJson } from './rows.ts'

/** This process among the replicas: a row that it makes at its start, and again after it was declared dead. */

/** Lanes that count: each has a source of its own for every replica. */
const LANES_PER_REPLICA = 4

const REGISTER = `INSERT INTO replica (name, version, about, started_at, beat_at)
  SELECT $1, $2, $3::jsonb, $4::bigint, ${DATABASE_NOW} WHERE NOT EXISTS (SELECT 1 FROM counter WHERE name = 'moving') RETURNING id`
const ENDED = 'UPDATE replica SET ended = true, ended_at = $2::bigint WHERE id = $1 AND NOT ended'
const STOP_ASKED = 'UPDATE replica SET stop_asked = true WHERE id = $1'
const LIVING = `SELECT id, name, version, about, started_at,
  greatest(${DATABASE_NOW} - beat_at, 0) AS silent_for FROM replica WHERE NOT ended ORDER BY id`
/** Rows of replicas that ended: nobody asks for those of long ago. Their counters go to source 0. */
const FORGET_AFTER_MS = 86_400_000
const FOLD = `
  WITH gone AS (SELECT id FROM replica WHERE ended AND ended_at < $1::bigint
      AND NOT EXISTS (SELECT 1 FROM job WHERE state = 'running' AND holder = replica.id)
      AND NOT EXISTS (SELECT 1 FROM side_files WHERE is_running AND side_files.holder = replica.id)
      AND id < (SELECT max(id) FROM replica) FOR UPDATE SKIP LOCKED),
    folded AS (DELETE FROM counter USING gone WHERE source / ${LANES_PER_REPLICA} = gone.id RETURNING name, value),
    dropped AS (DELETE FROM replica USING gone WHERE replica.id = gone.id)
  INSERT INTO counter (name, source, value)
  SELECT name, 0, CASE WHEN starts_with(name, 'last_verified_at') THEN max(value) ELSE sum(value) END FROM folded GROUP BY name ORDER BY name
  ON CONFLICT (name, source) DO UPDATE SET value =
    CASE WHEN starts_with(counter.name, 'last_verified_at') THEN greatest(counter.value, excluded.value) ELSE counter.value + excluded.value END`

/** The number under which a lane of a replica counts. */
export function sourceOf(replica: number, lane: 0 | 1 | 2 | 3): number {
  return replica * LANES_PER_REPLICA + lane
}

/** @throws DatabaseRefused when a move into this inbox has begun meanwhile */
export async function register(lane: Lane, about: About, now: number): Promise<number> {
  const { version, ...rest } = about
  const values = [storable(`${hostname()}/${process.pid}`), storable(version), storableJson(rest), Math.round(now)]
  const [rows] = await lane.transaction((tx) => tx.commit([{ text: REGISTER, values }]))
  const [row] = rows!
  if (!row) throw halfMoved()
  return row.id as number
}

/** What it still had in hand has crashed, unless a stop had been asked for. */
export async function endReplica(lane: Lane, replica: number, now: number): Promise<void> {
  await lane.transaction((tx) => tx.commit([{ text: ENDED, values: [replica, Math.round(now)] }]))
}

export async function noteStop(lane: Lane, replica: number): Promise<void> {
  await lane.transaction((tx) => tx.commit([{ text: STOP_ASKED, values: [replica] }]))
}

/** Those that live, as far as is known: a dead one counts for some seconds. */
export async function livingReplicas(lane: Lane): Promise<readonly Replica[]> {
  const rows = await lane.transaction((tx) => tx.query<ReplicaRow>(LIVING, []))
  return rows.map(({ id, name, version, about, started_at, silent_for }) => ({
    ...{ id, name, version, startedAt: started_at },
    ...{ settings: about.settings, results: about.results, concurrency: about.concurrency, silentFor: silent_for },
  }))
}

type ReplicaRow = {
  readonly id: number
  readonly name: string
  readonly version: string
  readonly about: Omit<About, 'version'>
  readonly started_at: number
  readonly silent_for: number
}

/** Adds the counters of replicas that ended long ago to one row, and drops theirs. */
export async function foldReplicas(lane: Lane, now: number): Promise<void> {
  await lane.transaction((tx) => tx.commit([{ text: FOLD, values: [Math.round(now - FORGET_AFTER_MS)] }]))
}
