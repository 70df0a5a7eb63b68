import { createHash } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"

/** SHA-256 over everything that a snapshot says, its own digest left out. */
export const digestOf = (snapshot: Omit<StoredSnapshot, "digest">): Uint8Array =>
  createHash("sha256").update(JSON.stringify([
    snapshot.streamId,
    snapshot.kind,
    snapshot.fingerprint,
    snapshot.revision,
    snapshot.firstRevision,
    snapshot.serialization,
    snapshot.compression,
    snapshot.plainBytes,
    snapshot.takenAt.epochMilliseconds,
    snapshot.loadMillis
  ])).update(snapshot.bytes).digest()

/** SHA-256 of a text, in 64 hexadecimal digits. */
export const sha256Hex = (text: string): string => createHash("sha256").update(text).digest("hex")

/** Whether two values have the same prototypes and contents all the way down. */
export const isEqualDeep = (a: unknown, b: unknown): boolean => isDeepStrictEqual(a, b)
