/**
 * As `emmett.ts`, with a consumer that polls as it does when it is not told how.
 */
import { make } from "./emmett.ts"

export default make(undefined)
