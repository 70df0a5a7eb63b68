/**
 * Files in a bucket. The official client is loaded when it is asked for: nobody
 * else has to install it.
 */
import type * as Sdk from "@aws-sdk/client-s3"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { BackupStorageError, BackupStorageReason } from "../BackupError.ts"
import type { BackupFile, BackupStorage, ByteRange } from "../BackupStorage.ts"
import type { S3Options } from "../S3Options.ts"
import { FILE_NAME } from "./names.ts"
import { checkFileName, failuresAt, type Operation } from "./storageFailure.ts"

type Failures = ReturnType<typeof failuresAt>
type Library = typeof Sdk
type Client = InstanceType<Library["S3Client"]>

/** Opens a bucket; `load` is another one in tests only. */
export const make = Effect.fnUntraced(function*(
  options: S3Options,
  load: () => Promise<unknown> = () => import("@aws-sdk/client-s3")
) {
  const prefix = options.prefix === undefined || options.prefix === "" ? "" : `${options.prefix.replace(/\/+$/, "")}/`
  const location = locationOf(options, prefix)
  const failure = failuresAt(location)
  const library = yield* Effect.tryPromise({
    try: load,
    catch: (cause) =>
      failure(
        "open",
        "",
        "DriverMissing",
        "it needs a package that is not installed: npm install @aws-sdk/client-s3",
        cause
      )
  })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => makeClient(library as Library, options)),
    (client) => Effect.sync(() => client.destroy())
  )
  return makeStorage(library as Library, client, { location, bucket: options.bucket, prefix, failure })
})

// internal

const ATTEMPTS = 5
const TIMEOUT_MILLIS = 60_000

/** Bytes of a piece that a read gives at least, but for the last one. */
const PIECE_BYTES = 64 * 1024

/** Tells apart buckets of one name at two services; an endpoint may hold a password, which is not told. */
const locationOf = ({ bucket, endpoint, profile }: S3Options, prefix: string): string => {
  const url = endpoint !== undefined && URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const parameters = [
    ...(profile === undefined ? [] : [`profile=${profile}`]),
    ...(url === undefined ? [] : [`endpoint=${url.origin}${url.pathname === "/" ? "" : url.pathname}`])
  ]
  const path = `s3://${bucket}${prefix === "" ? "" : `/${prefix.slice(0, -1)}`}`
  return parameters.length === 0 ? path : `${path}?${parameters.join("&")}`
}

const makeClient = ({ S3Client }: Library, options: S3Options): Client => {
  const { attempts = ATTEMPTS, credentials, endpoint, profile, region, timeoutMillis = TIMEOUT_MILLIS } = options
  return new S3Client({
    maxAttempts: attempts,
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    requestHandler: { connectionTimeout: timeoutMillis, requestTimeout: timeoutMillis, socketTimeout: timeoutMillis },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    ...(credentials === undefined ? {} : {
      credentials: {
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: Redacted.value(credentials.secretAccessKey),
        ...(credentials.sessionToken === undefined ? {} : { sessionToken: Redacted.value(credentials.sessionToken) })
      }
    })
  })
}

interface Place {
  readonly location: string
  readonly bucket: string
  readonly prefix: string
  readonly failure: Failures
}

const makeStorage = (library: Library, client: Client, place: Place): BackupStorage["Service"] => {
  const { bucket: Bucket, failure, location, prefix } = place

  const attempt: Attempt = (operation, name, run) =>
    Effect.tryPromise({ try: run, catch: (cause) => toFailure(failure, operation, name, cause) })

  const on = <A>(operation: Operation, name: string, run: (Key: string, signal: AbortSignal) => Promise<A>) =>
    Effect.andThen(
      checkFileName(failure, operation, name),
      Effect.suspend(() => attempt(operation, name, (signal) => run(prefix + name, signal)))
    )

  const stat = (name: string): Effect.Effect<Option.Option<BackupFile>, BackupStorageError> =>
    on(
      "stat",
      name,
      (Key, abortSignal) => client.send(new library.HeadObjectCommand({ Bucket, Key }), { abortSignal })
    ).pipe(
      Effect.map((head) => Option.some(fileOf(name, head.ContentLength, head.LastModified))),
      Effect.catchIf((error) => error.reason === "NotFound", () => Effect.succeed(Option.none()))
    )

  const put = (name: string, bytes: Uint8Array, isGuarded: boolean) =>
    on("put", name, (Key, abortSignal) =>
      client.send(
        new library.PutObjectCommand({
          Bucket,
          Key,
          Body: bytes,
          ContentLength: bytes.length,
          ContentType: "application/octet-stream",
          ChecksumAlgorithm: "SHA256",
          ...(isGuarded ? { IfNoneMatch: "*" } : {})
        }),
        { abortSignal }
      ))

  return {
    location,
    stat,
    put: Effect.fnUntraced(function*(name, bytes) {
      // a service that does not know the condition ignores it, or refuses it
      if (Option.isSome(yield* stat(name))) {
        return yield* failure("put", name, "AlreadyExists", "the file is there already")
      }
      yield* Effect.catchIf(put(name, bytes, true), isNotImplemented, () => put(name, bytes, false))
    }),
    get: (name, range) =>
      range?.length === 0 ? Stream.empty : readBody(
        on("get", name, (Key, abortSignal) =>
          client.send(new library.GetObjectCommand({ Bucket, Key, ...rangeOf(range) }), { abortSignal })),
        (cause) =>
          toFailure(failure, "get", name, cause)
      ),
    list: (start = "") => listObjects(library, client, place, attempt, start),
    remove: (name) =>
      Effect.asVoid(
        on("remove", name, (Key, abortSignal) =>
          client.send(new library.DeleteObjectCommand({ Bucket, Key }), { abortSignal }))
      ),
    // a request that ended early leaves nothing
    sweep: () => Effect.succeed(0)
  }
}

type Attempt = <A>(
  operation: Operation,
  name: string,
  run: (signal: AbortSignal) => Promise<A>
) => Effect.Effect<A, BackupStorageError>

const rangeOf = (range: ByteRange | undefined): { readonly Range?: string } => {
  const offset = range?.offset ?? 0
  if (offset === 0 && range?.length === undefined) return {}
  return { Range: `bytes=${offset}-${range?.length === undefined ? "" : offset + range.length - 1}` }
}

const readBody = (
  answer: Effect.Effect<{ readonly Body?: unknown }, BackupStorageError>,
  onFailure: (cause: unknown) => BackupStorageError
): Stream.Stream<Uint8Array, BackupStorageError> =>
  Stream.unwrap(
    Effect.map(answer, ({ Body }) => Stream.fromAsyncIterable(gather(Body as AsyncIterable<Uint8Array>), onFailure))
  ).pipe(
    // the part begins behind the end
    Stream.catchIf((error) => isRangeFault(error), () => Stream.empty)
  )

const listObjects = (library: Library, client: Client, place: Place, attempt: Attempt, start: string) =>
  Stream.paginate<string | undefined, BackupFile, BackupStorageError>(
    undefined,
    (ContinuationToken) =>
      attempt("list", "", (abortSignal) =>
        client.send(
          new library.ListObjectsV2Command({ Bucket: place.bucket, Prefix: place.prefix + start, ContinuationToken }),
          { abortSignal }
        )).pipe(Effect.map(({ Contents = [], IsTruncated, NextContinuationToken }) =>
          [
            Contents
              .map(({ Key = "", LastModified, Size }) => fileOf(Key.slice(place.prefix.length), Size, LastModified))
              .filter(({ name }) => FILE_NAME.test(name)),
            IsTruncated === true ? Option.fromUndefinedOr(NextContinuationToken) : Option.none<string>()
          ] as const
        ))
  )

const fileOf = (name: string, bytes: number | undefined, modifiedAt: Date | undefined): BackupFile => ({
  name,
  bytes: bytes ?? 0,
  modifiedAt: DateTime.makeUnsafe(modifiedAt?.getTime() ?? 0)
})

// joins what the network gives in small pieces
const gather = async function*(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Array<Uint8Array> = []
  let size = 0
  for await (const piece of pieces) {
    waiting.push(piece)
    size += piece.length
    if (size >= PIECE_BYTES) {
      yield Buffer.concat(waiting, size)
      waiting = []
      size = 0
    }
  }
  if (size > 0) yield Buffer.concat(waiting, size)
}

interface ServiceFault {
  readonly name?: string
  readonly code?: string
  readonly message?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $retryable?: unknown
}

const statusOf = ({ cause }: BackupStorageError): number | undefined =>
  (cause as ServiceFault | undefined)?.$metadata?.httpStatusCode

const isNotImplemented = (error: BackupStorageError): boolean => statusOf(error) === 501

const isRangeFault = (error: BackupStorageError): boolean => statusOf(error) === 416

const toFailure = (failure: Failures, operation: Operation, name: string, cause: unknown): BackupStorageError => {
  const fault = cause as ServiceFault
  const reason = reasonOf(fault)
  return failure(operation, name, reason, reason === "NotFound" ? "it is not there" : describe(fault), cause)
}

const describe = ({ $metadata, code, message, name }: ServiceFault): string => {
  const status = $metadata?.httpStatusCode
  return `${name ?? code ?? "Error"}${status === undefined ? "" : ` (HTTP ${status})`}: ${message ?? ""}`
}

const reasonOf = (fault: ServiceFault): BackupStorageReason => {
  switch (fault.$metadata?.httpStatusCode) {
    case 404:
      return "NotFound"
    case 401:
    case 403:
      return "AccessDenied"
    case 409:
    case 412:
      return "AlreadyExists"
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return "Unavailable"
    case 507:
      return "NoSpace"
    default:
      return fault.$metadata?.httpStatusCode === undefined && isNetworkFault(fault) ? "Unavailable" : "Failed"
  }
}

const isNetworkFault = ({ code, name }: ServiceFault): boolean =>
  name === "TimeoutError" || NETWORK_CODES.has(code ?? "")

const NETWORK_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH"
])
