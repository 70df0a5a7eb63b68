/**
 * The keys of backups: to encrypt and read them, to sign and trust them.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"

/**
 * A key for AES-256-GCM.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncryptionKey {
  /** Its name, which stands in the manifest: 1 to 64 letters, digits, dots, dashes and underscores. */
  readonly id: string
  /** 32 random bytes. Whoever loses them loses the backups. */
  readonly key: Redacted.Redacted<Uint8Array>
}

/**
 * A private key for Ed25519.
 *
 * @category models
 * @since 0.1.0
 */
export interface SigningKey {
  /** Its name, which stands in the manifest: 1 to 64 letters, digits, dots, dashes and underscores. */
  readonly id: string
  /** PKCS#8 as PEM, as `openssl genpkey -algorithm ed25519` writes it. */
  readonly privateKey: Redacted.Redacted<string>
}

/**
 * A public key for Ed25519.
 *
 * @category models
 * @since 0.1.0
 */
export interface TrustedKey {
  readonly id: string
  /** SPKI as PEM, as `openssl pkey -pubout` writes it. */
  readonly publicKey: string
}

/**
 * What a reader of backups has.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupKeys {
  /** To read what is encrypted. */
  readonly encryption?: ReadonlyArray<EncryptionKey> | undefined
  /** Whom to trust: when it is there, a manifest without a signature by one of them is refused. */
  readonly trusted?: ReadonlyArray<TrustedKey> | undefined
}
