import * as AppendBackupSuite from "./AppendBackupSuite.ts"
import { suite } from "./BackupServiceSuite.ts"
import { storeKinds } from "./stores.ts"

for (const kind of storeKinds) {
  suite(kind)
  AppendBackupSuite.suite(kind)
}
