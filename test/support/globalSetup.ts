/**
 * Starts PostgreSQL once for a run of the tests and tells them where it is.
 */
import type { TestProject } from "vitest/node"
import { type ServerAddress, startServers } from "./postgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgres: ReadonlyArray<ServerAddress>
  }
}

const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const { servers, stop } = await startServers()
  project.provide("postgres", servers)
  return stop
}

export default setup
