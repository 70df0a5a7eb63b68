/** Quotes a name for use in SQL: it may be a word of the language. */
export const quoteName = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`
