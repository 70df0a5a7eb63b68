/**
 * What a storage of checkpoints implements to become a `CheckpointStore`: the
 * same operations, after every input was checked.
 *
 * @since 0.1.0
 */
import { checkFilter } from "../event/EventQuery.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { PROJECTION_BUILD_MAX, PROJECTION_VERSION_MAX } from "../event/Limits.ts"
import { checkName } from "../event/Name.ts"
import type { Attendance, CheckpointStore, LeaseClaim, ProjectionKey } from "./CheckpointStore.ts"
import { checked } from "./internal/checked.ts"
import { SLICES_MAX } from "./Slice.ts"

/**
 * Makes a `CheckpointStore` of a storage: checks input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCheckpointStorage = (storage: CheckpointStore["Service"]): CheckpointStore["Service"] => ({
  ...storage,
  acquire: (claim) => checked(checkClaim(claim), () => storage.acquire(claim)),
  attend: (attendance) => checked(checkAttendance(attendance), () => storage.attend(attendance)),
  find: (key) => checked(checkProjectionKey(key), () => storage.find(key)),
  findSlices: (key) => checked(checkProjectionKey(key), () => storage.findSlices(key)),
  findLive: (name) => checked(checkName(name, "name"), () => storage.findLive(name)),
  addBuild: (version) => checked(checkProjectionKey(version), () => storage.addBuild(version)),
  listBuilds: (name) =>
    checked(name === undefined ? undefined : checkName(name, "name"), () => storage.listBuilds(name)),
  compareTables: (comparison) =>
    checked(
      checkProjectionKey(comparison.before) ?? checkProjectionKey(comparison.after) ??
        (Number.isInteger(comparison.samples) && comparison.samples >= 0 && comparison.samples <= SAMPLES_MAX
          ? undefined
          : new InvalidInput({ reason: "NumberOutOfRange", path: "samples", detail: `expected 0 to ${SAMPLES_MAX}` })),
      () => storage.compareTables(comparison)
    ),
  removeBuild: (build, options) => checked(checkProjectionKey(build), () => storage.removeBuild(build, options)),
  setStatus: (key, status) => checked(checkProjectionKey(key), () => storage.setStatus(key, status)),
  listParked: (key, page) =>
    checked(page?.key === undefined ? undefined : checkName(page.key, "key"), () => storage.listParked(key, page)),
  digestLog: (options) =>
    checked(
      options.filter === undefined ? undefined : checkFilter(options.filter, "filter"),
      () => storage.digestLog(options)
    ),
  digestSlices: (options) =>
    checked(
      options.filter === undefined ? undefined : checkFilter(options.filter, "filter"),
      () => storage.digestSlices(options)
    )
})

// internal

/** Differences that an answer may hold; bounds its memory. */
const SAMPLES_MAX = 10_000

/** An hour. */
const LEASE_MILLIS_MAX = 3_600_000

const checkProjectionKey = ({ build, name, slice, version }: ProjectionKey): InvalidInput | undefined =>
  checkName(name, "name") ?? checkNumber(version, PROJECTION_VERSION_MAX, "version") ??
    (build === undefined ? undefined : checkNumber(build, PROJECTION_BUILD_MAX, "build")) ??
    (slice === undefined ? undefined : checkRange(slice, 0, SLICES_MAX - 1, "slice"))

const checkNumber = (value: number, max: number, path: string): InvalidInput | undefined =>
  Number.isInteger(value) && value >= 1 && value <= max ? undefined : new InvalidInput({
    reason: "InvalidVersion",
    path,
    detail: `expected a whole number from 1 to ${max}`
  })

const checkClaim = (claim: LeaseClaim): InvalidInput | undefined =>
  checkProjectionKey(claim) ?? checkName(claim.owner, "owner") ?? checkLease(claim.leaseMillis) ??
    (claim.slices === undefined ? undefined : checkRange(claim.slices, (claim.slice ?? 0) + 1, SLICES_MAX, "slices"))

const checkAttendance = ({ leaseMillis, owner, projections }: Attendance): InvalidInput | undefined => {
  const fault = checkName(owner, "owner") ?? checkLease(leaseMillis)
  if (fault !== undefined) return fault
  for (const projection of projections) {
    const fault = checkProjectionKey(projection)
    if (fault !== undefined) return fault
  }
  return undefined
}

const checkLease = (leaseMillis: number): InvalidInput | undefined =>
  leaseMillis >= 1 && leaseMillis <= LEASE_MILLIS_MAX ? undefined : new InvalidInput({
    reason: "NumberOutOfRange",
    path: "leaseMillis",
    detail: `expected 1 to ${LEASE_MILLIS_MAX}`
  })

const checkRange = (value: number, min: number, max: number, path: string): InvalidInput | undefined =>
  Number.isInteger(value) && value >= min && value <= max ? undefined : new InvalidInput({
    reason: "NumberOutOfRange",
    path,
    detail: `expected a whole number from ${min} to ${max}`
  })
