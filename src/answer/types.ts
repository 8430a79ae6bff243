import type { ParseResponse } from 'reductoai/resources/shared'
import type { DeepSplitPageEvidence } from 'reductoai/resources/split'

export type { DeepSplitPageEvidence }

export type Chunk = ParseResponse.FullResult.Chunk

/** `pointer` (RFC 6901) leads to the value within the result of `extracted()`. */
export type FieldCitations = { readonly pointer: string; readonly citations: readonly Citation[] }

/** The position in the document that a value was read from. Reducto may add fields; these have always existed. */
export type Citation = {
  readonly type?: string
  readonly content?: string
  readonly bbox: ParseResponse.FullResult.Chunk.Block['bbox']
  readonly [field: string]: unknown
}

/** A part of a split document. For a deep split, `evidence` says for each page why it belongs to this part. */
export type Split = {
  readonly name: string
  readonly pages: readonly number[]
  readonly conf: 'high' | 'low' | null
  readonly evidence: readonly DeepSplitPageEvidence[] | null
  readonly partitions: readonly Split[]
}
