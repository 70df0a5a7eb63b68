import { storeKinds } from "../backup/stores.ts"
import { suite } from "./TransferSuite.ts"

for (const kind of storeKinds) suite(kind)
