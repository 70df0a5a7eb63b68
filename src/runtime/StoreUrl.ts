/**
 * URLs that name a store.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/**
 * Represents a URL that names no store. Carries none of it but its scheme: a
 * URL may hold a password.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreUrlInvalid
  extends Schema.TaggedError<StoreUrlInvalid>("effect-event-store/runtime/StoreUrl/StoreUrlInvalid")(
    "StoreUrlInvalid",
    { detail: Schema.String }
  )
{
  override get message(): string {
    return `${this.detail}: expected memory:, pglite:DIRECTORY or postgres://USER@HOST:PORT/DATABASE`
  }
}

/**
 * What a URL names.
 *
 * @category models
 * @since 0.1.0
 */
export type StoreUrl =
  | { readonly _tag: "Memory" }
  /** Without a directory the embedded store is in memory. */
  | { readonly _tag: "Pglite"; readonly directory: string | undefined }
  | { readonly _tag: "Postgres"; readonly url: Redacted.Redacted }

/**
 * Reads a URL that names a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseStoreUrl = (text: string): StoreUrl | StoreUrlInvalid => {
  if (text === "memory:") return { _tag: "Memory" }
  if (text.startsWith("pglite:")) {
    const directory = text.slice("pglite:".length).replace(/^\/\//, "")
    if (directory.includes("\0")) return new StoreUrlInvalid({ detail: "the directory holds a NUL character" })
    return { _tag: "Pglite", directory: directory === "" ? undefined : directory }
  }
  if (/^postgres(?:ql)?:\/\//.test(text)) {
    const url = URL.parse(text)
    if (url === null) return new StoreUrlInvalid({ detail: "the postgres URL cannot be read" })
    return url.pathname.length > 1
      ? { _tag: "Postgres", url: Redacted.make(text) }
      : new StoreUrlInvalid({ detail: "the postgres URL names no database" })
  }
  const scheme = /^([a-z][a-z0-9+.-]{0,20}):/i.exec(text)?.[1]
  return new StoreUrlInvalid({
    detail: scheme === undefined ? "the store's URL has no scheme" : `no store has the scheme ${scheme}:`
  })
}
