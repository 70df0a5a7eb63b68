/**
 * A PostgreSQL server whose data are in a directory. Prints its URL; takes a line
 * to start it again when it has ended, and answers that; stops when its standard
 * input ends.
 *
 *   node smallServer.ts DIRECTORY
 */
import { createInterface } from "node:readline"
import { startServer } from "../../support/postgres.ts"

process.env["TMPDIR"] = process.argv[2]

const server = await startServer({ settings: { min_wal_size: "32MB", max_wal_size: "32MB", shared_buffers: "16MB" } })
process.stdout.write(`${server.admin}\n`)
createInterface({ input: process.stdin })
  .on("line", () => void again())
  .once("close", () => void server.stop().then(() => process.exit(0)))

async function again(): Promise<void> {
  await server.kill9()
  await server.start()
  process.stdout.write("started\n")
}
