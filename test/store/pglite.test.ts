import { layerPglite } from "../../src/runtime/index.ts"
import { suite } from "./EventStoreSuite.ts"

suite("pglite", layerPglite({ directory: undefined }))
