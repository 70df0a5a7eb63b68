/**
 * How a state becomes the bytes of a snapshot and comes back.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"
import { SNAPSHOT_BYTES_MAX, type SnapshotCompression, type StoredSnapshot } from "../store/SnapshotStore.ts"
import { compress, decompress, LEVEL_DEFAULT, LEVELS } from "./internal/compression.ts"
import { digestOf, isEqualDeep, sha256Hex } from "./internal/digest.ts"

/**
 * A user's own way from a state to bytes and back, instead of JSON.
 *
 * **Details**
 *
 * `name` says which format it is, with its version: it is part of the
 * fingerprint, so another name makes every older snapshot a miss. Both functions
 * may throw; that is a miss, or a snapshot that is not taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface BinaryCodec<State> {
  readonly name: string
  readonly encode: (state: State) => Uint8Array
  readonly decode: (bytes: Uint8Array) => State
}

/**
 * How bytes are made fewer.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompressionOptions {
  readonly algorithm: SnapshotCompression
  /** 1 to 9 for gzip (6 when absent), 1 to 22 for zstd (3 when absent). */
  readonly level?: number | undefined
  /** Only what is larger than this, in bytes; 1,024 when absent. */
  readonly above?: number | undefined
}

/**
 * What makes a codec.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodecOptions<State> {
  readonly kind: string
  readonly schema: Schema.Codec<State, unknown>
  /** Version of what the state means: raise it when `evolve` changes. */
  readonly version: number
  /** Fingerprint of the event types and their upcasters. */
  readonly fingerprint: string
  readonly serialization?: "json" | BinaryCodec<State> | undefined
  readonly compression?: SnapshotCompression | CompressionOptions | undefined
}

/**
 * Turns states of one kind into snapshots and back.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotCodec<State> {
  /** Fingerprint of the snapshots: SHA-256 over all that gives the bytes their meaning. */
  readonly fingerprint: string
  /**
   * Makes a snapshot, after it has read its own bytes back and found the same
   * state in them: what a schema cannot express fails here, and is never stored.
   */
  readonly encode: (taken: TakenState<State>) => Effect.Effect<StoredSnapshot, StateNotSerializable>
  readonly decode: (snapshot: StoredSnapshot) => Effect.Effect<State, SnapshotBroken>
}

/**
 * A state at a revision, to be made a snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface TakenState<State> {
  readonly streamId: StreamId
  readonly state: State
  readonly revision: Revision
  readonly firstRevision: Revision
  readonly takenAt: DateTime.Utc
  readonly loadMillis: number
}

/**
 * Represents a state that its serialization cannot keep. Nothing was stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateNotSerializable
  extends Schema.TaggedError<StateNotSerializable>("effect-event-store/snapshot/SnapshotCodec/StateNotSerializable")(
    "StateNotSerializable",
    { streamId: StreamId, revision: Revision, detail: Schema.String }
  )
{
  override get message(): string {
    return `The state of stream ${this.streamId} at revision ${this.revision} cannot be kept as a snapshot: ${this.detail}`
  }
}

/**
 * Represents a snapshot whose bytes are not what was stored, or do not fit the
 * state any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class SnapshotBroken
  extends Schema.TaggedError<SnapshotBroken>("effect-event-store/snapshot/SnapshotCodec/SnapshotBroken")(
    "SnapshotBroken",
    { streamId: StreamId, revision: Revision, detail: Schema.String }
  )
{
  override get message(): string {
    return `The snapshot of stream ${this.streamId} at revision ${this.revision} is broken: ${this.detail}`
  }
}

/**
 * Says whether a snapshot is as it was stored: its digest fits everything else.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isIntact = (snapshot: StoredSnapshot): boolean => {
  const expected = digestOf(snapshot)
  return expected.length === snapshot.digest.length && expected.every((byte, index) => byte === snapshot.digest[index])
}

/**
 * Makes a codec, or says everything that is wrong with its options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <State>(
  options: CodecOptions<State>
): Result.Result<SnapshotCodec<State>, ReadonlyArray<string>> => {
  const compression = toCompression(options.compression)
  const serializer = toSerializer(options)
  const problems = [
    ...compressionFaults(compression),
    ...(Number.isInteger(options.version) && options.version >= 0 ? [] : ["version: expected a whole number"]),
    ...(Result.isFailure(serializer) ? [serializer.failure] : [])
  ]
  return Result.isFailure(serializer) || problems.length > 0
    ? Result.fail(problems)
    : Result.succeed(toCodec(options, serializer.success, compression))
}

// internal

/** Which bytes this module writes; another number makes every older snapshot a miss. */
const FORMAT = 1

const COMPRESS_ABOVE_BYTES = 1_024

const DETAIL_LENGTH_MAX = 200

/** Bytes of a state; both functions may throw. */
interface Serializer<State> {
  readonly serialization: StoredSnapshot["serialization"]
  /** What the bytes look like: part of the fingerprint. */
  readonly shape: unknown
  readonly write: (state: State) => Uint8Array
  readonly read: (bytes: Uint8Array) => State
}

const toSerializer = <State>(
  { schema, serialization = "json" }: CodecOptions<State>
): Result.Result<Serializer<State>, string> => {
  if (serialization !== "json") {
    const { decode, encode, name } = serialization
    return Result.succeed({ serialization: "binary", shape: name, write: encode, read: decode })
  }
  return Result.try({
    try: () => {
      const json = Schema.toCodecJson(schema)
      const encode = Schema.encodeSync(json)
      const decode = Schema.decodeUnknownSync(json)
      const [encoder, decoder] = [new TextEncoder(), new TextDecoder("utf-8", { fatal: true })]
      return {
        serialization: "json" as const,
        shape: Schema.toJsonSchemaDocument(schema),
        write: (state: State) => encoder.encode(JSON.stringify(encode(state))),
        read: (bytes: Uint8Array) => decode(JSON.parse(decoder.decode(bytes)))
      }
    },
    catch: (error) => `schema: there is no JSON for it: ${describe(error)}`
  })
}

const toCompression = (
  compression: CodecOptions<never>["compression"] = "zstd"
): Required<{ readonly [K in keyof CompressionOptions]: Exclude<CompressionOptions[K], undefined> }> => {
  const { above, algorithm, level }: CompressionOptions = typeof compression === "string"
    ? { algorithm: compression }
    : compression
  return { algorithm, level: level ?? LEVEL_DEFAULT[algorithm], above: above ?? COMPRESS_ABOVE_BYTES }
}

const compressionFaults = ({ above, algorithm, level }: ReturnType<typeof toCompression>): ReadonlyArray<string> => {
  const [lowest, highest] = LEVELS[algorithm]
  return [
    ...(Number.isInteger(level) && level >= lowest && level <= highest
      ? []
      : [`compression.level: expected a whole number from ${lowest} to ${highest}`]),
    ...(above >= 0 ? [] : ["compression.above: expected a number of bytes"])
  ]
}

const toCodec = <State>(
  { fingerprint: types, kind, version }: CodecOptions<State>,
  { read, serialization, shape, write }: Serializer<State>,
  compression: ReturnType<typeof toCompression>
): SnapshotCodec<State> => {
  const fingerprint = sha256Hex(JSON.stringify([FORMAT, kind, version, types, serialization, shape]))
  const encode = Effect.fnUntraced(function*({ state, ...taken }: TakenState<State>) {
    const refuse = (detail: string) =>
      new StateNotSerializable({ streamId: taken.streamId, revision: taken.revision, detail })
    const plain = yield* Effect.try({
      try: () => {
        const bytes = write(state)
        return { bytes, again: read(bytes) }
      },
      catch: (error) => refuse(describe(error))
    })
    if (!isEqualDeep(plain.again, state) && !Equal.equals(plain.again, state)) {
      return yield* refuse("it comes back from its bytes as something else: the schema does not say all that is in it")
    }
    const packed = yield* pack(plain.bytes, compression)
    if (packed.bytes.length > SNAPSHOT_BYTES_MAX) return yield* refuse(`it has more than ${SNAPSHOT_BYTES_MAX} bytes`)
    const snapshot = { ...taken, kind, fingerprint, serialization, plainBytes: plain.bytes.length, ...packed }
    return { ...snapshot, digest: digestOf(snapshot) }
  })
  const decode = Effect.fnUntraced(function*(snapshot: StoredSnapshot) {
    const broken = (detail: string) =>
      new SnapshotBroken({ streamId: snapshot.streamId, revision: snapshot.revision, detail })
    if (!isIntact(snapshot)) return yield* broken("its digest does not fit")
    const bytes = yield* decompress(snapshot.bytes, snapshot.compression, snapshot.plainBytes)
    if (bytes === undefined) return yield* broken("its bytes cannot be decompressed")
    return yield* Effect.try({ try: () => read(bytes), catch: (error) => broken(describe(error)) })
  })
  return { fingerprint, encode, decode }
}

/** Compressed where that is worth it, and only when it became smaller. */
const pack = (
  bytes: Uint8Array,
  { above, algorithm, level }: ReturnType<typeof toCompression>
): Effect.Effect<Pick<StoredSnapshot, "bytes" | "compression">> =>
  algorithm === "none" || bytes.length <= above
    ? Effect.succeed({ bytes, compression: "none" })
    : Effect.map(compress(bytes, algorithm, level), (packed) =>
      packed.length < bytes.length
        ? { bytes: packed, compression: algorithm }
        : { bytes, compression: "none" })

/** What went wrong, on one line; a schema says where, and never quotes the value. */
const describe = (error: unknown): string =>
  error instanceof Error
    ? error.message.replaceAll(/\s+/g, " ").slice(0, DETAIL_LENGTH_MAX)
    : "it threw something that is no Error"
