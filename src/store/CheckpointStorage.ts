/**
 * What a storage of checkpoints implements to become a `CheckpointStore`: the
 * same operations, after every input was checked.
 *
 * @since 0.1.0
 */
import { checkFilter } from "../event/EventQuery.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { VERSION_MAX } from "../event/Limits.ts"
import { checkName } from "../event/Name.ts"
import type { CheckpointStore, LeaseClaim, ProjectionKey } from "./CheckpointStore.ts"
import { checked } from "./internal/checked.ts"

/**
 * Makes a `CheckpointStore` of a storage: checks input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCheckpointStorage = (storage: CheckpointStore["Service"]): CheckpointStore["Service"] => ({
  ...storage,
  acquire: (claim) => checked(checkClaim(claim), () => storage.acquire(claim)),
  find: (key) => checked(checkProjectionKey(key), () => storage.find(key)),
  setStatus: (key, status) => checked(checkProjectionKey(key), () => storage.setStatus(key, status)),
  listParked: (key, page) =>
    checked(page?.key === undefined ? undefined : checkName(page.key, "key"), () => storage.listParked(key, page)),
  digestLog: (options) =>
    checked(
      options.filter === undefined ? undefined : checkFilter(options.filter, "filter"),
      () => storage.digestLog(options)
    )
})

// internal

/** An hour. */
const LEASE_MILLIS_MAX = 3_600_000

const checkProjectionKey = ({ name, version }: ProjectionKey): InvalidInput | undefined =>
  checkName(name, "name") ?? (Number.isInteger(version) && version >= 1 && version <= VERSION_MAX
    ? undefined
    : new InvalidInput({
      reason: "InvalidVersion",
      path: "version",
      detail: `expected a whole number from 1 to ${VERSION_MAX}`
    }))

const checkClaim = (claim: LeaseClaim): InvalidInput | undefined =>
  checkProjectionKey(claim) ?? checkName(claim.owner, "owner") ??
    (claim.leaseMillis >= 1 && claim.leaseMillis <= LEASE_MILLIS_MAX ? undefined : new InvalidInput({
      reason: "NumberOutOfRange",
      path: "leaseMillis",
      detail: `expected 1 to ${LEASE_MILLIS_MAX}`
    }))
