import type { ParseResponse } from 'reductoai/resources/shared'
import type { DeepSplitPageEvidence } from 'reductoai/resources/split'

export type { DeepSplitPageEvidence }

export type Chunk = ParseResponse.FullResult.Chunk

/** `pointer` (RFC 6901) leads to the value within what `extracted()` returns. */
export type FieldCitations = { readonly pointer: string; readonly citations: readonly Citation[] }

/** A place in the document that a value was read from. Reducto adds fields; these have always been there. */
export type Citation = {
  readonly type?: string
  readonly content?: string
  readonly bbox: ParseResponse.FullResult.Chunk.Block['bbox']
  readonly [field: string]: unknown
}

/** A part of a split document. Of a deep split, `evidence` says for each page why it belongs here. */
export type Split = {
  readonly name: string
  readonly pages: readonly number[]
  readonly conf: 'high' | 'low' | null
  readonly evidence: readonly DeepSplitPageEvidence[] | null
  readonly partitions: readonly Split[]
}
