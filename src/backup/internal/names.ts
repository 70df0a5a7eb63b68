/**
 * Names of backups and of their files: all are made here, and nothing else is
 * taken for one.
 */

/** `20261121T170405Z-1f9c2ab47de01133`: when it began, and 64 random bits. */
export const BACKUP_ID = /^\d{8}T\d{6}Z-[0-9a-f]{16}$/

/** Letters, digits, dots and dashes: a name on every file system and in every bucket, and never a path. */
export const FILE_NAME = /^[0-9A-Za-z][0-9A-Za-z.-]{0,127}$/

export const manifestFile = (id: string): string => `${id}${MANIFEST_SUFFIX}`

export const segmentFile = (id: string, number: number): string =>
  `${id}.${String(number).padStart(12, "0")}${SEGMENT_SUFFIX}`

/** The id of the backup to which a file belongs by its name, and whether it is the manifest; `undefined` when to none. */
export const parseFile = (name: string): { readonly id: string; readonly isManifest: boolean } | undefined => {
  const match = OUR_FILE.exec(name)
  return match === null ? undefined : { id: match[1] as string, isManifest: match[2] === undefined }
}

// internal

const MANIFEST_SUFFIX = ".manifest.json"
const SEGMENT_SUFFIX = ".esb"

const OUR_FILE = /^(\d{8}T\d{6}Z-[0-9a-f]{16})\.(?:(\d{12})\.esb|manifest\.json)$/
