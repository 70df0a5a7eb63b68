import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

/** The checkout's folder. */
export const root = fileURLToPath(new URL("../../", import.meta.url))

/** Text of a file of the checkout. */
export const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** Whether the checkout has this file or folder. */
export const exists = (path: string): boolean => existsSync(join(root, path))

/** Paths of the files below a folder, relative to the checkout, with `/`; none if there is no such folder. */
export const filesOf = (folder: string): ReadonlyArray<string> =>
  exists(folder)
    ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
      .filter((path) => !path.includes("node_modules/"))
      .toSorted()
    : []

/** Names of the rooms: the folders of `src/`. */
export const rooms = (): ReadonlyArray<string> =>
  readdirSync(join(root, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted()

/** Source files of the library that users can import by path. */
export const publicModules = (): ReadonlyArray<string> =>
  filesOf("src").filter((path) => path.endsWith(".ts") && !path.includes("/internal/") && !path.startsWith("src/cli/"))
