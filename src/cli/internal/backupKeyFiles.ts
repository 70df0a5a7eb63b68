/**
 * Keys of backups, from files and from the environment: never from the
 * arguments, which everybody on the machine can read.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, createPublicKey } from "node:crypto"
import { basename, delimiter } from "node:path"
import type { BackupKeys, EncryptionKey, SigningKey, TrustedKey } from "../../backup/BackupKeys.ts"
import { CliFailure } from "../CliFailure.ts"
import { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { printable } from "../Text.ts"

/**
 * Flags that name files with keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeysInput {
  readonly keyFile: ReadonlyArray<string>
  readonly trust: ReadonlyArray<string>
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the keys by which backups are read and trusted.
 *
 * **Details**
 *
 * A key file holds 32 bytes as 64 hexadecimal digits, as base64, or as they are;
 * its id is the file's name without what follows the last dot. The environment
 * has `EVENT_STORE_BACKUP_KEYS`, `ID:KEY` with commas between several, and
 * `EVENT_STORE_BACKUP_TRUST`, paths with the separator of `PATH`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadKeys = Effect.fnUntraced(function*(
  input: KeysInput,
  settings: Settings,
  environment: Environment = process.env
): Effect.fn.Return<BackupKeys, CliFailure | PlatformError, FileSystem.FileSystem | Out> {
  const encryption: Array<EncryptionKey> = []
  for (const path of input.keyFile) {
    yield* notePublic(path, settings)
    const bytes = yield* (yield* FileSystem.FileSystem).readFile(path)
    encryption.push(yield* toEncryptionKey(idOf(path), bytes, `the file ${path}`))
  }
  for (const entry of (environment[KEYS] ?? "").split(",").map((each) => each.trim()).filter((each) => each !== "")) {
    const colon = entry.indexOf(":")
    const id = colon < 1 ? "" : entry.slice(0, colon)
    encryption.push(yield* toEncryptionKey(id, Buffer.from(entry.slice(colon + 1)), KEYS))
  }
  const paths = input.trust.length > 0 ? input.trust : (environment[TRUST] ?? "").split(delimiter)
  const trusted = yield* Effect.forEach(paths.filter((path) => path !== ""), readTrusted)
  return {
    ...(encryption.length === 0 ? {} : { encryption }),
    ...(trusted.length === 0 ? {} : { trusted })
  }
})

/**
 * Reads the key by which a new backup is signed: a PEM file with a private key
 * for Ed25519, named by the flag or by `EVENT_STORE_BACKUP_SIGNING_KEY_FILE`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadSigningKey = Effect.fnUntraced(function*(
  file: Option.Option<string>,
  settings: Settings,
  environment: Environment = process.env
): Effect.fn.Return<SigningKey | undefined, CliFailure | PlatformError, FileSystem.FileSystem | Out> {
  const path = Option.getOrUndefined(file) ?? environment[SIGNING]
  if (path === undefined || path === "") return undefined
  yield* notePublic(path, settings)
  const pem = yield* (yield* FileSystem.FileSystem).readFileString(path)
  const type = typeOf(() => createPrivateKey(pem).asymmetricKeyType)
  if (type !== "ed25519") return yield* noKey(path, "it is no private key for Ed25519 as PEM")
  return { id: idOf(path), privateKey: Redacted.make(pem) }
})

// internal

const KEYS = "EVENT_STORE_BACKUP_KEYS"
const TRUST = "EVENT_STORE_BACKUP_TRUST"
const SIGNING = "EVENT_STORE_BACKUP_SIGNING_KEY_FILE"

const KEY_BYTES = 32

const ID = /^[0-9A-Za-z._-]{1,64}$/

/** `keys/backup-2026.pub.pem` is `backup-2026`: the two halves of a pair have one id. */
const idOf = (path: string): string => basename(path).replace(/\.[^.]+$/, "").replace(/\.(?:pub|public|private)$/, "")

const noKey = (where: string, why: string): CliFailure =>
  new CliFailure({
    code: "ES-2002",
    exitCode: 65,
    message: `no key can be read from ${where}`,
    why,
    fix: "make one with: openssl rand -hex 32 > NAME.key, or a pair with: openssl genpkey -algorithm ed25519"
  })

const toEncryptionKey = (
  id: string,
  bytes: Uint8Array,
  where: string
): Effect.Effect<EncryptionKey, CliFailure> => {
  if (!ID.test(id)) {
    return Effect.fail(noKey(where, "the key has no id: 1 to 64 letters, digits, dots, dashes and underscores"))
  }
  const key = decodeKey(bytes)
  return key === undefined
    ? Effect.fail(noKey(where, "it holds no 32 bytes: as 64 hexadecimal digits, as base64, or as they are"))
    : Effect.succeed({ id, key: Redacted.make(key) })
}

const decodeKey = (bytes: Uint8Array): Uint8Array | undefined => {
  // 32 characters are a key that somebody wrote down, of less than 32 random bytes
  if (bytes.length === KEY_BYTES && bytes.some((byte) => byte < 0x20 || byte > 0x7e)) return new Uint8Array(bytes)
  if (bytes.length > KEY_TEXT_MAX) return undefined
  const text = Buffer.from(bytes).toString("latin1").trim()
  if (/^[0-9a-f]{64}$/i.test(text)) return new Uint8Array(Buffer.from(text, "hex"))
  return /^[0-9A-Za-z+/_-]{43}=?$/.test(text) ? new Uint8Array(Buffer.from(text, "base64")) : undefined
}

const KEY_TEXT_MAX = 256

const readTrusted = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<TrustedKey, CliFailure | PlatformError, FileSystem.FileSystem> {
  const pem = yield* (yield* FileSystem.FileSystem).readFileString(path)
  // a private key would do as well, and must not lie about where backups are only read
  if (pem.includes("PRIVATE KEY") || typeOf(() => createPublicKey(pem).asymmetricKeyType) !== "ed25519") {
    return yield* noKey(`the file ${path}`, "it is no public key for Ed25519 as PEM (openssl pkey -pubout)")
  }
  return { id: idOf(path), publicKey: pem }
})

const typeOf = (read: () => string | undefined): string | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

const notePublic = Effect.fnUntraced(function*(path: string, { quiet }: Settings) {
  const { mode } = yield* (yield* FileSystem.FileSystem).stat(path)
  if (quiet || process.platform === "win32" || (mode & 0o077) === 0) return
  yield* (yield* Out).note(`others on this machine may read the key ${printable(path)}: chmod 600\n`)
})
