import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    watch: false,
    pool: "forks",
    // the tests share two cores with the servers they talk to
    maxWorkers: 2,
    // a busy machine, a server's recovery: deadlines against hanging, not measurements
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000
  }
})
