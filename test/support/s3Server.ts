/**
 * A service that speaks as much of the S3 protocol as backups need: put with a
 * condition and a checksum, get with a range, head, list in pages, delete.
 *
 * It checks the signature of every request (AWS Signature Version 4), and can be
 * told to fail.
 */
import { createHash, createHmac } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface S3Server {
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  /** By key. */
  readonly objects: Map<string, { readonly bytes: Buffer; readonly modifiedAt: Date }>
  /** Method and key of every request, in their order. */
  readonly requests: Array<string>
  /** Asked before a request is served: a status to answer instead, "drop" to close the connection, or nothing. */
  fault: ((method: string, key: string) => number | "drop" | "dropAfter" | undefined) | undefined
  /** Whether `If-None-Match` is refused, as some services do. */
  refusesConditions: boolean
  readonly close: () => Promise<void>
}

/** Objects that a page of a list holds. */
const PAGE_SIZE = 3

export const startS3Server = (): Promise<S3Server> =>
  startS3ServerFor({ accessKeyId: "test-key", region: "eu-central-1", secretAccessKey: "test/secret+key" })

/** Another account, in a region of its own. */
export const startS3ServerFor = async (
  { accessKeyId, region, secretAccessKey }: Pick<S3Server, "accessKeyId" | "region" | "secretAccessKey">
): Promise<S3Server> => {
  const state: S3Server = {
    endpoint: "",
    bucket: "backups",
    accessKeyId,
    secretAccessKey,
    region,
    objects: new Map(),
    requests: [],
    fault: undefined,
    refusesConditions: false,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
  const server: Server = createServer((request, response) => {
    serve(state, request, response).catch((cause: unknown) => {
      response.writeHead(500).end(String(cause))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return Object.assign(state, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

const serve = async (state: S3Server, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url ?? "/", state.endpoint)
  const [, bucket = "", ...rest] = url.pathname.split("/")
  const key = decodeURIComponent(rest.join("/"))
  const method = request.method ?? ""
  const body = await read(request)
  state.requests.push(`${method} ${key}`)

  const fault = state.fault?.(method, key)
  if (fault === "drop") return void request.socket.destroy()
  if (typeof fault === "number") return answer(response, fault, "InjectedFault")
  if (!isSigned(state, request, url, body)) return answer(response, 403, "SignatureDoesNotMatch")
  if (bucket !== state.bucket) return answer(response, 404, "NoSuchBucket")

  switch (method) {
    case "PUT": {
      if (request.headers["if-none-match"] !== undefined) {
        if (state.refusesConditions) return answer(response, 501, "NotImplemented")
        if (state.objects.has(key)) return answer(response, 412, "PreconditionFailed")
      }
      const checksum = request.headers["x-amz-checksum-sha256"]
      if (checksum !== createHash("sha256").update(body).digest("base64")) return answer(response, 400, "BadDigest")
      state.objects.set(key, { bytes: body, modifiedAt: new Date() })
      if (fault === "dropAfter") return void request.socket.destroy()
      return void response.writeHead(200, { etag: "\"0\"" }).end()
    }
    case "HEAD":
    case "GET":
      return key === "" ? list(state, url, response) : get(state, request, key, response)
    case "DELETE":
      state.objects.delete(key)
      return void response.writeHead(204).end()
    default:
      return answer(response, 405, "MethodNotAllowed")
  }
}

const read = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Array<Buffer> = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

const answer = (response: ServerResponse, status: number, code: string): void => {
  response.writeHead(status, { "content-type": "application/xml" })
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`)
}

const get = (state: S3Server, request: IncomingMessage, key: string, response: ServerResponse): void => {
  const found = state.objects.get(key)
  if (found === undefined) return answer(response, 404, "NoSuchKey")
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")
  const start = range === null ? 0 : Number(range[1])
  if (range !== null && start >= found.bytes.length) return answer(response, 416, "InvalidRange")
  const end = range === null || range[2] === "" ? found.bytes.length : Number(range[2]) + 1
  const bytes = found.bytes.subarray(start, end)
  response.writeHead(range === null ? 200 : 206, {
    "content-length": bytes.length,
    "last-modified": found.modifiedAt.toUTCString()
  })
  response.end(request.method === "HEAD" ? undefined : bytes)
}

const list = (state: S3Server, url: URL, response: ServerResponse): void => {
  const prefix = url.searchParams.get("prefix") ?? ""
  const token = url.searchParams.get("continuation-token") ?? ""
  const keys = [...state.objects.keys()].filter((key) => key.startsWith(prefix) && key > token).sort()
  const page = keys.slice(0, PAGE_SIZE)
  const contents = page.map((key) => {
    const { bytes, modifiedAt } = state.objects.get(key)!
    return `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${modifiedAt.toISOString()}</LastModified></Contents>`
  })
  const isTruncated = keys.length > page.length
  response.writeHead(200, { "content-type": "application/xml" })
  response.end(
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${
      isTruncated ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ""
    }${contents.join("")}</ListBucketResult>`
  )
}

/** The signature of a request, made again from what was signed. */
const isSigned = (state: S3Server, request: IncomingMessage, url: URL, body: Buffer): boolean => {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d+)\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$/
      .exec(request.headers.authorization ?? "")
  if (match === null) return false
  const [, keyId, date, region, names, signature] = match as unknown as ReadonlyArray<string>
  if (keyId !== state.accessKeyId || region !== state.region) return false
  const hash = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex")
  const declared = String(request.headers["x-amz-content-sha256"])
  if (declared !== "UNSIGNED-PAYLOAD" && declared !== hash(body)) return false
  const query = [...url.searchParams].map((pair) => pair.map(encode).join("=")).sort().join("&")
  const headers = names!.split(";").map((name) => `${name}:${String(request.headers[name]).trim()}\n`).join("")
  const path = url.pathname.split("/").map((part) => encode(decodeURIComponent(part))).join("/")
  const canonical = [request.method, path, query, headers, names, declared].join("\n")
  const scope = `${date}/${region}/s3/aws4_request`
  const text = ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hash(canonical)].join("\n")
  const hmac = (key: string | Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest()
  const key = hmac(hmac(hmac(hmac(`AWS4${state.secretAccessKey}`, date!), region!), "s3"), "aws4_request")
  return hmac(key, text).toString("hex") === signature
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
