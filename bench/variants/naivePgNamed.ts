/**
 * As `naivePg.ts`, with prepared statements by name.
 */
import { make } from "./naivePg.ts"

export default make(true)
