/**
 * Source modules without a test file of their own, and the suite in which their promises are tested. A name that ends
 * with `/` stands for every module of that folder.
 */
export const coveredBySuite: Readonly<Record<string, string>> = {}
