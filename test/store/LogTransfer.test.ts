import { storeKinds } from "../backup/stores.ts"
import * as RestoreSuite from "./RestoreSuite.ts"
import * as TransferSuite from "./TransferSuite.ts"

for (const kind of storeKinds) {
  TransferSuite.suite(kind)
  RestoreSuite.suite(kind)
}
