import { suite } from "./ArchiveSuite.ts"
import { storeKinds } from "./stores.ts"

for (const kind of storeKinds) suite(kind)
