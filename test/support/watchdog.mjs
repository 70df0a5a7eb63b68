// Removes what a test server leaves behind when the process that started it is
// gone, however it ended.
//
// argument  the server's directory
// stdin     lines: the process id of the running server, or 0 for none;
//           its end means that the starter has ended
import * as fs from "node:fs"
import { createInterface } from "node:readline"

const directory = process.argv[2]
let pid = 0

const isAlive = () => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const signal = (name) => {
  try {
    process.kill(pid, name)
  } catch {
    // ended in this moment
  }
}

const cleanUp = async () => {
  // a server in its directory is stopped at once; 5 s for one that hangs
  if (pid > 0 && isAlive()) {
    signal("SIGQUIT")
    for (let tries = 0; tries < 100 && isAlive(); tries++) await new Promise((resolve) => setTimeout(resolve, 50))
    signal("SIGKILL")
  }
  fs.rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => undefined)
createInterface({ input: process.stdin })
  .on("line", (line) => {
    pid = Number(line)
  })
  .on("close", () => void cleanUp())
