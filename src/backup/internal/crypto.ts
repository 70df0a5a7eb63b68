import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  randomBytes,
  sign,
  verify
} from "node:crypto"
import { BackupKeyInvalid } from "../BackupError.ts"
import type { EncryptionKey, SigningKey, TrustedKey } from "../BackupKeys.ts"

export const sha256 = (bytes: Uint8Array): Buffer => hash("sha256", bytes, "buffer")

export const sha256Hex = (bytes: Uint8Array | string): string => hash("sha256", bytes, "hex")

const NONCE_BYTES = 12
const TAG_BYTES = 16

export const randomNonce = (): Buffer => randomBytes(NONCE_BYTES)

/** 64 random bits, in 16 hexadecimal digits. */
export const randomSuffix = (): string => randomBytes(8).toString("hex")

/** Ids of keys stand in manifests and messages. */
export const KEY_ID = /^[0-9A-Za-z._-]{1,64}$/

/** Returns the 32 bytes of a key. */
export const encryptionKeyOf = ({ id, key }: EncryptionKey): Effect.Effect<Uint8Array, BackupKeyInvalid> => {
  const bytes = Redacted.value(key)
  if (!KEY_ID.test(id)) return invalid(id, "its id is not 1 to 64 letters, digits, dots, dashes and underscores")
  return bytes.length === KEY_BYTES ? Effect.succeed(bytes) : invalid(id, `it has ${bytes.length} bytes instead of 32`)
}

/** What tells one key from another, and nothing else of it. */
export const keyCheck = (key: Uint8Array, backupId: string): string =>
  createHmac("sha256", key).update(`effect-event-store/backup/1/key\n${backupId}`).digest("hex").slice(0, 32)

export interface Sealed {
  readonly bytes: Buffer
  readonly tag: Buffer
}

export const encrypt = (key: Uint8Array, nonce: Uint8Array, context: Uint8Array, bytes: Uint8Array): Sealed => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(context)
  const body = Buffer.concat([cipher.update(bytes), cipher.final()])
  return { bytes: body, tag: cipher.getAuthTag() }
}

/** Returns the bytes, or `undefined` when key, nonce, context, tag or bytes are not those of the encryption. */
export const decrypt = (
  key: Uint8Array,
  nonce: Uint8Array,
  context: Uint8Array,
  { bytes, tag }: { readonly bytes: Uint8Array; readonly tag: Uint8Array }
): Buffer | undefined => {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(context)
  decipher.setAuthTag(tag)
  const body = decipher.update(bytes)
  try {
    decipher.final()
    return body
  } catch {
    return undefined
  }
}

export const signingKeyOf = ({ id, privateKey }: SigningKey): Effect.Effect<KeyObject, BackupKeyInvalid> =>
  KEY_ID.test(id)
    ? ed25519(id, "private", () => createPrivateKey(Redacted.value(privateKey)))
    : invalid(id, "its id is not 1 to 64 letters, digits, dots, dashes and underscores")

export const trustedKeyOf = ({ id, publicKey }: TrustedKey): Effect.Effect<KeyObject, BackupKeyInvalid> =>
  ed25519(id, "public", () => createPublicKey(publicKey))

export const signBytes = (key: KeyObject, bytes: Uint8Array): Buffer => sign(null, bytes, key)

export const isSignedBy = (key: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean =>
  verify(null, bytes, key, signature)

// internal

const KEY_BYTES = 32

const invalid = (keyId: string, detail: string): Effect.Effect<never, BackupKeyInvalid> =>
  Effect.fail(new BackupKeyInvalid({ keyId, detail }))

const ed25519 = (id: string, kind: string, read: () => KeyObject): Effect.Effect<KeyObject, BackupKeyInvalid> =>
  Effect.try({
    try: read,
    catch: () => new BackupKeyInvalid({ keyId: id, detail: `it is not a ${kind} key as PEM` })
  }).pipe(
    Effect.filterOrFail(
      (key) => key.asymmetricKeyType === "ed25519",
      (key) => new BackupKeyInvalid({ keyId: id, detail: `it is a key for ${key.asymmetricKeyType}, not for Ed25519` })
    )
  )
