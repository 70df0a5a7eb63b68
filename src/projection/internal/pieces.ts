import type * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import { addDigests, addEvents, EMPTY_DIGEST, type EventDigest } from "../../store/EventDigest.ts"
import type { DecodedEvent } from "../Projection.ts"
import type { Failure } from "./failure.ts"

/** Events as they were read together; nobody changes the array, and followers that read the same share it. */
export type Piece = ReadonlyArray<RecordedEvent>

/** What came of decoding a piece. */
export type Decoding = Result.Result<ReadonlyArray<DecodedEvent>, Failure>

/** Joins pieces that follow each other. */
export const joinPieces = (pieces: ReadonlyArray<Piece>): Piece => {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const joined = pieces.flat()
  compositions.set(joined, pieces)
  return joined
}

/** What a piece was joined of; `undefined` when it was read as it is. */
export const partsOf = (piece: Piece): ReadonlyArray<Piece> | undefined => compositions.get(piece)

/** The digest of a piece: computed once for all followers that share it. */
export const digestOfPiece = (piece: Piece): EventDigest => {
  const before = digests.get(piece)
  if (before !== undefined) return before
  const digest = partsOf(piece)?.map(digestOfPiece).reduce(addDigests, EMPTY_DIGEST) ?? addEvents(EMPTY_DIGEST, piece)
  digests.set(piece, digest)
  return digest
}

/** What came of decoding a piece: done once for all followers that share it, and the decoder. */
export const remember = (piece: Piece, decoder: object, decode: () => Decoding): Decoding => {
  const known = decodings.get(piece) ?? new Map<object, Decoding>()
  const before = known.get(decoder)
  if (before !== undefined) return before
  const made = decode()
  known.set(decoder, made)
  decodings.set(piece, known)
  return made
}

// internal

const compositions = new WeakMap<Piece, ReadonlyArray<Piece>>()

const digests = new WeakMap<Piece, EventDigest>()

const decodings = new WeakMap<Piece, Map<object, Decoding>>()
